"""Trained model of meshes: all parts that prediction needs, except the variables."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax

from jaxpose.codecs.mesh_crops import MeshCodec
from jaxpose.errors import InputError
from jaxpose.export.program import Level, Program
from jaxpose.models.build import PoseModel
from jaxpose.skeletons import COCO17, HAND21, Skeleton
from jaxpose.tasks.crop_program import crop_program
from jaxpose.tasks.meshes.predictor import MeshPredictor


@dataclass(frozen=True)
class MeshEstimator:
    """Model that regresses a body model from crops; see `tasks.task.Estimator`.

    Attributes:
      body: body model whose parameters it gives: "drawn", "smpl", "mano" and others of
        `bodies.joints`.
      padding: factor by which boxes are enlarged before they are cropped.
      body_file: path of the body model's file in the training; None for the free body, and where
        the training was elsewhere.
      body_fingerprint: fingerprint of that model (`bodies.network_body`); empty for any.
    """

    model: PoseModel
    codec: MeshCodec
    body: str
    padding: float = 1.0
    body_file: str | None = None
    body_fingerprint: str = ""
    takes: ClassVar[str] = "bodies"

    @property
    def skeleton(self) -> Skeleton:
        """Skeleton of the keypoints on the body or hand."""
        return HAND21 if self.body == "mano" else COCO17

    def describe_input(self) -> str:
        height, width = self.codec.input_hw
        what = "hand" if self.body == "mano" else "person"
        return (
            f"RGB, {width} x {height} pixels (width x height), one {what}'s box; gives parameters "
            f"of the body model {self.body!r}"
        )

    def predictor(self, variables: Any, **options: Any) -> MeshPredictor:
        """Build a `MeshPredictor`; `padding=None` means the padding of the estimator."""
        padding = options.pop("padding", None) or self.padding
        return MeshPredictor(self.model, variables, self.codec, padding=padding, **options)

    def program(
        self,
        variables: Any,
        *,
        level: Level = "crops",
        flip_test: bool = True,
        image_hw: tuple[int, int] = (1080, 1920),
    ) -> Program:
        """Build the program to export: crops to rotations, shape and camera; there is no flip test.

        Raises:
          InputError: the level `photo`.
        """
        del flip_test, image_hw
        if level == "photo":
            raise InputError(
                "a model of meshes is exported with --level crops or model: the body model's file "
                "is no part of it"
            )

        def bodies(images: jax.Array) -> dict[str, jax.Array]:
            found: Any = self.model.apply(variables, images, train=False)
            return dict(found._asdict())

        return crop_program(
            bodies,
            variables,
            level,
            meaning=f"parameters of the body model {self.body!r}",
            body=self.body,
            input_hw=self.codec.input_hw,
            padding=self.padding,
        )
