"""Codec of clips for classifiers of actions: sampled frames, and streams of joints or bones."""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.errors import InputError
from jaxpose.geometry.lookup import reordered
from jaxpose.geometry.mirror import mirror
from jaxpose.skeletons.graph import SkeletonGraph

Stream = Literal["joint", "bone", "joint motion", "bone motion"]
STREAMS: tuple[Stream, ...] = ("joint", "bone", "joint motion", "bone motion")


def sampled_frames(length: jax.Array, frames: int, key: jax.Array | None = None) -> jax.Array:
    """Frames `[B, frames]` int32 of clips of `length [B]`: one of each of `frames` equal parts.

    With a key the frame is drawn within its part; without, it is the middle one. A clip with fewer
    frames than asked for is repeated from its start, from a drawn frame on with a key
    (PoseC3D, arXiv:2104.13586, section 3.1).
    """
    length = length[:, None]
    place = jnp.arange(frames, dtype=jnp.int32)[None]
    # Integers of 32 bits hold the products of all clips up to 2**31 / frames frames.
    first, last = place * length // frames, (place + 1) * length // frames
    if key is None:
        inside = jnp.full((length.shape[0], frames), 0.5)
        start = jnp.zeros_like(length)
    else:
        within, begin = jax.random.split(key)
        inside = jax.random.uniform(within, (length.shape[0], frames))
        start = jax.random.randint(begin, length.shape, 0, jnp.maximum(length, 1))
    drawn = first + jnp.floor(inside * (last - first)).astype(jnp.int32)
    repeated = (start + place) % jnp.maximum(length, 1)
    return jnp.where(length < frames, repeated, jnp.minimum(drawn, length - 1)).astype(jnp.int32)


