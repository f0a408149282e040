"""Results of a holistic pipeline: people with a body, a face and two hands."""

from typing import Literal

import numpy as np

from jaxpose.results.people import People
from jaxpose.skeletons.holistic543 import PARTS

Part = Literal["body", "face", "left_hand", "right_hand"]


class HolisticPeople(People):
    """`People` with the 543 keypoints of `skeletons.HOLISTIC543`.

    A face or hand that was not found has scores of 0 and lies at the nose or wrist. `joints` are
    positions of the body in millimetres from the middle of the hips.
    """

    def part(self, name: Part) -> People:
        """One part of each person, with its own skeleton: `people.part("left_hand")`."""
        rows, skeleton = PARTS[name]
        return People(
            skeleton,
            self.image_hw,
            self.keypoints[:, rows],
            self.scores[:, rows],
            self.boxes_xywh,
            self.box_indices,
            self.skipped,
            self.source,
            self.index,
            self.seconds,
            self.track_ids,
            self.box_scores,
            fps=self.fps,
            _image=self._image,
        )

    def draw(
        self, image: np.ndarray | None = None, *, min_score: float = 0.3, boxes: bool = False
    ) -> np.ndarray:
        """Copy of the image, uint8 RGB `[H, W, 3]`, with bodies, fingers and contours of faces.

        Arguments and errors are those of `People.draw`.
        """
        from jaxpose.viz.holistic import draw_holistic

        ids = self.track_ids
        return draw_holistic(
            self.image if image is None else image,
            self.keypoints,
            scores=self.scores,
            min_score=min_score,
            boxes_xywh=self.boxes_xywh if boxes else None,
            labels=None if ids is None else [str(number) for number in ids],
        )
