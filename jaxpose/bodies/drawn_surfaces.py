"""Drawn people with maps of their surfaces: images, keypoints, and part, U and V of each pixel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from jaxpose.bodies.drawn import drawn_body
from jaxpose.bodies.drawn_charts import drawn_atlas
from jaxpose.bodies.drawn_people import BodySource
from jaxpose.bodies.model import pose_body
from jaxpose.bodies.surface_maps import pack_iuv, render_iuv
from jaxpose.data.source import Batch
from jaxpose.geometry.cameras import pinhole


class SurfaceSource(BodySource):
    """`BodySource` whose batches also have the map of each person's surface.

    `iuv [B, H, W, 3]` of the canvas, uint8: part, and U and V times 255, 0 outside the person. It
    is that of the free body without clothes.
    """

    keys: ClassVar[tuple[str, ...]] = BodySource.keys

    def samples(self, indices: Sequence[int] | np.ndarray) -> Batch:
        batch = dict(super().samples(indices))
        maps = []
        for row in range(len(batch["mask"])):
            # One body at a time, so that `pose_body` is compiled for one shape.
            body = pose_body(
                drawn_body(), *(batch[name][row] for name in ("shape", "rotations", "translation"))
            )
            camera = pinhole(batch["K"][row], np.eye(3), np.zeros(3))
            vertices = np.asarray(body.vertices, np.float64)
            maps.append(pack_iuv(render_iuv(drawn_atlas(), vertices, camera, self.canvas_hw)))
        return {**batch, "iuv": np.stack(maps)}


@dataclass(frozen=True)
class SyntheticSurfaces:
    """Drawn people with maps of their surfaces, for training of DensePose.

    People are upright, alone and whole in the image, so that all labelled pixels show them.

    Attributes:
      count: number of samples.
      seed: seed of the set; sets of different seeds are unrelated.
      canvas_hw: height and width of the canvas in pixels.
    """

    count: int
    seed: int
    canvas_hw: tuple[int, int] = (384, 288)

    def open(self) -> SurfaceSource:
        return SurfaceSource(self.count, self.seed, self.canvas_hw, plain=True)
