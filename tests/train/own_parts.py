"""Parts that `own_recipe.py` imports from beside it: a backbone, a head and a codec."""

from dataclasses import dataclass

import flax.linen as nn

from jaxpose.codecs.heatmap import Heatmap


class Backbone(nn.Module):
    """One strided convolution."""

    width: int

    @nn.compact
    def __call__(self, images, train=False):
        return nn.relu(nn.Conv(self.width, (4, 4), (4, 4))(images))


class Head(nn.Module):
    """One convolution to heatmaps."""

    num_keypoints: int

    @nn.compact
    def __call__(self, features, train=False):
        return nn.Conv(self.num_keypoints, (1, 1))(features)


@dataclass(frozen=True)
class WideHeatmap(Heatmap):
    """Heatmaps under another name."""
