"""Codecs of lifters: from pixels and millimetres to a lifter's inputs and targets, and back.

Frames of joints, in the order of the conversions:

- *camera*: millimetres, x right, y down, z forward, origin at the optical centre. Datasets and
  metrics use this frame.
- *root-relative*: the camera's axes, origin at the root joint, millimetres. `decode` returns joints
  in this frame.
- *targets*: root-relative in metres, then standardised by the training set's statistics if the
  codec has any.

Frames of keypoints:

- *pixels* of the whole image, pixel centres at integers.
- *screen*: the image's width spans [-1, 1], and its height is divided by the same number, so that
  shapes keep their aspect. The middle of an image of width w is at w / 2, as published.
- *image plane*: x / z and y / z of the undistorted ray, computed from pixels with a known camera.
- *box*: the middle of a person's box is the origin and its longer side spans [-1, 1]; for video
  whose camera and size are not known.

A mirror does not move the origin of any frame except pixels, so `geometry.mirror` can mirror values
in these frames. Functions take any leading axes, commonly `[B, T]`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.codec import mean_of_two
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera, normalise
from jaxpose.geometry.lookup import reordered
from jaxpose.geometry.mirror import mirror
from jaxpose.skeletons import Skeleton

_FRAMES = ("pixels", "screen", "image plane", "box")
_MM = 1000.0  # millimetres to the targets' unit


@dataclass(frozen=True)
class Statistics:
    """Means and standard deviations of each joint in a training set, as plain numbers.

    Attributes:
      mean: K rows of D values.
      std: K rows of D values, all above 0.
    """

    mean: tuple[tuple[float, ...], ...]
    std: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            rows = tuple(tuple(float(x) for x in row) for row in getattr(self, name))
            object.__setattr__(self, name, rows)
        if np.shape(self.mean) != np.shape(self.std) or np.ndim(self.mean) != 2:
            raise InputError(
                f"Statistics need a mean and a std of one shape [K, D], not {np.shape(self.mean)} "
                f"and {np.shape(self.std)}."
            )
        if not np.isfinite([self.mean, self.std]).all() or np.min(self.std) <= 0:
            raise InputError("Statistics must be finite, and every std above 0.")

    @classmethod
    def of(cls, values: np.ndarray, weights: np.ndarray | None = None) -> "Statistics":
        """Compute the statistics of `[N, K, D]`.

        Constant values, such as the root relative to itself, get std 1. Joints whose weight in
        `weights [N, K]` is 0 are left out.

        Raises:
          InputError: a joint is labelled in no frame.
        """
        values = np.asarray(values, np.float64)
        known = np.asarray(np.ones(values.shape[:2]) if weights is None else weights) > 0
        count = known.sum(axis=0)[:, None]
        if not count.all():
            raise InputError(
                f"Joint {int(np.argmin(count))} is labelled in none of {len(values)} frames."
            )
        values = np.where(known[..., None], values, 0)
        mean = values.sum(axis=0) / count
        std = np.sqrt((known[..., None] * (values - mean) ** 2).sum(axis=0) / count)
        std = np.where(std > 1e-6 * np.abs(values).max(), std, 1.0)
        return cls(mean.tolist(), std.tolist())

    def apply(self, values: jax.Array) -> jax.Array:
        """Standardise `[..., K, D]`."""
        mean, std = self._arrays(values)
        return (values - mean) / std

    def undo(self, values: jax.Array) -> jax.Array:
        """Inverse of `apply`."""
        mean, std = self._arrays(values)
        return values * std + mean

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain lists for JSON; `Statistics(**data)` is the inverse."""
        return asdict(self)

    def _arrays(self, values: jax.Array) -> tuple[jax.Array, jax.Array]:
        shape = (1,) * (values.ndim - 2) + np.shape(self.mean)
        if values.shape[-2:] != shape[-2:]:
            raise InputError(
                f"Statistics of {list(shape[-2:])} do not fit values {list(values.shape)}."
            )
        pair = (jnp.asarray(rows, jnp.float32).reshape(shape) for rows in (self.mean, self.std))
        return next(pair), next(pair)


def to_screen(keypoints: jax.Array, image_wh: jax.Array) -> jax.Array:
    """Convert pixels `[..., K, 2]` to the screen; `image_wh` is `[..., 2]`."""
    size = image_wh.astype(jnp.float32)[..., None, :]
    return (2.0 * keypoints - size) / size[..., :1]


def from_screen(keypoints: jax.Array, image_wh: jax.Array) -> jax.Array:
    """Inverse of `to_screen`."""
    size = image_wh.astype(jnp.float32)[..., None, :]
    return (keypoints * size[..., :1] + size) / 2.0


def to_box(keypoints: jax.Array, boxes_xywh: jax.Array) -> jax.Array:
    """Convert pixels `[..., K, 2]` to boxes `[..., 4]`; use one box for all frames of a window."""
    corner, size = boxes_xywh[..., None, :2], boxes_xywh[..., None, 2:]
    half = jnp.maximum(size.max(axis=-1, keepdims=True) / 2, 1e-6)
    return (keypoints - corner - size / 2) / half


