"""Neck, heads and complete model of one-stage detectors."""

from functools import partial
from typing import ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.build import PoseModel
from jaxpose.models.csp import BlockKind, CSPLayer, Style
from jaxpose.models.norm import BatchNorm
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.upsample import repeat

# An untrained classifier predicts a probability of 0.01 at every place (arXiv:1708.02002,
# section 3.3).
RARE = nn.initializers.constant(-4.595)


class Level(NamedTuple):
    """Outputs of a detection head for all places of one map, float32.

    Attributes:
      boxes: `[B, h, w, 4]`, in units of the map's stride; the head defines the four distances.
      classes: `[B, h, w, C]` logits.
      objectness: `[B, h, w, 1]` logit that there is an object; None for heads without it.
    """

    boxes: jax.Array
    classes: jax.Array
    objectness: jax.Array | None


class DetectionModel(PoseModel):
    """One-stage detector. Parameters are under `backbone`, `neck` and `head`."""

    neck: nn.Module

    def __call__(self, images: jax.Array, train: bool = False) -> tuple[Level, ...]:
        """`[B, H, W, 3]` -> a `Level` for each of the strides 8, 16 and 32.

        H and W are multiples of 32. `train=True` updates batch-norm statistics.
        """
        return self.head(self.neck(self.backbone(images, train), train), train)


class PathAggregation(nn.Module):
    """Path aggregation network of CSP layers (arXiv:1803.01534): top-down, then bottom-up.

    Attributes:
      features: channels of every map that it returns.
      blocks: number of blocks in each CSP layer.
      kind: kind of the blocks.
      out_size: side of the last convolutions' kernels; 0 for maps without a last convolution, which
        have the channels of the input.
      style: style of all convolutions.
      outputs: indices of the maps to return; all of them if empty.
    """

    features: int
    blocks: int
    kind: BlockKind
    out_size: int
    style: Style = Style()
    outputs: tuple[int, ...] = ()

    @nn.compact
    def __call__(self, maps: tuple[jax.Array, ...], train: bool = False) -> tuple[jax.Array, ...]:
        """Maps by increasing stride -> those of `outputs`, `[B, h, w, features]`."""
        high, reduced = maps[-1], []
        for i, low in enumerate(reversed(maps[:-1])):
            channels = low.shape[-1]
            high = self.style.conv(channels, 1, f"reduce_{i}")(high, train)
            reduced.append(high)
            high = jnp.concatenate([repeat(high, 2), low], axis=-1)
            high = self._layer(channels, f"down_{i}")(high, train)
        path = [high]
        for i, low in enumerate(reversed(reduced)):
            down = self.style.spatial(low.shape[-1], 3, f"shrink_{i}", stride=2)(path[-1], train)
            joined = jnp.concatenate([down, low], axis=-1)
            path.append(self._layer(maps[i + 1].shape[-1], f"up_{i}")(joined, train))
        chosen = self.outputs or tuple(range(len(path)))
        if not self.out_size:
            return tuple(path[i] for i in chosen)
        last = self.style.conv if self.out_size == 1 else self.style.spatial
        return tuple(last(self.features, self.out_size, f"out_{i}")(path[i], train) for i in chosen)

    def _layer(self, features: int, name: str) -> CSPLayer:
        return CSPLayer(features, self.blocks, self.kind, False, False, self.style, name=name)


