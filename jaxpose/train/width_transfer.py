"""Learning rates and initial values that hold for every width of a ViT (muP).

Yang et al. 2022 (Tensor Programs V, arXiv:2203.03466, table 3): with Adam, the rate of a matrix is
divided by the growth of its inputs; its initial values are divided by the root of that growth, or
by the growth itself where its outputs do not grow, as in the first layer of a head. Then the best
learning rate of a narrow model is that of a wide one. Heads of the attention keep their dimension
while the model grows, so that the scale of the attention stays the same.
"""

import math
from typing import Any, NamedTuple

import jax

from jaxpose.errors import InputError
from jaxpose.models.build import abstract_variables
from jaxpose.models.vit import ViT
from jaxpose.train.parameter_groups import parameter_groups, path_name


class Growth(NamedTuple):
    """Growth of a matrix from the base width to the model's: of its inputs and its outputs."""

    inputs: float
    outputs: float


def growths(model: Any, base_width: int) -> dict[str, Growth]:
    """Growth of every matrix whose inputs grow with the width, by its path.

    It is found from the shapes of the same model with `base_width` channels, so that layers of a
    fixed size are left out.

    Raises:
      InputError: the backbone is not a ViT, or its heads do not divide the base width.
    """
    backbone = getattr(model, "backbone", None)
    if not isinstance(backbone, ViT):
        raise InputError(
            "optimizer.base_width transfers the learning rate across widths of a ViT, and this "
            "recipe has none; leave it out."
        )
    per_head = backbone.dim // backbone.heads
    if base_width < 1 or base_width % per_head:
        raise InputError(
            f"optimizer.base_width must be a multiple of the heads' dimension {per_head}, and is "
            f"{base_width}."
        )
    narrow = model.clone(
        backbone=backbone.clone(dim=base_width, heads=base_width // per_head, parent=None)
    )
    groups, before = parameter_groups(model), _shapes(narrow)
    found = {}
    for name, shape in _shapes(model).items():
        axes = groups.matrix_axes(name, shape)
        if axes is not None and name in before:
            inputs, outputs = (
                math.prod(shape[k] for k in side) / math.prod(before[name][k] for k in side)
                for side in axes
            )
            if inputs != 1:
                found[name] = Growth(inputs, outputs)
    return found


def _shapes(model: Any) -> dict[str, tuple[int, ...]]:
    params = abstract_variables(model, model.backbone.input_hw)["params"]
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {path_name(path): leaf.shape for path, leaf in leaves}


def scale_rates(updates: Any, found: dict[str, Growth]) -> Any:
    """Divides the updates of matrices by the growth of their inputs."""
    return _multiplied(updates, {name: 1 / growth.inputs for name, growth in found.items()})


def scale_start(params: Any, found: dict[str, Growth]) -> Any:
    """Divides initial values of matrices by the growth of their inputs, or by its root."""
    return _multiplied(
        params,
        {
            name: growth.inputs ** (-0.5 if growth.outputs != 1 else -1.0)
            for name, growth in found.items()
        },
    )


def _multiplied(tree: Any, factors: dict[str, float]) -> Any:
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf * factors.get(path_name(path), 1.0), tree
    )
