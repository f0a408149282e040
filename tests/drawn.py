"""Variables of a model from NumPy, where a test needs some and not the model's own.

A model's initialisation compiles every draw, which takes longer than most of what is tested.
"""

from typing import Any

import flax.linen as nn
import jax
import numpy as np

from jaxpose.models import abstract_variables


def variables(model: nn.Module, input_hw: tuple[int, int] = (1, 1), seed: int = 0) -> Any:
    """As `init_variables`: kernels keep the scale of what passes, norms are the identity."""
    return like(abstract_variables(model, input_hw), seed)


def init(module: nn.Module, *arguments: Any, seed: int = 0) -> Any:
    """As `module.init(key, *arguments)`."""
    key = jax.random.key(0)
    return like(jax.eval_shape(lambda: module.init(key, *arguments)), seed)


def like(shapes: Any, seed: int = 0) -> Any:
    """Arrays of the shapes of a tree of variables."""
    rng = np.random.default_rng(seed)
    return jax.tree_util.tree_map_with_path(lambda path, leaf: _leaf(rng, path, leaf), shapes)


def _leaf(rng: np.random.Generator, path: Any, leaf: Any) -> jax.Array:
    name, shape = path[-1].key, leaf.shape
    if name in ("scale", "var"):
        values = np.ones(shape)
    elif name in ("bias", "mean"):
        values = np.zeros(shape)
    elif "kernel" in name:
        values = rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))
    else:
        values = 0.1 * rng.normal(size=shape)
    return jax.numpy.asarray(values, leaf.dtype)
