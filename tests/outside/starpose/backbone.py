"""A backbone: patches, mixed by one layer."""

import flax.linen as nn
import jax


class PatchMix(nn.Module):
    """Patches of 8 pixels to `dim` features, then one hidden layer."""

    dim: int = 24

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` -> `[B, H / 8, W / 8, dim]`."""
        x = nn.Conv(self.dim, (8, 8), (8, 8), "VALID", name="embed")(images)
        return nn.gelu(nn.Dense(self.dim, name="mix")(x))
