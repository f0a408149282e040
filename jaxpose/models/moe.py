"""Mixture of experts by data set: part of a layer's outputs has weights of its own for each."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.patches import kernel_init


class Experts(nn.Module):
    """A linear layer with one kernel for each of `count` data sets.

    `dataset` is the data set of all samples, fixed when the model is built: the other kernels
    then cost nothing. A call may name the data set of each sample instead.
    """

    count: int
    features: int
    dataset: int
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, dataset_index: jax.Array | None = None) -> jax.Array:
        """`[B, N, C]` -> `[B, N, features]`; `dataset_index` is `[B]` of integers or None."""
        shape = (self.count, x.shape[-1], self.features)
        kernel = self.param("kernel", kernel_init, shape, jnp.float32)
        bias = self.param(
            "bias", nn.initializers.zeros_init(), (self.count, self.features), jnp.float32
        )
        x = x.astype(self.dtype)
        if dataset_index is None:
            weight, offset = kernel[self.dataset], bias[self.dataset][None, None]
            return x @ weight.astype(self.dtype) + offset.astype(self.dtype)
        weight, offset = kernel[dataset_index], bias[dataset_index][:, None]
        return jnp.einsum("bnc,bcf->bnf", x, weight.astype(self.dtype)) + offset.astype(self.dtype)


class MixtureMLP(nn.Module):
    """ViTPose++'s MLP (arXiv:2212.04246, section 3.3): shared outputs beside a data set's own.

    The first layer is shared. The last `part_features` outputs of the second come from the
    data set's expert, the others from a layer that all data sets share.
    """

    hidden: int
    experts: int
    part_features: int
    dataset: int
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, dataset_index: jax.Array | None = None) -> jax.Array:
        """`[B, N, D]` -> `[B, N, D]`; `dataset_index` as for `Experts`."""

        def dense(features: int, name: str) -> nn.Module:
            return nn.Dense(features, dtype=self.dtype, kernel_init=kernel_init, name=name)

        hidden = jax.nn.gelu(dense(self.hidden, "fc1")(x), approximate=False)
        shared = dense(x.shape[-1] - self.part_features, "fc2")(hidden)
        expert = Experts(self.experts, self.part_features, self.dataset, self.dtype, name="experts")
        return jnp.concatenate([shared, expert(hidden, dataset_index)], -1)
