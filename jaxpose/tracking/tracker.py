"""Tracking: gives the same person or animal the same id in consecutive frames."""

from dataclasses import dataclass

import numpy as np

from jaxpose.errors import InputError
from jaxpose.skeletons import Skeleton
from jaxpose.tracking.assignment import matches
from jaxpose.tracking.individuals import Individuals
from jaxpose.tracking.pose_nms import box_around, box_overlap, pose_similarity
from jaxpose.tracking.track import Track

# Longest time in seconds for which motion is extrapolated.
_STRAIGHT_ON = 0.4


@dataclass(frozen=True)
class Tracking:
    """Options of the tracker.

    Attributes:
      min_similarity: lowest mean of box overlap and OKS with the track's predicted position, at
        which a person continues a track.
      patience: seconds for which a track without a person is kept, for people who are occluded.
      reach: a person that overlaps no track may still continue one that is this many of its
        diagonals away, for fast motion and for people after an occlusion.
      min_score: keypoints with a lower score are not compared.
      high_score: people whose mean keypoint score is lower are matched after the others, to the
        tracks that are left and by overlap alone, and begin no track (ByteTrack, Zhang et al. 2022,
        arXiv:2110.06864, algorithm 1); those that continue no track are left out. 0 treats all
        people alike.
      follow_camera: move tracks with the background before people are matched, for a camera that
        pans or shakes (`tracking.camera_motion`).
      individuals: number of animals or people in the video, if it is known and stays the same, for
        those that are alike (`tracking.individuals`). No id is above it, and an individual that
        was hidden gets its id back however long that was; detections beyond it are left out.
        `min_similarity` and `patience` then have no effect. None for an unknown number.

    Raises:
      InputError: `individuals` is below 1.
    """

    min_similarity: float = 0.2
    patience: float = 1.5
    reach: float = 0.5
    min_score: float = 0.3
    high_score: float = 0.0
    follow_camera: bool = False
    individuals: int | None = None

    def __post_init__(self) -> None:
        if self.individuals is not None and self.individuals < 1:
            raise InputError(f"individuals must be at least 1 or None, not {self.individuals}")


class Tracker:
    """Tracker that assigns ids to the people of consecutive frames by optimal assignment.

    People are assigned first by overlap and OKS, and the rest by distance (`Tracking.reach`). An id
    is never used twice; numbers begin with 1. With `Tracking.individuals` all are assigned by the
    likelihood of the whole pose (`tracking.individuals`).
    """

    def __init__(self, skeleton: Skeleton, options: Tracking = Tracking()) -> None:
        """Creates a tracker for one video with people of that skeleton."""
        self.skeleton = skeleton
        self.options = options
        self._tracks: list[Track] = []
        self._known = (
            None
            if options.individuals is None
            else Individuals(options.individuals, options.reach, options.min_score)
        )
        self._next = 1
        self._seconds = -np.inf

    def __call__(
        self,
        keypoints: np.ndarray,
        scores: np.ndarray,
        boxes_xywh: np.ndarray,
        seconds: float,
        camera: np.ndarray | None = None,
    ) -> np.ndarray:
        """Returns the ids int64 `[P]` of the people of the next frame.

        The id is 0 for a person below `Tracking.high_score` who continues no track, and for one
        who is none of `Tracking.individuals`, or not known to be.

        Args:
          keypoints: `[P, K, 2]` pixels.
          scores: `[P, K]` in [0, 1].
          boxes_xywh: `[P, 4]` boxes used for prediction; they are compared where too few keypoints
            are certain.
          seconds: time stamp, not before the previous one.
          camera: `[2, 3]`, the map of the background from pixels of the previous frame to those of
            this one; None for a camera that does not move.

        Raises:
          InputError: frames are out of order: the time stamp is before the previous one, or NaN.
        """
        if not seconds >= self._seconds:
            raise InputError(
                f"The tracker got frames out of order: {seconds:g} s follows {self._seconds:g} s. "
                "Sort them by time, and use a new tracker for each video."
            )
        self._seconds = seconds
        oldest = seconds - self.options.patience
        self._tracks = [track for track in self._tracks if track.seconds >= oldest]
        if camera is not None:
            for track in self._tracks if self._known is None else self._known.tracks:
                track.move(np.asarray(camera, np.float64))
        boxes = box_around(keypoints, scores, self.options.min_score, within=boxes_xywh)
        usable = np.all(boxes[:, 2:] > 0, axis=1, keepdims=True)
        boxes = np.where(usable, boxes, boxes_xywh)
        sure = scores.mean(axis=1) >= self.options.high_score
        if self._known is not None:
            return self._known(keypoints, scores, boxes, sure, seconds)
        numbers: np.ndarray = np.zeros(len(keypoints), np.int64)
        for person, track in self._assign(keypoints, scores, boxes, sure, seconds).items():
            found = keypoints[person], scores[person], boxes[person]
            track.add(*found, seconds, self.options.min_score)
            numbers[person] = track.number
        for person in np.flatnonzero((numbers == 0) & sure).tolist():
            found = keypoints[person], scores[person], boxes[person]
            self._tracks.append(Track.begin(self._next, *found, seconds))
            numbers[person] = self._next
            self._next += 1
        return numbers

    def _assign(
        self,
        keypoints: np.ndarray,
        scores: np.ndarray,
        boxes: np.ndarray,
        sure: np.ndarray,
        seconds: float,
    ) -> dict[int, Track]:
        """Track that each person continues."""
        tracks = self._tracks
        if not tracks or not len(keypoints):
            return {}
        steps = np.stack([track.ahead(seconds, _STRAIGHT_ON) for track in tracks])
        places = np.stack([track.box_xywh for track in tracks])
        places = np.concatenate([places[:, :2] + steps, places[:, 2:]], axis=1)
        poses = np.stack([track.keypoints for track in tracks]) + steps[:, None]
        certainty = np.stack([track.scores for track in tracks])
        options = self.options
        alike = box_overlap(boxes, places) / 2 + (
            pose_similarity(keypoints, poses, self.skeleton, scores, certainty, options.min_score)
            / 2
        )
        found: dict[int, int] = {}

        def match(gain: np.ndarray, lowest: float, chosen: np.ndarray) -> None:
            people = [i for i in np.flatnonzero(chosen).tolist() if i not in found]
            rest = [j for j in range(len(tracks)) if j not in found.values()]
            part = gain[np.ix_(people, rest)]
            pairs = matches(np.where(part >= lowest, part - lowest + 1.0, 0))
            found.update({people[i]: rest[j] for i, j in pairs.items()})

        match(alike, options.min_similarity, sure)
        match(options.reach - _distance(boxes, places), 0.0, sure)
        match(alike, options.min_similarity, ~sure)
        return {person: tracks[j] for person, j in found.items()}


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distances `[P, Q]` between centres, in diagonals of the larger box.

    Infinite if sizes differ by a factor of two or more.
    """
    apart = (a[:, None, :2] + a[:, None, 2:] / 2) - (b[None, :, :2] + b[None, :, 2:] / 2)
    diagonal = np.linalg.norm(a[:, 2:], axis=1)[:, None], np.linalg.norm(b[:, 2:], axis=1)[None]
    large, small = np.maximum(*diagonal), np.minimum(*diagonal)
    far = np.linalg.norm(apart, axis=-1) / np.maximum(large, 1e-9)
    return np.where((large <= 2 * small) & np.isfinite(far), far, np.inf)
