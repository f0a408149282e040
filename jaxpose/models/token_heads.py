"""Heads that return a vision transformer's features, for all tokens or for the whole image."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.patches import kernel_init
from jaxpose.models.vit import TokenFeatures
from jaxpose.models.vit_block import MLP, MLPKind, make_norm


class FeatureHead(nn.Module):
    """Head without parameters: the features of all tokens, as other projects return them."""

    takes_tokens: ClassVar[bool] = True

    @nn.compact
    def __call__(self, features: jax.Array | TokenFeatures, train: bool = False) -> jax.Array:
        """Features -> `[B, N, D]` float32: class token, registers, patches in rows."""
        return joined_tokens(features).astype(jnp.float32)


class AttentionPoolHead(nn.Module):
    """Features of the whole image: a learnt query attends to all tokens, then an MLP.

    The head of SigLIP (arXiv:2303.15343) and of the Perception Encoder's core models
    (arXiv:2504.13181, section 2.1).

    Attributes:
      heads: attention heads.
      mlp_hidden: hidden units; 0 for four times the width.
      mlp: activation of the MLP.
      norm_eps: epsilon of the norm before the MLP.
      dtype: compute dtype; the output is float32.
    """

    heads: int
    mlp_hidden: int = 0
    mlp: MLPKind = "gelu"
    norm_eps: float = 1e-6
    dtype: str = "float32"

    takes_tokens: ClassVar[bool] = True
    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        no_decay=("query_token",),
        output=r"mlp/.*",
        tensor=(
            (r"(query|key_value)/(kernel|bias)", ("tensor", None)),
            (r"out/kernel", ("tensor", None, None)),
            (r"mlp/fc1/(kernel|bias)", ("tensor",)),
            (r"mlp/fc2/kernel", ("tensor", None)),
        ),
        matrices=(
            (r"query/kernel", ("in", "out", "out")),
            (r"key_value/kernel", ("in", "each", "out", "out")),
        ),
    )

    @nn.compact
    def __call__(self, features: jax.Array | TokenFeatures, train: bool = False) -> jax.Array:
        """Features -> `[B, D]` float32."""
        tokens = joined_tokens(features)
        dim = tokens.shape[-1]
        token = self.param("query_token", kernel_init, (dim,), jnp.float32)
        query = jnp.broadcast_to(token[None, None].astype(tokens.dtype), (len(tokens), 1, dim))

        def dense(shape: tuple[int, ...], name: str) -> nn.Module:
            return nn.DenseGeneral(shape, dtype=self.dtype, kernel_init=kernel_init, name=name)

        width = dim // self.heads
        q = dense((self.heads, width), "query")(query)
        kv = dense((2, self.heads, width), "key_value")(tokens)
        x = jax.nn.dot_product_attention(q, kv[:, :, 0], kv[:, :, 1])
        x = nn.DenseGeneral(
            dim, axis=(-2, -1), dtype=self.dtype, kernel_init=kernel_init, name="out"
        )(x)
        y = make_norm("layer", self.norm_eps, self.dtype, "norm")(x)
        hidden = self.mlp_hidden or 4 * dim
        x = x + MLP(hidden, self.dtype, self.mlp, name="mlp")(y)
        return x[:, 0].astype(jnp.float32)


def joined_tokens(features: jax.Array | TokenFeatures) -> jax.Array:
    """All tokens in one array `[B, N, D]`: class token, registers, patches in rows."""
    if not isinstance(features, TokenFeatures):
        return features.reshape(features.shape[0], -1, features.shape[-1])
    before = [features.token[:, None]]
    if features.registers is not None:
        before.append(features.registers)
    patches = features.map.reshape(features.map.shape[0], -1, features.map.shape[-1])
    return jnp.concatenate([*before, patches], 1)
