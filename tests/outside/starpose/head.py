"""A head: the place of each keypoint as a distance and a direction."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class PolarHead(nn.Module):
    """One linear layer over all features."""

    num_keypoints: int

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> jax.Array:
        """`[B, h, w, C]` -> `[B, K, 3]` float32: distance, cosine, sine."""
        x = features.reshape(features.shape[0], -1)
        x = nn.Dense(3 * self.num_keypoints, name="polar")(x)
        return x.reshape(-1, self.num_keypoints, 3).astype(jnp.float32)
