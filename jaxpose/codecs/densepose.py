"""Maps of a body's surface: part, U and V of each pixel of a crop, as DensePose predicts them.

Güler et al., "DensePose: Dense Human Pose Estimation in the Wild", CVPR 2018, arXiv:1802.00434,
section 4.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import geometry
from jaxpose.errors import InputError
from jaxpose.geometry import Udp
from jaxpose.geometry.lookup import values_at

PARTS = 24
"""Charts of the surface; 0 is the background."""
COARSE = np.array([0, 1, 1, 2, 3, 4, 5, 6, 7, 6, 7, 8, 9, 8, 9, 10, 11, 10, 11, 12, 13, 12, 13, 14,
                   14])  # fmt: skip
"""Coarse part of each chart, as the masks of DensePose-COCO count them: torso, right and left hand,
left and right foot, right and left upper leg, right and left lower leg, left and right upper arm,
left and right lower arm, head."""
COARSE_MIRROR = np.array([0, 1, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 14])
"""Coarse part on the other side of each."""
MASK_SIDE = 256
"""Side of DensePose-COCO's masks in pixels; they cover the person's box."""


class SurfaceOutputs(NamedTuple):
    """Outputs of a model, `[B, h, w, channels]` float32.

    Attributes:
      coarse: logits of background and body (2), or of the background and 14 coarse parts (15).
      fine: logits of the background and the 24 charts.
      u, v: `[B, h, w, 25]` place on each chart, 0 to 1; that of the background means nothing.
    """

    coarse: jax.Array
    fine: jax.Array
    u: jax.Array
    v: jax.Array


class SurfaceTargets(NamedTuple):
    """Labels of pixels.

    Attributes:
      coarse: int32 `[B, h, w]` class of the coarse segmentation, 0 is the background.
      part: int32 `[B, h, w]`, 0 is the background.
      uv: `[B, h, w, 2]` U and V, 0 in the background.
    """

    coarse: jax.Array
    part: jax.Array
    uv: jax.Array


class PointTargets(NamedTuple):
    """Labels of N points of each person, and of all pixels in the coarse segmentation.

    Attributes:
      coarse: int32 `[B, h, w]` class of the coarse segmentation, 0 is the background.
      place: `[B, N, 2]` x and y in pixels of the maps.
      part: int32 `[B, N]`, 1 to 24; 0 for what is no point, or outside the maps.
      uv: `[B, N, 2]` U and V.
    """

    coarse: jax.Array
    place: jax.Array
    part: jax.Array
    uv: jax.Array


class Surface(NamedTuple):
    """Surfaces in crops.

    Attributes:
      part: int32 `[B, h, w]`, 0 is the background.
      uv: float32 `[B, h, w, 2]` in [0, 1], 0 in the background.
      score: `[B]` mean probability of the charts over the body's pixels; 0 without any.
    """

    part: jax.Array
    uv: jax.Array
    score: jax.Array


@dataclass(frozen=True)
class SurfaceMaps:
    """Codec of DensePose for the crop of one person.

    Attributes:
      input_hw: height and width of the crop, pixels.
      stride: pixels of the crop for one pixel of the maps.
      coarse: channels of the coarse segmentation, 2 or 15.
    """

    input_hw: tuple[int, int] = (256, 192)
    stride: int = 2
    coarse: int = 2
    udp: ClassVar[Udp] = False

    def __post_init__(self) -> None:
        if self.coarse not in (2, int(COARSE.max()) + 1):
            raise InputError(f"SurfaceMaps has 2 or 15 coarse channels, not {self.coarse}.")
        if self.stride < 1 or any(side % self.stride for side in self.input_hw):
            raise InputError(
                f"SurfaceMaps(stride={self.stride}) needs an input_hw of multiples of the stride, "
                f"not {self.input_hw}."
            )

    @property
    def map_hw(self) -> tuple[int, int]:
        """Height and width of the maps."""
        return self.input_hw[0] // self.stride, self.input_hw[1] // self.stride

    def map_matrix(self, matrix: jax.Array) -> jax.Array:
        """Maps `[B, 2, 3]` from an image to the pixels of the maps, from those to the crop.

        The centre of pixel 0 of the maps is in the middle of the crop's first `stride` pixels.
        """
        middle = (self.stride - 1) / 2
        scaled = jnp.asarray([[[1.0, 0, -middle], [0, 1, -middle]]], matrix.dtype) / self.stride
        return geometry.compose_affine(jnp.broadcast_to(scaled, matrix.shape), matrix)

    def encode(
        self,
        iuv: jax.Array,
        matrix: jax.Array,
        flip: jax.Array | None = None,
        mirror: np.ndarray | None = None,
    ) -> SurfaceTargets:
        """Encode maps of images; each pixel of the targets takes the nearest pixel of the image.

        Args:
          iuv: uint8 `[B, H, W, 3]` part, and U and V times 255 (`bodies.surface_maps.pack_iuv`).
          matrix: `[B, 2, 3]` from the image to the crop; pixels from outside are background.
          flip: `[B]` True where the crop is a mirror image.
          mirror: int `[25]` chart on the other side of each, whose U is 1 - U.
        """
        found = self._nearest(iuv, matrix)
        part = found[..., 0].astype(jnp.int32)
        u, v = (found[..., i].astype(jnp.float32) / 255 for i in (1, 2))
        if flip is not None:
            if mirror is None:
                raise InputError("these charts have no mirror images: set augmentation.flip to 0")
            turned = flip[:, None, None]
            other = jnp.asarray(np.asarray(mirror, np.int32))[part]
            part, u = jnp.where(turned, other, part), jnp.where(turned, 1 - u, u)
        seen = part > 0
        uv = jnp.where(seen[..., None], jnp.stack([u, v], axis=-1), 0.0)
        coarse = jnp.asarray(COARSE, jnp.int32)[part] if self.coarse > 2 else seen
        return SurfaceTargets(coarse.astype(jnp.int32), part, uv)

    def encode_mask(
        self, mask: jax.Array, box_xywh: jax.Array, matrix: jax.Array, flip: jax.Array | None = None
    ) -> jax.Array:
        """Encode masks over boxes as classes of the coarse segmentation, int32 `[B, h, w]`.

        Args:
          mask: uint8 `[B, 256, 256]` coarse parts; its outer pixels lie on the edges of the box, as
            in the published code.
          box_xywh: `[B, 4]` pixels of the image.
          matrix: `[B, 2, 3]` from the image to the crop.
          flip: `[B]` True where the crop is a mirror image.
        """
        corner, size = box_xywh[:, :2], jnp.maximum(box_xywh[:, 2:], 1.0)
        scale = size / (MASK_SIDE - 1)
        zero = jnp.zeros_like(corner[:, 0])
        image_from_mask = jnp.stack(
            [
                jnp.stack([scale[:, 0], zero, corner[:, 0]], axis=-1),
                jnp.stack([zero, scale[:, 1], corner[:, 1]], axis=-1),
            ],
            axis=1,
        )
        found = self._nearest(mask[..., None], geometry.compose_affine(matrix, image_from_mask))
        coarse = found[..., 0].astype(jnp.int32)
        if self.coarse == 2:
            return (coarse > 0).astype(jnp.int32)
        if flip is not None:
            other = jnp.asarray(COARSE_MIRROR, jnp.int32)[coarse]
            coarse = jnp.where(flip[:, None, None], other, coarse)
        return coarse

    def encode_points(
        self, points: jax.Array, part: jax.Array, matrix: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Encode labelled points as places in the maps `[B, N, 2]`, and their parts `[B, N]`.

        Points outside the maps have part 0.

        Args:
          points: `[B, N, 2]` pixels of the image.
          part: `[B, N]`.
          matrix: `[B, 2, 3]` from the image to the crop.
        """
        place = geometry.apply_affine(self.map_matrix(matrix), points)
        size = jnp.asarray(self.map_hw[::-1], place.dtype)[None, None]
        inside = ((place >= -0.5) & (place <= size - 0.5)).all(axis=-1)
        return place, jnp.where(inside, part, 0).astype(jnp.int32)

    def _nearest(self, values: jax.Array, matrix: jax.Array) -> jax.Array:
        """Values `[B, H, W, C]` of images at the pixels of the maps, `[B, h, w, C]`; 0 outside."""
        batch, height, width, channels = values.shape
        back = geometry.invert_affine(self.map_matrix(matrix))[:, :, :, None, None]
        rows, columns = self.map_hw
        y = jnp.arange(rows, dtype=back.dtype)[None, :, None]
        x = jnp.arange(columns, dtype=back.dtype)[None, None, :]
        # Clipped before they become integers: a padding sample may be anywhere.
        source_x, source_y = (
            jnp.clip(jnp.rint(back[:, i, 0] * x + back[:, i, 1] * y + back[:, i, 2]), -1, limit)
            for i, limit in ((0, width), (1, height))
        )
        inside = (source_x >= 0) & (source_x < width) & (source_y >= 0) & (source_y < height)
        place = jnp.clip(source_y, 0, height - 1) * width + jnp.clip(source_x, 0, width - 1)
        place = place.astype(jnp.int32).reshape(batch, -1, 1)
        found = jnp.take_along_axis(values.reshape(batch, -1, channels), place, axis=1)
        return found.reshape(batch, rows, columns, channels) * inside[..., None]

    def decode(self, outputs: Any) -> Surface:
        """Decode the likeliest chart of each pixel of the body, with its U and V clipped to 0..1.

        A pixel is of the body where the coarse segmentation has no background. Outputs at points
        (`losses.densepose.outputs_at`) are decoded as maps of one row.
        """
        body = outputs.coarse.argmax(axis=-1) > 0
        chart = outputs.fine[..., 1:].argmax(axis=-1) + 1
        part = jnp.where(body, chart, 0).astype(jnp.int32)
        uv = jnp.concatenate(
            [values_at(x.astype(jnp.float32), part[..., None], -1) for x in (outputs.u, outputs.v)],
            axis=-1,
        )
        uv = jnp.where(body[..., None], jnp.clip(uv, 0.0, 1.0), 0.0)
        sure = jax.nn.softmax(outputs.fine.astype(jnp.float32), axis=-1)
        sure = values_at(sure, part[..., None], -1)[..., 0] * body
        count = body.sum(axis=(1, 2))
        score = jnp.where(count > 0, sure.sum(axis=(1, 2)) / jnp.maximum(count, 1), 0.0)
        return Surface(part, uv, score)
