"""Labels made by code, and their comparison with labels that were read."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from jaxpose.labels.labels import Instance, Labels
from jaxpose.skeletons import Skeleton

MOUSE = Skeleton(
    "mouse",
    ("snout", "left_ear", "right_ear", "tail base"),
    pairs=(("left_ear", "right_ear"),),
    limbs=(("snout", "tail base"), ("left_ear", "snout")),
)
HW = (90, 120)


def instance(rng, individual="", boxed=True):
    points = rng.uniform(5, 80, (4, 2))
    visible = rng.permutation([0, 1, 2, 2])
    points[visible == 0] = np.nan
    box = np.array([*rng.uniform(0, 5, 2), *rng.uniform(75, 84, 2)]) if boxed else None
    return Instance(points, visible, "made by code", individual, box)


def same(read, made, *, flags=True, boxes=True, names=True):
    """Assert that labels that were read back are those that were written, to 1e-3 px."""
    places = [read.keypoints.index(name) for name in made.keypoints]
    found = {image.name: image for image in read.images}
    assert sorted(found) == sorted(image.name for image in made.images)
    for image in made.images:
        back = found[image.name]
        assert len(back.instances) == len(image.instances), image.name
        for one, other in zip(image.instances, back.instances, strict=True):
            visible = other.visible[places]
            expected = one.visible if flags else np.where(one.visible, 2, 0)
            np.testing.assert_array_equal(visible, expected)
            points = other.keypoints[places]
            np.testing.assert_allclose(points, one.keypoints, atol=1e-3, rtol=0)
            if boxes and one.box_xywh is not None:
                np.testing.assert_allclose(other.box_xywh, one.box_xywh, atol=1e-3, rtol=0)
            if names:
                assert other.individual == one.individual


def without_boxes(labels: Labels) -> Labels:
    """The labels without boxes."""
    return replace(
        labels,
        images=tuple(
            replace(i, instances=tuple(replace(one, box_xywh=None) for one in i.instances))
            for i in labels.images
        ),
    )


def write_frame(path: Path, columns: list[tuple], rows: list, values: np.ndarray) -> None:
    """Writes a table as pandas' `to_hdf` does in its form `fixed`, for DeepLabCut's HDF5.

    Args:
      path: the file.
      columns: texts of each column.
      rows: text of each row, or a tuple of texts.
      values: `[rows, columns]`.
    """
    with h5py.File(path, "w") as file:
        frame = file.create_group("df_with_missing")
        frame.attrs["pandas_type"] = np.bytes_(b"frame")
        for name, entries in (("axis0", columns), ("block0_items", columns), ("axis1", rows)):
            if isinstance(entries[0], str):
                frame.attrs[f"{name}_variety"] = np.bytes_(b"regular")
                frame[name] = np.array([entry.encode() for entry in entries])
                continue
            frame.attrs[f"{name}_variety"] = np.bytes_(b"multi")
            frame.attrs[f"{name}_nlevels"] = len(entries[0])
            for level, texts in enumerate(zip(*entries, strict=True)):
                names = sorted(set(texts))
                frame[f"{name}_level{level}"] = np.array([text.encode() for text in names])
                places = np.array([names.index(text) for text in texts], np.int8)
                frame[f"{name}_label{level}"] = places
        frame["block0_values"] = np.asarray(values, np.float64)
