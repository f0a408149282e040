"""COCO annotations: a bad annotation is a counted skip, a wrong file an error that says why."""

import json

import numpy as np
import pytest

from jaxpose.data import coco_json
from jaxpose.data.coco_json import read_people
from jaxpose.errors import InputError
from jaxpose.skeletons import COCO17, LSP14, Skeleton


def test_people_come_in_order_with_their_photos(coco):
    file, images = coco()
    full_images, skips, notes = read_people(file, images, COCO17)
    assert skips == [] and notes == []
    assert [p.name for p in full_images] == ["0.jpg", "1.jpg", "2.jpg"]
    assert [p.first_key for p in full_images] == [0, 2, 4]
    assert full_images[1].image_id == 11 and full_images[1].image_hw == (60, 80)
    person = full_images[1].people[1]
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
        ({"bbox": [1, 2, 3]}, coco_json.BAD_BOX_LENGTH),
        ({"bbox": []}, coco_json.NO_BOX),
        ({"bbox": None}, coco_json.NO_BOX),
        ({"category_id": [2]}, coco_json.NO_CATEGORY),
        ({"category_id": 99}, coco_json.NO_CATEGORY),
        ({"category_id": None}, coco_json.NO_CATEGORY),
        ({"bbox": "box"}, coco_json.NOT_NUMBERS),
        ({"area": "large"}, coco_json.NOT_NUMBERS),
        ({"id": 1}, coco_json.ID_TWICE),
        ({"id": "seven"}, coco_json.BAD_ID),
        ({"id": None}, coco_json.BAD_ID),
        ({"id": 2**70}, coco_json.BAD_ID),
        ({"image_id": [3]}, coco_json.BAD_ID),
        ({"image_id": 99}, coco_json.NO_IMAGE_ENTRY),
        ({"category_id": 2}, coco_json.NO_CATEGORY_KEYPOINTS),
    ],
)
def test_a_bad_annotation_is_left_out_and_named(coco, make_content, changes, reason):
    content = make_content()
    content["categories"].append({"id": 2, "name": "chair"})
    content["annotations"][1].update(changes)
    images, (skip,), _ = read_people(*coco(content), COCO17)
    assert skip.reason == reason
    assert str(changes.get("id", 2)) in skip.who
    assert sum(len(image.people) for image in images) == 5


def test_null_and_nan_pass_to_the_checks_of_the_canvas(coco, make_content):
    content = make_content()
    content["annotations"][0]["bbox"][0] = None
    content["annotations"][1]["area"] = float("nan")  # Python writes NaN, which is not even JSON
    images, skips, _ = read_people(*coco(content), COCO17)
    assert skips == []
    assert np.isnan(images[0].people[0].box_xywh[0]) and np.isnan(images[0].people[1].area)


def test_absent_area_stays_absent(coco, make_content):
    content = make_content()
    del content["annotations"][0]["area"]
    images, _, _ = read_people(*coco(content), COCO17)
    assert images[0].people[0].area is None


def test_a_photo_id_of_two_files_loses_its_people(coco, make_content):
    content = make_content()
    content["images"].append({**content["images"][0], "file_name": "other.jpg"})
    content["images"].append(dict(content["images"][1]))  # the same twice does no harm
    images, skips, _ = read_people(*coco(content), COCO17)
    assert [skip.reason for skip in skips] == [coco_json.IMAGE_ID_TWICE] * 2
    assert [image.name for image in images] == ["1.jpg", "2.jpg"]


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
    with pytest.raises(InputError, match=r"does not exist.*did you mean 'people.json'"):
        read_people(file.with_name("peple.json"), images, COCO17)
    with pytest.raises(InputError, match=r"does not exist.*did you mean 'photos'"):
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
    with pytest.raises(InputError, match=r"keypoint 1 is 'right_eye', but .* has 'left_eye'"):
        read_people(*coco(content), COCO17)


