"""Choices of a drawing of people: boxes, labels, colours and line width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from jaxpose.errors import InputError, nearest
from jaxpose.skeletons import HOLISTIC543

if TYPE_CHECKING:
    from jaxpose.results.people import People

Labels = Literal["tracks", "ids", "scores", "both", "none"]
Colors = Literal["sides", "people"]


@dataclass(frozen=True)
class Drawing:
    """Choices of `People.draw`, with names that the command line has too.

    Attributes:
      min_score: the lowest score of a keypoint that is drawn.
      boxes: draw the boxes too.
      labels: text above each person: `tracks`, the id of a tracked person and no text in images;
        `ids`, the track id or else the person's place in the results, from 0; `scores`, the score
        of the detector or else the mean of the keypoints; `both`; `none`.
      colors: `sides`, the skeleton's colours for left, right and centre; `people`, one colour for
        each person, the same for a track throughout a video.
      line_width: width of the limbs in pixels of the image; None follows the size of each person.

    Raises:
      InputError: another value.
    """

    min_score: float = 0.3
    boxes: bool = False
    labels: Labels = "tracks"
    colors: Colors = "sides"
    line_width: float | None = None

    def __post_init__(self) -> None:
        for name, kinds in (("labels", get_args(Labels)), ("colors", get_args(Colors))):
            value = getattr(self, name)
            if value not in kinds:
                raise InputError(
                    f"{name} is {value!r}; choose one of {', '.join(kinds)}."
                    f"{nearest(str(value), kinds)}"
                )
        if not 0 <= self.min_score <= 1:
            raise InputError(f"min_score is in [0, 1], not {self.min_score}.")

    def draw(self, people: People, image: np.ndarray) -> np.ndarray:
        """Copy of an image, uint8 RGB `[H, W, 3]`, with the people drawn on it."""
        from jaxpose.viz import draw_people, person_colors
        from jaxpose.viz.holistic import draw_holistic

        numbers = np.arange(len(people)) if people.track_ids is None else people.track_ids
        draw = draw_holistic if people.skeleton == HOLISTIC543 else draw_people
        return draw(
            image,
            people.keypoints,
            people.skeleton,
            scores=people.scores,
            min_score=self.min_score,
            boxes_xywh=people.boxes_xywh if self.boxes else None,
            labels=self._labels(people, numbers),
            colors=person_colors(numbers) if self.colors == "people" else None,
            line_width=self.line_width,
        )

    def _labels(self, people: People, numbers: np.ndarray) -> list[str] | None:
        tracked = people.track_ids is not None
        if self.labels == "none" or (self.labels == "tracks" and not tracked):
            return None
        if self.labels in ("tracks", "ids"):
            return [str(number) for number in numbers]
        scores = people.scores.mean(axis=1) if people.box_scores is None else people.box_scores
        texts = [f"{score:.2f}" for score in scores]
        if self.labels == "scores":
            return texts
        return [f"{number}  {text}" for number, text in zip(numbers, texts, strict=True)]
