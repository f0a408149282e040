"""A backbone of one convolution, for models of several frames."""

import flax.linen as nn


class TinyBackbone(nn.Module):
    """3x3 convolution with a stride of 4."""

    width: int = 6

    @nn.compact
    def __call__(self, images, train=False):
        """`[B, H, W, 3]` -> `[B, H / 4, W / 4, width]`."""
        return nn.relu(nn.Conv(self.width, (3, 3), strides=4)(images))
