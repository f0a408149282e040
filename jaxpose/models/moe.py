"""Mixture of experts by dataset: part of a layer's outputs has separate weights for each."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.patches import kernel_init
from jaxpose.models.split import recomputes


class Experts(nn.Module):
    """Linear layer with one kernel for each of `count` datasets.

    `dataset` is the dataset of all samples, fixed when the model is built: the other kernels then
    cost no time. A call may instead pass the dataset of each sample.
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
    """MLP of ViTPose++ (arXiv:2212.04246, section 3.3): shared outputs and one dataset's outputs.

    The first layer is shared. The last `part_features` outputs of the second layer are from the
    dataset's expert, the others from a layer that all datasets share.
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

        def outputs(module: nn.Module, hidden: jax.Array) -> jax.Array:
            hidden = jax.nn.gelu(hidden, approximate=False)
            shared = dense(x.shape[-1] - self.part_features, "fc2")(hidden)
            expert = Experts(
                self.experts, self.part_features, self.dataset, self.dtype, name="experts"
            )
            return jnp.concatenate([shared, expert(hidden, dataset_index)], -1)

        hidden = dense(self.hidden, "fc1")(x)
        if (
            recomputes()
        ):  # the backward pass computes GELU again, as in `activation.product_of_gelu`
            outputs = nn.remat(outputs)
        return outputs(self, hidden)
