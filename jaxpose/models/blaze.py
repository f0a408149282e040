"""Blaze blocks: backbone of BlazeFace, of the palm detector and of the face mesh; anchored heads.

Bazarevsky et al. 2019, "BlazeFace", arXiv:1907.05047; Kartynnik et al. 2019, arXiv:1907.06724.
"""

from collections.abc import Callable
from typing import ClassVar, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.codecs.landmarks import LandmarkOutputs
from jaxpose.models.blazepose import shortcut
from jaxpose.models.conv import ConvNorm
from jaxpose.models.normalisation import UNIT_RGB, Normalisation, renormalise
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.upsample import enlarge

Activation = Literal["relu", "relu6", "prelu"]


class AnchoredOutputs(NamedTuple):
    """Outputs of an anchored head for all N anchors, by increasing stride, row by row; float32.

    Attributes:
      boxes: `[B, N, 4 + 2K]`: the centre's distance from the anchor (x, y), width and height, and
        the distances of K keypoints from the anchor, in pixels of the input.
      logits: `[B, N, 1]` logit that there is an object.
    """

    boxes: jax.Array
    logits: jax.Array


class Activate(nn.Module):
    """ReLU, ReLU6, or a ReLU with a slope for each channel (PReLU, arXiv:1502.01852)."""

    kind: Activation

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, C]`."""
        if self.kind != "prelu":
            return nn.relu(x) if self.kind == "relu" else nn.relu6(x)
        init = nn.initializers.constant(0.25)
        alpha = self.param("alpha", init, (x.shape[-1],), jnp.float32).astype(x.dtype)
        return jnp.where(x >= 0, x, alpha[None, None, None] * x)


def linear(features: int, size: int, name: str, dtype: str, **options) -> ConvNorm:
    """Convolution with a bias and no activation, padded as in TensorFlow."""
    options = {"activation": "none", "kernel_init_std": None, "padding": "tensorflow", **options}
    return ConvNorm(features, size, norm="none", dtype=dtype, name=name, **options)


class BlazeBlock(nn.Module):
    """Depthwise and 1x1 convolution beside the input, then an activation.

    arXiv:1907.05047, fig. 1.
    With stride 2 the input is pooled by maxima; new channels of it are zeros.
    """

    features: int
    size: int
    stride: int = 1
    activation: Activation = "relu"
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h / stride, w / stride, features]`."""
        channels = x.shape[-1]
        options = {"groups": channels, "stride": self.stride}
        y = linear(channels, self.size, "depthwise", self.dtype, **options)(x, False)
        y = linear(self.features, 1, "pointwise", self.dtype)(y, False)
        y = shortcut(x, self.features, self.stride) + y
        return Activate(self.activation, name="activation")(y)


class BlazeNet(nn.Module):
    """Backbone of Blaze blocks.

    Attributes:
      stem: channels and side of the first convolution, of stride 2.
      stages: channels of the blocks of each stage; all but the first stage start with stride 2.
      size: side of the depthwise kernels.
      activation: activation of the stem and of all blocks.
      normalisation: normalisation of the weights' images.
      dtype: compute dtype; parameters stay float32.
    """

    stem: tuple[int, int]
    stages: tuple[tuple[int, ...], ...]
    size: int = 3
    activation: Activation = "relu"
    normalisation: Normalisation = UNIT_RGB
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem\w*/.*", stages=r"stage_(\d+)_\w+/.*"
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> tuple[jax.Array, ...]:
        """Normalised RGB `[B, H, W, 3]` -> the last map of each stage, of the strides 2, 4, ..."""
        del train  # neither norm nor dropout
        x = renormalise(images, self.normalisation).astype(self.dtype)
        features, size = self.stem
        x = linear(features, size, "stem", self.dtype, stride=2)(x, False)
        x = Activate(self.activation, name="stem_activation")(x)
        maps = []
        for s, channels in enumerate(self.stages):
            for k, features in enumerate(channels):
                stride = 2 if s and not k else 1
                name = f"stage_{s}_block_{k}"
                x = BlazeBlock(features, self.size, stride, self.activation, self.dtype, name=name)(
                    x
                )
            maps.append(x)
        return tuple(maps)


class TopDownNeck(nn.Module):
    """Maps for an anchored head: the last ones, after a path from coarse to fine.

    Attributes:
      levels: number of maps that it returns: the finest ones of the path, or without a path the
        last ones of the backbone.
      features: channels of the finer maps that the path makes, from coarse to fine; two Blaze
        blocks each.
      size: side of the depthwise kernels.
      activation: activation of all layers.
      laterals: maps of the backbone pass a depthwise and a 1x1 convolution before they are added.
      dtype: compute dtype.
    """

    features: tuple[int, ...] = ()
    levels: int = 2
    size: int = 3
    activation: Activation = "relu"
    laterals: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(self, maps: tuple[jax.Array, ...], train: bool = False) -> tuple[jax.Array, ...]:
        """Maps by increasing stride -> `levels` maps by increasing stride."""
        del train
        if not self.features:
            return maps[-self.levels :]
        path = [maps[-1]]
        for i, (features, low) in enumerate(zip(self.features, maps[-2::-1], strict=False)):
            x = linear(features, 1, f"down_{i}", self.dtype)(enlarge(path[-1], 2), False)
            x = self._activate(f"down_{i}_activation")(x)
            x = x + (self._lateral(low, features, f"lateral_{i}") if self.laterals else low)
            for k in range(2):
                name = f"level_{i}_block_{k}"
                x = BlazeBlock(features, self.size, 1, self.activation, self.dtype, name=name)(x)
            path.append(x)
        return tuple(path[: -self.levels - 1 : -1])

    def _lateral(self, x: jax.Array, features: int, name: str) -> jax.Array:
        options = {"groups": x.shape[-1]}
        x = linear(x.shape[-1], self.size, f"{name}_depthwise", self.dtype, **options)(x, False)
        x = linear(features, 1, f"{name}_pointwise", self.dtype)(x, False)
        return self._activate(f"{name}_activation")(x)

    def _activate(self, name: str) -> Callable[[jax.Array], jax.Array]:
        return Activate(self.activation, name=name)


class AnchoredHead(nn.Module):
    """Boxes, keypoints and logits of anchors by convolutions (SSD, arXiv:1512.02325).

    Attributes:
      num_classes: 1; a field for the sake of other detectors.
      anchors: stride of each map and number of anchors at each of its places.
      num_keypoints: K.
      spread: each map is rearranged to twice its sides, and depthwise convolutions of stride 2
        precede the last ones.
      dtype: compute dtype; the outputs are float32.
    """

    anchors: tuple[tuple[int, int], ...]
    num_keypoints: int
    num_classes: int = 1
    spread: bool = False
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"(?:box|class)_\d+/.*")

    @nn.compact
    def __call__(self, maps: tuple[jax.Array, ...], train: bool = False) -> AnchoredOutputs:
        """Maps by increasing stride, one for each of `anchors` -> `AnchoredOutputs`."""
        del train
        boxes: list[jax.Array] = []
        logits: list[jax.Array] = []
        values = 4 + 2 * self.num_keypoints
        for i, (x, (_, count)) in enumerate(zip(maps, self.anchors, strict=True)):
            for found, name, features in ((logits, "class", 1), (boxes, "box", values)):
                y = x
                if self.spread:
                    y = depth_to_space(y)
                    options = {"groups": y.shape[-1], "stride": 2, "padding": "torch"}
                    y = linear(y.shape[-1], 3, f"{name}_{i}_depthwise", self.dtype, **options)(
                        y, False
                    )
                y = nn.Conv(count * features, (1, 1), dtype=self.dtype, name=f"{name}_{i}")(y)
                found.append(y.astype(jnp.float32).reshape(y.shape[0], -1, features))
        return AnchoredOutputs(jnp.concatenate(boxes, axis=1), jnp.concatenate(logits, axis=1))


def depth_to_space(x: jax.Array) -> jax.Array:
    """Rearrange `[B, h, w, 4C]` to `[B, 2h, 2w, C]`: channels fill 2x2 squares row by row."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height, width, 2, 2, channels // 4)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, 2 * height, 2 * width, channels // 4)


