"""Groups of a model's parameters: by depth, weight decay, frozen state and matrix shape."""

import re
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.errors import InputError
from jaxpose.models.parameter_rules import ParameterRules, declared_rules

Spec = tuple[str | None, ...]
MatrixAxes = tuple[tuple[int, ...], tuple[int, ...]]


def path_name(path: tuple[Any, ...]) -> str:
    """Convert a key path of a parameter tree to text, as `backbone/blocks/attn/qkv/kernel`."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


@dataclass(frozen=True)
class ParameterGroups:
    """Groups of a model's parameters, as its modules declare them (`ParameterRules`).

    Attributes:
      modules: path prefix and rules of each module that has parameters; an outer module comes
        before the modules among its attributes.
    """

    modules: tuple[tuple[str, ParameterRules], ...]

    def is_stacked(self, name: str) -> bool:
        """True if the first axis of the parameter at path `name` counts a transformer's layers."""
        rules, inside = self._find(name)
        return _matches(rules.stacked, inside)

    def is_embedding(self, name: str) -> bool:
        """True if the parameter at path `name` is used before the first layer."""
        rules, inside = self._find(name)
        return _matches(rules.embedding, inside)

    def is_output(self, name: str) -> bool:
        """True if the parameter at path `name` belongs to the last layer."""
        rules, inside = self._find(name)
        return _matches(rules.output, inside)

    def tensor_spec(self, name: str, ndim: int) -> Spec | None:
        """Mesh axes of the last axes of a parameter of `ndim` axes under tensor parallelism."""
        rules, inside = self._find(name)
        for pattern, spec in rules.tensor:
            if len(spec) <= ndim and re.fullmatch(pattern, inside):
                return spec
        return None

    def weight_decay_mask(self, params: Any) -> Any:
        """Mask that is True for the leaves with weight decay, by ViTPose's and BEiT's rule.

        Matrices and convolution kernels decay. Biases, arrays of one dimension (norms and other
        scales) and the `no_decay` of the modules (position embeddings, class tokens) do not. The
        axis that stacks a transformer's layers is not counted.
        """

        def decays(path: tuple[Any, ...], leaf: jax.Array) -> bool:
            name = path_name(path)
            rules, inside = self._find(name)
            last = inside.rsplit("/", 1)[-1]
            if last == "bias" or last.endswith("_bias"):
                return False
            if any(_matches(pattern, inside) for pattern in rules.no_decay):
                return False
            return leaf.ndim - self.is_stacked(name) > 1

        return jax.tree_util.tree_map_with_path(decays, params)

    def layer_scales(self, params: Any, decay: float) -> Any:
        """Multiplier of the learning rate for each leaf, by its depth in the network.

        The rule of BEiT (arXiv:2106.08254, appendix) and ViTPose, for any backbone. With `n` layers
        there are ids 0 to `n + 1`, and an id's multiplier is `decay ** (n + 1 - id)`:

        - 0: the `embedding` of a module that has layers;
        - 1 to n: its layers, first the stages, then the stacked layers, whose multiplier has the
          shape `[layers, 1, ...]`. The layers of a module among its attributes, such as a hybrid's
          convolutional trunk, come first;
        - n + 1: all other leaves, such as the last norm and the head.

        In a model with several backbones, the layers of each are counted separately.
        """
        leaves = jax.tree_util.tree_leaves_with_path(params)
        stages: dict[str, list[int]] = {prefix: [] for prefix, _ in self.modules}
        stacks: dict[str, dict[int, int]] = {prefix: {} for prefix in stages}
        for path, leaf in leaves:
            name = path_name(path)
            prefix, rules = self._module(name)
            inside = name.removeprefix(prefix)
            stage = _stage(rules, inside)
            if stage is not None and stage not in stages[prefix]:
                stages[prefix].append(stage)
            if _matches(rules.stacked, inside):
                stacks[prefix][_stack(rules, inside)] = leaf.shape[0]
        counts = {p: len(stages[p]) + sum(stacks[p].values()) for p in stages}

        def scale(path: tuple[Any, ...], leaf: jax.Array) -> np.ndarray | np.float32:
            name = path_name(path)
            prefix, rules = self._module(name)
            inside = name.removeprefix(prefix)
            backbone = self._outermost_with_layers(prefix)
            family = [p for p in counts if p.startswith(backbone)]
            top = sum(counts[p] for p in family) + 1
            below = sum(counts[p] for p in family if p.startswith(prefix) and p != prefix)
            if _matches(rules.stacked, inside):
                stack = _stack(rules, inside)
                earlier = sum(depth for k, depth in stacks[prefix].items() if k < stack)
                first = below + len(stages[prefix]) + earlier + 1
                ids = first + np.arange(leaf.shape[0], dtype=np.float32)
                return (decay ** (top - ids)).reshape(-1, *(1,) * (leaf.ndim - 1))
            stage = _stage(rules, inside)
            if stage is not None:
                return np.float32(decay ** (top - 1 - below - sorted(stages[prefix]).index(stage)))
            return np.float32(decay**top if _matches(rules.embedding, inside) else 1.0)

        return jax.tree_util.tree_map_with_path(scale, params)

    def matrix_axes(self, name: str, shape: tuple[int, ...]) -> MatrixAxes | None:
        """Input axes and output axes of a parameter that contains matrices.

        Its other axes count independent matrices, such as stacked layers, or queries, keys and
        values. A convolution is one matrix from all values under its kernel. None for a parameter
        that is not a kernel, and for depthwise convolutions, which have one input.
        """
        rules, inside = self._find(name)
        last = inside.rsplit("/", 1)[-1]
        first = int(self.is_stacked(name))
        if not (last == "kernel" or last.endswith("_kernel")) or len(shape) - first < 2:
            return None
        roles: Spec = ("in",) * (len(shape) - first - 1) + ("out",)
        for pattern, given in rules.matrices:
            if len(given) <= len(shape) and re.fullmatch(pattern, inside):
                roles = (None,) * (len(shape) - first - len(given)) + given
                break
        inputs = tuple(axis for axis, role in enumerate(roles, first) if role == "in")
        outputs = tuple(axis for axis, role in enumerate(roles, first) if role == "out")
        return None if shape[inputs[-1]] == 1 else (inputs, outputs)

    def _module(self, name: str) -> tuple[str, ParameterRules]:
        """Find the innermost module with the parameter at path `name`: its prefix and rules."""
        found = [(prefix, rules) for prefix, rules in self.modules if name.startswith(prefix)]
        return max(found, key=lambda module: len(module[0]))

    def _find(self, name: str) -> tuple[ParameterRules, str]:
        """Find the rules for the parameter at path `name`, and its path within their module."""
        prefix, rules = self._module(name)
        return rules, name.removeprefix(prefix)

    def _outermost_with_layers(self, prefix: str) -> str:
        for outer, rules in self.modules:
            if prefix.startswith(outer) and (rules.stages or rules.stacked):
                return outer
        return prefix


