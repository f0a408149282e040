"""MPII: the official structure as MATLAB nests it, MMPose's list, box and head box."""

import json

import numpy as np
import pytest
from scipy.io import savemat

from jaxpose import geometry
from jaxpose.data.canvas import NO_KEYPOINTS
from jaxpose.data.coco_json import NOT_NUMBERS, WRONG_LENGTH
from jaxpose.data.records import RecordSource
from jaxpose.errors import InputError


def _array(dtype, rows):
    """A 1xN struct array as MATLAB writes it."""
    array = np.zeros((1, len(rows)), dtype=[(name, object) for name in dtype])
    for column, row in enumerate(rows):
        for name in dtype:
            array[0, column][name] = row.get(name, np.zeros((0, 0)))
    return array


def _struct(**fields):
    return _array(list(fields), [fields])


def _points(numbers, flag):
    rows = [{"x": 10.0 + n, "y": 20.0 + 2 * n, "id": n, "is_visible": flag(n)} for n in numbers]
    return _struct(point=_array(["x", "y", "id", "is_visible"], rows))


EMPTY = np.zeros((0, 0))


@pytest.fixture
def official(tmp_path, write_photo):
    """Photos: two people; one person; a test photo without points; one person without scale."""

    def flag(number):
        return EMPTY if number in (8, 9) else str(number % 2)  # as text, as in the real file

    place = _struct(x=30.0, y=40.0)
    head = {"x1": 11.0, "y1": 12.0, "x2": 21.0, "y2": 32.0}
    fields = ["x1", "y1", "x2", "y2", "annopoints", "scale", "objpos"]
    whole = {**head, "annopoints": _points(range(16), flag), "scale": 0.2, "objpos": place}
    part = {**head, "annopoints": _points([0, 9], flag), "scale": 0.1, "objpos": place}
    names = ["annorect", "image"]
    rows = [
        {"annorect": _array(fields, [whole, part]), "image": _struct(name="a.jpg")},
        {"annorect": _array(fields, [part]), "image": _struct(name="b.jpg")},
        {"annorect": _array(["scale", "objpos"], [{"scale": 1.0}]), "image": _struct(name="c.jpg")},
        {"annorect": _array(fields, [{"annopoints": part["annopoints"]}]),
         "image": _struct(name="d.jpg")},
        {"annorect": EMPTY, "image": _struct(name="e.jpg")},
    ]  # fmt: skip
    release = _struct(annolist=_array(names, rows), img_train=np.array([[1, 1, 0, 1, 1]]))
    savemat(tmp_path / "mpii.mat", {"RELEASE": release})
    for name in "abcde":
        write_photo(tmp_path / "images" / f"{name}.jpg", hw=(120, 100))
    return tmp_path / "mpii.mat", tmp_path / "images"


def test_the_official_file(script, official):
    images, skips = script("mpii").people_of_mat(*official)
    assert [(p.name, p.image_id, len(p.people)) for p in images] == [
        ("a.jpg", 1, 2),
        ("b.jpg", 2, 1),
    ]
    assert not any(skip.fault for skip in skips)
    assert "person 1 in d.jpg" in [s.who for s in skips if s.reason == "no centre or scale"]
    assert {skip.reason for skip in skips} == {"no centre or scale", NO_KEYPOINTS}
    first, second = images[0].people
    assert (first.annotation_id, second.annotation_id) == (1001, 1002)
    np.testing.assert_array_equal(first.keypoints[3], [12, 25])  # MATLAB counts from 1
    expected = [1, 2] * 8
    expected[8] = expected[9] = 2  # no flag: seen
    np.testing.assert_array_equal(first.visible, expected)
    np.testing.assert_array_equal(np.flatnonzero(second.visible), [0, 9])
    np.testing.assert_array_equal(first.head_xyxy, [10, 11, 20, 31])
    np.testing.assert_allclose(first.box_xywh, [9, 22, 40, 40])


