"""From one person's keypoints over time to joints in space."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.lifting import LiftingCodec, Statistics
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera, check_cameras
from jaxpose.models.lifting.lifter import Lifter
from jaxpose.motion.fill import fill_gaps
from jaxpose.skeletons import Skeleton
from jaxpose.skeletons.mapping import mapped
from jaxpose.tasks.lifting.windows import lift, window_spec

_BATCH = 256  # windows in one forward pass


class TrackLifter:
    """Lifts a track: keypoints of a person in each frame of a clip, by windows of frames.

    Windows that reach beyond the clip repeat its first or last frame, so any clip is long enough.
    A lifter knows frames, not seconds: one trained on 60 frames a second takes a slower film for
    fast motion, unless `trained_fps` says so. Without a camera the size of the body is that of the
    people it was trained on.
    """

    def __init__(
        self,
        model: Lifter,
        variables: Any,
        codec: LiftingCodec,
        skeleton: Skeleton,
        *,
        flip_test: bool = True,
        trained_fps: float | None = None,
    ) -> None:
        """Binds a trained lifter, such as `cli.trained.load_lifter` or a run has it.

        Args:
          model: a Linen module.
          variables: its variables, on the device.
          codec: with the statistics of the training set.
          skeleton: of the joints, and of the keypoints that it was trained on.
          flip_test: average with what is said of the mirror image.
          trained_fps: frames per second of its training, to which films of other rates are
            resampled; None if the codec says. Where neither says, frames are taken as they come.
        """
        if not isinstance(codec, LiftingCodec):
            raise InputError(
                f"a {type(codec).__name__} does not answer in millimetres; lifting needs a "
                "LiftingCodec"
            )
        self.variables = variables
        self.codec = codec
        self.skeleton = skeleton
        self.window = window_spec(model)
        alone = self.window.before + self.window.after == 0
        self.trained_fps = None if alone else trained_fps or codec.fps
        permutation = skeleton.flip_permutation

        def forward(variables: Any, framed: jax.Array) -> jax.Array:
            return lift(
                variables,
                framed,
                model=model,
                codec=codec,
                permutation=permutation,
                flip_test=flip_test,
            )

        self._forward = jax.jit(forward)

    def __call__(
        self,
        keypoints: np.ndarray,
        scores: np.ndarray | None = None,
        *,
        image_wh: tuple[int, int],
        fps: float = 30.0,
        skeleton: Skeleton | None = None,
        refit: bool = True,
        camera: Camera | None = None,
        min_score: float = 0.3,
        longest_gap: float = 0.5,
    ) -> np.ndarray:
        """Joints `[T, K, 3]` float64 in mm about the root, along the camera's axes (y down).

        Args:
          keypoints: `[T, K', 2]` pixels, frames in order; NaN is missing.
          scores: `[T, K']` in [0, 1]; None where all are certain.
          image_wh: the picture's width and height.
          fps: frames per second.
          skeleton: of the keypoints; other names than the lifter's are made of what there is
            (`skeletons.mapping`). None if it is the lifter's own.
          refit: move and scale the track to where and how large people were in training
            (`refitted`). False if the film is by the training's own cameras, whose pictures tell
            more. A lifter on the screen without statistics takes the track as it is.
          camera: for a lifter on the image plane without `refit`; K and distortion are used.
          min_score: keypoints below are missing.
          longest_gap: seconds over which missing keypoints are filled in.

        Returns:
          NaN in frames of which less than half is known.

        Raises:
          InputError: keypoints that do not fit the skeleton, a joint that is seen in no frame, a
            picture or a frame rate without size, no camera where one is needed or one that is none.
        """
        if not (np.shape(image_wh) == (2,) and min(image_wh) > 0):
            raise InputError(f"the picture's width and height must be positive, not {image_wh}")
        if not (np.isfinite(fps) and fps > 0):
            raise InputError(f"the frames per second must be positive, not {fps}")
        if camera is not None:
            check_cameras(Camera(*(np.asarray(field, np.float64) for field in camera)))
        complete, certain, seen = self.complete(
            keypoints,
            scores,
            skeleton=skeleton,
            min_score=min_score,
            max_gap=max(1, round(longest_gap * fps)),
        )
        framed = self._framed(complete, certain, image_wh, refit, camera)
        if self.trained_fps is None:
            joints = self._windows(framed)
        else:
            count = round((len(framed) - 1) * self.trained_fps / fps) + 1
            joints = _resampled(self._windows(_resampled(framed, count)), len(framed))
        # Whatever a lifter says of the root itself, joints are about it.
        joints -= joints[:, list(self.codec.root)].mean(axis=1, keepdims=True)
        joints[~seen] = np.nan
        return joints

    def complete(
        self,
        keypoints: np.ndarray,
        scores: np.ndarray | None = None,
        *,
        skeleton: Skeleton | None = None,
        min_score: float = 0.3,
        max_gap: int = 15,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What is lifted: keypoints `[T, K, 2]` of the lifter's skeleton without gaps.

        Arguments as of `__call__`, `max_gap` in frames.

        Raises:
          InputError: as `__call__`.

        Returns:
          keypoints, their scores `[T, K]`, and `[T]` whether at least half of them is known.
        """
        points, certain = mapped(keypoints, scores, skeleton or self.skeleton, self.skeleton)
        if points.ndim != 3 or not len(points):
            raise InputError(f"a track is [T, K, 2] with T > 0, not {list(np.shape(keypoints))}")
        filled, seen = completed(
            points, certain, names=self.skeleton.keypoints, min_score=min_score, max_gap=max_gap
        )
        return filled, certain, seen

    def _framed(
        self,
        keypoints: np.ndarray,
        scores: np.ndarray,
        image_wh: tuple[int, int],
        refit: bool,
        camera: Camera | None,
    ) -> np.ndarray:
        """float32 `[T, K, D]` in the codec's frame."""
        # Published lifters on the screen come without statistics, and take people where they are.
        if not refit or (self.codec.input_statistics is None and self.codec.frame == "screen"):
            framed = self.codec.framed(
                jnp.asarray(keypoints, jnp.float32),
                image_wh=jnp.asarray(image_wh, jnp.float32)[None],
                camera=None if camera is None else Camera(*(jnp.asarray(f)[None] for f in camera)),
                confidence=jnp.asarray(scores, jnp.float32),
            )
            return np.asarray(framed)
        if self.codec.input_statistics is None:
            raise InputError(
                "the lifter does not say where people were in its training: its codec has no "
                "input_statistics. Take its inputs as they are: refit=False"
            )
        values = refitted(keypoints, self.codec.input_statistics, self.codec.root)
        if self.codec.confidence:
            values = np.concatenate([values, scores[..., None]], axis=-1)
        return values.astype(np.float32)

    def _windows(self, framed: np.ndarray) -> np.ndarray:
        """Joints `[T, K, 3]` of a whole clip `[T, K, D]`; the mean where windows overlap."""
        before, after, predicted = self.window
        total = len(framed)
        # One window a frame, or overlapping ones where each predicts all of its frames.
        step = 1 if predicted.stop - predicted.start == 1 else max(1, (before + 1 + after) // 3)
        last = max(total - 1, 0) if step == 1 else max(total - 1 - after, 0)
        at = np.unique(np.append(np.arange(0, last + 1, step), last))
        frames = at[:, None] + np.arange(-before, after + 1)[None]
        inside = ((frames >= 0) & (frames < total))[:, predicted]
        frames = np.clip(frames, 0, total - 1)
        # Few shapes, so that few programs are compiled: powers of two up to a full batch.
        size = min(_BATCH, 1 << (len(at) - 1).bit_length())
        joints = np.zeros((total, self.skeleton.num_keypoints, 3))
        count = np.zeros(total)
        for start in range(0, len(at), size):
            rows = np.minimum(np.arange(start, start + size), len(at) - 1)
            answer = np.asarray(self._forward(self.variables, framed[frames[rows]]), np.float64)
            kept = inside[start : start + size]
            where = frames[start : start + size, predicted][kept]
            np.add.at(joints, where, answer[: len(kept)][kept])
            np.add.at(count, where, 1.0)
        if not np.isfinite(joints).all():
            raise InputError("the lifter's output is not finite: did its training diverge?")
        return joints / count[:, None, None]


def completed(
    keypoints: np.ndarray,
    scores: np.ndarray,
    *,
    names: tuple[str, ...],
    min_score: float,
    max_gap: int,
) -> tuple[np.ndarray, np.ndarray]:
    """A whole skeleton for each frame, for a network that wants one.

    Gaps of up to `max_gap` frames are interpolated. In longer ones, and before and after, a
    keypoint is where the detector put it if it says so, however uncertain, and else where it was
    last or is next.

    Args:
      keypoints: `[T, K, 2]`; NaN is missing.
      scores: `[T, K]`.
      names: K, for messages.
      min_score: keypoints below are missing.
      max_gap: frames.

    Returns:
      `[T, K, 2]` without NaN, and `[T]`: at least half of the keypoints are known or interpolated.

    Raises:
      InputError: a keypoint is in no frame, with its name.
    """
    there = np.isfinite(keypoints).all(axis=-1)
    nowhere = ~there.any(axis=0)
    if nowhere.any():
        lost = ", ".join(name for name, gone in zip(names, nowhere, strict=True) if gone)
        raise InputError(
            f"{lost}: found in none of {len(keypoints)} frames, and a lifter needs the whole body"
        )
    filled, known = fill_gaps(keypoints, there & (scores >= min_score), max_gap=max_gap)
    filled = np.where(known[..., None], filled, keypoints)
    frames = np.arange(len(filled))
    for joint in range(filled.shape[1]):
        usable = np.flatnonzero(np.isfinite(filled[:, joint]).all(axis=-1))
        for axis in range(filled.shape[-1]):
            filled[:, joint, axis] = np.interp(frames, usable, filled[usable, joint, axis])
    return filled, known.mean(axis=1) >= 0.5


def _resampled(values: np.ndarray, count: int) -> np.ndarray:
    """`[T, ...]` as `[count, ...]` over the same time, interpolated linearly."""
    if count == len(values):
        return values
    at = np.linspace(0, len(values) - 1, count)
    before = np.minimum(at.astype(int), max(len(values) - 2, 0))
    share = (at - before).reshape(-1, *(1,) * (values.ndim - 1)).astype(values.dtype)
    return (1 - share) * values[before] + share * values[np.minimum(before + 1, len(values) - 1)]


def refitted(keypoints: np.ndarray, statistics: Statistics, root: tuple[int, ...]) -> np.ndarray:
    """A track `[T, K, 2]` where and as large as people were in training, on average.

    One shift and one scale for the whole track, so it still moves and turns as it did. A camera
    that turns or zooms does about the same, so what a lifter learnt before its cameras serves for
    films of any size and for people anywhere in them. Those of the training's own cameras lose the
    perspective that tells where they stand.

    Args:
      keypoints: in any frame with y down and one scale for both axes, such as pixels.
      statistics: of the training's inputs.
      root: joints whose mean is the root.
    """
    mean = np.asarray(statistics.mean)[:, :2]
    middle = mean[list(root)].mean(axis=0)
    anchor = keypoints[:, list(root)].mean(axis=1)
    # In training most stand and face all ways, so their mean pose is long and narrow. Here length
    # is along the body, which may lie; that of a stretched frame, since some squat.
    usual = np.abs(mean[:, 1] - middle[1]).mean()
    about_root = keypoints - anchor[:, None]
    _, axes = np.linalg.eigh(about_root.mT @ about_root)
    length = np.abs(about_root @ axes[..., -1:]).mean(axis=(1, 2))
    size = max(float(np.percentile(length, 80)), 1e-6)
    centre = np.median(anchor, axis=0)
    return (keypoints - centre[None, None]) * (usual / size) + middle[None, None]
