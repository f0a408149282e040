"""What is known of a published model."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxpose.models.build import PoseModel


@dataclass(frozen=True)
class Published:
    """One model as it was published.

    Attributes:
      name: what a user calls it, such as `vitpose-s`.
      make: `make(num_keypoints, input_hw)` -> the model.
      input_hw, num_keypoints: as published.
      parameters: published, in millions; None where no figure was found.
      gflops: published multiply-adds of one forward pass, in billions; None likewise.
      score: published score with its metric, such as `AP 73.9`; empty where there is none.
      source: paper, table or model zoo that `parameters`, `gflops` and `score` come from.
      golden: reference outputs that the model is tested against, by name; empty for none.
    """

    name: str
    make: Callable[[int, tuple[int, int]], PoseModel]
    input_hw: tuple[int, int]
    num_keypoints: int = 17
    parameters: float | None = None
    gflops: float | None = None
    score: str = ""
    source: str = ""
    golden: tuple[str, ...] = ()

    def model(self) -> PoseModel:
        """The model as it was published."""
        return self.make(self.num_keypoints, self.input_hw)
