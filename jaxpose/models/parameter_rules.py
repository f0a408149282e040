"""Declarations of a module about its parameters, for optimizers and sharding."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import flax.linen as nn

AxisRules = tuple[tuple[str, tuple[str | None, ...]], ...]


@dataclass(frozen=True)
class ParameterRules:
    """Properties of a module's parameters, by regular expressions that match a whole path.

    Paths are relative to the module, such as `blocks/mlp/fc1/kernel`. A module declares its rules
    as a class attribute or a property called `parameter_rules`. A module that declares none gets
    the defaults: no layers, no array split over devices, and weight decay for every array of two
    dimensions or more that is not a bias.

    Attributes:
      embedding: parameters before the first layer, such as stem and position embedding.
      stages: parameters of a stage; the expression's group is the number of the stage.
      stacked: parameters whose first axis is a transformer's layers; the expression's group, if it
        has one, is the number of the stack among several.
      output: parameters of the last layer, which returns the predictions.
      no_decay: parameters without weight decay, besides biases and those of one dimension.
      tensor: mesh axis (or None) for each of the last axes in tensor parallelism.
      matrices: role of each of the last axes of kernels that are not one matrix `[..., inputs,
        outputs]`: "in", "out", or "each" for an axis over independent matrices.
    """

    embedding: str = ""
    stages: str = ""
    stacked: str = ""
    output: str = ""
    no_decay: tuple[str, ...] = ()
    tensor: AxisRules = ()
    matrices: AxisRules = ()


# Attention is split by heads and the MLP by hidden units, so that a block has two all-reduces
# (Megatron-LM, arXiv:1909.08053, section 3).
TRANSFORMER_TENSOR: AxisRules = (
    # [..., heads, head_dim]
    (r"(.*/)?attention/(qkv|query|key_value)/(kernel|bias)", ("tensor", None)),
    (r"(.*/)?attention/query_value_bias", ("tensor", None)),
    (r"(.*/)?attention/out/kernel", ("tensor", None, None)),  # [heads, head_dim, D]
    (r"(.*/)?(fc1|gated)/(kernel|bias)", ("tensor",)),
    (r"(.*/)?(fc2|experts)/kernel", ("tensor", None)),
    # Low-rank terms are split as the axes of their kernels.
    (r"(.*/)?attention/(qkv|query|key_value)/lora_b", ("tensor", None)),
    (r"(.*/)?attention/out/lora_a", ("tensor", None, None)),
    (r"(.*/)?(fc1|gated)/lora_b", ("tensor",)),
    (r"(.*/)?fc2/lora_a", ("tensor", None)),
)

# The fused kernels are [D, 3, heads, head_dim] and, for grouped queries, [D, 2, heads, head_dim]:
# queries, keys and values are separate matrices. So are gate and value [D, 2, hidden] of an MLP,
# and the kernel [inputs, outputs] of each expert.
TRANSFORMER_MATRICES: AxisRules = (
    (r"(.*/)?attention/(qkv|key_value)/kernel", ("in", "each", "out", "out")),
    (r"(.*/)?attention/query/kernel", ("in", "out", "out")),
    (r"(.*/)?gated/kernel", ("in", "each", "out")),
    (r"(.*/)?experts/kernel", ("each", "in", "out")),
)


def declared_rules(model: Any, prefix: str = "") -> Iterator[tuple[str, ParameterRules]]:
    """Yield path prefix and rules of a model and of its attributes' modules, outermost first.

    The parameters of a module that is an attribute have the attribute's name in their path:
    `backbone/` and `head/` for a `PoseModel`, `student/backbone/` for a `DistillationModel`.
    """
    yield prefix, getattr(model, "parameter_rules", ParameterRules())
    if not dataclasses.is_dataclass(model):
        return
    for field in dataclasses.fields(model):
        part = getattr(model, field.name, None)
        if field.name != "parent" and isinstance(part, nn.Module):
            yield from declared_rules(part, f"{prefix}{part.name or field.name}/")
