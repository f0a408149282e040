"""Trained model for poses of objects: all parts that prediction needs, except the variables."""

from dataclasses import dataclass
from typing import Any

from jaxpose.export.program import Level, Program
from jaxpose.objects import KnownObject
from jaxpose.tasks.objects.predictor import ObjectPredictor
from jaxpose.tasks.topdown.estimator import TopDownEstimator
from jaxpose.tasks.topdown.predictor import Predictor


@dataclass(frozen=True)
class ObjectEstimator(TopDownEstimator):
    """Estimator of the keypoints of one object per crop, with its objects.

    It is also an estimator of keypoints, so `predict` and `export` take it as any other; see
    `object_predictor` for poses.

    Attributes:
      objects: the objects that the model was trained with.
      threshold: largest distance of a keypoint from the pose that it agrees with, in sides of the
        object's box.
    """

    objects: tuple[KnownObject, ...] = ()
    threshold: float = 0.04

    def describe_input(self) -> str:
        height, width = self.input_hw
        names = ", ".join(known.name for known in self.objects)
        return f"RGB, {width} x {height} pixels (width x height), the box of one object: {names}"

    def predictor(self, variables: Any, **options: Any) -> Predictor:
        """Build a `Predictor` of keypoints; without a flip test, since it shows another object."""
        return super().predictor(variables, **{**options, "flip_test": False})

    def program(
        self,
        variables: Any,
        *,
        level: Level = "crops",
        flip_test: bool = True,
        image_hw: tuple[int, int] = (1080, 1920),
    ) -> Program:
        """Build the program to export, crops to keypoints; without a flip test."""
        del flip_test
        return super().program(variables, level=level, flip_test=False, image_hw=image_hw)

    def object_predictor(self, variables: Any, **options: Any) -> ObjectPredictor:
        """Build an `ObjectPredictor`; options are its own."""
        return ObjectPredictor(
            self.model,
            variables,
            self.codec,
            self.objects,
            padding=self.padding,
            threshold=self.threshold,
            **options,
        )
