"""Windows of frames that a lifter reads and predicts, and its forward pass."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.lifting import LiftingCodec
from jaxpose.errors import InputError
from jaxpose.geometry.mirror import mirror
from jaxpose.models.build import abstract_variables
from jaxpose.models.lifting.lifter import Lifter


class WindowSpec(NamedTuple):
    """Frames of a window before and after its own frame, and the predicted frames."""

    before: int
    after: int
    predicted: slice


@functools.lru_cache
def window_spec(model: Lifter) -> WindowSpec:
    """Finds the frames that a lifter reads and predicts; computes shapes only.

    Raises:
      InputError: the model predicts some frames, but not all.
    """
    frames = model.backbone.frames
    keypoints = jax.ShapeDtypeStruct(model.input_shape(), jnp.float32)
    variables = abstract_variables(model, None)
    answered = jax.eval_shape(lambda v, x: model.apply(v, x), variables, keypoints).shape[1]
    if answered == 1:
        if hasattr(model.backbone, "margins"):
            before, after = model.backbone.margins
        else:
            before, after = frames // 2, frames - 1 - frames // 2
        return WindowSpec(before, after, slice(before, before + 1))
    if answered != frames:
        raise InputError(
            f"The lifter predicts {answered} of {frames} frames; it must predict one or all."
        )
    return WindowSpec(0, frames - 1, slice(0, frames))


def lift(
    variables: dict[str, Any],
    framed: jax.Array,
    *,
    model: Lifter,
    codec: LiftingCodec,
    permutation: np.ndarray,
    flip_test: bool,
) -> jax.Array:
    """Lifts windows `framed [B, T, K, D]` to joints `[B, T_out, K, 3]`, mm about the root; pure.

    Args:
      variables: the model's.
      framed: result of `codec.framed` for pixels.
      model, codec: static; as trained.
      permutation: `[K]`, index of each keypoint's mirror partner.
      flip_test: average with the result for the mirror image.
    """

    def outputs(values: jax.Array) -> jax.Array:
        return jnp.asarray(model.apply(variables, codec.standardised(values), train=False))

    answer = outputs(framed)
    if flip_test:
        mirrored = codec.flip_back(outputs(mirror(framed, permutation)), permutation)
        answer = codec.average(answer, mirrored)
    return codec.decode(answer)
