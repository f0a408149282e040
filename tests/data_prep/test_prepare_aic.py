"""AI Challenger's own list: flags, boxes, ids, and the same people as in MMPose's file."""

import json

import numpy as np
import pytest

from jaxpose.data.canvas import BAD_FLAG, fault_of
from jaxpose.data.coco_json import NO_BOX, NOT_NUMBERS, OUTSIDE, WRONG_LENGTH, read_people
from jaxpose.data.published_sets import PUBLISHED
from jaxpose.errors import InputError

POINTS = np.stack([np.arange(14), np.arange(14) + 5, [1, 2, 3, *[1] * 11]], axis=-1)


def _entry(**changes):
    return {
        "image_id": "a",
        "keypoint_annotations": {"human2": POINTS.ravel().tolist()},
        "human_annotations": {"human2": [10, 20, 40, 60]},
        **changes,
    }


def _read(script, tmp_path, *entries):
    file = tmp_path / "aic.json"
    file.write_text(json.dumps(entries))
    return script("aic").people(file, tmp_path)


def test_flags_and_boxes(script, tmp_path):
    (image,), skips = _read(
        script, tmp_path, _entry(image_id="b", keypoint_annotations={}), _entry()
    )
    (person,) = image.people
    assert skips == [] and (image.name, image.image_id) == ("a.jpg", 2)
    assert person.annotation_id == 2001
    assert person.visible[:4].tolist() == [2, 1, 0, 2]
    np.testing.assert_array_equal(person.keypoints, POINTS[:, :2])
    np.testing.assert_array_equal(person.box_xywh, [10, 20, 30, 40])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"human_annotations": {}}, NO_BOX),
        ({"human_annotations": {"human2": [1, 2, 3]}}, WRONG_LENGTH),
        ({"human_annotations": None}, NOT_NUMBERS),
        ({"keypoint_annotations": {"human2": [1, 2, 3]}}, WRONG_LENGTH),
        ({"keypoint_annotations": {"human2": ["x"] * 42}}, NOT_NUMBERS),
        ({"image_id": "../a"}, OUTSIDE),
    ],
)
def test_an_unusable_person_is_counted(script, tmp_path, changes, reason):
    images, (skip,) = _read(script, tmp_path, _entry(**changes))
    assert images == [] and skip.reason == reason and skip.fault


def test_an_unknown_flag_is_a_fault(script, tmp_path):
    points = POINTS.copy()
    points[0, 2] = 4
    changed = _entry(keypoint_annotations={"human2": points.ravel().tolist()})
    (image,), _ = _read(script, tmp_path, changed)
    assert fault_of(image.people[0]) == BAD_FLAG


@pytest.mark.parametrize("content", [{}, [], [1], [{"image_id": "a"}]])
def test_another_file_is_refused(script, tmp_path, content):
    file = tmp_path / "aic.json"
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match="no list of AI Challenger"):
        script("aic").people(file, tmp_path)


def test_the_same_people_as_in_the_file_of_mmpose(script, shared, tmp_path):
    folder = shared / "data" / "samples" / "aic"
    content = json.loads((folder / "test_aic.json").read_text())
    flags = {2: 1, 1: 2, 0: 3}
    entries = {}
    for image in content["images"]:
        entries[image["id"]] = _entry(
            image_id=image["file_name"].removesuffix(".jpg"),
            keypoint_annotations={},
            human_annotations={},
        )
    for number, person in enumerate(content["annotations"]):
        entry, human = entries[person["image_id"]], f"human{number}"
        points = np.reshape(person["keypoints"], (14, 3))
        points[:, 2] = [flags[flag] for flag in points[:, 2]]
        x, y, width, height = person["bbox"]
        entry["keypoint_annotations"][human] = points.ravel().tolist()
        entry["human_annotations"][human] = [x, y, x + width, y + height]
    file = tmp_path / "aic.json"
    file.write_text(json.dumps(list(entries.values())))
    ours, _ = script("aic").people(file, folder)
    layout = PUBLISHED["aic"]
    theirs, _, _ = read_people(folder / "test_aic.json", folder, layout.skeleton, published=layout)
    their_people = {image.name: image.people for image in theirs}
    assert {image.name for image in ours} == set(their_people)
    for image in ours:
        for mine, other in zip(image.people, their_people[image.name], strict=True):
            np.testing.assert_array_equal(mine.keypoints, other.keypoints)
            np.testing.assert_array_equal(mine.visible, other.visible)
            np.testing.assert_array_equal(mine.box_xywh, other.box_xywh)
