"""3DPW's own pickles: joints through the camera, detections, frames that are left out, bad files.

Layout: the README of the dataset's `readme_and_demo`.
"""

import pickle

import numpy as np
import pytest

from jaxpose.data.canvas import NO_KEYPOINTS
from jaxpose.data.coco_json import NOT_NUMBERS
from jaxpose.data.image_records import ImageSource
from jaxpose.errors import InputError

K = np.array([[950.0, 0, 30], [0, 940, 25], [0, 0, 1]])
TURN = np.array([[0.0, 0, 1], [0, -1, 0], [1, 0, 0]])  # turns about an axis by half a revolution


def _sequence(frames=3, people=2, seed=0):
    draw = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (frames, 1, 1))
    poses[:, :3, :3], poses[:, :3, 3] = TURN, draw.uniform(-0.2, 0.2, (frames, 3))
    joints = [
        draw.uniform(-0.02, 0.02, (frames, 24, 3)) + np.array([5, 0, 0]) for _ in range(people)
    ]
    scores = draw.uniform(0.1, 1, (people, frames, 1, 18))
    places = draw.uniform(5, 40, (people, frames, 2, 18))
    return {
        "sequence": "courtyard_00",
        "cam_intrinsics": K,
        "cam_poses": poses,
        "jointPositions": [x.reshape(frames, 72) for x in joints],
        "poses2d": [np.concatenate(pair, axis=1) for pair in zip(places, scores, strict=True)],
        "campose_valid": [np.ones(frames, np.int64) for _ in range(people)],
    }


def _write(folder, name="courtyard_00", **changes):
    content = {k: v for k, v in (_sequence() | changes).items() if v is not None}
    (folder / f"{name}.pkl").write_bytes(pickle.dumps(content, 2))
    return content


def test_joints_go_through_the_camera(script, tmp_path):
    content = _write(tmp_path, "b")
    _write(tmp_path, "a", **_sequence(frames=2, people=1))
    found, skips = script("3dpw").people(tmp_path, tmp_path)
    assert skips == []
    assert [image.name for image in found[1:3]] == ["a/image_00001.jpg", "b/image_00000.jpg"]
    assert [image.image_id for image in found] == [0, 1, 2, 3, 4]
    image = found[3]
    assert [person.annotation_id for person in image.people] == [30, 31]
    person, pose = image.people[1], content["cam_poses"][1]
    joints = content["jointPositions"][1][1].reshape(24, 3)
    # The turn exchanges x and z, and turns y about.
    own = np.stack([joints[:, 2], -joints[:, 1], joints[:, 0]], axis=1) + pose[:3, 3]
    np.testing.assert_allclose(person.keypoints_3d, 1000 * own)
    np.testing.assert_allclose(person.keypoints[:, 0], 950 * own[:, 0] / own[:, 2] + 30)
    np.testing.assert_allclose(person.keypoints[:, 1], 940 * own[:, 1] / own[:, 2] + 25)
    assert person.visible.tolist() == [2] * 24
    low, high = person.keypoints.min(axis=0), person.keypoints.max(axis=0)
    np.testing.assert_allclose(person.box_xywh[2:], 1.2 * (high - low))
    np.testing.assert_allclose(person.box_xywh[:2] + person.box_xywh[2:] / 2, (low + high) / 2)


def test_frames_that_cannot_be_used_are_counted(script, tmp_path):
    content = _sequence(people=1)
    content["campose_valid"][0][0] = 0
    content["jointPositions"][0][1, 0] = -9  # x is the depth
    content["jointPositions"][0][2, 7] = np.nan
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, 2))
    module = script("3dpw")
    found, skips = module.people(tmp_path, tmp_path)
    assert found == []
    assert [(skip.reason, skip.who, skip.fault) for skip in skips] == [
        (module.NOT_ALIGNED, "person 1 in a/image_00000.jpg", False),
        (module.BEHIND, "person 1 in a/image_00001.jpg", True),
        (NOT_NUMBERS, "person 1 in a/image_00002.jpg", True),
    ]


def test_detections_are_read_where_they_have_a_score(script, tmp_path):
    content = _sequence(people=1)
    content["poses2d"][0][0, :, 3] = 0
    content["poses2d"][0][1] = 0
    content["campose_valid"][0][:] = 0
    _write(tmp_path, **content)
    found, (skip,) = script("3dpw").people(tmp_path / "courtyard_00.pkl", tmp_path, "openpose")
    assert (skip.reason, skip.fault) == (NO_KEYPOINTS, False)
    person = found[0].people[0]
    assert person.visible.tolist() == [2] * 3 + [0] + [2] * 14 and person.keypoints_3d is None
    table = content["poses2d"][0][0].T
    np.testing.assert_array_equal(person.keypoints[4:], table[4:, :2])


class Evil:
    def __reduce__(self):
        return print, ("this must not run",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cam_poses": None}, "lacks cam_poses"),
        ({"cam_intrinsics": np.eye(4)}, r"cam_intrinsics has the shape \[4, 4\]"),
        ({"campose_valid": [np.ones(2), np.ones(3)]}, "campose_valid has the shape"),
        ({"campose_valid": [np.ones(3)]}, "1 in campose_valid"),
        ({"poses2d": 3}, "poses2d has values that are not numbers"),
        ({"sequence": Evil()}, "not a pickle of arrays"),
    ],
)
def test_other_files_are_refused(script, tmp_path, capsys, changes, message):
    _write(tmp_path, **changes)
    with pytest.raises(InputError, match=f"courtyard_00.pkl.*{message}"):
        script("3dpw").people(tmp_path, tmp_path)
    assert capsys.readouterr().out == ""
    with pytest.raises(InputError, match=r"no \.pkl file"):
        (tmp_path / "courtyard_00.pkl").unlink()
        script("3dpw").people(tmp_path, tmp_path)


def test_records_have_the_joints_in_3d(prepare, write_photo, tmp_path):
    content = _write(tmp_path)
    for frame in range(3):
        write_photo(tmp_path / "courtyard_00" / f"image_{frame:05d}.jpg")
    result = prepare(
        "3dpw", "--sequences", tmp_path, "--images", tmp_path, "--out", tmp_path / "out",
        "--layout", "images", "--canvas", "64x64", "--processes", 1,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    source = ImageSource(tmp_path / "out", "train")
    assert len(source) == 3 and source.skeleton.name == "smpl24"
    joints = source.samples([1])["keypoints_3d"][0]
    depths = [
        x[1].reshape(24, 3)[:, 0] + content["cam_poses"][1][2, 3] for x in content["jointPositions"]
    ]
    np.testing.assert_allclose(joints[:2, :, 2], 1000 * np.array(depths), rtol=1e-5)
