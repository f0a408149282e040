"""Faces with a text file of landmarks for each image: iBUG's and LaPa's formats, and bad files."""

import json

import numpy as np
import pytest

from jaxpose.data.coco_json import NOT_NUMBERS
from jaxpose.data.records import RecordSource
from jaxpose.errors import InputError


def _pts(points):
    rows = "\n".join(f"{x:.6f} {y:.6f}" for x, y in points)
    return f"version: 1\nn_points:  {len(points)}\n{{\n{rows}\n}}\n"


def _lapa(points):
    return "\n".join([str(len(points)), *(f"{x} {y}" for x, y in points)]) + "\n"


POINTS = np.stack([20.5 + np.arange(68) / 10, 30.25 + np.arange(68) / 5], axis=-1)


def test_pts_files_count_pixels_from_one(script, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.pts").write_text(_pts(POINTS))
    (tmp_path / "a" / "1.PNG").touch()
    (face,), skips, skeleton = script("face_landmarks").faces([tmp_path])
    assert skips == [] and skeleton.name == "face68"
    assert (face.name, face.image_id, face.path) == ("a/1.PNG", 1, tmp_path / "a" / "1.PNG")
    (person,) = face.people
    np.testing.assert_allclose(person.keypoints, POINTS - 1)
    # Extent 19.5 to 26.2, 29.25 to 42.65: 19 to 27 and 29 to 43 in whole pixels.
    np.testing.assert_array_equal(person.box_xywh, [16, 29, 14, 14])
    assert person.visible.tolist() == [2] * 68 and not person.clip


def test_lapas_files_count_from_zero_and_images_may_lie_elsewhere(script, tmp_path):
    points = np.arange(212.0).reshape(106, 2)
    for name in ("landmarks", "images"):
        (tmp_path / name / "b").mkdir(parents=True)
    (tmp_path / "landmarks" / "b" / "5_0.txt").write_text(_lapa(points))
    (tmp_path / "images" / "b" / "5_0.jpg").touch()
    module = script("face_landmarks")
    (face,), skips, skeleton = module.faces([tmp_path / "landmarks"], tmp_path / "images")
    assert skips == [] and skeleton.name == "face106" and face.name == "b/5_0.jpg"
    np.testing.assert_array_equal(face.people[0].keypoints, points)


def test_bad_files_are_counted(script, tmp_path):
    files = {
        "0.pts": _pts(POINTS),
        "1.pts": _pts(POINTS).replace("n_points:  68", "n_points:  67"),
        "2.pts": _pts(POINTS).replace("20.500000", "x"),
        "3.pts": _pts(POINTS).replace("20.500000", "nan"),
        "4.pts": _pts(POINTS[:29]),
        "5.pts": "} {",
        "6.pts": _pts(POINTS),
        "7.pts": _pts(POINTS),
        "8.txt": "some notes\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    for name in ("0.jpg", "7.jpg", "7.png"):
        (tmp_path / name).touch()
    module = script("face_landmarks")
    (face,), skips, _ = module.faces([tmp_path])
    assert face.name == "0.jpg"
    assert [(skip.reason, skip.who) for skip in skips] == [
        (module.NO_LANDMARKS, "1.pts"),
        (NOT_NUMBERS, "2.pts"),
        (NOT_NUMBERS, "3.pts"),
        (module.OTHER_NUMBER, "4.pts: 29"),
        (module.NO_LANDMARKS, "5.pts"),
        (module.NO_IMAGE, "6.pts"),
        (module.SEVERAL_IMAGES, "7.pts"),
        (module.NO_LANDMARKS, "8.txt"),
    ]


def test_what_cannot_be_read_at_all_is_a_sentence(script, tmp_path):
    faces = script("face_landmarks").faces
    with pytest.raises(InputError, match="No file of landmarks in"):
        faces([tmp_path])
    (tmp_path / "a.pts").write_text(_pts(POINTS[:39]))
    with pytest.raises(InputError, match=r"a\.pts has 39 landmarks; known markups have 29, 68"):
        faces([tmp_path])
    with pytest.raises(InputError, match="nowhere"):
        faces([tmp_path / "nowhere"])


def test_the_same_records_as_from_the_file_of_mmpose(prepare, shared, tmp_path):
    folder = shared / "data" / "samples" / "300w"
    content = json.loads((folder / "test_300w.json").read_text())
    names = {image["id"]: image["file_name"] for image in content["images"]}
    for entry in content["annotations"]:
        points = np.reshape(entry["keypoints"], (68, 3))[:, :2]
        # MMPose's list keeps the numbers of the .pts files; written one larger, they are equal.
        name = names[entry["image_id"]].replace(".png", ".pts")
        (tmp_path / name).write_text(_pts(points + 1))
    common = ("--images", folder, "--canvas", "64x64", "--processes", 1)
    for arguments in (
        ("face_landmarks", "--landmarks", tmp_path, "--out", tmp_path / "own"),
        (
            *("coco", "--dataset", "300w", "--annotations", folder / "test_300w.json"),
            *("--out", tmp_path / "coco"),
        ),
    ):
        result = prepare(*arguments, *common)
        assert result.exit_code == 0, result.stderr
    ours, theirs = (
        RecordSource(tmp_path / name, "train").samples(np.arange(2)) for name in ("own", "coco")
    )
    order = [
        int(np.flatnonzero((theirs["keypoints"] == row).all(axis=(1, 2)))[0])
        for row in ours["keypoints"]
    ]
    assert sorted(order) == [0, 1]
    for key in ("image", "keypoints", "visible", "box_xywh", "photo_from_canvas"):
        np.testing.assert_array_equal(ours[key], theirs[key][order])
