"""Lifting of one person's keypoints over time to 3D joints."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.lifting import LiftingCodec, Statistics
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera, check_cameras
from jaxpose.models.lifting.lifter import Lifter
from jaxpose.models.split import for_device_of
from jaxpose.motion.fill import fill_gaps
from jaxpose.motion.timing import resampled
from jaxpose.skeletons import Skeleton
from jaxpose.skeletons.mapping import mapped
from jaxpose.tasks.lifting.windows import lift, window_spec

_BATCH = 256  # windows in one forward pass


class TrackLifter:
    """Lifts a track to 3D: keypoints of a person in each frame of a clip, by windows of frames.

    Windows that reach beyond the clip repeat its first or last frame, so a clip may have any
    length. A lifter's input is frames, not seconds: one trained at 60 frames per second takes the
    motion of a slower video for faster motion, unless `trained_fps` is given. Without a camera, the
    size of the body is that of the people in its training.
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
        """Creates a lifter from a trained model, such as one from `hub.load_lifter` or a run.

        Args:
          model: a Linen module.
          variables: its variables, on the device.
          codec: codec with the statistics of the training set.
          skeleton: skeleton of the joints, and of the keypoints in training.
          flip_test: average with the result for the mirror image.
          trained_fps: frames per second of its training; videos of other rates are resampled to it.
            None takes the codec's; if the codec has none either, frames are used without
              resampling.
        """
        if not isinstance(codec, LiftingCodec):
            raise InputError(
                f"a {type(codec).__name__} does not decode to millimetres; lifting needs a "
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

        self._forward = jax.jit(for_device_of(variables, forward))

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
        """Joints `[T, K, 3]` float64 in mm relative to the root, along the camera's axes (y down).

        Args:
          keypoints: `[T, K', 2]` pixels, frames in order; NaN is missing.
          scores: `[T, K']` in [0, 1]; None where all are certain.
          image_wh: the image's width and height.
          fps: frames per second.
          skeleton: skeleton of the keypoints; other keypoints than the lifter's are converted
            (`skeletons.mapping`). None if it is the lifter's own.
          refit: move and scale the track to the mean position and size of people in training
            (`refitted`). Use False for videos from the cameras of the training set, whose images
            contain more information. A lifter on the screen without statistics never refits.
          camera: for a lifter on the image plane without `refit`; K and distortion are used.
          min_score: keypoints with a lower score are missing.
          longest_gap: longest gap of missing keypoints that is filled, seconds.

        Returns:
          NaN in frames in which less than half of the keypoints are known.

        Raises:
          InputError: keypoints that do not fit the skeleton, a joint that is visible in no frame, a
            size or frame rate that is not positive, a camera that is missing or invalid.
        """
        if not (np.shape(image_wh) == (2,) and min(image_wh) > 0):
            raise InputError(f"the image's width and height must be positive, not {image_wh}")
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
            joints = resampled(self._windows(resampled(framed, count)), len(framed))
        # Joints are relative to the root, whatever the lifter predicts for the root itself.
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
        """Keypoints `[T, K, 2]` as the lifter takes them: in its skeleton, without gaps.

        Arguments as of `__call__`, `max_gap` in frames.

        Raises:
          InputError: as `__call__`.

        Returns:
          keypoints, their scores `[T, K]`, and bool `[T]`, True if at least half of them are known.
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
        """Keypoints in the codec's frame, float32 `[T, K, D]`."""
        # Published lifters on the screen have no statistics and use people at their position.
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
                "the position of people in the lifter's training is unknown: its codec has no "
                "input_statistics. Use the keypoints unchanged: refit=False"
            )
        values = refitted(keypoints, self.codec.input_statistics, self.codec.root)
        if self.codec.confidence:
            values = np.concatenate([values, scores[..., None]], axis=-1)
        return values.astype(np.float32)

    def _windows(self, framed: np.ndarray) -> np.ndarray:
        """Joints `[T, K, 3]` of a whole clip `[T, K, D]`; the mean where windows overlap."""
        before, after, predicted = self.window
        total = len(framed)
        # One window per frame, or overlapping windows if each predicts all of its frames.
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
    """Fills missing keypoints, for a network that needs a whole skeleton in each frame.

    Gaps of up to `max_gap` frames are interpolated. In longer ones, and before and after, a
    keypoint keeps the detector's position if there is one, however uncertain; otherwise it gets its
    previous or next known position.

    Args:
      keypoints: `[T, K, 2]`; NaN is missing.
      scores: `[T, K]`.
      names: K, for messages.
      min_score: keypoints with a lower score are missing.
      max_gap: frames.

    Returns:
      `[T, K, 2]` without NaN, and `[T]`: at least half of the keypoints are known or interpolated.

    Raises:
      InputError: a keypoint is known in no frame, with its name.
    """
    there = np.isfinite(keypoints).all(axis=-1)
    nowhere = ~there.any(axis=0)
    if nowhere.any():
        lost = ", ".join(name for name, gone in zip(names, nowhere, strict=True) if gone)
        raise InputError(
            f"{lost}: found in none of {len(keypoints)} frames, but a lifter needs the whole body"
        )
    filled, known = fill_gaps(keypoints, there & (scores >= min_score), max_gap=max_gap)
    filled = np.where(known[..., None], filled, keypoints)
    frames = np.arange(len(filled))
    for joint in range(filled.shape[1]):
        usable = np.flatnonzero(np.isfinite(filled[:, joint]).all(axis=-1))
        for axis in range(filled.shape[-1]):
            filled[:, joint, axis] = np.interp(frames, usable, filled[usable, joint, axis])
    return filled, known.mean(axis=1) >= 0.5


def refitted(keypoints: np.ndarray, statistics: Statistics, root: tuple[int, ...]) -> np.ndarray:
    """Moves and scales a track `[T, K, 2]` to the mean position and size of people in training.

    One shift and one scale are used for the whole track, so its motion stays the same. The effect
    is similar to a camera that turns or zooms, so a lifter can be used for videos of any size and
    people at any position. Videos from the training set's own cameras lose the perspective that
    shows the person's position.

    Args:
      keypoints: in any frame with y down and one scale for both axes, such as pixels.
      statistics: statistics of the training's inputs.
      root: joints whose mean is the root.
    """
    mean = np.asarray(statistics.mean)[:, :2]
    middle = mean[list(root)].mean(axis=0)
    anchor = keypoints[:, list(root)].mean(axis=1)
    # In training most people stand and face all ways, so their mean pose is long and narrow. Length
    # is measured along the body, which may lie, and in a stretched frame, since some people squat.
    usual = np.abs(mean[:, 1] - middle[1]).mean()
    about_root = keypoints - anchor[:, None]
    _, axes = np.linalg.eigh(about_root.mT @ about_root)
    length = np.abs(about_root @ axes[..., -1:]).mean(axis=(1, 2))
    size = max(float(np.percentile(length, 80)), 1e-6)
    centre = np.median(anchor, axis=0)
    return (keypoints - centre[None, None]) * (usual / size) + middle[None, None]
