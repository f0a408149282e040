"""InterHand2.6M: projection, labelled hands, 3D in the camera's frame, faults."""

import json

import numpy as np
import pytest

from jaxpose import geometry
from jaxpose.data.coco_json import ID_TWICE, NOT_NUMBERS, OUTSIDE, WRONG_LENGTH
from jaxpose.data.image_records import ImageSource
from jaxpose.data.records import RecordSource
from jaxpose.errors import InputError

KINDS = ("data", "camera", "joint_3d")


def _files(folder, **changes):
    """Options of the three files: one image, hands at 1 m, only the right one labelled."""
    image = {"id": 5, "file_name": "a.jpg", "width": 50, "height": 60}
    image |= {"capture": 0, "camera": "40", "frame_idx": 9}
    world = np.zeros((42, 3))
    world[:, 0] = np.arange(42)
    entry = {
        "id": 8,
        "image_id": 5,
        "bbox": [5, 5, 40, 50],
        "joint_valid": [[1]] * 21 + [[0]] * 21,
        **changes.get("entry", {}),
    }
    turn = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    camera = {"campos": [0, 0, -1000], "camrot": turn, "focal": [1000, 2000], "princpt": [25, 3]}
    content = {
        "data": {"images": [image | changes.get("image", {})], "annotations": [entry]},
        "camera": {"0": {key: {"40": value} for key, value in camera.items()}},
        "joint_3d": {"0": {"9": {"world_coord": changes.get("world", world).tolist()}}},
    }
    for kind in KINDS:
        (folder / f"{kind}.json").write_text(json.dumps(content[kind]))
    return [folder / f"{kind}.json" for kind in KINDS]


def test_joints_are_projected_and_one_hand_is_labelled(script, tmp_path):
    (image,), skips = script("interhand").hands(*_files(tmp_path), tmp_path)
    (person,) = image.people
    assert not skips and image.image_hw == (60, 50) and image.image_id == 5
    assert person.visible.tolist() == [2] * 21 + [0] * 21
    # The camera is 1 m in front, turned by a right angle: world x is its y.
    np.testing.assert_allclose(person.keypoints[20], [25, 3 + 2000 * 20 / 1000])
    np.testing.assert_allclose(person.keypoints_3d[20], [0, 20, 1000], atol=1e-12)
    assert np.isnan(person.keypoints_3d[21:]).all()


BEHIND = np.tile([0.0, 0, -2000], (42, 1))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"image": {"camera": "41"}}, "camera not in the file of cameras"),
        ({"image": {"capture": 1}}, "camera not in the file of cameras"),
        ({"image": {"frame_idx": 8}}, "frame not in the file of joints"),
        ({"image": {"file_name": "../a.jpg"}}, OUTSIDE),
        ({"image": {"width": None}}, NOT_NUMBERS),
        ({"entry": {"image_id": 6}}, NOT_NUMBERS),
        ({"entry": {"bbox": [1, 2, 3]}}, NOT_NUMBERS),
        ({"entry": {"joint_valid": [1] * 21}}, WRONG_LENGTH),
        ({"world": np.zeros((21, 3))}, WRONG_LENGTH),
        ({"world": BEHIND}, "joint behind the camera"),
    ],
)
def test_an_unusable_annotation_is_counted(script, tmp_path, changes, reason):
    images, (skip,) = script("interhand").hands(*_files(tmp_path, **changes), tmp_path)
    assert images == [] and skip.reason == reason and "annotation 8" in skip.who


def test_an_id_counts_once(script, tmp_path):
    data, *others = _files(tmp_path)
    content = json.loads(data.read_text())
    content["annotations"] *= 2
    data.write_text(json.dumps(content))
    _, (skip,) = script("interhand").hands(data, *others, tmp_path)
    assert skip.reason == ID_TWICE


def test_another_file_is_refused(script, tmp_path):
    data, cameras, joints = _files(tmp_path)
    with pytest.raises(InputError, match="must be an object with 'images' and 'annotations'"):
        script("interhand").hands(cameras, cameras, joints, tmp_path)
    data.write_text(json.dumps({"images": 1, "annotations": []}))
    with pytest.raises(InputError, match="'images' is not a list of objects"):
        script("interhand").hands(data, cameras, joints, tmp_path)


@pytest.mark.parametrize("layout", ["people", "images"])
def test_the_sample_becomes_records(prepare, shared, tmp_path, layout):
    folder = shared / "data" / "samples" / "interhand2.6m"
    data, cameras, joints = (folder / f"test_interhand2.6m_{kind}.json" for kind in KINDS)
    result = prepare(
        "interhand", "--data", data, "--cameras", cameras, "--joints", joints, "--images", folder,
        "--out", tmp_path / "out", "--layout", layout, "--canvas", "64x64", "--processes", 1,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    if layout == "people":
        source = RecordSource(tmp_path / "out", "train")
        batch = source.samples(np.arange(len(source)))
        row = batch["annotation_id"].tolist().index(471953)
        found = geometry.apply_affine(batch["photo_from_canvas"], batch["keypoints"])[row]
    else:
        source = ImageSource(tmp_path / "out", "train")
        batch = source.samples(np.arange(len(source)))
        row = batch["image_id"].tolist().index(471953)
        found = geometry.apply_affine(batch["photo_from_canvas"][row], batch["keypoints"][row, 0])
        np.testing.assert_allclose(
            batch["keypoints_3d"][row, 0, 20], [-86.731, 4.958, 1159.829], atol=1e-3
        )
    assert len(source) == 4
    # The tip of the thumb that points up, and the wrist of the same right hand, seen in the image.
    np.testing.assert_allclose(found[0], [207.786, 43.323], atol=1e-3)
    np.testing.assert_allclose(found[20], [175.528, 180.946], atol=1e-3)
