"""Tracks of a known number of individuals that are alike, such as the animals in a cage."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from jaxpose.tracking.assignment import matches
from jaxpose.tracking.track import Track

# Lengths are in diagonals of a box: the median of all tracks, which are alike in size.
# Standard deviation of the distance from the predicted pose, and its growth per second of absence.
_DEVIATION, _DRIFT = 0.1, 0.6
# Growth of the largest distance from the predicted pose, per second of absence, and its limit:
# what is further away is more often wrong than the same animal, which gets its id by `_PROOF`.
_RANGE, _FARTHEST = 3.0, 4.0
# Longest time in seconds for which motion is extrapolated: animals turn and stop.
_STRAIGHT_ON = 0.1
# Seconds for which an individual without an id must be followed before it gets one from anywhere.
_PROOF = 0.3
# Seconds for which a track without an id is kept while it is not found.
_FORGOTTEN = 0.2


class Individuals:
    """Tracker of at most `count` individuals, whose ids 1 to `count` are never given up.

    An individual continues the track to which its whole pose is most likely to belong: the mean
    distance of the keypoints from the predicted ones is normally distributed, more widely the
    longer the track was absent. Those that are too far from all tracks are followed without an id
    at first. After 0.3 seconds they get a free id, or the one of the absent track that is nearest
    for its absence. A wrong detection, which lasts for a few frames, thus takes no id.
    """

    def __init__(self, count: int, reach: float, min_score: float) -> None:
        """Starts without tracks.

        Args:
          count: number of individuals.
          reach: largest distance from the predicted pose in diagonals of the box; each second of
            absence adds three times as much, up to four diagonals or `reach`, if that is more.
          min_score: keypoints with a lower score are not compared.
        """
        self.count, self.reach, self.min_score = count, reach, min_score
        self.tracks: list[Track] = []

    def __call__(
        self,
        keypoints: np.ndarray,
        scores: np.ndarray,
        boxes: np.ndarray,
        sure: np.ndarray,
        seconds: float,
    ) -> np.ndarray:
        """Returns the ids int64 `[P]` of the next frame; 0 for those without an id.

        Args:
          keypoints: `[P, K, 2]` pixels.
          scores: `[P, K]` in [0, 1].
          boxes: `[P, 4]` (x, y, w, h) around the keypoints.
          sure: bool `[P]`; the others are assigned to the tracks that are left, and begin none.
          seconds: time stamp.
        """
        self.tracks = [t for t in self.tracks if t.number or t.seconds >= seconds - _FORGOTTEN]
        first = not any(track.number for track in self.tracks)
        found = self._assign(keypoints, scores, boxes, sure, seconds)
        for person, track in found.items():
            pose = keypoints[person], scores[person], boxes[person]
            track.add(*pose, seconds, self.min_score)
        self._give_ids(seconds)
        fresh = [person for person in np.flatnonzero(sure).tolist() if person not in found]
        for person in sorted(fresh, key=lambda person: -float(scores[person].mean())):
            pose = keypoints[person], scores[person], boxes[person]
            # Nothing is known in the first frame, so that everyone gets an id at once.
            number = self._free_id() if first else 0
            found[person] = Track.begin(number, *pose, seconds)
            self.tracks.append(found[person])
        numbers: np.ndarray = np.zeros(len(keypoints), np.int64)
        for person, track in found.items():
            numbers[person] = track.number
        return numbers

    def _assign(
        self,
        keypoints: np.ndarray,
        scores: np.ndarray,
        boxes: np.ndarray,
        sure: np.ndarray,
        seconds: float,
    ) -> dict[int, Track]:
        """Track that each individual continues: those with an id are assigned first."""
        if not self.tracks or not len(keypoints):
            return {}
        absent = np.array([seconds - track.seconds for track in self.tracks])
        distance = self._distances(keypoints, scores, boxes, seconds)
        deviation = _DEVIATION + _DRIFT * absent
        likelihood = -((distance / deviation) ** 2) / 2 - 2 * np.log(deviation)
        farthest = np.minimum(self.reach * (1 + _RANGE * absent), max(_FARTHEST, self.reach))
        allowed = distance <= farthest
        named = np.array([track.number > 0 for track in self.tracks])
        found: dict[int, int] = {}
        for people, tracks in ((sure, named), (~sure, named), (sure, ~named)):
            rows = [i for i in np.flatnonzero(people).tolist() if i not in found]
            columns = [j for j in np.flatnonzero(tracks).tolist() if j not in found.values()]
            part = np.ix_(rows, columns)
            pairs = matches(_weight(likelihood[part], allowed[part]))
            found |= {rows[i]: columns[j] for i, j in pairs.items()}
        return {person: self.tracks[j] for person, j in found.items()}

    def _distances(
        self, keypoints: np.ndarray, scores: np.ndarray, boxes: np.ndarray, seconds: float
    ) -> np.ndarray:
        """Mean distances `[P, T]` of keypoints from those predicted, in diagonals of the box.

        The distance of the boxes' centres, where no keypoint is certain in both.
        """
        steps = np.stack([track.ahead(seconds, _STRAIGHT_ON) for track in self.tracks])
        poses = np.stack([track.keypoints for track in self.tracks]) + steps[:, None]
        last = np.stack([track.box_xywh for track in self.tracks])
        certain = np.stack([track.scores for track in self.tracks])
        both = np.minimum(scores[:, None], certain[None]) >= self.min_score
        both &= np.isfinite(keypoints[:, None]).all(-1) & np.isfinite(poses[None]).all(-1)
        apart = np.linalg.norm(keypoints[:, None] - poses[None], axis=-1)
        mean = np.where(both, apart, 0).sum(axis=-1) / np.maximum(both.sum(axis=-1), 1)
        here, there = (box[:, :2] + box[:, 2:] / 2 for box in (boxes, last))
        between = np.linalg.norm(here[:, None] - (there + steps)[None], axis=-1)
        length = max(float(np.median(np.linalg.norm(last[:, 2:], axis=1))), 1e-9)
        return np.where(both.any(axis=-1), mean, between) / length

    def _give_ids(self, seconds: float) -> None:
        """Gives ids to tracks that have none and were followed for long enough."""
        proven = [
            track
            for track in self.tracks
            if not track.number and track.seconds == seconds and seconds - track.begun >= _PROOF
        ]
        for track in proven:
            track.number = self._free_id()
        proven = [track for track in proven if not track.number]
        absent = [track for track in self.tracks if track.number and track.seconds < seconds]
        if not proven or not absent:
            return
        here, there = (np.stack([track.center for track in some]) for some in (proven, absent))
        ranges = np.array([1 + _RANGE * (seconds - track.seconds) for track in absent])
        ratio = np.linalg.norm(here[:, None] - there[None], axis=-1) / ranges
        for i, j in zip(*linear_sum_assignment(ratio), strict=True):
            proven[i].number = absent[j].number
            self.tracks.remove(absent[j])

    def _free_id(self) -> int:
        """The next id; 0 if all individuals have one."""
        given = sum(track.number > 0 for track in self.tracks)
        return given + 1 if given < self.count else 0


def _weight(gain: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Weights of an assignment: another pair is worth more than the gain lost by it, 0 forbids."""
    if not allowed.any():
        return np.zeros_like(gain)
    least, most = gain[allowed].min(), gain[allowed].max()
    return np.where(allowed, gain - least + (most - least) + 1, 0)
