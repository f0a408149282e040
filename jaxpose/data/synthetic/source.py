"""Synthetic people as a dataset."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from jaxpose.data.source import Batch, check_indices
from jaxpose.data.synthetic.image import render, render_image
from jaxpose.errors import InputError
from jaxpose.skeletons import COCO17, Skeleton

RENDERER_VERSION = 3
"""Part of every fingerprint: raised whenever a (seed, index) gives other pixels or labels."""

_BATCH_KEYS = ("image", "keypoints", "visible", "box_xywh", "photo_from_canvas", "area",
               "image_id", "annotation_id")  # fmt: skip


class SyntheticSource:
    """Dataset of `count` people drawn on demand; sample i is `render(seed, first_index + i)`.

    Two sources share no sample when their seeds differ or their ranges `first_index .. first_index
    + count - 1` do not overlap: give training and held-out people different seeds, or ranges of one
    seed. Ids are absolute indices, so that they stay unique over all ranges of a seed.

    Attributes:
      count: number of samples, at least 1.   seed: number of the set, >= 0.
      first_index: index of the source's first sample in the set.
      plain: upright people who face the camera, alone and whole in the image (see `render`).
    """

    keys: ClassVar[tuple[str, ...]] = _BATCH_KEYS
    """Entries of `render` that a batch has."""

    def __init__(
        self,
        count: int,
        seed: int,
        canvas_hw: tuple[int, int] = (384, 288),
        first_index: int = 0,
        plain: bool = False,
    ):
        """Raises InputError for a count below 1, a negative seed or a canvas below 32 pixels."""
        if count < 1 or seed < 0 or first_index < 0:
            raise InputError(
                "Synthetic people need count >= 1, seed >= 0 and first_index >= 0; got "
                f"count={count}, seed={seed}, first_index={first_index}."
            )
        if min(canvas_hw) < 32:
            raise InputError(f"A canvas of {canvas_hw} pixels is too small to draw a person in.")
        self.count, self.seed, self.first_index = int(count), int(seed), int(first_index)
        self.plain = bool(plain)
        self._canvas_hw = (int(canvas_hw[0]), int(canvas_hw[1]))

    @property
    def canvas_hw(self) -> tuple[int, int]:
        return self._canvas_hw

    @property
    def skeleton(self) -> Skeleton:
        return COCO17

    def __len__(self) -> int:
        return self.count

    def fingerprint(self) -> str:
        """Identifies the content: renderer version, seed, range and canvas."""
        last = self.first_index + self.count - 1
        h, w = self._canvas_hw
        kind = "plain" if self.plain else "synthetic"
        return f"{kind}-v{RENDERER_VERSION}-seed{self.seed}-{self.first_index}..{last}-{h}x{w}"

    def samples(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """Renders the samples of these indices, in this order, as a batch; `mask` is all True.

        Raises:
            InputError: an index lies outside `[0, count)`.
        """
        wanted = check_indices(indices, self.count)
        rows = [
            render(
                self.seed, self.first_index + int(i), canvas_hw=self._canvas_hw, plain=self.plain
            )
            for i in wanted
        ]
        batch = {key: np.stack([row[key] for row in rows]) for key in self.keys}
        return {**batch, "index": wanted, "mask": np.ones(len(wanted), bool)}


__all__ = ["RENDERER_VERSION", "SyntheticSource", "render", "render_image"]
