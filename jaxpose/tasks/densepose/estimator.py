"""Trained model of surfaces: all parts that prediction needs, except the variables."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax

from jaxpose.codecs.densepose import SurfaceMaps
from jaxpose.errors import InputError
from jaxpose.export.program import Level, Program
from jaxpose.models.build import PoseModel
from jaxpose.skeletons import COCO17, Skeleton
from jaxpose.tasks.crop_program import crop_program
from jaxpose.tasks.densepose.predictor import SurfacePredictor


@dataclass(frozen=True)
class SurfaceEstimator:
    """Model that predicts part, U and V of each pixel of a crop; see `tasks.task.Estimator`.

    Attributes:
      body: body model whose charts it has: "drawn" or "smpl".
      padding: factor by which boxes are enlarged before they are cropped.
    """

    model: PoseModel
    codec: SurfaceMaps
    body: str = "drawn"
    padding: float = 1.25
    takes: ClassVar[str] = "surfaces"

    @property
    def skeleton(self) -> Skeleton:
        """Skeleton of the people that boxes are from; the model itself gives no keypoints."""
        return COCO17

    def describe_input(self) -> str:
        height, width = self.codec.input_hw
        return (
            f"RGB, {width} x {height} pixels (width x height), one person's box; gives part, U and "
            f"V on the charts of the body {self.body!r}"
        )

    def predictor(self, variables: Any, **options: Any) -> SurfacePredictor:
        """Build a `SurfacePredictor`; `padding=None` means the padding of the estimator."""
        padding = options.pop("padding", None) or self.padding
        return SurfacePredictor(self.model, variables, self.codec, padding=padding, **options)

    def program(
        self,
        variables: Any,
        *,
        level: Level = "crops",
        flip_test: bool = True,
        image_hw: tuple[int, int] = (1080, 1920),
    ) -> Program:
        """Build the program to export: crops to part, U, V and scores; there is no flip test.

        Raises:
          InputError: the level `photo`.
        """
        del flip_test, image_hw
        if level == "photo":
            raise InputError("a model of surfaces is exported with --level crops or model")

        def surfaces(images: jax.Array) -> dict[str, jax.Array]:
            outputs: Any = self.model.apply(variables, images, train=False)
            found: Any = outputs if level == "model" else self.codec.decode(outputs)
            return dict(found._asdict())

        return crop_program(
            surfaces,
            variables,
            level,
            meaning=f"surface on the charts of the body {self.body!r}",
            body=self.body,
            input_hw=self.codec.input_hw,
            padding=self.padding,
        )
