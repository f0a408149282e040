"""Convolutions over the frames of graph networks."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.norm import BatchNorm


class TemporalConv(nn.Module):
    """Convolution of each keypoint's features over frames, with a batch norm.

    Attributes:
      features: output channels.
      size: number of frames of the kernel, odd.
      stride: step in frames.
      dilation: distance in frames between two taps of the kernel.
      norm: False for no batch norm.
      bias: False for no bias.
    """

    features: int
    size: int
    stride: int = 1
    dilation: int = 1
    norm: bool = True
    bias: bool = True
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[N, T, K, C]` -> `[N, ceil(T / stride), K, features]`."""
        pad = self.dilation * (self.size - 1) // 2
        x = nn.Conv(
            self.features,
            (self.size, 1),
            (self.stride, 1),
            padding=((pad, pad), (0, 0)),
            kernel_dilation=(self.dilation, 1),
            use_bias=self.bias,
            dtype=self.dtype,
            kernel_init=nn.initializers.variance_scaling(2.0, "fan_out", "normal"),
            name="conv",
        )(x)
        return BatchNorm(dtype=self.dtype, name="norm")(x, train) if self.norm else x


class MultiScaleConv(nn.Module):
    """Parallel convolutions over frames with different dilations, a maximum and a 1x1 convolution.

    Without `mix`, each branch ends with a norm, and the output is their concatenation (CTR-GCN,
    arXiv:2107.12213, section 3.4). With it, norm, ReLU, a 1x1 convolution and a norm follow
    (ST-GCN++, arXiv:2205.09443, section 3.2).

    Attributes:
      features: output channels; the first branch gets what does not divide by the branches.
      size: number of frames of the kernels.
      dilations: dilation of each convolution.
      stride: step in frames.
    """

    features: int
    size: int
    dilations: tuple[int, ...]
    stride: int = 1
    mix: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[N, T, K, C]` -> `[N, ceil(T / stride), K, features]`."""
        branches = len(self.dilations) + 2
        width = self.features // branches

        def reduced(features: int, name: str) -> jax.Array:
            reduce = TemporalConv(features, 1, dtype=self.dtype, name=name)
            return nn.relu(reduce(x, train))

        found = []
        for i, dilation in enumerate(self.dilations):
            features = self.features - width * (branches - 1) if i == 0 else width
            conv = TemporalConv(
                features,
                self.size,
                self.stride,
                dilation,
                norm=not self.mix,
                dtype=self.dtype,
                name=f"conv_{i}",
            )
            found.append(conv(reduced(features, f"reduce_{i}"), train))
        largest = nn.max_pool(
            reduced(width, "reduce_max"), (3, 1), (self.stride, 1), ((1, 1), (0, 0))
        )
        if not self.mix:
            largest = BatchNorm(dtype=self.dtype, name="max_norm")(largest, train)
        found.append(largest)
        point = TemporalConv(
            width, 1, self.stride, norm=not self.mix, dtype=self.dtype, name="point"
        )
        found.append(point(x, train))
        joined = jnp.concatenate(found, axis=-1)
        if not self.mix:
            return joined
        joined = nn.relu(BatchNorm(dtype=self.dtype, name="joined_norm")(joined, train))
        return TemporalConv(self.features, 1, dtype=self.dtype, name="mix")(joined, train)
