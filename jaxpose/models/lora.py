"""Low-rank fine-tuning (LoRA): learnt low-rank terms beside the kernels of frozen linear layers.

A model stays as it is. Inside `adapted`, each of its linear layers that the settings name adds
`alpha / rank * (x A) B` to its output, with two more parameters, `lora_a` and `lora_b`, beside its
`kernel`. `merge` adds the products to the kernels, and the result is a tree of the plain model.
"""

import math
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxpose.errors import InputError
from jaxpose.models.attention import HeadDense

_A, _B = "lora_a", "lora_b"


@dataclass(frozen=True)
class LoRA:
    """Settings of low-rank fine-tuning (Hu et al. 2021, arXiv:2106.09685).

    Attributes:
      rank: rank of the terms; 0 trains all parameters as usual.
      alpha: the terms are multiplied by `alpha / rank`.
      layers: regular expressions for the paths of the linear layers that get a term. In a fused
        layer for queries, keys and values, these share A.
      train: regular expressions for the paths of parameters that are trained in full.
      base_dtype: dtype of the frozen matrices; frozen vectors, such as norms and biases, stay in
        float32.
    """

    rank: int = 0
    alpha: float = 16.0
    layers: tuple[str, ...] = (r"backbone/.*(attention|mlp)/.*",)
    train: tuple[str, ...] = (r"head/.*",)
    base_dtype: Literal["bfloat16", "float32"] = "bfloat16"

    def __post_init__(self) -> None:
        if self.rank < 0 or self.alpha <= 0:
            raise InputError(
                f"lora.rank must be at least 0 and lora.alpha above 0; they are {self.rank} and "
                f"{self.alpha}."
            )
        for pattern in (*self.layers, *self.train):
            try:
                re.compile(pattern)
            except re.error as error:
                raise InputError(
                    f"lora: {pattern!r} is not a regular expression: {error}."
                ) from None

    def trains(self, name: str) -> bool:
        """True if the parameter at path `name` is trained."""
        return _is_term(name) or _any_matches(self.train, name)


def adapted(lora: LoRA) -> AbstractContextManager[None]:
    """Context in which models are initialised and applied with low-rank terms.

    It has to be entered while a function is traced, not while the compiled function runs.
    """
    if not lora.rank:
        return nullcontext()

    def intercept(
        layer: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: nn.module.InterceptorContext,
    ) -> Any:
        y = layer(*args, **kwargs)
        module = context.module
        if context.method_name != "__call__" or not _is_linear(module):
            return y
        if not _any_matches(lora.layers, "/".join(module.path)):
            return y
        return y + _term(module, args[0], lora).astype(y.dtype)

    return nn.intercept_methods(intercept)


def _is_linear(module: nn.Module) -> bool:
    if isinstance(module, nn.DenseGeneral) and module.batch_dims:
        return False
    return isinstance(module, nn.Dense | nn.DenseGeneral | HeadDense)


def _term(module: Any, x: jax.Array, lora: LoRA) -> jax.Array:
    """Low-rank term of a linear layer for its input."""
    if isinstance(module, HeadDense):
        axes = tuple(range(x.ndim - module.contracted, x.ndim))
        features = module.features
    elif isinstance(module, nn.Dense):
        axes, features = (x.ndim - 1,), (module.features,)
    else:
        named = module.axis if isinstance(module.axis, tuple | list) else (module.axis,)
        axes = tuple(axis % x.ndim for axis in named)
        features = module.features
        features = tuple(features) if isinstance(features, tuple | list) else (features,)
    inputs = tuple(x.shape[axis] for axis in axes)

    def down(key: jax.Array) -> jax.Array:
        init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
        return init(key, (math.prod(inputs), lora.rank), jnp.float32).reshape(*inputs, lora.rank)

    def up(key: jax.Array) -> jax.Array:
        return jnp.zeros((lora.rank, *features), jnp.float32)

    dtype = module.dtype or x.dtype
    a, b = (module.scope.param(n, init).astype(dtype) for n, init in ((_A, down), (_B, up)))
    # A layer's own product may contain the activation before it.
    product = getattr(module, "dot_general", None) or jax.lax.dot_general
    hidden = product(x.astype(dtype), a, ((axes, tuple(range(len(axes)))), ((), ())))
    return jnp.tensordot(hidden, b, 1) * jnp.asarray(lora.alpha / lora.rank, dtype)


def split(params: Mapping[str, Any], lora: LoRA) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split parameters with low-rank terms into those that are trained and the frozen base.

    Matrices of the base get `lora.base_dtype`. Without low-rank terms, everything is trained.

    Raises:
      InputError: an expression of `lora.layers` matches no linear layer, or one of `lora.train` no
        parameter.
    """
    if not lora.rank:
        return dict(params), {}
    leaves = flatten_dict(params, sep="/")
    adapted_layers = [name.rpartition("/")[0] for name in leaves if name.endswith(f"/{_A}")]
    for key, patterns, names in (
        ("layers", lora.layers, adapted_layers),
        ("train", lora.train, [*leaves]),
    ):
        for pattern in patterns:
            if not any(re.fullmatch(pattern, name) for name in names):
                kind = "linear layer" if key == "layers" else "parameter"
                raise InputError(
                    f"lora.{key} has {pattern!r}, which matches no {kind} of the model. Its first "
                    f"parameters are: {', '.join([*leaves][:4])}."
                )
    trained = {name: leaf for name, leaf in leaves.items() if lora.trains(name)}
    base = {
        name: leaf.astype(lora.base_dtype) if _is_matrix(name) else leaf
        for name, leaf in leaves.items()
        if name not in trained
    }
    return _nested(trained), _nested(base)


def _is_matrix(name: str) -> bool:
    return name.endswith("kernel")


def without_terms(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of the plain model: `params` without the low-rank terms."""
    leaves = flatten_dict(params, sep="/")
    return _nested({name: leaf for name, leaf in leaves.items() if not _is_term(name)})


def _is_term(name: str) -> bool:
    return name.endswith((f"/{_A}", f"/{_B}"))


def join(params: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """One tree of the trained parameters and the base, for the model inside `adapted`."""
    if not base:
        return dict(params)
    return _nested(flatten_dict(params, sep="/") | flatten_dict(base, sep="/"))


def merge(params: Mapping[str, Any], lora: LoRA) -> dict[str, Any]:
    """Parameters of the plain model, in float32, from the tree that `join` returns."""
    leaves = flatten_dict(params, sep="/")
    plain = {
        name: leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32))
        for name, leaf in leaves.items()
        if not _is_term(name)
    }
    for name in leaves:
        layer, _, last = name.rpartition("/")
        if last != _A:
            continue
        a, b, kernel = leaves[name], leaves[f"{layer}/{_B}"], plain[f"{layer}/kernel"]
        stacked = a.ndim + b.ndim - 2 > kernel.ndim
        product = jax.vmap(_product) if stacked else _product
        plain[f"{layer}/kernel"] = kernel + lora.alpha / lora.rank * product(a, b)
    return _nested(plain)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.tensordot(a, b, 1, precision=jax.lax.Precision.HIGHEST)


def _nested(leaves: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = unflatten_dict(leaves, sep="/")
    return found


def _any_matches(patterns: tuple[str, ...], name: str) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in patterns)
