"""Whole images with all their people: written, read, and read one person at a time."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from jaxpose import geometry
from jaxpose.data import records
from jaxpose.data.canvas import BAD_BOX, Canvas
from jaxpose.data.coco_json import read_people
from jaxpose.data.image_records import ImageSource
from jaxpose.data.pipeline import sequential
from jaxpose.data.segmentation import decode_runs, draw_segmentation
from jaxpose.data.source import Images, Records
from jaxpose.errors import InputError
from jaxpose.skeletons import COCO17

CANVAS = Canvas(hw=(80, 80))


def content(make_content, make_person):
    """Three photos: two people; one person, a crowd and an unlabelled person; nobody."""
    made = make_content(images=3, people=0)
    runs = {"size": [60, 80], "counts": [60 * 70, 60 * 10]}  # the ten columns on the right
    made["annotations"] = [
        make_person(1, 10),
        make_person(2, 10, bbox=[40, 10, 30, 40]),
        make_person(3, 11, iscrowd=1, keypoints=[0] * 51, bbox=[70, 0, 10, 60], segmentation=runs),
        make_person(4, 11),
        make_person(5, 11, keypoints=[0] * 51, bbox=[0, 0, 12, 8]),
        make_person(6, 11, bbox=[4, 4, -3, 2]),
    ]
    return made


@pytest.fixture
def write(coco, make_content, make_person, tmp_path):
    from jaxpose.data.builder import write_dataset

    def written(empty=False, change=lambda full_images: full_images, **options):
        file, images = coco(content(make_content, make_person))
        full_images, skipped, _ = read_people(file, images, COCO17, whole_images=True, empty=empty)
        out = tmp_path / "images"
        arguments = {
            "name": "coco",
            "splits": {"train": change(full_images)},
            "skipped": {"train": skipped},
            "skeleton": COCO17,
            "canvas": CANVAS,
            "sources": {"annotations": file},
            "processes": 1,
            "layout": "images",
        }
        return out, write_dataset(out, **(arguments | options))

    return written


def test_every_image_holds_its_people(write, make_photo):
    out, summary = write()
    source = Images(str(out), "train").open()
    assert isinstance(source, ImageSource) and len(source) == 2 and source.people == 3
    batch = source.samples([0, 1])
    np.testing.assert_array_equal(batch["annotation_id"], [[1, 2, 0], [4, 3, 5]])
    np.testing.assert_array_equal(batch["valid"], [[1, 1, 0], [1, 1, 1]])
    np.testing.assert_array_equal(batch["crowd"], [[0, 0, 0], [0, 1, 0]])
    labelled = (batch["visible"] > 0).any(axis=-1)
    np.testing.assert_array_equal(labelled, [[1, 1, 0], [1, 0, 0]])
    to_image = batch["photo_from_canvas"].astype(np.float64)[:, None]
    points = geometry.apply_affine(to_image, batch["keypoints"])
    places = np.stack([np.linspace(22, 50, 17), np.linspace(12, 52, 17)], axis=1)[:16]
    np.testing.assert_allclose(points[0, 0, :16], places, atol=0.01)
    image = batch["image"][0].astype(float)
    assert image[:9].max() < 40 and image[71:].max() < 40  # the margins, but for JPEG's ringing
    shown = cv2.resize(make_photo(0), (80, 60))
    assert np.abs(image[15:65, 5:75] - shown[5:55, 5:75]).mean() < 8
    assert summary.splits["train"].written == 2
    assert summary.splits["train"].skipped == {BAD_BOX: 1}
    images, people = summary.counts
    assert (images.given, people.done, people.left_out) == (2, 5, {BAD_BOX: 1})


def test_regions_without_labels_are_marked(write):
    out, _ = write()
    ignore = Images(str(out), "train").open().samples([0, 1])["ignore"]
    assert ignore.shape == (2, 20, 20) and not ignore[0].any()
    # Rows 10 to 69 of the canvas hold the photo, a pixel of `ignore` four of its rows and columns.
    assert (ignore[1, 4:16, 18:] == 255).all()  # the crowd's runs
    assert (ignore[1, 3, :3] == 255).all()  # the box of the person without a label
    assert (ignore[1, 6:16, 4:17] == 0).all()


def test_one_person_at_a_time(write):
    out, _ = write()
    source = Records(str(out), "train").open()
    batch = source.samples(np.arange(len(source)))
    assert batch["annotation_id"].tolist() == [1, 2, 4]
    assert batch["keypoints"].shape == (3, 17, 2) and batch["image_id"].tolist() == [10, 10, 11]
    np.testing.assert_array_equal(batch["image"][0], batch["image"][1])
    whole = Images(str(out), "train").open().samples([0])
    np.testing.assert_array_equal(batch["keypoints"][1], whole["keypoints"][0, 1])
    assert source.fingerprint() != Images(str(out), "train").open().fingerprint()
    streamed = next(iter(sequential(source, 4)))
    assert streamed["mask"].tolist() == [True] * 3 + [False]


def test_images_without_people_are_stored_when_asked_for(write):
    out, _ = write(empty=True)
    source = Images(str(out), "train").open()
    batch = source.samples([2])
    assert len(source) == 3 and not batch["valid"].any() and batch["image"].any()


def test_keypoints_in_3d(write):
    def lifted(images):
        first, *others = images[0].people
        space = np.arange(51, dtype=np.float64).reshape(17, 3)
        return [
            replace(images[0], people=(replace(first, keypoints_3d=space), *others)),
            *images[1:],
        ]

    out, _ = write(change=lifted)
    batch = Images(str(out), "train").open().samples([0, 1])
    np.testing.assert_array_equal(batch["keypoints_3d"][0, 0].ravel(), np.arange(51))
    assert np.isnan(batch["keypoints_3d"][0, 1:]).all() and np.isnan(batch["keypoints_3d"][1]).all()


def test_more_people_than_rows_are_refused_and_rows_may_be_more(write):
    out, _ = write()
    with pytest.raises(InputError, match="1 images have more than 2 people, at most 3"):
        Images(str(out), "train", people=2).open()
    batch = Images(str(out), "train", people=7).open().samples([1])
    assert batch["valid"].sum() == 3 and batch["keypoints"].shape == (1, 7, 17, 2)


def test_two_runs_write_the_same_bytes(write, tmp_path):
    digests = [write(overwrite=True)[1].fingerprint for _ in range(2)]
    assert digests[0] == digests[1]


def test_crops_are_not_whole_images(prepared):
    with pytest.raises(InputError, match="record format 1, but whole images need format 2"):
        Images(str(prepared), "train").open()
    assert Records(str(prepared), "train").open().metadata["format"] == records.FORMAT == 1


def test_what_does_not_go_with_whole_images_is_refused(write):
    with pytest.raises(InputError, match="multiples of 4"):
        write(canvas=Canvas(hw=(81, 80)))
    with pytest.raises(InputError, match="leave out --beam"):
        write(beam_options=[])


def test_runs_in_both_forms():
    mask = np.zeros((4, 5), np.uint8)
    mask[1:3, 2] = mask[0, 4] = 1
    counts = [9, 2, 5, 1, 3]
    np.testing.assert_array_equal(decode_runs({"size": [4, 5], "counts": counts}), mask)
    # The differences from the one two before are 9, 2, 5, -1, -2: five bits to a character.
    text = "".join(chr(48 + (n & 31)) for n in (9, 2, 5, -1, -2))
    np.testing.assert_array_equal(decode_runs({"size": [4, 5], "counts": text}), mask)
    assert decode_runs({"size": [4, 5], "counts": [3, 3]}) is None
    assert decode_runs({"size": [4, 5]}) is None
    assert decode_runs({"size": [4, 5], "counts": [[20]]}) is None


def test_polygons_fill_their_cells():
    ignore = np.zeros((10, 10), np.uint8)
    square = [[8, 8, 23, 8, 23, 23, 8, 23]]
    assert draw_segmentation(ignore, square, np.eye(2, 3), (40, 40))
    assert (ignore[2:6, 2:6] == 255).all() and ignore.sum() <= 255 * 36
    for nothing in (None, [], [[1, 2]], "cat", [[float("nan")] * 6]):
        assert not draw_segmentation(ignore.copy(), nothing, np.eye(2, 3), (40, 40))
