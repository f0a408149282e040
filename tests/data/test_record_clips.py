"""Clips around the people of records: frames by the numbers of their names, cut alike."""

import cv2
import numpy as np
import pytest

from jaxpose.data.builder import write_dataset
from jaxpose.data.canvas import Canvas, ImageAnnotation, InstanceAnnotation
from jaxpose.data.frames import Clips
from jaxpose.data.source import Records
from jaxpose.errors import InputError
from jaxpose.skeletons import Skeleton

DOT = Skeleton("dot", keypoints=("dot", "other"))


def frame(t: int) -> np.ndarray:
    """A bright square of 20 pixels that moves by 10 pixels a frame, on grey."""
    image = np.full((120, 160, 3), 60, np.uint8)
    image[50:70, 30 + 10 * t : 50 + 10 * t] = 250
    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Video of frames 0 to 3, of which 0 and 2 are labelled."""
    root = tmp_path_factory.mktemp("clips")
    (root / "images" / "walk").mkdir(parents=True)
    annotated = []
    for t in range(4):
        name = f"walk/{t:06d}.jpg"
        cv2.imwrite(str(root / "images" / name), frame(t), [cv2.IMWRITE_JPEG_QUALITY, 100])
        if t in (0, 2):
            middle = np.array([39.5 + 10 * t, 59.5])
            person = InstanceAnnotation(
                annotation_id=t,
                keypoints=np.stack([middle, middle + 5]),
                visible=np.array([2, 2]),
                box_xywh=np.array([*(middle - 20), 40, 40]),
            )
            path = root / "images" / name
            annotated.append(ImageAnnotation(path, name, t, (person,), first_key=t))
    write_dataset(
        root / "records", name="dots", splits={"train": annotated}, skipped={}, skeleton=DOT,
        canvas=Canvas.parse("96x96"), sources={}, overwrite=False,
    )  # fmt: skip
    return root


def clips(folder, **changes) -> Clips:
    options = {"images": str(folder / "images"), "times": (-1, 1)} | changes
    return Clips(Records(str(folder / "records"), "train"), **options)


def centre(canvas: np.ndarray) -> np.ndarray:
    """Mean place (x, y) of the bright pixels."""
    rows, columns = np.nonzero(canvas[..., 0] > 150)
    return np.array([columns.mean(), rows.mean()])


def test_frames_are_cut_with_the_labelled_one(folder):
    source = clips(folder).open()
    order = np.argsort([int(name[-5]) for name in source.source.image_names([0, 1])])
    batch = source.samples(order)
    assert batch["frames"].shape == (2, 2, 96, 96, 3)
    np.testing.assert_array_equal(batch["times"], [[-1, 1], [-1, 1]])
    scale = np.linalg.inv(batch["photo_from_canvas"][1][:, :2])[0, 0]
    own = centre(batch["image"][1])
    np.testing.assert_allclose(own, batch["keypoints"][1][0], atol=0.6)
    for place, time in enumerate((-1, 1)):
        moved = centre(batch["frames"][1, place]) - own
        np.testing.assert_allclose(moved, [10 * scale * time, 0], atol=0.6)
    # There is no frame before the first one.
    np.testing.assert_array_equal(batch["frames"][0, 0], batch["image"][0])
    assert centre(batch["frames"][0, 1])[0] > centre(batch["image"][0])[0] + 5 * scale
    assert source.fingerprint() != clips(folder, times=(-2, 1)).open().fingerprint()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"times": (0, 1)}, "times are those of other frames"),
        ({"times": ()}, "times are those of other frames"),
        ({"images": "nowhere"}, "nowhere is no folder"),
        ({"times": (7,)}, r"has no frame \+7 beside those of the records, such as walk/"),
    ],
)
def test_clips_that_cannot_be_opened(folder, changes, message):
    with pytest.raises(InputError, match=message):
        clips(folder, **changes).open()
