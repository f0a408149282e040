"""Networks of YOLOv8-, YOLO11- and YOLO26-pose, written from their public descriptions.

Sources: Ultralytics' documentation of the models; for the layers CSPNet (arXiv:1911.11929), YOLOv10
(arXiv:2405.14458, partial self-attention) and GFL (arXiv:2006.04388, distributions of distances).
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.codecs.one_stage import OneStageOutputs, Places
from jaxpose.models.csp import SpatialPyramidPooling, Style
from jaxpose.models.detection import RARE, predict
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.upsample import repeat

Version = Literal["8", "11", "26"]

STYLE = Style(norm_momentum=0.97, norm_epsilon=1e-3)
"""Style of the convolutions of these YOLOs."""

# Channels of an attention head, and bins of a distance's distribution.
_HEAD, BINS = 64, 16
Block = Literal["even", "narrow", "nested", "attention"]


@dataclass(frozen=True)
class YOLOSize:
    """Version and size of a network.

    Attributes:
      version: "8", "11" or "26".
      depth, width: factors on blocks and channels.
      most: largest number of channels at a width of one.
      nested: all layers of versions 11 and 26 have nested blocks.
    """

    version: Version
    depth: float
    width: float
    most: int = 1024
    nested: bool = False

    def channels(self, count: int) -> int:
        """Channels of a layer that has `count` at a width of one; a multiple of 8."""
        return math.ceil(min(count, self.most) * self.width / 8) * 8

    def blocks(self, count: int) -> int:
        """Blocks of a layer that has `count` at a depth of one."""
        return max(round(count * self.depth), 1)

    def layer(self, width: int, kind: Block, name: str, share: float = 0.5) -> "SplitLayer":
        """Make a layer of versions 11 and 26; it has `width` channels at a width of one."""
        if kind == "narrow" and self.nested:
            kind = "nested"
        blocks = 1 if kind == "attention" else self.blocks(2)
        features = self.channels(width)
        return SplitLayer(features, int(features * share), blocks, kind, name=name)


class Bottleneck(nn.Module):
    """Two 3x3 convolutions, and the sum with the input if `residual`."""

    features: int
    hidden: int
    residual: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, features]` -> the same shape."""
        y = STYLE.conv(self.hidden, 3, "first")(x, train)
        y = STYLE.conv(self.features, 3, "second")(y, train)
        return x + y if self.residual else y


class NestedBlock(nn.Module):
    """Cross-stage partial layer of two bottlenecks, as a block of another layer."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, features]` -> the same shape."""
        half = self.features // 2
        main = STYLE.conv(half, 1, "main")(x, train)
        for k in range(2):
            main = Bottleneck(half, half, name=f"block_{k}")(main, train)
        short = STYLE.conv(half, 1, "short")(x, train)
        return STYLE.conv(self.features, 1, "merge")(jnp.concatenate([main, short], -1), train)


