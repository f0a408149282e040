"""CID: heatmaps of each person alone, by attention from the features at the person's centre."""

from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.instance_heatmaps import GuidedImages, InstanceMaps, center_window, smoothed
from jaxpose.geometry.lookup import values_at
from jaxpose.models.build import PoseModel
from jaxpose.models.heads import Final
from jaxpose.models.parameter_rules import ParameterRules

_LEAST = 1e-4  # of a probability, and of its distance from 1
_SCALE = 32.0  # heatmap pixels; distances from a centre are divided by it
# Side of the window in which a centre is the highest, by the mean side of the maps above it.


class CIDModel(PoseModel):
    """Model that takes images, or in training `GuidedImages` with the centres of their people."""

    def __call__(self, images: Any, train: bool = False) -> InstanceMaps:
        """Normalised RGB `[B, H, W, 3]` -> `InstanceMaps`."""
        center = None
        if isinstance(images, GuidedImages):
            images, center = images
        return self.head(self.backbone(images, train), train, center)


class CIDHead(nn.Module):
    """Contextual instance decoupling (Wang and Zhang 2022, CVPR, sections 3.2 and 3.3).

    The features at a centre weight the channels and the pixels of all features, from which the
    person's heatmaps are computed.

    Attributes:
      num_keypoints: K.
      max_people: P, number of centres that are taken without given ones.
      channels: channels of the reduced features.
      dtype: compute dtype; the outputs are float32.
    """

    num_keypoints: int
    max_people: int = 30
    channels: int = 32
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"(coupled|final)/.*")

    @nn.compact
    def __call__(
        self, features: jax.Array, train: bool = False, center: jax.Array | None = None
    ) -> InstanceMaps:
        """`[B, h, w, C]` -> `InstanceMaps`, with the features at the centres if `train`.

        `center`: (x, y) `[B, P, 2]` of people, in place of the highest centres.
        """
        batch, height, width, _ = features.shape
        coupled = Final(self.num_keypoints + 1, dtype=self.dtype, name="coupled")(features)
        coupled = _probability(coupled)
        if center is None:
            score, place = self._centers(coupled[..., -1])
            center = jnp.stack([place % width, place // width], axis=-1)
        else:
            place = center[..., 1] * width + center[..., 0]
            score = values_at(coupled[..., -1].reshape(batch, -1), place, axis=1)
        index = jnp.broadcast_to(place[..., None], (*place.shape, features.shape[-1]))
        own = values_at(features.reshape(batch, height * width, -1), index, axis=1)
        instances = self._decoupled(features, own, center)
        return InstanceMaps(coupled, instances, center, score, own if train else None)

    def _centers(self, maps: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Value and pixel of the highest local maxima of maps `[B, h, w]`, `[B, P]`."""
        batch, height, width = maps.shape
        maps = smoothed(maps[..., None])[..., 0]
        side = center_window((height, width))
        window = (1, side, side)
        highest = jax.lax.reduce_window(maps, -jnp.inf, jax.lax.max, window, (1, 1, 1), "SAME")
        peaks = jnp.where(maps == highest, maps, 0.0).reshape(batch, -1)
        return jax.lax.top_k(peaks, self.max_people)

    def _decoupled(self, features: jax.Array, own: jax.Array, center: jax.Array) -> jax.Array:
        """Heatmaps `[B, P, h, w, K]` of people with features `[B, P, C]` at centres."""
        height, width = features.shape[1:3]
        init = nn.initializers.normal(0.001)

        def dense(name: str) -> nn.Dense:
            return nn.Dense(self.channels, dtype=self.dtype, kernel_init=init, name=name)

        reduced = dense("reduce")(features)  # [B, h, w, c]
        by_channel = reduced[:, None] * dense("channels")(own)[:, :, None, None]
        pixel_weights = dense("pixels")(own)
        similar = jnp.einsum("bhwc,bpc->bphw", reduced, pixel_weights).astype(jnp.float32)
        grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1) + 0.5
        away = center[:, :, None, None].astype(jnp.float32) - grid.astype(np.float32)[None, None]
        context = jnp.concatenate([similar[..., None], away / _SCALE], axis=-1)
        flat = context.reshape(-1, height, width, 3).astype(self.dtype)
        conv = nn.Conv(1, (5, 5), padding=2, dtype=self.dtype, kernel_init=init, name="mask")
        mask = jax.nn.sigmoid(conv(flat)).reshape(*center.shape[:2], height, width, 1)
        both = jnp.concatenate([by_channel, reduced[:, None] * mask], axis=-1)
        x = nn.relu(dense("fuse")(both))
        people = x.reshape(-1, height, width, self.channels)
        maps = Final(self.num_keypoints, dtype=self.dtype, name="final")(people)
        return _probability(maps).reshape(*center.shape[:2], height, width, -1)


def _probability(logits: jax.Array) -> jax.Array:
    return jnp.clip(jax.nn.sigmoid(logits), _LEAST, 1 - _LEAST)
