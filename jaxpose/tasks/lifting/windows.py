"""Windows of frames: those that a lifter reads and those that it predicts, and its forward pass."""

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
    """Frames of a window before and after the one it is cut at, and those that are predicted."""

    before: int
    after: int
    predicted: slice


@functools.lru_cache
def window_spec(model: Lifter) -> WindowSpec:
    """Frames that a lifter reads and predicts; computes shapes only.

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
            f"The lifter predicts {answered} of {frames} frames; it has to predict one or all."
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
    """Joints `[B, T_out, K, 3]` mm about the root of windows `framed [B, T, K, D]`; pure.

    Args:
      variables: the model's.
      framed: what `codec.framed` makes of pixels.
      model, codec: static; as trained.
      permutation: `[K]`, which keypoint each becomes in a mirror.
      flip_test: average with what is said of the mirror image.
    """

    def outputs(values: jax.Array) -> jax.Array:
        return jnp.asarray(model.apply(variables, codec.standardised(values), train=False))

    answer = outputs(framed)
    if flip_test:
        mirrored = codec.flip_back(outputs(mirror(framed, permutation)), permutation)
        answer = codec.average(answer, mirrored)
    return codec.decode(answer)