class FaceMeshHead(nn.Module):
    """Landmarks of a face, and the logit that there is one, by two branches of Blaze blocks.

    The landmarks' branch starts from the last map, the other one from the map before it. The last
    convolutions cover a map of 3x3: the input is 192x192 pixels.

    Attributes:
      num_keypoints: K.
      dtype: compute dtype; the outputs are float32.
    """

    num_keypoints: int = 468
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"(?:landmarks|presence)/.*")

    @nn.compact
    def __call__(self, maps: tuple[jax.Array, ...], train: bool = False) -> LandmarkOutputs:
        """Maps by increasing stride -> `LandmarkOutputs`."""
        del train
        landmarks = self._branch(maps[-1], 3 * self.num_keypoints, "landmarks", 1)
        presence = self._branch(maps[-2], 1, "presence", 2)
        return LandmarkOutputs(landmarks.reshape(-1, self.num_keypoints, 3), presence)

    def _branch(self, x: jax.Array, values: int, name: str, stride: int) -> jax.Array:
        channels = x.shape[-1]
        block = BlazeBlock(channels, 3, stride, "prelu", self.dtype, name=f"{name}_block_0")
        x = linear(channels // 4, 1, f"{name}_reduce", self.dtype)(block(x), False)
        x = Activate("prelu", name=f"{name}_activation")(x)
        x = BlazeBlock(channels // 4, 3, 1, "prelu", self.dtype, name=f"{name}_block_1")(x)
        layer = nn.Conv(values, (3, 3), (3, 3), padding="VALID", dtype=self.dtype, name=name)
        return layer(x).astype(jnp.float32).mean((1, 2))
