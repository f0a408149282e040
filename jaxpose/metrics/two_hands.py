"""Errors of two hands in 3D: of joints, of the distance between the wrists, and of handedness.

Joints are those of both hands, the right hand's first, each hand's wrist last (`interhand42`).
Arrays are `[N, K, 3]`, in pixels and millimetres of depth for predictions, in millimetres of the
camera's frame for the truth. Moon et al., InterHand2.6M, ECCV 2020, section 6.1.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jaxpose.errors import InputError
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.metric import Direction, Metric, Scored
from jaxpose.metrics.mpjpe import mpjpe
from jaxpose.skeletons import INTERHAND42, Skeleton

_NAMES: dict[str, Direction] = {
    "MPJPE": "lower",
    "MPJPE single": "lower",
    "MPJPE interacting": "lower",
    "MRRPE": "lower",
    "handedness": "higher",
}


class HandCameras(NamedTuple):
    """Facts that turn pixels and depths into millimetres.

    Attributes:
      focal: `[N, 2]` focal lengths in pixels.
      center: `[N, 2]` principal points in pixels.
      wrist_depth: `[N, 2]` true depths of the right and of the left wrist in millimetres.
    """

    focal: np.ndarray
    center: np.ndarray
    wrist_depth: np.ndarray


class HandErrors(NamedTuple):
    """Mean errors; -1 where there is nothing to measure.

    Attributes:
      mpjpe: distance of joints, each hand about its wrist, in millimetres.
      mpjpe_single: the same where one hand is labelled, and mpjpe_interacting where both are.
      mrrpe: distance between the true and the predicted position of the left wrist relative to the
        right one, in millimetres, where both are labelled.
      handedness: part of the images in which both predictions of "there or not" are right.
    """

    mpjpe: float
    mpjpe_single: float
    mpjpe_interacting: float
    mrrpe: float
    handedness: float


@dataclass(frozen=True)
class TwoHands(Metric):
    """Errors of two hands in 3D as `HandErrors`, in millimetres; handedness is a part of 1.

    As published, a hand whose wrist is not labelled is not measured, and a hand is there if a joint
    of it is labelled. The focal lengths and the principal point of each image are those that
    project the labelled joints in 3D to their pixels.
    """

    reads = ("depth", "hands", "truth_3d")

    @property
    def figures(self) -> dict[str, Direction]:
        return dict(_NAMES)

    def check(self, skeleton: Skeleton) -> None:
        if skeleton != INTERHAND42:
            raise InputError(
                f"TwoHands measures skeleton {INTERHAND42.name!r}, and this one is "
                f"{skeleton.name!r}. Use EPE()."
            )

    def needs(self, skeleton: Skeleton) -> tuple[str, ...]:
        return self.reads

    def __call__(self, estimates: Estimates) -> Scored:
        truth = np.asarray(estimates.column("truth_3d"), np.float64)
        labelled = estimates.labelled & np.isfinite(truth).all(axis=-1)
        half = labelled.shape[1] // 2
        wrists = (half - 1, labelled.shape[1] - 1)
        present = np.stack(
            [estimates.labelled[:, :half].any(axis=1), estimates.labelled[:, half:].any(axis=1)], 1
        )
        known = labelled & np.repeat(labelled[:, wrists], half, axis=1)
        truth = np.where(labelled[..., None], truth, 0.0)
        focal, center, fits = fitted_cameras(estimates.truth, truth, labelled)
        cameras = HandCameras(focal, center, truth[:, wrists, 2])
        errors = hand_errors(
            estimates.keypoints,
            estimates.column("depth"),
            estimates.column("hands"),
            cameras,
            truth,
            known & fits[:, None],
            present,
        )
        figures = dict(zip(_NAMES, errors, strict=True))
        left_out = f"; {int((~fits).sum())} images have too few joints" if not fits.all() else ""
        return Scored(figures, {"errors of hands": f"mm, handedness a part of 1{left_out}"})


def fitted_cameras(
    pixels: np.ndarray, joints: np.ndarray, labelled: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Focal lengths and principal points that project joints to pixels, by least squares.

    Args:
      pixels: `[N, K, 2]`.
      joints: `[N, K, 3]` in the camera's frame, any unit.
      labelled: bool `[N, K]`; joints behind the camera do not count.

    Returns:
      Focal lengths and principal points `[N, 2]` in pixels, and bool `[N]`: False (with ones and
      zeros) where fewer than two joints, or joints on one ray, do not determine them.
    """
    counted = labelled & (joints[..., 2] > 0)
    weight = counted.astype(np.float64)[..., None]
    depth = np.where(counted, joints[..., 2], 1.0)[..., None]
    rays, pixels = joints[..., :2] / depth, np.where(counted[..., None], pixels, 0.0)
    number = np.maximum(weight.sum(axis=1), 1.0)
    ray, pixel = ((weight * x).sum(axis=1) / number for x in (rays, pixels))
    about = weight * (rays - ray[:, None])
    spread = (about**2).sum(axis=1)
    slope = (about * (pixels - pixel[:, None])).sum(axis=1)
    fits = (spread > 1e-12).all(axis=1)
    focal = np.where(fits[:, None], slope / np.where(spread > 1e-12, spread, 1.0), 1.0)
    return focal, np.where(fits[:, None], pixel - focal * ray, 0.0), fits


