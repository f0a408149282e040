"""COCO annotations: a bad annotation is a counted skip, a wrong file an error that says why."""

import json

import numpy as np
import pytest

from jaxpose.data import coco_json
from jaxpose.data.coco_json import read_people
from jaxpose.errors import InputError
from jaxpose.skeletons import COCO17, LSP14


def test_people_come_in_order_with_their_photos(coco):
    file, images = coco()
    photos, skips, notes = read_people(file, images, COCO17)
    assert skips == [] and notes == []
    assert [p.name for p in photos] == ["0.jpg", "1.jpg", "2.jpg"]
    assert [p.first_key for p in photos] == [0, 2, 4]
    assert photos[1].image_id == 11 and photos[1].photo_hw == (60, 80)
    person = photos[1].people[1]
    assert person.annotation_id == 102 and person.area == 800.5 and person.clip
    np.testing.assert_array_equal(person.box_xywh, [20, 10, 35, 45])
    np.testing.assert_array_equal(person.keypoints[0], [22, 12])
    np.testing.assert_array_equal(person.visible, [2] * 8 + [1] * 8 + [0])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iscrowd": 1}, coco_json.CROWD),
        ({"keypoints": [1.0] * 50}, coco_json.WRONG_LENGTH),
        ({"keypoints": []}, coco_json.WRONG_LENGTH),
        ({"keypoints": ["a"] * 51}, coco_json.NOT_NUMBERS),
        ({"keypoints": [[1, 2], [3]]}, coco_json.NOT_NUMBERS),
        ({"bbox": [1, 2, 3]}, coco_json.NOT_NUMBERS),
        ({"bbox": "box"}, coco_json.NOT_NUMBERS),
        ({"area": "large"}, coco_json.NOT_NUMBERS),
        ({"id": 1}, coco_json.ID_TWICE),
        ({"id": "seven"}, coco_json.BAD_ID),
        ({"id": None}, coco_json.BAD_ID),
        ({"id": 2**70}, coco_json.BAD_ID),
        ({"image_id": [3]}, coco_json.BAD_ID),
        ({"image_id": 99}, coco_json.NO_PHOTO_ENTRY),
        ({"category_id": 2}, coco_json.NO_CATEGORY_KEYPOINTS),
    ],
)
def test_a_bad_annotation_is_left_out_and_named(coco, make_content, changes, reason):
    content = make_content()
    content["categories"].append({"id": 2, "name": "chair"})
    content["annotations"][1].update(changes)
    photos, (skip,), _ = read_people(*coco(content), COCO17)
    assert skip.reason == reason
    assert str(changes.get("id", 2)) in skip.who
    assert sum(len(photo.people) for photo in photos) == 5


def test_null_and_nan_pass_to_the_checks_of_the_canvas(coco, make_content):
    content = make_content()
    content["annotations"][0]["bbox"][0] = None
    content["annotations"][1]["area"] = float("nan")  # Python writes NaN, which is not even JSON
    photos, skips, _ = read_people(*coco(content), COCO17)
    assert skips == []
    assert np.isnan(photos[0].people[0].box_xywh[0]) and np.isnan(photos[0].people[1].area)


def test_absent_area_stays_absent(coco, make_content):
    content = make_content()
    del content["annotations"][0]["area"]
    photos, _, _ = read_people(*coco(content), COCO17)
    assert photos[0].people[0].area is None


def test_a_photo_id_of_two_files_loses_its_people(coco, make_content):
    content = make_content()
    content["images"].append({**content["images"][0], "file_name": "other.jpg"})
    content["images"].append(dict(content["images"][1]))  # the same twice does no harm
    photos, skips, _ = read_people(*coco(content), COCO17)
    assert [skip.reason for skip in skips] == [coco_json.PHOTO_ID_TWICE] * 2
    assert [photo.name for photo in photos] == ["1.jpg", "2.jpg"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"images": [}', r"not valid JSON: .* line 1, column 13"),
        ("[]", "it contains a list, but COCO has an object"),
        ("7", "it contains a number"),
        ("null", "it contains a null"),
        ('{"images": [], "annotations": []}', "no 'categories'"),
        ('{"images": [], "anotations": [], "categories": []}', "Did you mean 'anotations'"),
        ('{"images": {}, "annotations": [], "categories": []}', "'images' is not a list"),
        ('{"images": [1], "annotations": [], "categories": []}', "'images' is not a list of obj"),
        ('{"images": [], "annotations": [], "categories": []}', "'annotations' is empty"),
    ],
)
def test_a_file_that_is_not_coco_is_refused(coco, text, said):
    file, images = coco()
    file.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        read_people(file, images, COCO17)
    assert str(file) in str(caught.value)


def test_a_photo_given_as_annotations_is_refused(coco):
    _, images = coco()
    with pytest.raises(InputError, match="not a text file"):
        read_people(images / "0.jpg", images, COCO17)


def test_missing_paths_name_the_nearest(coco):
    file, images = coco()
    with pytest.raises(InputError, match=r"does not exist.*Did you mean 'people.json'"):
        read_people(file.with_name("peple.json"), images, COCO17)
    with pytest.raises(InputError, match=r"does not exist.*Did you mean 'photos'"):
        read_people(file, images.with_name("photo"), COCO17)
    with pytest.raises(InputError, match="is a file"):
        read_people(file, file, COCO17)


def test_another_skeleton_is_refused(coco, make_content):
    with pytest.raises(InputError, match="has 17 keypoints, skeleton 'lsp14' has 14"):
        read_people(*coco(), LSP14)
    content = make_content()
    for entry in content["annotations"]:
        entry["keypoints"] = entry["keypoints"][:42]
    with pytest.raises(InputError, match=r"have 42 numbers of keypoints; .* needs 51"):
        read_people(*coco(content), COCO17)
    for entry in content["annotations"]:
        del entry["keypoints"]
    with pytest.raises(InputError, match="no annotation has 'keypoints'"):
        read_people(*coco(content), COCO17)


def test_keypoints_in_another_order_are_refused(coco, make_content):
    content = make_content()
    names = content["categories"][0]["keypoints"]
    names[1], names[2] = names[2], names[1]
    with pytest.raises(InputError, match=r"keypoint 1 is 'right_eye', .* has at place 2"):
        read_people(*coco(content), COCO17)


def test_other_names_are_noted(coco, make_content):
    content = make_content()
    content["categories"][0]["keypoints"][:2] = ["Nose", "L_Eye"]
    _, _, (note,) = read_people(*coco(content), COCO17)
    assert note.endswith("L_Eye as left_eye")


@pytest.mark.parametrize("names", [None, [], "nose"])
def test_categories_without_keypoints_are_refused(coco, make_content, names):
    content = make_content()
    content["categories"][0]["keypoints"] = names
    with pytest.raises(
        InputError, match=r"no category has keypoints|not a list of names"
    ) as caught:
        read_people(*coco(content), COCO17)
    if names != "nose":
        assert '"keypoints": ["nose", ...]' in str(caught.value)


def test_real_annotations(shared):
    folder = shared / "data" / "coco"
    for split, people, left_out in (("train", 142, 5), ("val", 92, 1)):
        file = folder / "annotations" / f"person_keypoints_{split}2017.json"
        photos, skips, _ = read_people(file, folder / f"{split}2017", COCO17)
        assert sum(len(photo.people) for photo in photos) == people
        assert len(skips) == left_out and {skip.reason for skip in skips} == {coco_json.CROWD}
        listed = {entry["id"] for entry in json.loads(file.read_text())["images"]}
        assert {photo.image_id for photo in photos} <= listed
