"""AdamW with warm-up, a schedule, layer-wise learning-rate decay and decay groups."""

import functools
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxpose.errors import InputError
from jaxpose.train.experiment import Optimizer


def learning_rate_schedule(optimizer: Optimizer, steps: int) -> optax.Schedule:
    """Learning rate as a function of the step: linear warm-up, then the schedule that is named."""
    peak, warmup = optimizer.learning_rate, min(optimizer.warmup_steps, steps - 1)
    if optimizer.schedule == "cosine":
        after = optax.cosine_decay_schedule(peak, max(steps - warmup, 1))
    elif optimizer.schedule == "constant":
        after = optax.constant_schedule(peak)
    elif optimizer.schedule == "rsqrt":
        after = _rsqrt_schedule(peak, optimizer.timescale)
    else:
        # join_schedules restarts the count after warm-up; milestones count from the run's start.
        edges = {round(m * steps) - warmup: optimizer.step_factor for m in optimizer.milestones}
        after = optax.piecewise_constant_schedule(peak, edges)
    if warmup >= 1:
        # The first update already moves: rate peak/warmup at step 0, peak at step `warmup`.
        ramp = optax.linear_schedule(peak / warmup, peak * (1 + 1 / warmup), warmup)
        after = optax.join_schedules([ramp, after], [warmup])
    return _cooled_down(after, optimizer.cooldown_steps, steps)


def _rsqrt_schedule(peak: float, timescale: int) -> optax.Schedule:
    return lambda count: peak * jnp.sqrt(timescale / (timescale + count))


def _cooled_down(schedule: optax.Schedule, cooldown: int, steps: int) -> optax.Schedule:
    """`schedule`, which in the last `cooldown` of `steps` steps falls linearly to 0 at the end."""
    if not cooldown:
        return schedule
    return lambda count: schedule(count) * jnp.minimum(1.0, (steps - count) / cooldown)


def path_name(path: tuple[Any, ...]) -> str:
    """`backbone/blocks/attn/qkv/kernel` for a key path of a parameter tree."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def weight_decay_mask(params: Any) -> Any:
    """True for the leaves that decay, by ViTPose's and BEiT's rule.

    Matrices and convolution kernels decay. Biases, whatever has one dimension (norms and other
    scales), position embeddings and class tokens do not. The axis that stacks a transformer's
    layers is not counted.
    """

    def decays(path: tuple[Any, ...], leaf: jax.Array) -> bool:
        name = path_name(path)
        last = name.rsplit("/", 1)[-1]
        kept = last == "bias" or last.endswith(
            ("_bias", "_position", "position_embedding", "_token")
        )
        return not kept and leaf.ndim - is_stacked(name) > 1

    return jax.tree_util.tree_map_with_path(decays, params)


def layer_scales(params: Any, decay: float) -> Any:
    """Multiplier of the learning rate for each leaf, by its depth in the network.

    The rule of BEiT (arXiv:2106.08254, appendix) and ViTPose, for any backbone. With `n` layers
    there are ids 0 to `n + 1`, and an id's multiplier is `decay ** (n + 1 - id)`:

    - 0: what comes before the layers: parts of the backbone called a stem, an embedding or a
      class token;
    - 1 to n: the layers. A transformer's are stacked along the leading axis of `blocks`, whose
      multiplier is `[n, 1, ...]`. In other backbones they are the stages, told by the first
      number in the name of a part: `stage_2_block_0` and `stage_2_transition` are one stage. The
      blocks above a hybrid's convolutional trunk come after the trunk's stages;
    - n + 1: all else, such as the last norm and the head.
    """
    names = [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    stages = sorted({stage for name in names if (stage := _stage(name)) is not None})
    depths = {
        leaf.shape[0]
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
        if is_stacked(path_name(path))
    }
    top = len(stages) + max(depths, default=0) + 1

    def scale(path: tuple[Any, ...], leaf: jax.Array) -> np.ndarray | np.float32:
        name = path_name(path)
        if is_stacked(name):
            ids = len(stages) + 1 + np.arange(leaf.shape[0], dtype=np.float32)
            return (decay ** (top - ids)).reshape(-1, *(1,) * (leaf.ndim - 1))
        stage = _stage(name)
        if stage is not None:
            return np.float32(decay ** (top - 1 - stages.index(stage)))
        before = re.match(rf"{_BACKBONE}[^/]*(stem|embed|_token)", name)
        return np.float32(decay**top if before else 1.0)

    return jax.tree_util.tree_map_with_path(scale, params)


# A hybrid's convolutions are the `trunk` of its backbone; some models hold two models.
_BACKBONE = r"(?:student/|teacher/|pose/|trajectory/)?backbone/(?:trunk/)?"


def is_stacked(name: str) -> bool:
    """Whether the first axis of the parameter at path `name` is a transformer's layers."""
    return re.match(rf"{_BACKBONE}(?:blocks|layers)/", name) is not None


def _stage(name: str) -> int | None:
    """The number of a leaf's stage; None for a leaf outside the stages."""
    found = re.match(rf"{_BACKBONE}(?!stem|[^/]*embed)[^/\d]*_(\d+)", name)
    return int(found.group(1)) if found else None


def frozen_mask(params: Any, patterns: tuple[str, ...]) -> Any:
    """True for the leaves whose path is matched by one of the regular expressions `patterns`.

    Raises:
      InputError: a pattern matches no parameter.
    """
    names = [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    for pattern in patterns:
        if not any(re.fullmatch(pattern, name) for name in names):
            raise InputError(
                f"optimizer.frozen has {pattern!r}, which matches no parameter. The first are: "
                f"{', '.join(names[:4])}."
            )
    return jax.tree_util.tree_map_with_path(
        lambda path, _: any(re.fullmatch(pattern, path_name(path)) for pattern in patterns), params
    )


def without_frozen(gradients: Any, patterns: tuple[str, ...]) -> Any:
    """`gradients` with zeros for frozen leaves, so that nothing computes what nothing uses."""
    if not patterns:
        return gradients
    mask = frozen_mask(gradients, patterns)
    return jax.tree.map(lambda g, still: jnp.zeros_like(g) if still else g, gradients, mask)


def _scale_by_layer(decay: float) -> optax.GradientTransformation:
    def update(updates: Any, state: optax.OptState, params: Any = None) -> tuple[Any, Any]:
        del params
        scales = layer_scales(updates, decay)
        return jax.tree.map(lambda u, s: u * jnp.asarray(s), updates, scales), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def build(optimizer: Optimizer, steps: int) -> optax.GradientTransformation:
    """The whole update rule: clip, Adam, decoupled decay (AdamW), layer scales, schedule.

    Frozen parameters get no update and no state, and do not count in the norm that is clipped.
    """
    parts = []
    if optimizer.clip_norm is not None:
        parts.append(optax.clip_by_global_norm(optimizer.clip_norm))
    parts.append(optax.scale_by_adam(optimizer.b1, optimizer.b2, optimizer.eps))
    parts.append(optax.add_decayed_weights(optimizer.weight_decay, weight_decay_mask))
    if optimizer.layer_decay != 1.0:
        parts.append(_scale_by_layer(optimizer.layer_decay))
    parts.append(optax.scale_by_learning_rate(learning_rate_schedule(optimizer, steps)))
    rule = optax.chain(*parts)
    if not optimizer.frozen:
        return rule
    return optax.partition(
        {False: rule, True: optax.set_to_zero()},
        functools.partial(frozen_mask, patterns=optimizer.frozen),
    )