def hand_errors(
    keypoints: np.ndarray,
    depths: np.ndarray,
    hands: np.ndarray,
    cameras: HandCameras,
    truth: np.ndarray,
    visible: np.ndarray,
    present: np.ndarray,
) -> HandErrors:
    """Compare predicted hands with the truth.

    Depths of joints are taken from the true depths of the wrists, as published, so an error of the
    distance from the camera does not count.

    Args:
      keypoints: `[N, K, 2]` pixels of the image.
      depths: `[N, K]` millimetres from the wrist of the joint's hand.
      hands: `[N, 3]` as `People.hands`: probabilities of right and left, depth between the wrists.
      cameras: cameras of the images.
      truth: `[N, K, 3]` millimetres in the camera's frame.
      visible: `[N, K]`, above 0 where the truth is known.
      present: `[N, 2]`, above 0 where the right and the left hand are there.

    Raises:
      InputError: the number of joints is odd, or arrays do not fit together.
    """
    number, count = depths.shape
    shapes = [np.shape(a) for a in (keypoints, hands, truth, visible, present, *cameras)]
    wanted = [(number, count, 2), (number, 3), (number, count, 3), (number, count), (number, 2)]
    if count % 2 or shapes != [*wanted, *[(number, 2)] * 3]:
        raise InputError(
            f"Predictions of {count} joints in {number} images need an even number of joints and "
            f"arrays of {[*wanted, *[(number, 2)] * 3]}, not {shapes}."
        )
    half = count // 2
    wrists = half - 1, count - 1
    own = np.repeat(np.asarray(cameras.wrist_depth, np.float64), half, axis=1)
    found = _in_camera(keypoints, depths + own, cameras)
    truth = np.asarray(truth, np.float64)
    known = np.asarray(np.asarray(visible) > 0)
    both = np.asarray((np.asarray(present) > 0).all(axis=1))
    predicted, true = (
        np.concatenate(
            [a[:, :half] - a[:, wrists[0], None], a[:, half:] - a[:, wrists[1], None]], axis=1
        )
        for a in (found, truth)
    )
    right = np.asarray(cameras.wrist_depth)[:, 0, None]
    away = depths[:, wrists] + np.concatenate([right, right + hands[:, 2:]], axis=1)
    ends = _in_camera(keypoints[:, wrists], away, cameras)
    apart, true_apart = (ends[:, 1] - ends[:, 0], truth[:, wrists[1]] - truth[:, wrists[0]])
    counted = both & known[:, wrists[0]] & known[:, wrists[1]]
    same = ((hands[:, :2] > 0.5) == (np.asarray(present) > 0)).all(axis=1)
    return HandErrors(
        mpjpe(predicted, true, known),
        mpjpe(predicted, true, known & ~both[:, None]),
        mpjpe(predicted, true, known & both[:, None]),
        mpjpe(apart[:, None], true_apart[:, None], counted[:, None]),
        float(same.mean()) if number else -1.0,
    )


def _in_camera(keypoints: np.ndarray, depth: np.ndarray, cameras: HandCameras) -> np.ndarray:
    """Pixels `[N, K, 2]` at depths `[N, K]` -> `[N, K, 3]` millimetres in the camera's frame."""
    focal, center = (np.asarray(a, np.float64)[:, None] for a in cameras[:2])
    plane = (np.asarray(keypoints, np.float64) - center) / focal * depth[..., None]
    return np.concatenate([plane, depth[..., None]], axis=-1)
