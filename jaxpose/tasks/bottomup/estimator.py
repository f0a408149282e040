"""Trained model of whole images with all settings of prediction, without the variables."""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.codec import ImageCodec, averages, border_of
from jaxpose.data.source import SyntheticScenes
from jaxpose.errors import InputError
from jaxpose.export.program import Level, Program, Value, named_outputs, outputs_like, tree_bytes
from jaxpose.models.build import PoseModel
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.bottomup.predictor import ImagePredictor
from jaxpose.tasks.topdown.augment import IMAGENET_MEAN, IMAGENET_STD, normalize
from jaxpose.tasks.topdown.forward import predict_keypoints


@dataclass(frozen=True)
class BottomUpEstimator:
    """Estimator of the keypoints of all people in an image; see `tasks.task.Estimator`.

    Attributes:
      codec: turns the model's outputs into people, and determines the size of the input.
    """

    model: PoseModel
    codec: ImageCodec
    skeleton: Skeleton
    takes: ClassVar[str] = "images"

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the model's images in pixels."""
        return self.codec.input_hw

    def describe_input(self) -> str:
        height, width = self.input_hw
        margins = "grey" if border_of(self.codec) else "black"
        return (
            f"RGB, {width} x {height} pixels (width x height), a whole image with {margins} margins"
        )

    def predictor(self, variables: Any, **options: Any) -> ImagePredictor:
        """Build an `ImagePredictor`."""
        return ImagePredictor(self.model, variables, self.codec, self.skeleton, **options)

    def program(
        self,
        variables: Any,
        *,
        level: Level = "crops",
        flip_test: bool = True,
        image_hw: tuple[int, int] = (1080, 1920),
    ) -> Program:
        """Build the function to export.

        Level "model" maps normalised images to the raw outputs, "crops" uint8 images of the
        input's size to people in their pixels.

        Raises:
          InputError: the level is `"photo"`, which is for models that take crops, `"crops"` for a
            codec that decodes on the host, or `"model"` for a model of which a part runs after
            decoding (RTMO's classifier).
        """
        if level == "photo":
            raise InputError(
                "Level `photo` crops people by their boxes, but this model takes whole "
                "images. Export level 'crops': uint8 images of the model's size to people."
            )
        if level != "model" and getattr(self.codec, "on_host", False):
            raise InputError(
                f"{type(self.codec).__name__} decodes outside the compiled program. Export level "
                "'model', normalised images to the head's outputs, and decode these with "
                "`codec.decode`."
            )
        height, width = self.input_hw
        people, count = self.codec.max_people, self.skeleton.num_keypoints
        facts = {
            "keypoints": list(self.skeleton.keypoints),
            "input_hw": [height, width],
            "normalisation": {
                "mean": np.asarray(IMAGENET_MEAN).ravel().tolist(),
                "std": np.asarray(IMAGENET_STD).ravel().tolist(),
                "of": "RGB, 0 to 255",
                "included": level != "model",
            },
            "flip_test": flip_test and averages(self.codec) and level != "model",
        }

        def samples(number: int) -> tuple[np.ndarray, ...]:
            # Scenes are drawn on multiples of 4; the model's size may be another.
            canvas_hw = (-(-height // 4) * 4, -(-width // 4) * 4)
            images = SyntheticScenes(number, 0, canvas_hw).open().samples(range(number))
            image = images["image"][:, :height, :width]
            return (np.asarray(normalize(jnp.asarray(image))) if level == "model" else image,)

        def bare(images: jax.Array) -> dict[str, jax.Array]:
            return named_outputs(self.model.apply(variables, images, train=False))

        def found(images: jax.Array) -> dict[str, jax.Array]:
            permutation = self.skeleton.flip_permutation
            decoded = predict_keypoints(
                self.model, variables, normalize(images), self.codec, permutation, flip_test
            )
            return {"keypoints": decoded.keypoints, "scores": decoded.scores}

        weight_bytes = tree_bytes(variables)
        if level == "model":
            value = Value("images", ("B", height, width, 3), "float32", "RGB images, normalised")
            shape: Any = jax.ShapeDtypeStruct
            example = shape((1, height, width, 3), jnp.float32)
            raw = jax.eval_shape(partial(self.model.apply, train=False), variables, example)
            if getattr(raw, "classifier", None) is not None:
                raise InputError(
                    "This model classifies coordinates only where decoding has found people, so "
                    "the head's outputs are not enough for keypoints. Export level 'crops': uint8 "
                    "images of the model's size to people."
                )
            outputs = outputs_like(bare, example, "outputs of the model's head, not decoded")
            return Program(bare, (value,), outputs, level, facts, (), weight_bytes, samples)
        images = Value("images", ("B", height, width, 3), "uint8", "RGB images, 0 to 255")
        frame = "(x, y) in pixels of the image, pixel centres at integers"
        return Program(
            found,
            (images,),
            (
                Value("keypoints", ("B", people, count, 2), "float32", frame),
                Value(
                    "scores",
                    ("B", people, count),
                    "float32",
                    "score of each keypoint, in [0, 1]; 0 in rows without a person",
                ),
            ),
            level,
            facts,
            ("keypoints",),
            weight_bytes,
            samples,
        )
