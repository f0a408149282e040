"""Batch normalisation with PyTorch's running statistics, in float32 for every compute dtype."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax


class BatchNorm(nn.Module):
    """Normalise over every axis except the last (Ioffe & Szegedy 2015, arXiv:1502.03167).

    Unlike `flax.linen.BatchNorm`, it keeps the unbiased running variance, as PyTorch does, so that
    the running statistics of a fine-tuned checkpoint agree. `momentum` is the share of the old
    value that is kept (PyTorch's momentum 0.1 is 0.9 here).

    With `train=True` the statistics are those of the whole array. Under `jax.jit` with a sharded
    batch that is the global batch on all devices: XLA inserts the mean over devices.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[..., C]` -> `[..., C]` in `dtype`; updates `batch_stats` when `train`."""
        channels = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones_init(), (channels,), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), (channels,), jnp.float32)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,), jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, (channels,), jnp.float32)
        x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        if train:
            count = x.size // channels
            mean, var = moments(x, running_mean.value)
            if not self.is_initializing():
                keep = self.momentum
                unbiased = var * (count / max(count - 1, 1))
                running_mean.value = keep * running_mean.value + (1 - keep) * mean
                running_var.value = keep * running_var.value + (1 - keep) * unbiased
        else:
            mean, var = running_mean.value, running_var.value
        gain = scale * lax.rsqrt(var + self.epsilon)
        mean, gain, bias = (_last(value, x.ndim) for value in (mean, gain, bias))
        return ((x - mean) * gain + bias).astype(self.dtype)


@jax.custom_vjp
def moments(x: jax.Array, shift: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and biased variance of `[..., C]` over every axis except the last, in one pass.

    The variance is E[(x - s)^2] - (E[x] - s)^2 for the shift s `[C]`. In float32 the difference
    keeps its digits if s is nearer to the mean than some tens of standard deviations, as a running
    mean is. With s = 0 it would lose them in HRNet's sums of branches, whose means are large. On
    accelerators both sums are taken while a convolution writes x. The derivative by s is 0.
    """
    centred = x - _last(shift, x.ndim)
    mean = _mean(centred)
    return shift + mean, jnp.maximum(_mean(jnp.square(centred)) - jnp.square(mean), 0.0)


def _forward(x, shift):
    mean, var = moments(x, shift)
    return (mean, var), (x, mean)


def _backward(saved, gradients):
    # JAX's own derivative would also sum x - mean, which is 0, in a pass over x of its own.
    x, mean = saved
    count = float(x.size // x.shape[-1])  # an integer above 2^31 would not fit JAX's
    by_mean, by_var = (_last(g / count, x.ndim) for g in gradients)
    return by_mean + 2 * by_var * (x - _last(mean, x.ndim)), jnp.zeros_like(mean)


moments.defvjp(_forward, _backward)


def _last(value: jax.Array, ndim: int) -> jax.Array:
    """`[C]` -> `[1, ..., 1, C]`."""
    return value.reshape((1,) * (ndim - 1) + value.shape)


def instance_norm(x: jax.Array, epsilon: float = 1e-5) -> jax.Array:
    """Normalise each channel of each map `[B, h, w, C]` by itself, without parameters.

    (Ulyanov et al. 2016, arXiv:1607.08022.) The statistics are those of the whole map, so a map
    must not be padded or cut into tiles. In float32; the result has the dtype of `x`.
    """
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    wide = wide - wide.mean((1, 2), keepdims=True)
    variance = jnp.square(wide).mean((1, 2), keepdims=True)
    return (wide * lax.rsqrt(variance + epsilon)).astype(x.dtype)


class ImageNorm(nn.Module):
    """Normalise each image over its pixels: a batch norm in training mode on one image.

    Instance normalisation (Ulyanov et al. 2016, arXiv:1607.08022). Some published graphs were
    frozen with their batch norms in this mode. Statistics do not depend on the rest of the batch.
    """

    epsilon: float = 1e-5
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, C]` in `dtype`."""
        channels = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones_init(), (channels,), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), (channels,), jnp.float32)
        x = instance_norm(x.astype(jnp.promote_types(x.dtype, jnp.float32)), self.epsilon)
        x = x * scale[None, None, None] + bias[None, None, None]
        return x.astype(self.dtype)


def _mean(x: jax.Array) -> jax.Array:
    """Mean over every axis except the last: of each sample first, then over samples.

    The means of samples do not depend on the mesh. One sum over batch and places would be rounded
    differently for each number of devices, and small gradients, which are differences of larger
    terms, would show it.
    """
    return x.mean(tuple(range(1, x.ndim - 1))).mean(0)
