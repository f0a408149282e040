"""Hands of the people of an image: their keypoints, and boxes around them."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from jaxpose.errors import InputError
from jaxpose.results.people import People
from jaxpose.skeletons import HAND21, Skeleton
from jaxpose.skeletons.hands import hand_rows

MIN_SCORE = 0.5
FEWEST = 4
"""A box is made of keypoints of at least this score, if a hand has so many of them.

Both are those of HaMeR's demonstration (Pavlakos et al. 2024, github.com/geopavlakos/hamer,
demo.py), which takes whole-body keypoints of ViTPose above 0.5, and needs more than three.
"""


class HandBoxes(NamedTuple):
    """H hands of the people of an image.

    Attributes:
      person: int `[H]`, number of the person of each hand.
      side: "left" or "right" of each, `[H]`; the person's own side.
      boxes_xywh: float64 `[H, 4]`, pixels.
    """

    person: np.ndarray
    side: np.ndarray
    boxes_xywh: np.ndarray


def sides_of(skeleton: Skeleton, wanted: str | None) -> dict[str, np.ndarray]:
    """Keypoints `[21]` of the hands by "left" and "right", as `skeletons.hands.hand_rows`.

    Args:
      skeleton: the skeleton of the people.
      wanted: the only side to take; of a skeleton of one hand, the side that it shows.

    Raises:
      InputError: the skeleton has no hands, or one hand and `wanted` is None.
    """
    rows = hand_rows(skeleton)
    if not rows:
        raise InputError(
            f"the skeleton {skeleton.name!r} has no keypoints of hands: predict with a model of "
            "whole bodies, such as --from rtmw-m with a person detector, or of hands, such as "
            "--from rtmpose-m-hand --detector rtmdet-nano-hand (`jaxpose models` has all)."
        )
    if "" not in rows:
        return rows if wanted is None else {wanted: rows[wanted]}
    if wanted is None:
        raise InputError(
            f"the skeleton {skeleton.name!r} does not say which hand it is: give --hand right or "
            "--hand left."
        )
    return {wanted: rows[""]}


def one_hand(people: People, side: str) -> People:
    """Same people with the keypoints of one hand alone, in the order of Hand-21.

    A person whose hand is not there has scores of 0.

    Args:
      people: with keypoints of hands.
      side: "left" or "right"; of a skeleton of one hand, the side that it shows.

    Raises:
      InputError: as `sides_of`.
    """
    rows = sides_of(people.skeleton, side)[side]
    there = rows >= 0
    keypoints = np.where(there[:, None], people.keypoints[:, rows], np.nan)
    scores = np.where(there, people.scores[:, rows], 0.0) * _present(people, side)[:, None]
    return replace(
        people,
        skeleton=HAND21,
        keypoints=keypoints.astype(np.float32),
        scores=scores.astype(np.float32),
        joints=None,
        joint_skeleton=None,
        depths=None,
        hands=None,
    )


def hand_boxes(people: People, wanted: str | None = None) -> HandBoxes:
    """Boxes of the hands that are seen: the extent of their keypoints of enough score.

    A person who is a hand, as a hand detector finds them, is seen in any case: with few such
    keypoints its box is the detector's.

    Args:
      people: with keypoints of hands.
      wanted: see `sides_of`.

    Raises:
      InputError: as `sides_of`.
    """
    alone = "" in hand_rows(people.skeleton)
    found: list[tuple[int, str, np.ndarray]] = []
    for side in sides_of(people.skeleton, wanted):
        hands = one_hand(people, side)
        good = (hands.scores >= MIN_SCORE) & np.isfinite(hands.keypoints).all(axis=-1)
        for number, row in enumerate(good):
            if row.sum() >= FEWEST:
                points = hands.keypoints[number, row].astype(np.float64)
                low, high = points.min(axis=0), points.max(axis=0)
                # Points in a line have an extent of one pixel.
                found.append((number, side, np.concatenate([low, np.maximum(high - low, 1.0)])))
            elif alone:
                found.append((number, side, np.asarray(people.boxes_xywh[number], np.float64)))
    found.sort(key=lambda hand: hand[0])
    return HandBoxes(
        np.array([person for person, _, _ in found], np.int64),
        np.array([side for _, side, _ in found], "<U5"),
        np.array([box for _, _, box in found], np.float64).reshape(-1, 4),
    )


def _present(people: People, side: str) -> np.ndarray:
    """Hands `[P]` that are there, by a model that says it; all of other models."""
    if people.hands is None:
        return np.ones(len(people), bool)
    return people.hands[:, 0 if side == "right" else 1] >= 0.5
