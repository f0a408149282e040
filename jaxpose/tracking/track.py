"""Track of one person or animal: its last pose, its velocity, and its motion with the camera."""

from dataclasses import dataclass

import numpy as np

# Share of the newest displacement in a track's velocity.
_VELOCITY_SHARE = 0.5


@dataclass(eq=False)
class Track:
    """Last pose of an individual, and its velocity; equal only to itself.

    Attributes:
      number: the id; 0 for a track that has none yet.
      keypoints: `[K, 2]` pixels; scores: `[K]` in [0, 1].
      box_xywh: `[4]` pixels.
      velocity: `[2]` pixels per second.
      seconds: time of the last pose; begun: of the first one.
    """

    number: int
    keypoints: np.ndarray
    scores: np.ndarray
    box_xywh: np.ndarray
    velocity: np.ndarray
    seconds: float
    begun: float

    @classmethod
    def begin(
        cls, number: int, keypoints: np.ndarray, scores: np.ndarray, box: np.ndarray, seconds: float
    ) -> "Track":
        """Track of an individual that was found for the first time.

        Args:
          number: the id, or 0.
          keypoints: `[K, 2]` pixels.
          scores: `[K]` in [0, 1].
          box: `[4]` (x, y, w, h) pixels.
          seconds: time stamp.
        """
        copies = np.array(keypoints), np.array(scores), np.array(box)
        return cls(number, *copies, np.zeros(2), seconds, seconds)

    @property
    def center(self) -> np.ndarray:
        """Middle `[2]` of the box, in pixels."""
        return self.box_xywh[:2] + self.box_xywh[2:] / 2

    def ahead(self, seconds: float, longest: float) -> np.ndarray:
        """Predicted displacement `[2]` at the time `seconds`, for at most `longest` seconds."""
        return self.velocity * min(seconds - self.seconds, longest)

    def move(self, camera: np.ndarray) -> None:
        """Moves the track from the last frame's pixels to this one's, by `camera [2, 3]`."""
        turn = camera[:, :2]
        self.keypoints = self.keypoints @ turn.T + camera[:, 2]
        scale = float(np.sqrt(abs(np.linalg.det(turn))))
        size = self.box_xywh[2:] * scale
        self.box_xywh = np.concatenate([turn @ self.center + camera[:, 2] - size / 2, size])
        self.velocity = turn @ self.velocity

    def add(
        self,
        keypoints: np.ndarray,
        scores: np.ndarray,
        box: np.ndarray,
        seconds: float,
        min_score: float,
    ) -> None:
        """Continues the track with the pose of another frame.

        The velocity follows the median of the keypoints that score `min_score` in both poses, or
        the centre of the box if there are fewer than three.

        Args:
          keypoints: `[K, 2]` pixels.
          scores: `[K]` in [0, 1].
          box: `[4]` (x, y, w, h) pixels.
          seconds: time stamp.
          min_score: keypoints with a lower score are not compared.
        """
        elapsed = seconds - self.seconds
        if elapsed > 0:
            moved = (box[:2] + box[2:] / 2) - self.center
            both = np.minimum(scores, self.scores) >= min_score
            if both.sum() >= 3:  # the median is robust to a keypoint that jumps
                moved = np.median(keypoints[both] - self.keypoints[both], axis=0)
            self.velocity = self.velocity + _VELOCITY_SHARE * (moved / elapsed - self.velocity)
        self.keypoints, self.scores = np.array(keypoints), np.array(scores)
        self.box_xywh, self.seconds = np.array(box), seconds
