"""Convolution over the graph of a skeleton, in four published forms."""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.actions.temporal_conv import TemporalConv
from jaxpose.models.norm import BatchNorm
from jaxpose.skeletons.graph import SkeletonGraph

Mixing = Literal["weighted", "learned", "attention", "channels"]
PARTS = 3
"""Number of parts of a keypoint's neighbourhood, each with its own weights."""


class GraphConv(nn.Module):
    """Sum over three parts of the graph: features of neighbours, mixed by an adjacency.

    Norm and ReLU follow, and in all forms but the first a shortcut between them.

    Attributes:
      features: output channels.
      graph: the skeleton's graph.
      mixing: the adjacency of a part.
        "weighted": of the graph, by distance, times a learned weight for each edge (ST-GCN,
        arXiv:1801.07455, section 3.4).
        "learned": learned, initialised with the graph's by direction (ST-GCN++, arXiv:2205.09443).
        "attention": of the graph, plus a learned one, plus one by the similarity of two keypoints'
        features over the clip (2s-AGCN, arXiv:1805.07694, eq. 3).
        "channels": learned, plus one for each channel by the difference of two keypoints' mean
        features (CTR-GCN, arXiv:2107.12213, eq. 6-8).
    """

    features: int
    graph: SkeletonGraph
    mixing: Mixing
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[N, T, K, C]` -> `[N, T, K, features]`."""
        mixed = nn.relu if self.mixing == "weighted" else self._with_shortcut(x, train)
        # The bias of "attention" is added after the mixing, and not weighted by it.
        outside = self.mixing == "attention"
        y = self._dense(x, self.features, "features", bias=not outside)
        parts = "nk" if self.mixing == "attention" else "k"
        equation = f"ntvkc,{parts}vw->ntwc"
        if self.mixing == "channels":
            equation = "ntvkc,nkvwc->ntwc"
        y = jnp.einsum(equation, y, self._adjacency(x).astype(y.dtype))
        if outside:
            bias = self.param(
                "bias", nn.initializers.zeros_init(), (PARTS, self.features), jnp.float32
            )
            y = y + bias.sum(axis=0).astype(y.dtype)[None, None, None]
        return mixed(BatchNorm(dtype=self.dtype, name="norm")(y, train))

    def _with_shortcut(self, x: jax.Array, train: bool):
        if x.shape[-1] == self.features:
            return lambda y: nn.relu(y + x)
        shortcut = TemporalConv(self.features, 1, dtype=self.dtype, name="shortcut")(x, train)
        return lambda y: nn.relu(y + shortcut)

    def _dense(self, x: jax.Array, features: int, name: str, bias: bool = True) -> jax.Array:
        """Dense layer for each part, `[..., C]` -> `[..., 3, features]`."""
        layer = nn.Dense(PARTS * features, use_bias=bias, dtype=self.dtype, name=name)
        return layer(x).reshape(*x.shape[:-1], PARTS, features)

    def _adjacency(self, x: jax.Array) -> jax.Array:
        """Weight of keypoint v in keypoint w: `[3, v, w]`, `[N, 3, v, w]` or `[N, 3, v, w, c]`."""
        if self.mixing == "weighted":
            fixed = jnp.asarray(self.graph.distance_partitions())
            return fixed * self._weights(nn.initializers.ones_init())
        fixed = jnp.asarray(self.graph.direction_partitions())
        if self.mixing == "attention":
            width = self.features // 4
            source = self._dense(x, width, "source")
            target = self._dense(x, width, "target")
            similarity = jnp.einsum("ntvki,ntwki->nkvw", source, target)
            similarity = similarity.astype(jnp.float32) / (width * x.shape[1])
            weights = fixed + self._weights(nn.initializers.constant(1e-6))
            return jax.nn.softmax(similarity, axis=-2) + weights[None]
        # CTR-GCN's code initialises with the adjacency of the opposite direction.
        weights = self._weights(
            lambda *_: fixed if self.mixing == "learned" else fixed.transpose(0, 2, 1)
        )
        if self.mixing == "learned":
            return weights
        # The published code reduces channels by 8, and keypoints' coordinates to 8 channels.
        width = 8 if x.shape[-1] in (3, 9) else max(x.shape[-1] // 8, 1)
        source = self._dense(x, width, "source").mean(axis=1)
        target = self._dense(x, width, "target").mean(axis=1)
        difference = jnp.tanh(target[:, None] - source[:, :, None])
        kernel = self.param(
            "refine_kernel",
            nn.initializers.lecun_normal(in_axis=1, out_axis=2, batch_axis=0),
            (PARTS, width, self.features),
            jnp.float32,
        )
        bias = self.param(
            "refine_bias", nn.initializers.zeros_init(), (PARTS, self.features), jnp.float32
        )
        refined = jnp.einsum("nvwkr,krc->nkvwc", difference, kernel.astype(difference.dtype))
        refined = refined + bias.astype(refined.dtype)[None, :, None, None]
        scale = self.param("refine_scale", nn.initializers.zeros_init(), (), jnp.float32)
        return (
            refined * scale.astype(refined.dtype) + weights.astype(refined.dtype)[None, ..., None]
        )

    def _weights(self, init: nn.initializers.Initializer) -> jax.Array:
        count = self.graph.num_keypoints
        return self.param("adjacency", init, (PARTS, count, count), jnp.float32)
