"""Heads from a feature map to keypoint heatmaps or to SimCC bins, with float32 outputs."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.conv import ConvNorm, Pointwise
from jaxpose.models.norm import BatchNorm, instance_norm
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.upsample import Deconv, enlarge

_small_normal = nn.initializers.normal(0.001)


class Final(nn.Module):
    """Last convolution of a heatmap head, accumulated and returned in float32.

    Computed as one matmul for the contributions of all taps, then shifted sums: with few output
    channels this is cheaper than a convolution, and sums stay float32 with a bfloat16 compute
    dtype. `scale` enlarges the input bilinearly first. Enlargement is linear, so it commutes with
    the matmul: the code runs the matmul on the small map, `scale**2` times cheaper.
    """

    features: int
    size: int = 1
    scale: int = 1
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, C]` -> `[B, scale * h, scale * w, features]` float32."""
        n = self.size
        kernel = self.param(
            "kernel", _small_normal, (n, n, x.shape[-1], self.features), jnp.float32
        )
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
        taps = kernel.transpose(2, 0, 1, 3).reshape(x.shape[-1], n * n * self.features)
        y = jnp.matmul(
            x.astype(self.dtype),
            taps.astype(self.dtype),
            preferred_element_type=jnp.promote_types(self.dtype, jnp.float32),
        )
        if self.scale > 1:
            y = enlarge(y, self.scale)
        if n > 1:
            batch, height, width, _ = y.shape
            half = n // 2
            y = jnp.pad(y, ((0, 0), (half, half), (half, half), (0, 0)))
            y = y.reshape(batch, height + 2 * half, width + 2 * half, n, n, self.features)
            y = sum(
                (y[:, r : r + height, s : s + width, r, s] for r in range(n) for s in range(n)),
                start=jnp.zeros((), y.dtype),
            )
        return y + bias[None, None, None]


class DeconvHead(nn.Module):
    """Deconvolutions and 1x1 convolutions with batch norm and ReLU, then a final convolution.

    This is the head of SimpleBaseline (Xiao et al. 2018, arXiv:1804.06208). With two deconvolutions
    of 256 channels it is ViTPose's classic decoder (arXiv:2204.12484, eq. 3). `deconv_channels=()`
    leaves only the final convolution, which is HRNet's head (arXiv:1902.09212); with one entry in
    `conv_channels` it is HRNetV2's (arXiv:1904.04514, section 3.4). With `instance_norm`, instance
    norm and SiLU take the place of batch norm and ReLU, as in Sapiens (arXiv:2408.12569). With
    `deconv_groups`, the channels of each deconvolution are in so many groups, as in ViPNAS
    (arXiv:2105.10154).
    """

    num_keypoints: int
    deconv_channels: tuple[int, ...] = (256, 256)
    final_size: int = 1
    conv_channels: tuple[int, ...] = ()
    dtype: str = "float32"
    instance_norm: bool = False
    deconv_groups: int = 1

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"final/.*")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> jax.Array:
        """`[B, h, w, C]` -> heatmaps `[B, h * 2**n, w * 2**n, K]` for n deconvolutions."""
        x = features
        for i, channels in enumerate(self.deconv_channels):
            x = Deconv(channels, self.dtype, self.deconv_groups, name=f"deconv_{i}")(x)
            if self.instance_norm:
                x = nn.silu(instance_norm(x))
            else:
                x = nn.relu(BatchNorm(dtype=self.dtype, name=f"norm_{i}")(x, train))
        for i, channels in enumerate(self.conv_channels):
            if self.instance_norm:
                conv = Pointwise(channels, 1, True, _small_normal, self.dtype, name=f"conv_{i}")
                x = nn.silu(instance_norm(conv(x)))
            else:
                x = ConvNorm(channels, 1, bias=True, dtype=self.dtype, name=f"conv_{i}")(x, train)
        return Final(self.num_keypoints, self.final_size, dtype=self.dtype, name="final")(x)


class SimpleHead(nn.Module):
    """Simple decoder of ViTPose: ReLU, bilinear enlargement, 3x3 convolution.

    arXiv:2204.12484, eq. 4. The published implementations (the original, MMPose, Hugging Face)
    all apply the ReLU before the enlargement.
    """

    num_keypoints: int
    scale: int = 4
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"final/.*")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> jax.Array:
        """`[B, h, w, C]` -> heatmaps `[B, scale * h, scale * w, K]`."""
        final = Final(self.num_keypoints, 3, self.scale, self.dtype, name="final")
        return final(nn.relu(features))


class SimCCHead(nn.Module):
    """Classifiers over x bins and over y bins for each keypoint (SimCC, arXiv:2107.03332).

    Optional deconvolutions, a 1x1 convolution to one map per keypoint, then two linear layers on
    the flattened map, which all keypoints share.

    Attributes:
      num_keypoints: K.
      input_hw: height and width of the image in pixels.
      split_ratio: bins per pixel.
      deconv_channels: channels of the deconvolutions.
      dtype: compute dtype; the outputs are float32.
    """

    num_keypoints: int
    input_hw: tuple[int, int] = (256, 192)
    split_ratio: float = 2.0
    deconv_channels: tuple[int, ...] = ()
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"[xy]_kernel")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """`[B, h, w, C]` -> logits (x `[B, K, W * ratio]`, y `[B, K, H * ratio]`)."""
        maps = DeconvHead(self.num_keypoints, self.deconv_channels, dtype=self.dtype, name="maps")(
            features, train
        )
        batch, height, width, _ = maps.shape
        maps = maps.reshape(batch, height * width, self.num_keypoints).astype(self.dtype)

        def classify(name: str, pixels: int) -> jax.Array:
            bins = round(pixels * self.split_ratio)
            kernel = self.param(
                f"{name}_kernel",
                nn.initializers.normal(0.01),
                (height * width, bins),
                jnp.float32,
            )
            bias = self.param(f"{name}_bias", nn.initializers.zeros_init(), (bins,), jnp.float32)
            logits = jnp.einsum(
                "bpk,pn->bkn",
                maps,
                kernel.astype(self.dtype),
                preferred_element_type=jnp.promote_types(self.dtype, jnp.float32),
            )
            return logits + bias[None, None]

        return classify("x", self.input_hw[1]), classify("y", self.input_hw[0])
