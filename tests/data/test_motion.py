"""Motion datasets: the file, choosing clips, what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from jaxpose.data.motion import Clip, MotionSummary, motion_of, read_motion, write_motion
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import pinhole
from jaxpose.skeletons import H36M17, HUMANEVA15

rng = np.random.default_rng(0)
VIEW = pinhole(np.array([[1000.0, 0, 320], [0, 1000, 240], [0, 0, 1]]), np.eye(3), np.zeros(3))


def clip(frames=4, **changes) -> Clip:
    joints = rng.normal(scale=300, size=(frames, 15, 3)) + np.array([0, 0, 3000.0])
    fields = {
        "joints_mm": joints,
        "keypoints": rng.uniform(0, 640, size=(frames, 15, 2)),
        "split": "train",
        "subject": "S1",
        "action": "Walking",
        "camera": "C1",
        "name": "Walking 1",
        "fps": 60.0,
        "image_wh": (640, 480),
        "view": VIEW,
    }
    return Clip(**{**fields, **changes})


@pytest.fixture
def motion():
    return motion_of(
        HUMANEVA15,
        [
            clip(4),
            clip(3, camera="C2", view=None),
            clip(5, subject="S2", action="Jog", split="validate"),
        ],
    )


def test_a_file_holds_all_without_pickles(motion, tmp_path):
    path = tmp_path / "deep" / "motion.npz"
    write_motion(path, motion)
    again = read_motion(path)
    assert again.skeleton == HUMANEVA15
    assert (again.frame, again.up) == ("camera", "y")
    for field in ("joints_mm", "keypoints", "labelled", "length", "subject", "K", "image_wh"):
        np.testing.assert_array_equal(getattr(again, field), getattr(motion, field))
    assert np.isnan(again.K[1]).all()
    np.testing.assert_array_equal(again.cameras.take(0).K, VIEW.K)
    np.testing.assert_array_equal(again.clip_of_frame, [0] * 4 + [1] * 3 + [2] * 5)


def test_clips_are_chosen_with_their_frames(motion):
    chosen = motion.select(subject=["S1"], camera=["C2"])
    assert chosen.length.tolist() == [3]
    np.testing.assert_array_equal(chosen.joints_mm, motion.joints_mm[4:7])
    np.testing.assert_array_equal(chosen.keypoints, motion.keypoints[4:7])
    assert len(motion.select(action=["Walking", "Jog"]).length) == 3
    with pytest.raises(InputError, match=r"No clip has action 'Wlking'\. Did you mean 'Walking'"):
        motion.select(action=["Wlking"])
    with pytest.raises(InputError, match="No clip matches all of"):
        motion.select(subject=["S2"], camera=["C2"])


def test_what_is_not_finite_is_not_labelled():
    whole = clip()
    joints, keypoints = whole.joints_mm.copy(), whole.keypoints.copy()
    joints[1, 2] = np.nan
    keypoints[2, 3, 0] = np.inf
    motion = motion_of(HUMANEVA15, [replace(whole, joints_mm=joints, keypoints=keypoints)])
    assert np.argwhere(~motion.labelled).tolist() == [[1, 2]]
    assert np.argwhere(motion.confidence == 0).tolist() == [[2, 3]]
    assert np.isfinite(motion.joints_mm).all() and np.isfinite(motion.keypoints).all()


def test_motion_of_the_world_has_no_keypoints(tmp_path):
    pose = rng.normal(scale=300, size=(6, 15, 3))
    motion = motion_of(HUMANEVA15, [Clip(pose, name="walk")], frame="world", up="z")
    write_motion(tmp_path / "world.npz", motion)
    again = read_motion(tmp_path / "world.npz")
    assert (again.frame, again.up, again.keypoints) == ("world", "z", None)


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ([], "at least one clip"),
        ([clip(joints_mm=clip().joints_mm / 1000)], "probably metres; multiply them by 1,000"),
        ([clip(joints_mm=clip().joints_mm[:, :14])], r"have to be \[frames, 15, 3\]"),
        ([clip(keypoints=None)], "has no keypoints, but the dataset's frame is 'camera'"),
        ([clip(keypoints=np.zeros((3, 15, 2)))], "keypoints do not fit"),
        ([clip(), clip(joints_mm=-clip().joints_mm, name="back")], "behind the camera.*back"),
    ],
)
def test_a_wrong_clip_is_named(clips, message):
    with pytest.raises(InputError, match=message):
        motion_of(HUMANEVA15, clips)


def test_other_files_are_refused(motion, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_motion(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", joints=np.zeros(3))
    with pytest.raises(InputError, match="no motion dataset"):
        read_motion(tmp_path / "other.npz")
    write_motion(tmp_path / "motion.npz", motion)
    arrays = dict(np.load(tmp_path / "motion.npz"))
    del arrays["subject"]
    np.savez(tmp_path / "less.npz", **arrays)
    with pytest.raises(InputError, match="lacks subject"):
        read_motion(tmp_path / "less.npz")


def test_the_wrong_skeleton_is_refused():
    with pytest.raises(InputError, match="'h36m17' they have to be"):
        motion_of(H36M17, [clip()])


def test_a_skeleton_without_limbs_has_no_unit_to_check(motion):
    bare = replace(HUMANEVA15, name="points", limbs=())
    assert motion_of(bare, [clip()]).skeleton == bare


def test_the_summary_counts_by_split_and_subject(motion):
    summary = MotionSummary.of(motion, ["a note"])
    assert summary.frames == {("train", "S1"): (2, 7), ("validate", "S2"): (1, 5)}
    summary.print()