class AttentionBlock(nn.Module):
    """Attention between all pixels, then two 1x1 convolutions, each added to its input.

    Queries and keys have half of the values' channels; a depthwise convolution of the values
    encodes positions.
    """

    features: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, features]` -> the same shape."""
        conv = partial(STYLE.conv, activation="none")
        batch, height, width, channels = x.shape
        heads = max(channels // _HEAD, 1)
        size = channels // heads
        key_size = size // 2
        qkv = conv(channels + 2 * heads * key_size, 1, "qkv")(x, train)
        qkv = qkv.reshape(batch, height * width, heads, -1)
        query, key, value = jnp.split(qkv, [key_size, 2 * key_size], axis=-1)
        logits = jnp.einsum("bqhc,bkhc->bhqk", query, key) * key_size**-0.5
        mixed = jnp.einsum("bhqk,bkhc->bqhc", nn.softmax(logits, axis=-1), value)
        values = value.reshape(x.shape)
        placed = conv(channels, 3, "position", groups=channels)(values, train)
        x = x + conv(channels, 1, "out")(mixed.reshape(x.shape) + placed, train)
        hidden = STYLE.conv(2 * channels, 1, "expand")(x, train)
        return x + conv(channels, 1, "reduce")(hidden, train)


class SplitLayer(nn.Module):
    """Layer that splits its channels, and joins both halves with the output of every block.

    Attributes:
      features: output channels.
      hidden: channels of each half.
      blocks: number of blocks.
      kind: "even" and "narrow" bottlenecks, whose hidden channels are all or half of the others,
        "nested" blocks, or narrow bottlenecks with "attention" after each.
      residual: bottlenecks add their input.
    """

    features: int
    hidden: int
    blocks: int
    kind: Block
    residual: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, features]`."""
        parts = jnp.split(STYLE.conv(2 * self.hidden, 1, "split")(x, train), 2, axis=-1)
        for k in range(self.blocks):
            parts.append(self._block(parts[-1], f"block_{k}", train))
        return STYLE.conv(self.features, 1, "merge")(jnp.concatenate(parts, axis=-1), train)

    def _block(self, x: jax.Array, name: str, train: bool) -> jax.Array:
        if self.kind == "nested":
            return NestedBlock(self.hidden, name=name)(x, train)
        inner = self.hidden if self.kind == "even" else self.hidden // 2
        x = Bottleneck(self.hidden, inner, self.residual, name=name)(x, train)
        if self.kind == "attention":
            x = AttentionBlock(self.hidden, name=f"{name}_attention")(x, train)
        return x


class AttentionLayer(nn.Module):
    """Layer that splits its channels, and applies attention blocks to the second half."""

    features: int
    blocks: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, features]` -> the same shape."""
        first, second = jnp.split(STYLE.conv(self.features, 1, "split")(x, train), 2, axis=-1)
        for k in range(self.blocks):
            second = AttentionBlock(self.features // 2, name=f"block_{k}")(second, train)
        return STYLE.conv(self.features, 1, "merge")(jnp.concatenate([first, second], -1), train)


class ResidualPooling(nn.Module):
    """Spatial pyramid pooling of YOLO26: no activation before the pooling, and a residual sum."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, features]` -> the same shape."""
        maps = [STYLE.conv(x.shape[-1] // 2, 1, "reduce", activation="none")(x, train)]
        for _ in range(3):
            maps.append(nn.max_pool(maps[-1], (5, 5), padding="SAME"))
        return x + STYLE.conv(self.features, 1, "merge")(jnp.concatenate(maps, -1), train)


class YOLOBackbone(nn.Module):
    """Backbone of YOLOv8, YOLO11 and YOLO26, with maps of the strides 8, 16 and 32."""

    size: YOLOSize

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem/.*", stages=r"stage_(\d+)_\w+/.*"
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> tuple[jax.Array, ...]:
        """`[B, H, W, 3]` RGB from 0 to 1 -> three maps `[B, h, w, C]`."""
        size, maps = self.size, []
        x = STYLE.conv(size.channels(64), 3, "stem", stride=2)(images, train)
        for s in range(1, 5):
            widths = (128, 256, 512, 1024)
            down = widths[s - 1]
            x = STYLE.conv(size.channels(down), 3, f"stage_{s}_down", stride=2)(x, train)
            x = self._layer(s, down, f"stage_{s}_csp")(x, train)
            maps.append(x)
        features = size.channels(1024)
        if size.version == "26":
            x = ResidualPooling(features, name="stage_4_pyramid")(x, train)
        else:
            x = SpatialPyramidPooling(features, STYLE, name="stage_4_pyramid")(x, train)
        if size.version != "8":
            x = AttentionLayer(features, size.blocks(2), name="stage_4_attention")(x, train)
        return maps[1], maps[2], x

    def _layer(self, stage: int, width: int, name: str) -> SplitLayer:
        size = self.size
        if size.version == "8":
            features = size.channels(width)
            blocks = size.blocks((3, 6, 6, 3)[stage - 1])
            return SplitLayer(features, features // 2, blocks, "even", name=name)
        if stage <= 2:
            return size.layer(2 * width, "narrow", name, share=0.25)
        return size.layer(width, "nested", name)


class YOLONeck(nn.Module):
    """Path aggregation of YOLOv8, YOLO11 and YOLO26 (arXiv:1803.01534)."""

    size: YOLOSize

    @nn.compact
    def __call__(self, maps: tuple[jax.Array, ...], train: bool = False) -> tuple[jax.Array, ...]:
        """Three maps by increasing stride -> three maps `[B, h, w, C]`."""
        fine, middle, coarse = maps
        join = partial(jnp.concatenate, axis=-1)
        middle = self._layer(512, "down_0")(join([repeat(coarse, 2), middle]), train)
        fine = self._layer(256, "down_1")(join([repeat(middle, 2), fine]), train)
        down = STYLE.conv(fine.shape[-1], 3, "shrink_0", stride=2)(fine, train)
        middle = self._layer(512, "up_0")(join([down, middle]), train)
        down = STYLE.conv(middle.shape[-1], 3, "shrink_1", stride=2)(middle, train)
        coarse = self._layer(1024, "up_1")(join([down, coarse]), train)
        return fine, middle, coarse

    def _layer(self, width: int, name: str) -> SplitLayer:
        size, last = self.size, name == "up_1"
        if size.version == "8":
            features, blocks = size.channels(width), size.blocks(3)
            return SplitLayer(features, features // 2, blocks, "even", False, name=name)
        if size.version == "26":
            return size.layer(width, "attention" if last else "nested", name)
        return size.layer(width, "nested" if last else "narrow", name)


class YOLOPoseHead(nn.Module):
    """Head of YOLOv8-, YOLO11- and YOLO26-pose: boxes, people and keypoints in three branches.

    YOLO26 has two: the first proposes each person several times and supports only the training, the
    second proposes everybody once, so that no suppression is needed (YOLOv10, arXiv:2405.14458).

    Attributes:
      num_keypoints: K.
      version: "8", "11" or "26".
      width: channels of the finest map, which determines the branches' widths.
    """

    num_keypoints: int
    version: Version
    width: int

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        output=r"(?:many_)?(?:person|box|keypoints|spread)_\d+/.*"
    )

    @nn.compact
    def __call__(self, maps: tuple[jax.Array, ...], train: bool = False) -> OneStageOutputs:
        """Maps `[B, h, w, C]` -> `codecs.OneStageOutputs`."""
        if self.version != "26":
            return OneStageOutputs(self._branch(maps, "", train))
        return OneStageOutputs(
            self._branch(maps, "", train), more=self._branch(maps, "many_", train)
        )

    def _branch(self, maps: tuple[jax.Array, ...], prefix: str, train: bool) -> tuple[Places, ...]:
        count, spread = self.num_keypoints, self.version == "26"
        numbers = 4 if spread else 4 * BINS
        box_width = max(16, self.width // 4, numbers)
        pose_width = max(self.width // 4, (5 if spread else 3) * count)
        levels = []
        for i, x in enumerate(maps):
            boxes, people, poses = x, x, x
            for j in range(2):
                name = f"{prefix}{{}}_tower_{i}_{j}"
                boxes = STYLE.conv(box_width, 3, name.format("box"))(boxes, train)
                people = self._person(people, name.format("person"), train)
                poses = STYLE.conv(pose_width, 3, name.format("pose"))(poses, train)
            keypoints = predict(3 * count, f"{prefix}keypoints_{i}")(poses)
            keypoints = keypoints.reshape(*keypoints.shape[:-1], count, 3)
            levels.append(
                Places(
                    person=predict(1, f"{prefix}person_{i}", RARE)(people),
                    boxes=predict(numbers, f"{prefix}box_{i}")(boxes),
                    visible=keypoints[..., 2],
                    keypoints=keypoints[..., :2].reshape(*keypoints.shape[:-2], 2 * count),
                    spread=predict(2 * count, f"{prefix}spread_{i}")(poses) if spread else None,
                )
            )
        return tuple(levels)

    def _person(self, x: jax.Array, name: str, train: bool) -> jax.Array:
        if self.version == "8":
            return STYLE.conv(self.width, 3, name)(x, train)
        channels = x.shape[-1]
        x = STYLE.conv(channels, 3, f"{name}_depthwise", groups=channels)(x, train)
        return STYLE.conv(self.width, 1, name)(x, train)