@dataclass(frozen=True)
class ClipCodec:
    """Codec from people's keypoints to the input of a graph network or of MotionBERT.

    Keypoints with a score of 0 are unseen: their values are 0, and so are the bones and motions
    that need them.

    Attributes:
      graph: graph of the skeleton, for bones and for the root.
      frames: number of frames of the model's input.
      people: number of people of the model's input.
      dimensions: 2 for pixels of images, 3 for 3D joints.
      confidence: True to append the score to the coordinates.
      frame: "image": from the middle, in halves of width and height. "box": from the middle of the
        box around all people in the clip, in halves of its longer side. "root": relative to the
        root of the first person in the first frame in which it is seen. "none": unchanged.
        "upright": as "root", and turned by the first person in that frame: the spine along z, then
        the shoulders along x (PYSKL, arXiv:2205.09443). 3D joints, which are millimetres in the
        data, are metres in all of these but "box", as in the published networks.
      root: keypoint of the frames "root" and "upright".
      axes: bottom and top of the spine, right and left shoulder, for the frame "upright".
      stream: "joint": coordinates. "bone": from the start of each keypoint's bone to it.
        "joint motion", "bone motion": change of these to the next frame, 0 for the last one
        (arXiv:1912.06971, section 3.4).
    """

    graph: SkeletonGraph
    frames: int
    people: int = 2
    dimensions: int = 2
    confidence: bool = False
    frame: Literal["image", "box", "root", "none", "upright"] = "box"
    root: int = 0
    stream: Stream = "joint"
    axes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        count = self.graph.num_keypoints
        if self.frames < 1 or self.people < 1 or self.dimensions not in (2, 3):
            raise InputError(
                f"codec.frames and codec.people must be at least 1 and codec.dimensions 2 or 3, "
                f"not {self.frames}, {self.people} and {self.dimensions}."
            )
        if self.dimensions == 3 and self.frame == "image":
            raise InputError("3D joints have no image: set codec.frame to 'root', 'box' or 'none'.")
        if self.frame == "upright" and (self.dimensions != 3 or len(self.axes) != 4):
            raise InputError(
                "codec.frame 'upright' is for 3D joints and needs codec.axes: bottom and top of "
                "the spine, right and left shoulder."
            )
        if not 0 <= min(self.axes, default=0) <= max(self.axes, default=0) < count:
            raise InputError(f"codec.axes is {self.axes}, but the graph has {count} keypoints.")
        if not 0 <= self.root < self.graph.num_keypoints:
            raise InputError(
                f"codec.root is {self.root}, but the graph has "
                f"{self.graph.num_keypoints} keypoints."
            )

    @property
    def in_features(self) -> int:
        """Values of a keypoint in the model's input."""
        return self.dimensions + self.confidence

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input `(frames, people, K, D)`."""
        return self.frames, self.people, self.graph.num_keypoints, self.in_features

    def framed(self, keypoints: jax.Array, scores: jax.Array, image_wh: jax.Array) -> jax.Array:
        """Coordinates in the codec's frame, 0 where unseen.

        Args:
          keypoints: `[B, T, P, K, dimensions]` in pixels or mm.
          scores: `[B, T, P, K]`; 0 for unseen.
          image_wh: `[B, 2]` width and height of the images in pixels; read by "image" only.
        """
        x, seen = keypoints[..., : self.dimensions], (scores > 0)[..., None]
        if self.dimensions == 3 and self.frame != "box":
            x = x / 1000.0
        if self.frame == "image":
            half = image_wh.astype(jnp.float32)[:, None, None, None] / 2
            x = (x - half) / half
        elif self.frame == "box":
            axes = (1, 2, 3)
            low = jnp.where(seen, x, jnp.inf).min(axis=axes, keepdims=True)
            high = jnp.where(seen, x, -jnp.inf).max(axis=axes, keepdims=True)
            half = ((high - low) / 2).max(axis=-1, keepdims=True)
            some = jnp.isfinite(half)
            middle = jnp.where(jnp.isfinite(low), (low + high) / 2, 0.0)
            x = (x - middle) / jnp.where(some, jnp.maximum(half, 1e-6), 1.0)
        elif self.frame in ("root", "upright"):
            roots, known = x[:, :, 0, self.root], seen[:, :, 0, self.root, 0]
            first = jnp.argmax(known, axis=1)
            origin = jnp.take_along_axis(roots, first[:, None, None], axis=1)
            origin = jnp.where(known.any(axis=1)[:, None, None], origin, 0.0)
            x = x - origin[:, :, None, None]
            if self.frame == "upright":
                one = jnp.take_along_axis(x[:, :, 0], first[:, None, None, None], axis=1)[:, 0]
                bottom, top, right, left = (one[:, axis] for axis in self.axes)
                turn = _turn_onto(top - bottom, (0.0, 0.0, 1.0))
                side = jnp.einsum("bij,bj->bi", turn, right - left)
                turn = _turn_onto(side, (1.0, 0.0, 0.0)) @ turn
                x = jnp.einsum("bij,btpkj->btpki", turn, x)
        return jnp.where(seen, x, 0.0)

    def encode(self, framed: jax.Array, scores: jax.Array) -> jax.Array:
        """Input of the model `[B, T, P, K, D]`, from `framed` coordinates and `scores`."""
        x, scores = framed, scores.astype(jnp.float32)
        if self.stream.startswith("bone"):
            starts = self.graph.bone_starts()
            seen = (scores > 0) & (reordered(scores, starts, axis=-1) > 0)
            x = (x - reordered(x, starts, axis=-2)) * seen[..., None]
            scores = jnp.where(seen, (scores + reordered(scores, starts, axis=-1)) / 2, 0.0)
        if self.stream.endswith("motion"):
            seen = (scores[:, :-1] > 0) & (scores[:, 1:] > 0)
            moved = (x[:, 1:] - x[:, :-1]) * seen[..., None]
            x = jnp.concatenate([moved, jnp.zeros_like(x[:, :1])], axis=1)
            both = jnp.where(seen, (scores[:, 1:] + scores[:, :-1]) / 2, 0.0)
            scores = jnp.concatenate([both, jnp.zeros_like(scores[:, :1])], axis=1)
        return jnp.concatenate([x, scores[..., None]], axis=-1) if self.confidence else x

    def mirrored(
        self, framed: jax.Array, scores: jax.Array, permutation: np.ndarray
    ) -> tuple[jax.Array, jax.Array]:
        """Mirror framed coordinates and scores, with left and right keypoints exchanged."""
        return mirror(framed, permutation), reordered(scores, permutation, axis=-1)

    def describe(self) -> str:
        """Phrase for a model card."""
        values = f"{self.dimensions}D" + (" and confidence" if self.confidence else "")
        return f"{self.stream} stream, {values}, {self.frames} frames of {self.people} people"


def _turn_onto(vectors: jax.Array, axis: tuple[float, float, float]) -> jax.Array:
    """Smallest rotations `[B, 3, 3]` that turn `vectors [B, 3]` onto `axis`.

    No rotation for a vector of length 0, or that points the other way.
    """
    length = jnp.linalg.norm(vectors, axis=-1, keepdims=True)
    target = jnp.broadcast_to(jnp.asarray(axis)[None], vectors.shape)
    unit = jnp.where(length > 1e-9, vectors / jnp.maximum(length, 1e-9), target)
    x, y, z = jnp.moveaxis(jnp.cross(unit, target), -1, 0)
    zero = jnp.zeros_like(x)
    cross = jnp.stack(
        [jnp.stack(row, -1) for row in ((zero, -z, y), (z, zero, -x), (-y, x, zero))], -2
    )
    cosine = (unit * target).sum(axis=-1)[:, None, None]
    turn = jnp.eye(3)[None] + cross + cross @ cross / jnp.maximum(1 + cosine, 1e-6)
    return jnp.where(cosine > -1 + 1e-6, turn, jnp.eye(3)[None])
