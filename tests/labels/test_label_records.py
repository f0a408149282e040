"""Records of labels: boxes, held-out images, and images without labels."""

from dataclasses import replace

import numpy as np
import pytest
from tool_labels import HW, MOUSE, without_boxes

from jaxpose.data.canvas import AREA_OF_BOX
from jaxpose.errors import InputError
from jaxpose.labels.labels import Instance
from jaxpose.labels.records import annotated_splits, columns
from jaxpose.skeletons import Skeleton


def people(splits):
    return [person for images in splits.values() for image in images for person in image.people]


def test_a_box_is_the_tools_or_the_extent_of_the_keypoints(made):
    labels, _ = made()
    splits, _, _ = annotated_splits(labels, MOUSE)
    truth = [one for image in labels.images for one in image.instances]
    for person, one in zip(people(splits), truth, strict=True):
        assert person.box_xywh is one.box_xywh and person.area is None
    splits, _, _ = annotated_splits(without_boxes(labels), MOUSE)
    for person, one in zip(people(splits), truth, strict=True):
        labelled = one.keypoints[one.visible > 0]
        size = np.ptp(labelled, axis=0) * 1.25
        centre = (labelled.max(axis=0) + labelled.min(axis=0)) / 2
        expected = [*(centre - size / 2), *size]
        np.testing.assert_allclose(person.box_xywh, expected, rtol=1e-12)


def test_a_single_point_has_a_box_with_sides():
    points = np.array([[20.0, 30], [np.nan, np.nan]])
    one = Instance(points, np.array([2, 0]), "")
    assert one.extent(6).tolist() == [17, 27, 6, 6]
    assert Instance(points * np.nan, np.array([0, 0]), "").extent(6).tolist() == [0, 0, 0, 0]


def test_the_whole_image_as_box_keeps_the_size_of_the_individual(made):
    labels, _ = made()
    splits, _, _ = annotated_splits(labels, MOUSE, whole_image_boxes=True)
    truth = [one for image in labels.images for one in image.instances]
    for person, one in zip(people(splits), truth, strict=True):
        assert person.box_xywh.tolist() == [0, 0, HW[1], HW[0]]
        assert person.area == pytest.approx(AREA_OF_BOX * one.box_xywh[2] * one.box_xywh[3])


def test_whole_videos_are_held_out(made):
    names = [f"v{video}/{number}.png" for video in range(5) for number in range(4)]
    labels, _ = made(("anna",), names=names)
    images = tuple(replace(i, instances=labels.images[0].instances) for i in labels.images)
    labels = replace(labels, images=images)
    splits, _, _ = annotated_splits(labels, MOUSE, held_out=0.2, by_video=True)
    videos = {split: {i.name[:2] for i in images} for split, images in splits.items()}
    assert len(videos["val"]) == 1 and not videos["val"] & videos["train"]
    assert len(splits["val"]) == 4
    few = replace(labels, images=images[:16])  # four videos
    splits, _, _ = annotated_splits(few, MOUSE, held_out=0.25, by_video=True)
    assert len({image.name[:2] for image in splits["val"]}) > 1


def test_held_out_images_are_always_the_same(made):
    names = [f"v/{number}.png" for number in range(10)]
    labels, _ = made(names=names)
    splits, _, _ = annotated_splits(labels, MOUSE, held_out=0.3)
    counts = {split: len(images) for split, images in splits.items()}
    assert counts == {"train": 6, "val": 3}  # one of the ten has no labels
    again, _, _ = annotated_splits(labels, MOUSE, held_out=0.3)
    assert [image.name for image in again["val"]] == [image.name for image in splits["val"]]
    for images in splits.values():  # each person has a key in the split
        keys = [image.first_key + n for image in images for n in range(len(image.people))]
        assert keys == list(range(len(keys)))
    with pytest.raises(InputError, match="leaves one split empty"):
        annotated_splits(labels, MOUSE, held_out=0.01)


def test_images_without_labels_are_counted_or_taken(made):
    labels, _ = made()
    splits, _, notes = annotated_splits(labels, MOUSE)
    assert len(splits["train"]) == 2 and "1 images have no labels and are left out" in notes
    splits, _, notes = annotated_splits(labels, MOUSE, empty=True)
    assert [len(image.people) for image in splits["train"]] == [2, 0, 1] and not notes


def test_whole_images_are_prepared(made, run, tmp_path):
    from jaxpose.data.image_records import ImageSource
    from jaxpose.labels.labelme import write_labelme

    labels, folder = made()
    write_labelme(labels, MOUSE, tmp_path / "labelme")
    result = run(
        *("prepare", "labels", tmp_path / "labelme", "--images", folder, "--layout", "images"),
        *("--skeleton", tmp_path / "s.toml", "--out", tmp_path / "data", "--canvas", "96x128"),
        *("--processes", 1, "--empty"),
    )
    assert result.exit_code == 0, result.stderr
    batch = ImageSource(tmp_path / "data", "train").samples(np.arange(3))
    assert (batch["visible"] > 0).any(axis=-1).sum(axis=-1).tolist() == [2, 0, 1]


def test_keypoints_are_found_by_their_names(made):
    labels, _ = made()
    skeleton = Skeleton(
        "other", ("tail_base", "ear right", "ear left", "snout"), pairs=(("ear left", "ear right"),)
    )
    places, notes = columns(labels, skeleton)
    assert places.tolist() == [3, 2, 1, 0]
    assert "left_ear as ear left" in notes[0]
