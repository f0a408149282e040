"""PVNet: masks and vector fields at the resolution of the image."""

from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.codecs.vector_fields import OFFSET_UNITS, VectorFields
from jaxpose.errors import InputError
from jaxpose.models.conv import Activation, ConvNorm
from jaxpose.models.heads import Final
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.residual import ResidualBlock
from jaxpose.models.upsample import stretch


class PVNet(nn.Module):
    """Backbone of PVNet (Peng et al. 2019, arXiv:1812.11788, section 3.3, and their code).

    A ResNet of basic blocks and stride 8, whose last two stages are dilated, and a decoder that
    adds the maps of stride 8, 4 and 2 and the image itself, with bilinear enlargement in between.

    Attributes:
      blocks: residual blocks of each stage.
      width: channels of the first stage; the neck and the decoder's maps of stride 8 and 4 have 4,
        2 and 1 times as many.
      features: channels of the maps of stride 2 and 1, 32 as published. The head is linear, and
        each of K keypoints has another field of vectors, so fewer than 2 K cannot express them.
    """

    blocks: tuple[int, ...] = (2, 2, 2, 2)
    width: int = 64
    features: int = 32
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem/.*", stages=r"stage_(\d+)_\w+/.*"
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` normalised RGB -> `[B, H, W, features]`.

        Raises:
          InputError: H or W is no multiple of 8.
        """
        if images.ndim != 4 or images.shape[1] % 8 or images.shape[2] % 8:
            raise InputError(
                "PVNet needs images [B, H, W, 3] with H and W multiples of 8, but got "
                f"{list(images.shape)}."
            )
        width = self.width

        def conv(
            x: jax.Array,
            features: int,
            name: str,
            size: int = 3,
            stride: int = 1,
            activation: Activation = "leaky_relu",
        ) -> jax.Array:
            return ConvNorm(
                features,
                size,
                stride,
                activation=activation,
                kernel_init_std=None,
                dtype=self.dtype,
                name=name,
            )(x, train)

        images = images.astype(self.dtype)
        half = conv(images, width, "stem", 7, 2, "relu")
        x = nn.max_pool(half, (3, 3), (2, 2), ((1, 1), (1, 1)))
        maps = []
        for stage, blocks in enumerate(self.blocks):
            for block in range(blocks):
                x = ResidualBlock(
                    width * 2**stage,
                    False,
                    self.dtype,
                    stride=2 if stage == 1 and block == 0 else 1,
                    kernel_init_std=None,
                    # Unlike in `ResNet`, the first block of a stage is dilated as the others.
                    dilation=max(1, 2 ** (stage - 1)),
                    name=f"stage_{stage}_block_{block}",
                )(x, train)
            maps.append(x)
        x = conv(x, 4 * width, "neck", activation="relu")
        x = conv(jnp.concatenate([x, maps[1]], axis=-1), 2 * width, "decoder_8")
        x = conv(jnp.concatenate([stretch(x, 2), maps[0]], axis=-1), width, "decoder_4")
        x = conv(jnp.concatenate([stretch(x, 2), half], axis=-1), self.features, "decoder_2")
        return conv(jnp.concatenate([stretch(x, 2), images], axis=-1), self.features, "decoder_1")


class VectorFieldHead(nn.Module):
    """1x1 convolution from features to `VectorFields` of one object, as at the end of `PVNet`.

    Attributes:
      num_keypoints: keypoints of the object.
      scale: enlargement of the fields, for a backbone of that stride. Directions change slowly from
        pixel to pixel, so a coarse map has nearly all of them.
      hidden: channels of a 1x1 convolution and ReLU before the last; 0 for none, as published.
      positions: each pixel gives the positions of the keypoints in the image, and the vectors are
        the offsets to them from the pixel (`FieldVoting(offsets=True)`). All pixels then have
        nearly the same outputs, which small networks learn faster than fields. The pixel's place is
        an input too.
    """

    num_keypoints: int
    scale: int = 1
    hidden: int = 0
    positions: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> VectorFields:
        """`[B, H / scale, W / scale, C]` -> mask `[B, H, W, 2]` and vectors `[B, H, W, 2 K]`."""
        if self.positions:
            places = _places(features.shape[1:3], features.dtype)
            places = jnp.broadcast_to(places[None], (*features.shape[:3], 2))
            features = jnp.concatenate([features, places], axis=-1)
        if self.hidden:
            dense = nn.Dense(
                self.hidden,
                dtype=self.dtype,
                kernel_init=nn.initializers.he_normal(),
                name="hidden",
            )
            features = nn.relu(dense(features))
        final = Final(2 + 2 * self.num_keypoints, 1, self.scale, dtype=self.dtype, name="final")
        fields = final(features)
        vectors = fields[..., 2:]
        if self.positions:
            places = _places(fields.shape[1:3], vectors.dtype)
            vectors = vectors - jnp.tile(places, self.num_keypoints)[None]
            vectors = vectors * OFFSET_UNITS
        return VectorFields(fields[..., :2], vectors)


def _places(map_hw: tuple[int, ...], dtype: Any) -> jax.Array:
    """Places `[h, w, 2]` (x, y) of pixels from the middle, in longer sides of the map."""
    height, width = map_hw
    y, x = jnp.meshgrid(
        jnp.arange(height) - (height - 1) / 2, jnp.arange(width) - (width - 1) / 2, indexing="ij"
    )
    return (jnp.stack([x, y], axis=-1) / max(height, width)).astype(dtype)
