"""Trained model of meshes: all parts that prediction needs, except the variables."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.mesh_crops import MeshCodec
from jaxpose.errors import InputError
from jaxpose.export.program import Level, Program, Value, outputs_like, tree_bytes
from jaxpose.models.build import PoseModel
from jaxpose.skeletons import COCO17, HAND21, Skeleton
from jaxpose.tasks.meshes.predictor import MeshPredictor
from jaxpose.tasks.topdown.augment import normalize


@dataclass(frozen=True)
class MeshEstimator:
    """Model that regresses a body model from crops; see `tasks.task.Estimator`.

    Attributes:
      body: body model whose parameters it gives: "drawn", "smpl" or "mano".
      padding: factor by which boxes are enlarged before they are cropped.
    """

    model: PoseModel
    codec: MeshCodec
    body: str
    padding: float = 1.0
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
        height, width = self.codec.input_hw

        def bodies(images: jax.Array) -> dict[str, jax.Array]:
            images = normalize(images) if level == "crops" else images
            found: Any = self.model.apply(variables, images, train=False)
            return dict(found._asdict())

        def samples(number: int) -> tuple[np.ndarray, ...]:
            drawn = np.random.default_rng(0).uniform(0, 255, (number, height, width, 3))
            crops = drawn.astype(np.uint8)
            return (crops if level == "crops" else np.array(normalize(jnp.asarray(crops))),)

        kind = "uint8" if level == "crops" else "float32"
        meaning = "RGB crops, 0 to 255" if level == "crops" else "RGB crops, normalised"
        example: Any = jax.eval_shape(lambda: jnp.zeros((1, height, width, 3), kind))
        return Program(
            bodies,
            (Value("images", ("B", height, width, 3), kind, meaning),),
            outputs_like(bodies, example, f"parameters of the body model {self.body!r}"),
            level,
            {"body": self.body, "input_hw": [height, width], "crop": {"padding": self.padding}},
            (),
            tree_bytes(variables),
            samples,
        )
