"""MSPN and RSN: pyramids down and up, one stage after the other, with heatmaps of every map."""

from functools import partial
from typing import ClassVar, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.models.conv import ConvNorm
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.residual import ResidualBlock
from jaxpose.models.upsample import stretch

_LEVELS = 4


class StepBlock(nn.Module):
    """Residual steps block (Cai et al. 2020, arXiv:2003.04030, fig. 3): four branches.

    Branch i has i + 1 convolutions, each of which also sees the result of the branch before.

    Attributes:
      features: channels of the output.
      stride: stride of the block.
      dtype: compute dtype.
    """

    features: int
    stride: int = 1
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h / stride, w / stride, features]`."""

        def conv(x, width, size, name, stride=1, activation="relu"):
            return ConvNorm(
                *(width, size, stride),
                activation=activation,
                kernel_init_std=None,
                dtype=self.dtype,
                name=name,
            )(x, train)

        width = 26 * x.shape[-1] // 64
        y = conv(x, 4 * width, 1, "expand", self.stride)
        results: list[jax.Array] = []
        before: list[jax.Array] = []
        for i, branch in enumerate(jnp.split(y, 4, axis=-1)):
            steps: list[jax.Array] = []
            for j in range(i + 1):
                y = steps[-1] if j else branch
                steps.append(conv(y + before[j] if i > j else y, width, 3, f"step_{i}_{j}"))
            results.append(steps[-1])
            before = steps
        y = conv(jnp.concatenate(results, -1), self.features, 1, "joined", activation="none")
        if self.stride > 1 or x.shape[-1] != self.features:
            x = conv(x, self.features, 1, "shortcut", self.stride, "none")
        return nn.relu(x + y)


class MSPN(nn.Module):
    """Multi-stage pyramid (Li et al. 2019, arXiv:1901.00148, fig. 2 and 3).

    Each stage is a ResNet of four maps and a path back to the finest one. The next stage begins
    with that map, and adds maps of the stage before to its own. RSN (arXiv:2003.04030) is the same
    with other blocks.

    Attributes:
      blocks: blocks of each of the four maps.
      stages: number of stages.
      block: "bottleneck" of ResNet, or "steps" (`StepBlock`).
      path_width: channels of the path back.
      dtype: compute dtype; parameters and norm statistics stay float32.
    """

    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    stages: int = 1
    block: Literal["bottleneck", "steps"] = "bottleneck"
    path_width: int = 256
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem/.*", stages=r"stage_(\d+)_\w+/.*"
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> tuple[jax.Array, ...]:
        """`[B, H, W, 3]` normalised RGB -> four maps of each stage, the coarsest first.

        They have `path_width` channels, and a 32nd to a quarter of the image's size.

        Raises:
          InputError: the image's sides are not multiples of 32.
        """
        if images.ndim != 4 or images.shape[1] % 32 or images.shape[2] % 32:
            raise InputError(
                "MSPN needs images [B, H, W, 3] with H and W multiples of 32, but got "
                f"{list(images.shape)}."
            )
        x = self._conv(images.astype(self.dtype), 64, "stem", train, size=7, stride=2)
        x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        found: list[jax.Array] = []
        skips: list[jax.Array] = []
        for s in range(self.stages):
            maps = self._down(x, skips, s, train)
            last = s == self.stages - 1
            path, skips = self._up(maps, s, last, train)
            found += path
            if not last:
                x = self._conv(path[-1], 64, f"stage_{s}_cross", train)
        return tuple(found)

    def _down(self, x: jax.Array, skips: list[jax.Array], s: int, train: bool) -> list[jax.Array]:
        """Four maps by increasing stride."""
        maps = []
        for i, count in enumerate(self.blocks):
            for k in range(count):
                stride, name = 2 if i and k == 0 else 1, f"stage_{s}_level_{i}_block_{k}"
                width = 64 * 2**i
                if self.block == "steps":
                    x = StepBlock(width, stride, self.dtype, name=name)(x, train)
                else:
                    block = ResidualBlock(
                        *(width, True, self.dtype, stride), kernel_init_std=None, name=name
                    )
                    x = block(x, train)
            if skips:
                x = x + skips[i]
            maps.append(x)
        return maps

    def _up(
        self, maps: list[jax.Array], s: int, last: bool, train: bool
    ) -> tuple[list[jax.Array], list[jax.Array]]:
        """Maps of the path, the coarsest first, and what the next stage adds to its maps."""
        path: list[jax.Array] = []
        skips: list[jax.Array] = []
        for i in reversed(range(_LEVELS)):
            x, name = maps[i], f"stage_{s}_up_{i}"
            y = self._conv(x, self.path_width, f"{name}_skip", train, "none")
            if path:
                up = stretch(path[-1], 2)
                y = y + self._conv(up, self.path_width, f"{name}_path", train, "none")
            path.append(nn.relu(y))
            if not last:
                width = x.shape[-1]
                down = self._conv(x, width, f"{name}_out_0", train)
                skips.insert(0, down + self._conv(path[-1], width, f"{name}_out_1", train))
        return path, skips

    def _conv(
        self,
        x: jax.Array,
        width: int,
        name: str,
        train: bool,
        activation: Literal["relu", "none"] = "relu",
        size: int = 1,
        stride: int = 1,
    ) -> jax.Array:
        return ConvNorm(
            *(width, size, stride),
            activation=activation,
            kernel_init_std=None,
            dtype=self.dtype,
            name=name,
        )(x, train)


class PyramidHeads(nn.Module):
    """Heatmaps of every map of `MSPN`, enlarged to the size of the finest one.

    Attributes:
      num_keypoints: K.
      dtype: compute dtype.
    """

    num_keypoints: int
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"map_\d+_1/.*")

    @nn.compact
    def __call__(
        self, features: tuple[jax.Array, ...], train: bool = False
    ) -> jax.Array | tuple[jax.Array, ...]:
        """Maps `[B, h, w, C]` -> heatmaps `[B, H, W, K]` of all if `train`, else of the last."""
        height = features[-1].shape[1]
        outputs = []
        for i, x in enumerate(features):
            layer = partial(ConvNorm, kernel_init_std=None, dtype=self.dtype)
            y = layer(x.shape[-1], 1, name=f"map_{i}_0")(x, train)
            y = layer(self.num_keypoints, 3, activation="none", name=f"map_{i}_1")(y, train)
            outputs.append(stretch(y, height // y.shape[1]))
        return tuple(outputs) if train else outputs[-1]