def root_of(skeleton: Skeleton) -> tuple[int, ...]:
    """Indices of the joints whose mean is a skeleton's root: `root`, `pelvis`, or the two hips.

    Raises:
      InputError: it has none of these.
    """
    for names in (("root",), ("pelvis",), ("left_hip", "right_hip")):
        if all(name in skeleton.keypoints for name in names):
            return tuple(skeleton.index(name) for name in names)
    raise InputError(
        f"The skeleton {skeleton.name!r} has no root: neither a keypoint `root` or `pelvis` nor "
        "two hips. Joints can only be lifted relative to one."
    )


def root_place(joints: jax.Array, root: Sequence[int]) -> jax.Array:
    """Position of the root, `[..., 1, D]`: the mean of its joints in `[..., K, D]`."""
    return reordered(joints, root, axis=-2).mean(axis=-2, keepdims=True)


@dataclass(frozen=True)
class LiftingCodec:
    """Inputs and targets of Martinez's, VideoPose3D's and PoseFormer's lifters.

    Attributes:
      num_keypoints: keypoints of the input, and of the skeleton.
      root: indices of the joints whose mean is the root (`root_of`).
      frame: frame of the inputs: "pixels", "screen", "image plane" or "box".
      drop_root: leave the root out of the targets; only possible if it is one joint.
      confidence: add the confidence to the inputs as a third channel.
      input_statistics: statistics of inputs in their frame (x, y); None for inputs that are not
        standardised.
      target_statistics: statistics of targets in metres; None for targets that are not
        standardised.
      fps: frames per second of the training set; None if unknown or mixed.
    """

    num_keypoints: int = 17
    root: tuple[int, ...] = (0,)
    frame: Literal["pixels", "screen", "image plane", "box"] = "screen"
    drop_root: bool = False
    confidence: bool = False
    input_statistics: Statistics | None = None
    target_statistics: Statistics | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        if self.frame not in _FRAMES:
            raise InputError(
                f"frame must be one of {', '.join(map(repr, _FRAMES))}, not {self.frame!r}."
            )
        if not self.root or not all(0 <= i < self.num_keypoints for i in self.root):
            raise InputError(f"The root {self.root} is not among {self.num_keypoints} keypoints.")
        if self.drop_root and len(self.root) != 1:
            raise InputError(f"A root of {len(self.root)} joints cannot be dropped; keep it.")

    def inputs(
        self,
        keypoints: jax.Array,
        *,
        image_wh: jax.Array | None = None,
        camera: Camera | None = None,
        boxes_xywh: jax.Array | None = None,
        confidence: jax.Array | None = None,
    ) -> jax.Array:
        """Convert pixels `[..., K, 2]` to the lifter's inputs, `[..., K, 2 or 3]` float32.

        Applies `framed`, then `standardised`; arguments and errors are those of `framed`.
        """
        return self.standardised(
            self.framed(
                keypoints,
                image_wh=image_wh,
                camera=camera,
                boxes_xywh=boxes_xywh,
                confidence=confidence,
            )
        )

    def framed(
        self,
        keypoints: jax.Array,
        *,
        image_wh: jax.Array | None = None,
        camera: Camera | None = None,
        boxes_xywh: jax.Array | None = None,
        confidence: jax.Array | None = None,
    ) -> jax.Array:
        """Convert pixels to the codec's frame, with a confidence if the codec has one.

        The result may be mirrored, unless the frame is pixels.

        Args:
          keypoints: `[..., K, 2]`.
          image_wh: `[..., 2]`, for the screen.
          camera: camera with axes `[...]`, for the image plane.
          boxes_xywh: `[..., 4]`, for the box.
          confidence: `[..., K]` in [0, 1]; None means ones.

        Raises:
          InputError: an argument that the frame needs is None.
        """
        keypoints = keypoints.astype(jnp.float32)
        if self.frame == "screen":
            values = to_screen(keypoints, self._needed(image_wh, "image_wh"))
        elif self.frame == "image plane":
            values = normalise(self._needed(camera, "camera"), keypoints)
        elif self.frame == "box":
            values = to_box(keypoints, self._needed(boxes_xywh, "boxes_xywh"))
        else:
            values = keypoints
        if not self.confidence:
            return values
        if confidence is None:
            confidence = jnp.ones(keypoints.shape[:-1], jnp.float32)
        return jnp.concatenate([values, confidence.astype(jnp.float32)[..., None]], axis=-1)

    def standardised(self, framed: jax.Array) -> jax.Array:
        """Standardise `framed` by the inputs' statistics, if any; the confidence stays as it is."""
        if self.input_statistics is None:
            return framed
        values = self.input_statistics.apply(framed[..., :2])
        return jnp.concatenate([values, framed[..., 2:]], axis=-1)

    def _needed(self, value: Any, name: str) -> Any:
        if value is None:
            raise InputError(f"Inputs on the {self.frame} need {name}.")
        return value

    def encode(self, sample: Sample) -> Targets:
        """Encode targets `[..., K_out, 3]` and weights `[..., K_out]`, float32.

        `sample`: keypoints_3d `[..., K, 3]`, with any translation; visible `[..., K]`, above 0
        where a joint is known. If the root is not known, all weights of the frame are 0.
        """
        joints = sample.keypoints_3d.astype(jnp.float32)
        known = sample.labelled()
        anchored = reordered(known, self.root, axis=-1)
        known = known & anchored.all(axis=-1, keepdims=True)
        relative = jnp.where(known[..., None], joints - root_place(joints, self.root), 0.0)
        return Targets(self._targets(relative), self._kept(known.astype(jnp.float32), -1))

    def decode(self, outputs: jax.Array) -> jax.Array:
        """Decode outputs `[..., K_out, 3]` to root-relative joints `[..., K, 3]` in mm."""
        joints = outputs.astype(jnp.float32)
        if self.target_statistics is not None:
            joints = self.target_statistics.undo(joints)
        if self.drop_root:
            at = self.root[0]
            root = jnp.zeros_like(joints[..., :1, :])
            joints = jnp.concatenate([joints[..., :at, :], root, joints[..., at:, :]], axis=-2)
        return joints * _MM

    def flip_back(self, outputs: jax.Array, permutation: np.ndarray) -> jax.Array:
        """Convert outputs for the mirrored input to the original frame; `permutation [K]`."""
        return self._targets(mirror(self.decode(outputs), permutation))

    def average(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """Mean of two outputs."""
        return mean_of_two(a, b)

    def _targets(self, relative: jax.Array) -> jax.Array:
        targets = self._kept(relative, -2) / _MM
        if self.target_statistics is not None:
            return self.target_statistics.apply(targets)
        return targets

    def _kept(self, values: jax.Array, axis: int) -> jax.Array:
        return jnp.delete(values, self.root[0], axis=axis) if self.drop_root else values


@dataclass(frozen=True)
class ScreenDepthCodec:
    """Targets of MotionBERT: joints on the screen, and their depth in the same unit.

    x and y are a joint's position on the screen. z is its depth relative to the root, with the
    scale of a length at the root's distance. All are relative to the root. So lifting needs no
    known camera; only the conversion of the outputs to millimetres does. (arXiv:2210.06551,
    section 4.1; the 2.5D pose of Iqbal et al., arXiv:1804.09534.)
    """

    num_keypoints: int = 17
    root: tuple[int, ...] = (0,)

    def inputs(
        self, keypoints: jax.Array, *, image_wh: jax.Array, confidence: jax.Array | None = None
    ) -> jax.Array:
        """Convert pixels `[..., K, 2]` to the screen and add the confidence: `[..., K, 3]`."""
        screen = LiftingCodec(self.num_keypoints, self.root, confidence=True)
        return screen.inputs(keypoints, image_wh=image_wh, confidence=confidence)

    def encode(self, sample: Sample, *, K: jax.Array, image_wh: jax.Array) -> Targets:
        """Encode targets `[..., K, 3]` and weights `[..., K]`, float32.

        Args:
          sample: keypoints_3d `[..., K, 3]`; visible `[..., K]`, above 0 where a joint is known.
          K: intrinsics `[..., 3, 3]` in pixels; distortion is left out, as published.
          image_wh: `[..., 2]`.
        """
        joints = sample.keypoints_3d.astype(jnp.float32)
        focal = jnp.stack([K[..., 0, 0], K[..., 1, 1]], axis=-1)[..., None, :]
        pixels = joints[..., :2] / joints[..., 2:] * focal + K[..., None, :2, 2]
        depth = joints[..., 2:] / self.mm_per_unit(joints, K=K, image_wh=image_wh)[..., None, None]
        values = jnp.concatenate([to_screen(pixels, image_wh), depth], axis=-1)
        relative = values - root_place(values, self.root)
        return Targets(relative, sample.weights())

    def mm_per_unit(self, joints: jax.Array, *, K: jax.Array, image_wh: jax.Array) -> jax.Array:
        """Length in mm `[...]`, at the root's distance, of one unit of the screen."""
        distance = root_place(joints.astype(jnp.float32), self.root)[..., 0, 2]
        return distance / K[..., 0, 0] * image_wh[..., 0].astype(jnp.float32) / 2.0

    def decode(self, outputs: jax.Array, mm_per_unit: jax.Array) -> jax.Array:
        """Decode root-relative joints `[..., K, 3]` in mm, as if all had the root's distance."""
        outputs = outputs.astype(jnp.float32)
        return (outputs - root_place(outputs, self.root)) * mm_per_unit[..., None, None]

    def flip_back(self, outputs: jax.Array, permutation: np.ndarray) -> jax.Array:
        """Convert outputs for the mirrored input to the original frame; `permutation [K]`."""
        return mirror(outputs, permutation)

    def average(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """Mean of two outputs."""
        return mean_of_two(a, b)
