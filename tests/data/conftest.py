"""A source whose samples carry their own number, and a small COCO dataset on disk."""

import json

import cv2
import numpy as np
import pytest

from jaxpose.data.canvas import Canvas
from jaxpose.data.coco_json import read_people
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


IMAGE_HW = (60, 80)


def photo_of(number, hw=IMAGE_HW):
    """A smooth RGB photo that JPEG keeps nearly unchanged, another for each number."""
    y, x = np.mgrid[0 : hw[0], 0 : hw[1]].astype(np.float64)
    waves = [np.sin(x / 9 + number), np.cos(y / 7 - number), np.sin((x + y) / 11)]
    return (127 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)


def person_entry(number, image_id, **changes):
    """A COCO annotation of one person with 17 keypoints, of which the last is not labelled."""
    places = np.stack([np.linspace(22, 50, 17), np.linspace(12, 52, 17)], axis=1)
    flags = np.array([2] * 8 + [1] * 8 + [0])[:, None]
    keypoints = np.where(flags > 0, np.concatenate([places, flags], axis=1), 0)
    entry = {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "keypoints": keypoints.ravel().tolist(),
        "bbox": [20, 10, 35, 45],
        "area": 800.5,
        "iscrowd": 0,
    }
    return {**entry, **changes}


def coco_content(images=3, people=2):
    """The JSON of `images` photos with `people` people on each."""
    return {
        "images": [
            {"id": 10 + i, "file_name": f"{i}.jpg", "height": IMAGE_HW[0], "width": IMAGE_HW[1]}
            for i in range(images)
        ],
        "annotations": [
            person_entry(100 * i + j + 1, 10 + i) for i in range(images) for j in range(people)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.keypoints)}],
    }


@pytest.fixture
def coco(tmp_path):
    """Writes a COCO dataset and returns its (JSON file, photo folder)."""

    def write(content=None, images=3):
        folder = tmp_path / "photos"
        folder.mkdir(exist_ok=True)
        for number in range(images):
            cv2.imwrite(str(folder / f"{number}.jpg"), photo_of(number)[..., ::-1])
        file = tmp_path / "people.json"
        file.write_text(json.dumps(coco_content(images) if content is None else content))
        return file, folder

    return write


@pytest.fixture
def prepared(coco, tmp_path):
    """A prepared dataset of six people on three photos; the folder."""
    from jaxpose.data.builder import write_dataset

    file, images = coco()
    full_images, skipped, _ = read_people(file, images, COCO17)
    out = tmp_path / "prepared"
    write_dataset(
        out,
        name="coco",
        splits={"train": full_images},
        skipped={"train": skipped},
        skeleton=COCO17,
        canvas=Canvas(hw=(48, 36)),
        sources={"annotations": file},
        processes=1,
    )
    return out


@pytest.fixture
def make_person():
    return person_entry


@pytest.fixture
def make_content():
    return coco_content


@pytest.fixture
def make_photo():
    return photo_of