def parameter_groups(model: Any) -> ParameterGroups:
    """Groups of a model's parameters, as its modules declare them."""
    return ParameterGroups(tuple(declared_rules(model)))


def _matches(pattern: str, inside: str) -> bool:
    return bool(pattern) and re.fullmatch(pattern, inside) is not None


def _stage(rules: ParameterRules, inside: str) -> int | None:
    """Number of a leaf's stage; None for a leaf outside the stages."""
    if not rules.stages or _matches(rules.embedding, inside):
        return None
    found = re.fullmatch(rules.stages, inside)
    return int(found.group(1)) if found else None


def _stack(rules: ParameterRules, inside: str) -> int:
    """Number of the stack of a stacked leaf; 0 where all layers are in one."""
    found = re.fullmatch(rules.stacked, inside)
    return int(found.group(1) or 0) if found and found.re.groups else 0


def frozen_mask(params: Any, patterns: tuple[str, ...]) -> Any:
    """Mask that is True for leaves whose path matches one of the regular expressions `patterns`.

    Raises:
      InputError: a pattern matches no parameter.
    """
    names = [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    for pattern in patterns:
        if not any(re.fullmatch(pattern, name) for name in names):
            raise InputError(
                f"optimizer.frozen has {pattern!r}, which matches no parameter. The first "
                f"parameters are: {', '.join(names[:4])}."
            )
    return jax.tree_util.tree_map_with_path(
        lambda path, _: any(re.fullmatch(pattern, path_name(path)) for pattern in patterns), params
    )


def without_frozen(gradients: Any, patterns: tuple[str, ...]) -> Any:
    """Replace frozen leaves of `gradients` by zeros, so that XLA does not compute them."""
    if not patterns:
        return gradients
    mask = frozen_mask(gradients, patterns)
    return jax.tree.map(lambda g, still: jnp.zeros_like(g) if still else g, gradients, mask)
