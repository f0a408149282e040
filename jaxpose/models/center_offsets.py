"""Head for many people in one image: heatmaps with a centre map, and offsets from centres."""

import flax.linen as nn
import jax

from jaxpose.models.heads import DeconvHead


class CenterOffsetHead(nn.Module):
    """Two branches of deconvolutions, one for heatmaps and one for offsets.

    As in CenterNet (arXiv:1904.07850, section 4.2), each output has a separate branch; see
    `codecs.CenterOffsets` for the meaning of the outputs.

    Attributes:
      num_keypoints: K.
      deconv_channels: channels of each branch's deconvolutions; each one doubles the resolution.
    """

    num_keypoints: int
    deconv_channels: tuple[int, ...] = (64,)
    final_size: int = 1
    dtype: str = "float32"

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """`[B, h, w, C]` -> heatmaps `[B, H, W, K + 1]`, offsets `[B, H, W, 2 K]`."""

        def branch(name: str, channels: int) -> jax.Array:
            head = DeconvHead(
                channels, self.deconv_channels, self.final_size, dtype=self.dtype, name=name
            )
            return head(features, train)

        count = self.num_keypoints
        return branch("heatmaps", count + 1), branch("offsets", 2 * count)
