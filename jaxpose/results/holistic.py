"""Results of a holistic pipeline: people with a body, a face and two hands."""

from typing import Literal

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
