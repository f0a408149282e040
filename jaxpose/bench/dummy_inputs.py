"""Stand-in weights and batches that cost as much as real ones, without files or compiling."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxpose.train.state import TrainState

_POOL = 1 << 20


def values(shapes: Any, seed: int = 0) -> Any:
    """Arrays with the shapes and shardings of a tree of variables: identity norms, scaled kernels.

    Values are random: zeros multiply faster than the weights of a trained model.
    """
    pool = np.random.default_rng(seed).standard_normal(_POOL, np.float32)

    def fill(path: Any, leaf: Any) -> jax.Array:
        name, shape = getattr(path[-1], "key", ""), leaf.shape
        if name in ("scale", "var"):
            array = np.ones(shape, leaf.dtype)
        elif name in ("bias", "mean"):
            array = np.zeros(shape, leaf.dtype)
        else:
            fan = max(1, int(np.prod(shape[:-1]))) if "kernel" in name else 2500
            array = (np.resize(pool, shape) / np.sqrt(fan)).astype(leaf.dtype)
        return jax.device_put(array, getattr(leaf, "sharding", None))

    return jax.tree_util.tree_map_with_path(fill, shapes)


def state(shapes: TrainState) -> TrainState:
    """Train state with the shapes that `abstract_state` returns, before its first step."""
    params = values(shapes.params)

    def zeros(tree: Any) -> Any:
        return jax.tree.map(lambda x: jax.device_put(np.zeros(x.shape, x.dtype), x.sharding), tree)

    return TrainState(
        step=zeros(shapes.step),
        params=params,
        batch_stats=values(shapes.batch_stats),
        opt_state=zeros(shapes.opt_state),
        ema=values(shapes.ema),
        base=values(shapes.base),
    )


def batch(shapes: dict[str, Any], seed: int = 0) -> dict[str, jax.Array]:
    """Batch with the shapes of `abstract_batch`: noise, with people who fill their canvas."""
    rng = np.random.default_rng(seed)
    height, width = shapes["image"].shape[1:3]
    box = np.array([width / 6, height / 6, width * 2 / 3, height * 2 / 3], np.float32)
    make: dict[str, Callable[[tuple[int, ...]], np.ndarray]] = {
        "image": lambda shape: np.resize(rng.integers(0, 256, _POOL, np.uint8), shape),
        "keypoints": lambda shape: box[:2] + box[2:] * rng.random(shape, np.float32),
        "visible": lambda shape: np.full(shape, 2, np.uint8),
        "box_xywh": lambda shape: np.broadcast_to(box, shape),
        "mask": lambda shape: np.ones(shape, bool),
    }
    return {
        name: jax.device_put(make.get(name, np.zeros)(leaf.shape).astype(leaf.dtype), leaf.sharding)
        for name, leaf in shapes.items()
    }