class Tower(nn.Module):
    """Convolutions before one output of a detection head, for every level.

    Attributes:
      features: channels.
      convs: number of convolutions, one after the other.
      shared: all levels share the convolutions; each level has separate norms.
      style: style of all convolutions; shared ones are never separable.
      groups: groups of channels of all convolutions but the first; 1 if they are shared.
    """

    features: int
    convs: int = 2
    shared: bool = False
    style: Style = Style()
    groups: int = 1

    @nn.compact
    def __call__(self, maps: tuple[jax.Array, ...], train: bool) -> list[jax.Array]:
        """Maps `[B, h, w, C]` -> the same number of maps `[B, h, w, features]`."""
        found = list(maps)
        for j in range(self.convs):
            conv = self._conv(f"conv_{j}") if self.shared else None
            for i, x in enumerate(found):
                if conv is None and j and self.groups > 1:
                    grouped = self.style.conv(self.features, 3, f"conv_{i}_{j}", groups=self.groups)
                    x = grouped(x, train)
                elif conv is None:
                    x = self.style.spatial(self.features, 3, f"conv_{i}_{j}")(x, train)
                else:
                    x = nn.silu(self._norm(f"norm_{i}_{j}")(conv(x), train))
                found[i] = x
        return found

    def _conv(self, name: str) -> nn.Conv:
        init = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
        return nn.Conv(
            self.features,
            (3, 3),
            padding=1,
            use_bias=False,
            dtype=self.style.dtype,
            kernel_init=init,
            name=name,
        )

    def _norm(self, name: str) -> BatchNorm:
        style = self.style
        return BatchNorm(style.norm_momentum, style.norm_epsilon, style.dtype, name=name)


class YOLOXHead(nn.Module):
    """Decoupled head of YOLOX (arXiv:2107.08430, fig. 2): separate convolutions for each level.

    Attributes:
      num_classes: C.
      features: channels of its convolutions.
      style: style of all convolutions.
    """

    num_classes: int
    features: int
    style: Style = Style()

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        output=r"(?:box|class|objectness)_\d+/.*"
    )

    @nn.compact
    def __call__(self, maps: tuple[jax.Array, ...], train: bool = False) -> tuple[Level, ...]:
        """Maps `[B, h, w, features]` -> a `Level` each.

        Boxes are the centre's distance from the place's upper left corner (x, y) and the logarithms
        of width and height.
        """
        towers = partial(Tower, self.features, style=self.style)
        classes = towers(name="class_tower")(maps, train)
        boxes = towers(name="box_tower")(maps, train)
        return tuple(
            Level(
                predict(4, f"box_{i}")(boxes[i]),
                predict(self.num_classes, f"class_{i}", RARE)(classes[i]),
                predict(1, f"objectness_{i}", RARE)(boxes[i]),
            )
            for i in range(len(maps))
        )


class RTMDetHead(nn.Module):
    """Head of RTMDet (arXiv:2212.07784, section 3.2): no objectness, shared convolutions.

    Attributes:
      num_classes: C.
      features: channels of its convolutions.
      shared: all levels share the convolutions; each level has separate norms. Set it to False for
        weights whose norms are folded into the convolutions: these then differ between levels.
      exponential: distances are exponentials of the outputs, rather than the outputs themselves.
      style: style of all convolutions.
    """

    num_classes: int
    features: int
    shared: bool = True
    exponential: bool = False
    style: Style = Style()

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"(?:box|class)_\d+/.*")

    @nn.compact
    def __call__(self, maps: tuple[jax.Array, ...], train: bool = False) -> tuple[Level, ...]:
        """Maps `[B, h, w, features]` -> a `Level` each.

        Boxes are distances from the place's upper left corner to the left, top, right and bottom.
        """
        towers = partial(Tower, self.features, shared=self.shared, style=self.style)
        classes = towers(name="class_tower")(maps, train)
        boxes = towers(name="box_tower")(maps, train)
        levels = []
        for i in range(len(maps)):
            distances = predict(4, f"box_{i}")(boxes[i])
            distances = jnp.exp(distances) if self.exponential else distances
            logits = predict(self.num_classes, f"class_{i}", RARE)(classes[i])
            levels.append(Level(distances, logits, None))
        return tuple(levels)


def predict(
    features: int, name: str, bias_init: nn.initializers.Initializer = nn.initializers.zeros
) -> nn.Conv:
    """Last convolution of a head, in float32."""
    return nn.Conv(
        features, (1, 1), kernel_init=nn.initializers.normal(0.01), bias_init=bias_init, name=name
    )
