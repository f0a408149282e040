"""What is known of a published detector."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxpose.models.detection import DetectionModel


@dataclass(frozen=True)
class PublishedDetector:
    """One detector as it was published.

    Attributes:
      name: what a user calls it, such as `yolox-nano`.
      make: `make(num_classes)` -> the model.
      input_hw: size of the images, in pixels; another multiple of 32 works, too.
      num_classes: as published; class 0 is the person.
      parameters: published, in millions; None where no figure was found.
      gflops: published multiply-adds of one forward pass, in billions; None likewise.
      box_ap: published AP of boxes of all classes on COCO val2017; None likewise.
      person_ap: published AP of persons' boxes there; None likewise.
      source: paper, table or model zoo that the figures come from.
    """

    name: str
    make: Callable[[int], DetectionModel]
    input_hw: tuple[int, int]
    num_classes: int = 80
    parameters: float | None = None
    gflops: float | None = None
    box_ap: float | None = None
    person_ap: float | None = None
    source: str = ""

    def model(self) -> DetectionModel:
        """The model as it was published."""
        return self.make(self.num_classes)
