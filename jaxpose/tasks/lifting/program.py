"""Program of a lifter to export: windows of 2D keypoints to 3D joints."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.lifting import LiftingCodec
from jaxpose.errors import InputError
from jaxpose.export.program import Level, Program, Value, named_outputs, outputs_like, tree_bytes
from jaxpose.models.lifting.lifter import Lifter
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.lifting.windows import lift

_FRAMES = {
    "pixels": "in pixels",
    "screen": "(2 x - width) / width and (2 y - height) / width of pixels (x, y)",
    "image plane": "undistorted, (x - cx) / f of pixels",
    "box": "relative to a box: from its centre, in halves of its longer side",
}


def window_program(
    model: Lifter,
    variables: Any,
    codec: LiftingCodec,
    skeleton: Skeleton,
    *,
    level: Level = "crops",
    flip_test: bool = True,
) -> Program:
    """Builds the program of a lifter: windows of keypoints -> joints in millimetres.

    At the level `crops` keypoints are in the codec's frame, the flip test is included and joints
    are millimetres relative to the root; at `model` both sides are standardised.

    Raises:
      InputError: the level `photo`.
    """
    if level == "photo":
        raise InputError(
            "a lifter takes keypoints, not images: export it with --level crops or model"
        )
    weight_bytes = tree_bytes(variables)
    _, frames, count, features = model.input_shape()
    facts = {
        "keypoints": list(skeleton.keypoints),
        "frame_of_keypoints": codec.frame,
        "root": [skeleton.keypoints[i] for i in codec.root],
        "fps": codec.fps,
        "flip_test": flip_test and level != "model",
    }

    def bare(keypoints: jax.Array) -> dict[str, jax.Array]:
        return named_outputs(model.apply(variables, keypoints, train=False))

    def joints(keypoints: jax.Array) -> dict[str, jax.Array]:
        found = lift(
            variables,
            keypoints,
            model=model,
            codec=codec,
            permutation=skeleton.flip_permutation,
            flip_test=flip_test,
        )
        return {"joints": found}

    def samples(number: int) -> tuple[np.ndarray, ...]:
        windows = np.random.default_rng(0).normal(0, 0.5, (number, frames, count, features))
        return (windows.astype(np.float32),)

    shape = ("B", frames, count, features)
    what = "(x, y)" if features == 2 else "(x, y, confidence)"
    frame = _FRAMES[codec.frame]
    example = jax.ShapeDtypeStruct((1, frames, count, features), jnp.float32)
    if level == "model":
        given = f"{what} of windows of frames, {frame}, standardised as in training"
        outputs = outputs_like(bare, example, "output of the model's head, not decoded")
        inputs = (Value("keypoints", shape, "float32", given),)
        return Program(bare, inputs, outputs, level, facts, (), weight_bytes, samples)
    given = f"{what} of windows of frames, {frame}"
    outputs = outputs_like(
        joints,
        example,
        "(x, y, z) in millimetres relative to the root, along the camera's axes, y down",
    )
    inputs = (Value("keypoints", shape, "float32", given),)
    return Program(joints, inputs, outputs, level, facts, (), weight_bytes, samples)
