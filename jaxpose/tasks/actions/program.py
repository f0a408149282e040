"""Program of a classifier of actions to export: clips of keypoints to probabilities."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.errors import InputError
from jaxpose.export.program import Level, Program, Value, named_outputs, outputs_like, tree_bytes
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.actions.forward import class_scores


def clip_program(
    model: Any,
    variables: Any,
    codec: Any,
    skeleton: Skeleton,
    classes: tuple[str, ...],
    *,
    level: Level = "crops",
    flip_test: bool = True,
) -> Program:
    """Builds the program of a classifier.

    At the level `crops`, the input is (x, y, score) or (x, y, z, score) of the sampled frames, and
    the output probabilities with the flip test; at `model`, the codec's input and logits.

    Raises:
      InputError: the level `photo`; a codec that needs the size of images.
    """
    if level == "photo":
        raise InputError(
            "a classifier of actions takes keypoints, not images: export it with --level crops or "
            "model"
        )
    if level == "crops" and getattr(codec, "frame", "") == "image":
        raise InputError(
            "coordinates of this model depend on the size of the images, which is no input of the "
            "exported program: export it with --level model"
        )
    facts = {
        "keypoints": list(skeleton.keypoints),
        "classes": list(classes),
        "codec": codec.describe(),
        "flip_test": flip_test and level != "model",
    }
    weight_bytes = tree_bytes(variables)
    permutation = skeleton.flip_permutation if flip_test else None

    def bare(clips: jax.Array) -> dict[str, jax.Array]:
        return named_outputs(model.apply(variables, clips, train=False))

    def probabilities(clips: jax.Array) -> dict[str, jax.Array]:
        keypoints, scores = clips[..., :-1], clips[..., -1]
        framed = codec.framed(keypoints, scores, jnp.zeros((clips.shape[0], 2)))
        found = class_scores(
            variables, framed, scores, model=model, codec=codec, permutation=permutation
        )
        return {"probabilities": found}

    if level == "model":
        shape, function, meaning = codec.input_shape, bare, "logits of the classes"
        given = "input of the model, as the codec makes it"
    else:
        shape = (codec.frames, codec.people, skeleton.num_keypoints, codec.dimensions + 1)
        function, meaning = probabilities, "probabilities of the classes, in their order"
        given = "coordinates and score of each keypoint; a score of 0 for one that is not seen"

    def samples(number: int) -> tuple[np.ndarray, ...]:
        drawn = np.random.default_rng(0).uniform(0, 1, (number, *shape))
        return (drawn.astype(np.float32),)

    example = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    return Program(
        function,
        (Value("clips", ("B", *shape), "float32", given),),
        outputs_like(function, example, meaning),
        level,
        facts,
        (),
        weight_bytes,
        samples,
    )
