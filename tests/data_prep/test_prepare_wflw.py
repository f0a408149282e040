"""WFLW's own lists: landmarks, boxes as in MMPose's file, subsets by attribute, bad lines."""

import json

import numpy as np
import pytest

from jaxpose.data.coco_json import NOT_NUMBERS, OUTSIDE
from jaxpose.data.records import RecordSource
from jaxpose.errors import InputError


def _line(points, name, attributes=(0, 0, 0, 0, 0, 0)):
    numbers = [f"{value:.6f}" for value in np.ravel(points)] + ["1", "2", "3", "4"]
    return " ".join([*numbers, *map(str, attributes), name])


POINTS = np.stack([20.5 + np.arange(98) / 10, 30.25 + np.arange(98) / 5], axis=-1)


def test_a_line_is_a_face(script, tmp_path):
    file = tmp_path / "list.txt"
    file.write_text(
        "\n".join([_line(POINTS, "0--a b/c.jpg"), "", _line(POINTS + 1, "0--a b/c.jpg")])
    )
    (image,), skips = script("wflw").faces(file, tmp_path)
    assert skips == [] and image.name == "0--a b/c.jpg" and image.image_id == 1
    first, second = image.people
    assert (first.annotation_id, second.annotation_id) == (1, 3)
    np.testing.assert_allclose(first.keypoints, POINTS)
    assert first.visible.tolist() == [2] * 98 and not first.clip
    # Extent 20.5 to 30.2, 30.25 to 49.65: 20 to 31 and 30 to 50 in whole pixels.
    np.testing.assert_array_equal(first.box_xywh, [15.5, 30, 20, 20])


@pytest.mark.parametrize(
    "attribute", ["pose", "expression", "illumination", "make-up", "occlusion", "blur"]
)
def test_faces_are_chosen_by_attribute(script, tmp_path, attribute):
    file = tmp_path / "list.txt"
    ones = np.eye(6, dtype=int)
    file.write_text("\n".join(_line(POINTS, f"{i}.jpg", ones[i]) for i in range(6)))
    module = script("wflw")
    (image,), skips = module.faces(file, tmp_path, only=attribute)
    assert image.name == f"{module.ATTRIBUTES.index(attribute)}.jpg"
    assert len(skips) == 5 and not any(skip.fault for skip in skips)


def test_bad_lines_are_counted(script, tmp_path):
    file = tmp_path / "list.txt"
    lines = [
        *(_line(POINTS, "a.jpg"), "1 2 3", _line(POINTS, "../b.jpg")),
        _line(POINTS, "c.jpg").replace("30.250000", "x", 1),
    ]
    file.write_text("\n".join(lines))
    module = script("wflw")
    (image,), skips = module.faces(file, tmp_path)
    assert image.name == "a.jpg"
    assert [(skip.reason, skip.who) for skip in skips] == [
        (module.WRONG_LINE, "line 2"),
        (OUTSIDE, "line 3, ../b.jpg"),
        (NOT_NUMBERS, "line 4, c.jpg"),
    ]


@pytest.mark.parametrize("content", [b"", b"1 2 3\n", b"\xff\xfe\x00"])
def test_another_file_is_refused(script, tmp_path, content):
    file = tmp_path / "list.txt"
    file.write_bytes(content)
    with pytest.raises(InputError, match="no list of WFLW"):
        script("wflw").faces(file, tmp_path)


def test_the_same_records_as_from_the_file_of_mmpose(prepare, shared, tmp_path):
    folder = shared / "data" / "samples" / "wflw"
    content = json.loads((folder / "test_wflw.json").read_text())
    names = {image["id"]: image["file_name"] for image in content["images"]}
    lines = [
        _line(np.reshape(entry["keypoints"], (98, 3))[:, :2], names[entry["image_id"]])
        for entry in content["annotations"]
    ]
    file = tmp_path / "list.txt"
    file.write_text("\n".join(lines))
    common = ("--images", folder, "--canvas", "64x64", "--processes", 1)
    for arguments in (
        ("wflw", "--annotations", file, "--out", tmp_path / "list"),
        (
            *("coco", "--dataset", "wflw", "--annotations", folder / "test_wflw.json"),
            *("--out", tmp_path / "coco"),
        ),
    ):
        result = prepare(*arguments, *common)
        assert result.exit_code == 0, result.stderr
    ours, theirs = (
        RecordSource(tmp_path / name, "train").samples(np.arange(4)) for name in ("list", "coco")
    )
    for key in ("image", "keypoints", "visible", "box_xywh", "photo_from_canvas"):
        np.testing.assert_array_equal(ours[key], theirs[key])


def test_an_attribute_that_no_face_has(prepare, tmp_path):
    file = tmp_path / "list.txt"
    file.write_text(_line(POINTS, "a.jpg"))
    result = prepare(
        "wflw", "--annotations", file, "--images", tmp_path, "--out", tmp_path / "out",
        "--only", "blur",
    )  # fmt: skip
    assert result.exit_code == 2
    assert "face without the attribute of --only" in " ".join(result.stderr.split())
