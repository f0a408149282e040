"""AdamW with warm-up, a schedule, layer-wise learning-rate decay and decay groups."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxpose.config import Optimizer


def learning_rate_schedule(optimizer: Optimizer, steps: int) -> optax.Schedule:
    """Learning rate as a function of the step: linear warm-up, then cosine to 0 or step decay."""
    peak, warmup = optimizer.learning_rate, min(optimizer.warmup_steps, steps - 1)
    if optimizer.schedule == "cosine":
        after = optax.cosine_decay_schedule(peak, max(steps - warmup, 1))
    else:
        # join_schedules restarts the count after warm-up; milestones count from the run's start.
        edges = {round(m * steps) - warmup: optimizer.step_factor for m in optimizer.milestones}
        after = optax.piecewise_constant_schedule(peak, edges)
    if warmup < 1:
        return after
    # The first update already moves: rate peak/warmup at step 0, peak at step `warmup`.
    ramp = optax.linear_schedule(peak / warmup, peak * (1 + 1 / warmup), warmup)
    return optax.join_schedules([ramp, after], [warmup])


def path_name(path: tuple[Any, ...]) -> str:
    """`backbone/blocks/attn/qkv/kernel` for a key path of a parameter tree."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def weight_decay_mask(params: Any) -> Any:
    """True for the leaves that decay: the kernels, so no bias, norm or position embedding."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: path_name(path).rsplit("/", 1)[-1] == "kernel", params
    )


def layer_scales(params: Any, decay: float) -> Any:
    """Multiplier of the learning rate for each leaf, by its depth in the network.

    The rule of BEiT (arXiv:2106.08254, appendix) and ViTPose: with `n` transformer layers, layer
    `i` (from 0) has `decay ** (n - i)`, patch and position embedding have `decay ** (n + 1)`, and
    everything above the layers (last norm, head) has 1. Layers are stacked along the leading
    axis of their leaves, so their multiplier is `[n, 1, …]`. A backbone without stacked layers
    has one multiplier, `decay`, for the whole of it.
    """
    stacked = [
        leaf.shape[0]
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
        if re.match(r"backbone/blocks/", path_name(path))
    ]
    depth = stacked[0] if stacked else 0

    def scale(path: tuple[Any, ...], leaf: jax.Array) -> np.ndarray | np.float32:
        name = path_name(path)
        if not name.startswith("backbone/"):
            return np.float32(1.0)
        if not depth:
            return np.float32(decay)
        if name.startswith("backbone/blocks/"):
            by_layer = decay ** (depth - np.arange(depth, dtype=np.float32))
            return by_layer.reshape(-1, *(1,) * (leaf.ndim - 1))
        if "embed" in name:
            return np.float32(decay ** (depth + 1))
        return np.float32(1.0)

    return jax.tree_util.tree_map_with_path(scale, params)


def _scale_by_layer(decay: float) -> optax.GradientTransformation:
    def update(updates: Any, state: optax.OptState, params: Any = None) -> tuple[Any, Any]:
        del params
        scales = layer_scales(updates, decay)
        return jax.tree.map(lambda u, s: u * jnp.asarray(s), updates, scales), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def build(optimizer: Optimizer, steps: int) -> optax.GradientTransformation:
    """The whole update rule: clip, Adam, decoupled decay (AdamW), layer scales, schedule."""
    parts = []
    if optimizer.clip_norm is not None:
        parts.append(optax.clip_by_global_norm(optimizer.clip_norm))
    parts.append(optax.scale_by_adam(optimizer.b1, optimizer.b2))
    parts.append(optax.add_decayed_weights(optimizer.weight_decay, weight_decay_mask))
    if optimizer.layer_decay != 1.0:
        parts.append(_scale_by_layer(optimizer.layer_decay))
    parts.append(optax.scale_by_learning_rate(learning_rate_schedule(optimizer, steps)))
    return optax.chain(*parts)