@pytest.mark.parametrize(
    "names",
    [("Eye_R", "eye_L"), ("R Eye", "LEFT-EYE"), ("rightEye", "l.eye"), ("orbit_r", "orbit_l")],
)
def test_sides_that_are_swapped_are_refused_in_every_spelling(coco, make_content, names):
    content = make_content()
    content["categories"][0]["keypoints"][1:3] = names
    with pytest.raises(InputError, match=r"keypoint 1 is .* but .* has 'left_eye' at this place"):
        read_people(*coco(content), COCO17)


def test_order_is_checked_whatever_the_case_of_the_skeletons_names(coco, make_content):
    skeleton = Skeleton("titled", tuple(name.title() for name in COCO17.keypoints))
    content = make_content()
    images, skips, notes = read_people(*coco(content), skeleton)
    assert len(images) == 3 and not skips and not notes
    names = content["categories"][0]["keypoints"]
    names[0], names[1] = names[1], names[0]
    with pytest.raises(InputError, match="keypoint 0 is 'left_eye'"):
        read_people(*coco(content), skeleton)


def test_only_names_that_change_are_noted(coco, make_content):
    content = make_content()
    content["categories"][0]["keypoints"][:3] = ["Snout", "L_Eye", "eye.right"]
    _, _, (note,) = read_people(*coco(content), COCO17)
    assert note == "keypoints are stored under other names: Snout as nose"


def test_a_category_of_another_skeleton_leaves_the_others_usable(coco, make_content):
    content = make_content()
    dog = {"id": 2, "name": "dog", "keypoints": [f"d{i}" for i in range(24)]}
    content["categories"].insert(0, dog)
    content["annotations"][1] |= {"category_id": 2, "keypoints": [1.0] * 72}
    images, (skip,), (note,) = read_people(*coco(content), COCO17)
    assert sum(len(image.people) for image in images) == 5
    assert skip.reason == coco_json.OTHER_CATEGORY
    assert note == "left out: category 'dog' has 24 keypoints, skeleton 'coco17' has 17"
    dogs = Skeleton("dog", tuple(dog["keypoints"]))
    images, skips, _ = read_people(*coco(content), dogs)
    assert sum(len(image.people) for image in images) == 1 and len(skips) == 5


@pytest.mark.parametrize("name", ["0.jpg", "./0.jpg", ".//0.jpg", "a/../0.jpg"])
def test_the_second_image_id_of_a_file_is_left_out(coco, make_content, name):
    content = make_content()
    content["images"][1]["file_name"] = name
    images, skips, _ = read_people(*coco(content), COCO17)
    assert [skip.reason for skip in skips] == [coco_json.FILE_TWICE] * 2
    assert [image.image_id for image in images] == [10, 12]


@pytest.mark.parametrize("kind", ["parent", "absolute", "link"])
def test_nothing_is_read_outside_the_folder_unless_asked(coco, make_content, tmp_path, kind):
    content = make_content()
    file, folder = coco()
    secret = tmp_path / "secret.jpg"
    secret.write_bytes((folder / "0.jpg").read_bytes())
    (folder / "link.jpg").symlink_to(secret)
    name = {"parent": "../secret.jpg", "absolute": str(secret), "link": "link.jpg"}[kind]
    content["images"][0]["file_name"] = name
    coco(content)
    images, skips, _ = read_people(file, folder, COCO17)
    assert [skip.reason for skip in skips] == [coco_json.OUTSIDE] * 2 and len(images) == 2
    images, skips, _ = read_people(file, folder, COCO17, outside=True)
    assert not skips and images[0].path.is_file()


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
        images, skips, _ = read_people(file, folder / f"{split}2017", COCO17)
        assert sum(len(image.people) for image in images) == people
        assert len(skips) == left_out and {skip.reason for skip in skips} == {coco_json.CROWD}
        listed = {entry["id"] for entry in json.loads(file.read_text())["images"]}
        assert {image.image_id for image in images} <= listed
