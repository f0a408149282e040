"""Exported function from crops to other results than keypoints, such as bodies and surfaces."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.export.program import Level, Program, Value, outputs_like, tree_bytes
from jaxpose.tasks.topdown.augment import normalize


def crop_program(
    compute: Callable[[jax.Array], dict[str, jax.Array]],
    variables: Any,
    level: Level,
    *,
    meaning: str,
    body: str,
    input_hw: tuple[int, int],
    padding: float,
) -> Program:
    """Build the program of a model that takes normalised crops.

    Args:
      compute: outputs by name from normalised crops `[B, h, w, 3]`.
      variables: the variables that it contains.
      level: `"crops"` takes uint8 crops, `"model"` normalised ones.
      meaning: one phrase about the outputs.
      body: name of the body model.
      input_hw: height and width of the crops.
      padding: factor by which boxes are enlarged before they are cropped.
    """
    height, width = input_hw
    plain = level == "crops"

    def run(images: jax.Array) -> dict[str, jax.Array]:
        return compute(normalize(images) if plain else images)

    def samples(number: int) -> tuple[np.ndarray, ...]:
        drawn = np.random.default_rng(0).uniform(0, 255, (number, height, width, 3))
        crops = drawn.astype(np.uint8)
        return (crops if plain else np.array(normalize(jnp.asarray(crops))),)

    kind = "uint8" if plain else "float32"
    form = "RGB crops, 0 to 255" if plain else "RGB crops, normalised"
    example: Any = jax.eval_shape(lambda: jnp.zeros((1, height, width, 3), kind))
    return Program(
        run,
        (Value("images", ("B", height, width, 3), kind, form),),
        outputs_like(run, example, meaning),
        level,
        {"body": body, "input_hw": [height, width], "crop": {"padding": padding}},
        (),
        tree_bytes(variables),
        samples,
    )