def test_the_official_file_becomes_records(prepare, official, tmp_path):
    file, images = official
    result = prepare(
        "mpii", "--annotations", file, "--images", images, "--out", tmp_path / "out",
        "--processes", 1, "--canvas", "96x96",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    source = RecordSource(tmp_path / "out", "train")
    batch = source.samples([0, 1, 2])
    np.testing.assert_array_equal(batch["annotation_id"], [1001, 1002, 2001])
    np.testing.assert_array_equal(source.head_boxes([2]), [[10, 11, 20, 31]])
    image = geometry.apply_affine(batch["photo_from_canvas"], batch["keypoints"])
    np.testing.assert_allclose(image[0, 15], [24, 49], atol=1e-4)


def test_the_list_of_mmpose(script, shared):
    folder = shared / "data" / "samples" / "mpii"
    images, skips = script("mpii").people_of_json(folder / "test_mpii.json", folder)
    assert skips == [] and sum(len(image.people) for image in images) == 5
    person = images[0].people[0]
    np.testing.assert_array_equal(person.keypoints[0], [803, 710])
    assert person.visible.tolist() == [2] * 16 and not person.clip
    size = 200 * 4.718488
    middle = np.array([965, 339 + 15 * 4.718488])
    np.testing.assert_allclose(person.box_xywh[2:], size)
    np.testing.assert_allclose(person.box_xywh[:2] + size / 2, middle)


def _entry(**changes):
    entry = {
        "image": "a.jpg",
        "center": [30, 40],
        "scale": 0.2,
        "joints": [[10 + i, 20 + i] for i in range(16)],
        "joints_vis": [1] * 15 + [0],
    }
    return {**entry, **changes}


def test_bad_entries_of_the_list_are_left_out(prepare, script, tmp_path, write_photo):
    entries = [
        _entry(),
        _entry(joints=[[1, 2]] * 15),
        _entry(joints_vis=[1]),
        _entry(center="middle"),
        _entry(scale=None),
        {"image": "a.jpg"},
        _entry(center=[-1, -1], scale=-1),  # how the list marks a person without them
    ]
    file = tmp_path / "list.json"
    file.write_text(json.dumps(entries))
    images, skips = script("mpii").people_of_json(file, tmp_path)
    unmarked = [WRONG_LENGTH] * 2 + [NOT_NUMBERS] * 3
    assert [skip.reason for skip in skips] == [*unmarked, "no centre or scale"]
    assert images[0].people[0].visible[15] == 0
    write_photo(tmp_path / "a.jpg")
    result = prepare(
        "mpii", "--annotations", file, "--images", tmp_path, "--out", tmp_path / "out",
        "--processes", 1, "--split", "val",
    )  # fmt: skip
    assert result.exit_code == 1, result.stderr
    assert "Given 7 people = done 1 + left out 6" in result.stdout
    left_out = json.loads((tmp_path / "out" / "summary.json").read_text())["splits"]["val"]
    assert left_out["counts"][0]["left_out"] == {
        WRONG_LENGTH: 2, NOT_NUMBERS: 3, "no centre or scale": 1,
    }  # fmt: skip
    assert len(RecordSource(tmp_path / "out", "val")) == 1


def test_wrong_files_are_named(script, tmp_path):
    module = script("mpii")
    savemat(tmp_path / "other.mat", {"RELEASE": np.zeros(3)})
    with pytest.raises(InputError, match="no field `annolist`"):
        module.people_of_mat(tmp_path / "other.mat", tmp_path)
    file = tmp_path / "list.json"
    file.write_text('{"images": []}')
    with pytest.raises(InputError, match="must contain a list of objects"):
        module.people_of_json(file, tmp_path)
    file.write_text('[{"image": "a.jpg", "joints": []}]')
    with pytest.raises(InputError, match="lack center, scale, joints_vis"):
        module.people_of_json(file, tmp_path)


def test_a_missing_photo_folder_is_named(prepare, official, tmp_path):
    result = prepare(
        "mpii",
        "--annotations",
        official[0],
        "--images",
        tmp_path / "image",
        "--out",
        tmp_path / "o",
    )
    assert result.exit_code == 2 and "did you mean 'images'" in result.stderr
