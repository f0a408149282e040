"""Refinement of one person's keypoints over time, by windows of frames that overlap."""

from typing import Any

import jax
import numpy as np

from jaxpose.codecs.tracks import TrackCodec
from jaxpose.errors import InputError
from jaxpose.models.split import for_device_of
from jaxpose.motion.timing import resampled
from jaxpose.skeletons import Skeleton

_BATCH = 256  # windows in one forward pass


class TrackRefiner:
    """Refines a track: keypoints of a person in each frame of a clip of any length.

    Every frame is in several windows; their results are averaged, with the most weight for windows
    in whose middle the frame is. Clips at rates that the model was not trained for are resampled.
    """

    def __init__(
        self,
        model: Any,
        variables: Any,
        codec: TrackCodec,
        skeleton: Skeleton,
        *,
        source: Skeleton | None = None,
        min_score: float = 0.3,
    ) -> None:
        """Creates a refiner from a trained model, such as one from `hub.load.load_refiner`.

        Args:
          model: a Linen module.
          variables: its variables, on the device.
          codec: codec of the training.
          skeleton: skeleton of the training.
          source: skeleton of the keypoints that will be given; None for that of the training.
          min_score: keypoints with a lower score count as missing.

        Raises:
          InputError: the model is for one skeleton, and `source` has other keypoints.
        """
        self.codec, self.skeleton, self.min_score = codec, source or skeleton, min_score
        fixed = model.backbone.num_keypoints is not None
        if fixed and self.skeleton.keypoints != skeleton.keypoints:
            raise InputError(
                f"This refiner was trained on all keypoints of {skeleton.name!r} together, and "
                f"these are of {self.skeleton.name!r}. Train one on this skeleton, or one that "
                "takes any skeleton (`smoothnet`)."
            )
        self._variables = variables
        share = np.arange(1, codec.frames + 1)
        self._weights = np.minimum(share, share[::-1]).astype(np.float64)

        def run(variables: Any, keypoints: jax.Array, known: jax.Array) -> jax.Array:
            inputs, place = codec.framed(keypoints, known)
            return codec.decode(model.apply(variables, inputs, train=False), place)

        self._run = jax.jit(for_device_of(variables, run))

    def rate(self, fps: float) -> float:
        """Frames per second of windows for a clip of `fps`: the nearest that was trained."""
        low, high = self.codec.fps
        return min(max(fps, low), high)

    def reach(self, fps: float) -> int:
        """Number of frames before and after a frame, at `fps`, on which its result depends."""
        return int(np.ceil((self.codec.frames - 1) * fps / self.rate(fps)))

    def __call__(
        self,
        keypoints: np.ndarray,
        scores: np.ndarray | None = None,
        *,
        fps: float = 30.0,
        only: int | None = None,
    ) -> np.ndarray:
        """Refined keypoints `[T, K, 2]` float64.

        Missing keypoints are estimated where the same keypoint is known in a frame of one window
        with them; elsewhere they stay.

        Args:
          keypoints: `[T, K, 2]` pixels of frames in order; NaN is missing.
          scores: `[T, K]`; None where all are certain.
          fps: frames per second.
          only: the frame whose result is needed, to save time; others are then not refined.

        Raises:
          InputError: another shape, no frame, or a rate that is not positive.
        """
        given = np.array(keypoints, np.float64)
        count = self.skeleton.num_keypoints
        if given.ndim != 3 or not len(given) or given.shape[1:] != (count, 2):
            raise InputError(
                f"A track of {self.skeleton.name!r} is [T, {count}, 2] with T > 0, not "
                f"{list(given.shape)}."
            )
        if scores is not None and np.shape(scores) != given.shape[:2]:
            raise InputError(
                f"A track {list(given.shape)} needs scores {list(given.shape[:2])}, not "
                f"{list(np.shape(scores))}."
            )
        if not (np.isfinite(fps) and fps > 0):
            raise InputError(f"the frames per second must be positive, not {fps}")
        known = np.asarray(np.isfinite(given).all(axis=-1))
        if scores is not None:
            known = known & (np.nan_to_num(scores) >= self.min_score)
        if not known.any():
            return given
        values = np.where(known[..., None], given, 0.0)
        rate = self.rate(fps)
        if rate == fps or len(values) == 1:
            found = self._windows(values, known, only)
        else:
            rows = max(round((len(values) - 1) * rate / fps), 1) + 1
            even = resampled(on_lines(values, known), rows)
            # Between two frames, a keypoint is known if it is in both.
            seen = np.asarray(resampled(np.asarray(known, np.float64), rows) > 1 - 1e-6)
            found = resampled(self._windows(even, seen, None), len(values))
        return np.where(np.isfinite(found), found, given)

    def _windows(self, values: np.ndarray, known: np.ndarray, only: int | None) -> np.ndarray:
        """Refined `[T, K, 2]`; NaN where not refined."""
        size, total = self.codec.frames, len(values)
        if total < size:
            more = ((0, size - total), (0, 0))
            values, known = np.pad(values, (*more, (0, 0))), np.pad(known, more)
        last = len(values) - size
        first, end = (0, last) if only is None else (max(only - size + 1, 0), min(only, last))
        starts = np.arange(first, end + 1)
        # Few shapes, so that few programs are compiled.
        batch = size if only is not None else min(_BATCH, 1 << (len(starts) - 1).bit_length())
        sums = np.zeros((*values.shape[:2], 2))
        shares = np.zeros(values.shape[:2])
        weights = self._weights[None, :, None]
        for begin in range(0, len(starts), batch):
            rows = np.minimum(np.arange(begin, begin + batch), len(starts) - 1)
            frames = starts[rows][:, None] + np.arange(size)[None]
            there = known[frames]
            answer = np.asarray(
                self._run(self._variables, values[frames].astype(np.float32), there), np.float64
            )
            part = min(batch, len(starts) - begin)
            # A window in which a keypoint is never known says nothing about it.
            share = weights * there[:part].any(axis=1, keepdims=True)
            np.add.at(sums, frames[:part], share[..., None] * answer[:part])
            np.add.at(shares, frames[:part], share)
        sums, shares = sums[:total], shares[:total, :, None]
        if not np.isfinite(sums).all():
            raise InputError("the refiner's output is not finite: did its training diverge?")
        return np.where(shares > 0, sums / np.maximum(shares, 1e-9), np.nan)


def on_lines(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values `[T, K, 2]` with those that are not known on a line between their neighbours."""
    filled, frames = values.copy(), np.arange(len(values))
    for joint in np.flatnonzero(known.any(axis=0)):
        rows = np.flatnonzero(known[:, joint])
        for axis in range(2):
            filled[:, joint, axis] = np.interp(frames, rows, values[rows, joint, axis])
    return filled
