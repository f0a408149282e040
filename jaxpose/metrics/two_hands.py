"""Errors of two hands in 3D: of joints, of the distance between the wrists, and of handedness.

Joints are those of both hands, the right hand's first, each hand's wrist last (`interhand42`).
Arrays are `[N, K, 3]`, in pixels and millimetres of depth for predictions, in millimetres of the
camera's frame for the truth. Moon et al., InterHand2.6M, ECCV 2020, section 6.1.
"""

from typing import NamedTuple

import numpy as np

from jaxpose.errors import InputError
from jaxpose.metrics.mpjpe import mpjpe


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
