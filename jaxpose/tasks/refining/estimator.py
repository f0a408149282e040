"""Trained refiner of tracks: all parts that prediction needs, except the variables."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.tracks import TrackCodec
from jaxpose.errors import InputError
from jaxpose.export.program import Level, Program, Value, named_outputs, outputs_like, tree_bytes
from jaxpose.models.track_refiner import Refiner
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.refining.track_refiner import TrackRefiner


@dataclass(frozen=True)
class RefiningEstimator:
    """Refiner of one person's 2D keypoints over time; see `tasks.task.Estimator`.

    Attributes:
      skeleton: that of the training; models whose `backbone.num_keypoints` is None take others too.
    """

    model: Refiner
    codec: TrackCodec
    skeleton: Skeleton
    takes: ClassVar[str] = "noisy tracks"

    def describe_input(self) -> str:
        which = "these keypoints" if self.model.backbone.num_keypoints else "any keypoints"
        return f"{which} of one person in {self.codec.describe()}; gives corrected keypoints"

    def predictor(self, variables: Any, **options: Any) -> TrackRefiner:
        """Creates a `TrackRefiner` with these options."""
        return TrackRefiner(self.model, variables, self.codec, self.skeleton, **options)

    def program(
        self,
        variables: Any,
        *,
        level: Level = "crops",
        flip_test: bool = True,
        image_hw: tuple[int, int] = (1080, 1920),
    ) -> Program:
        """Program to export; reads no image and ignores `flip_test` and `image_hw`.

        At the level `crops`, windows of keypoints in pixels to keypoints in pixels; at `model`, the
        input and output of the model.

        Raises:
          InputError: the level `photo`.
        """
        del flip_test, image_hw
        if level == "photo":
            raise InputError(
                "a refiner takes keypoints, not images: export it with --level crops or model"
            )
        model, codec, count = self.model, self.codec, self.skeleton.num_keypoints
        shape = (codec.frames, count, 3)

        def bare(keypoints: jax.Array) -> dict[str, jax.Array]:
            return named_outputs(model.apply(variables, keypoints, train=False))

        def refined(keypoints: jax.Array) -> dict[str, jax.Array]:
            inputs, place = codec.framed(keypoints[..., :2], keypoints[..., 2] > 0)
            outputs = jnp.asarray(model.apply(variables, inputs, train=False))
            return {"keypoints": codec.decode(outputs, place)}

        def samples(number: int) -> tuple[np.ndarray, ...]:
            rng = np.random.default_rng(0)
            windows = rng.normal(0, 0.3, (number, *shape))
            windows[..., 2] = rng.random((number, *shape[:2])) < 0.9
            return (windows.astype(np.float32),)

        facts = {"keypoints": list(self.skeleton.keypoints), "fps": list(codec.fps)}
        function = bare if level == "model" else refined
        frame = "as the codec encodes them" if level == "model" else "in pixels"
        given = f"(x, y, known) of windows of frames, {frame}; known is 1, or 0 where missing"
        example: Any = jnp.zeros((1, *shape), jnp.float32)
        outputs = outputs_like(function, example, f"corrected (x, y), {frame}")
        return Program(
            function,
            (Value("tracks", ("B", *shape), "float32", given),),
            outputs,
            level,
            facts,
            (),
            tree_bytes(variables),
            samples,
        )
