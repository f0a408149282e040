"""A source whose samples carry their own number, for tests of what moves samples about."""

import numpy as np
import pytest

from jaxpose.data.source import Batch, check_indices
from jaxpose.errors import InputError
from jaxpose.skeletons import COCO17


class NumberedSource:
    """Sample i is filled with i; `broken` names one that cannot be read."""

    def __init__(self, count, canvas_hw=(8, 6), broken=None):
        self.canvas_hw, self.skeleton = canvas_hw, COCO17
        self._count, self._broken = count, broken

    def __len__(self):
        return self._count

    def fingerprint(self):
        return f"numbered-{self._count}"

    def samples(self, indices) -> Batch:
        indices = check_indices(indices, self._count)
        if self._broken in indices:
            raise InputError(f"sample {self._broken} cannot be read")
        size = len(indices)

        def filled(shape, dtype):
            full = np.zeros((size, *shape), dtype)
            full += indices.astype(dtype).reshape(size, *[1] * len(shape))
            return full

        return {
            "image": filled((*self.canvas_hw, 3), np.uint8),
            "keypoints": filled((17, 2), np.float32),
            "visible": np.full((size, 17), 2, np.uint8),
            "box_xywh": filled((4,), np.float32) + 1,
            "photo_from_canvas": filled((2, 3), np.float32),
            "area": filled((), np.float32) + 1,
            "image_id": indices.copy(),
            "annotation_id": indices + 1000,
            "index": indices,
            "mask": np.ones(size, bool),
        }


@pytest.fixture
def numbered():
    return NumberedSource
