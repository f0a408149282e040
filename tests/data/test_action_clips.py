"""Datasets of actions: clips, their file, and the files of published datasets."""

import dataclasses
import json
import pickle

import numpy as np
import pytest
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.data.action_clips import ActionClip, actions_of, read_actions, write_actions
from jaxpose.data.action_dataset import SyntheticActions
from jaxpose.data.action_files import (
    class_names,
    read_class_names,
    read_kinetics,
    read_mmaction,
    read_ntu,
)
from jaxpose.errors import InputError
from jaxpose.skeletons import COCO17, H36M17, NTU25

RNG = np.random.default_rng(0)


def clip(frames=4, people=1, label=0, **fields):
    return ActionClip(RNG.uniform(1, 99, (frames, people, 17, 2)), label, **fields)


def test_clips_come_back_from_their_file(tmp_path):
    made = actions_of(COCO17, ["sit", "fall"], [clip(), clip(7, 3, 1, split="val", subject="anna")])
    assert made.people == 2 and made.length.tolist() == [4, 7]
    write_actions(tmp_path / "a.npz", made)
    back = read_actions(tmp_path / "a.npz")
    assert back.skeleton == COCO17 and back.classes == ("sit", "fall")
    for field in dataclasses.fields(made):
        np.testing.assert_array_equal(getattr(back, field.name), getattr(made, field.name))
    chosen = back.select(split=["val"])
    assert len(chosen) == 1 and chosen.subject.tolist() == ["anna"]
    np.testing.assert_array_equal(chosen.clip(0)[0], made.clip(1)[0])


def test_the_best_people_are_kept_and_the_absent_are_empty():
    scores = np.ones((4, 3, 17))
    scores[:, 1] = 0.2
    crowd = clip(people=3, scores=scores)
    alone = clip()
    alone.keypoints[2:] = np.nan
    made = actions_of(COCO17, ["x"], [crowd, alone])
    np.testing.assert_allclose(made.clip(0)[0], crowd.keypoints[:, [0, 2]], rtol=1e-6)
    keypoints, certain = made.clip(1)
    assert (keypoints[2:] == 0).all() and (keypoints[:, 1] == 0).all()
    assert certain[:2, 0].min() == 1 and certain[2:].max() == 0 == certain[:, 1].max()


def test_another_skeleton_is_made_by_names_or_refused():
    made = actions_of(COCO17, ["x"], [clip()])
    moved = made.on_skeleton(H36M17)
    hips = [COCO17.index(f"{side}_hip") for side in ("left", "right")]
    np.testing.assert_allclose(
        moved.keypoints[:, :, 0], made.keypoints[:, :, hips].mean(axis=2), rtol=1e-5
    )
    with pytest.raises(InputError, match=r"cannot be converted to 'ntu25'.*left_hand_tip"):
        made.on_skeleton(NTU25)


def test_drawn_exercises_do_not_depend_on_their_number():
    few, more = SyntheticActions(5, 6).open(), SyntheticActions(10, 6).open()
    np.testing.assert_allclose(few.keypoints, more.keypoints[: len(few.keypoints)], rtol=1e-5)
    assert few.label.tolist() == [0, 1, 2, 3, 4] and few.dimensions == 2
    assert SyntheticActions(5, 6).fingerprint() != SyntheticActions(5, 6, seed=1).fingerprint()


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ([], "at least one clip"),
        ([clip(label=2)], "class 2 of 2 classes"),
        ([clip(frames=0)], "at least one frame"),
        (
            [ActionClip(np.ones((4, 1, 18, 2)), 0, name="k")],
            r"Clip 'k' has keypoints \[4, 1, 18, 2\]",
        ),
        ([clip(), ActionClip(np.ones((4, 1, 17, 3)), 0)], "all must have 2, or all 3"),
        ([clip(scores=np.ones((4, 17)))], r"scores \[4, 17\]"),
    ],
)
def test_clips_that_cannot_be_are_refused(clips, message):
    with pytest.raises(InputError, match=message):
        actions_of(COCO17, ["a", "b"], clips)


def test_class_numbers_with_gaps_are_refused(tmp_path):
    assert class_names([0, 1, 2, 1], None, "x") == ("0", "1", "2")
    with pytest.raises(InputError, match=r"have gaps: no clip has 1, 2\. "):
        class_names([0, 3], None, "x")
    assert class_names([0, 3], list("abcd"), "x") == tuple("abcd")
    with pytest.raises(InputError, match="there are 3 names"):
        class_names([0, 3], list("abc"), "x")
    (tmp_path / "names.txt").write_text("sit\n\nfall\nsit\n")
    with pytest.raises(InputError, match="'sit' is there twice"):
        read_class_names(tmp_path / "names.txt")


def annotation(name, label, people=2, **fields):
    keypoints = RNG.uniform(0, 99, (people, 6, 17, 2)).astype(np.float16)
    scores = np.ones(keypoints.shape[:3], np.float16)
    known = {"frame_dir": name, "label": label, "img_shape": (100, 200), "total_frames": 6}
    return known | {"keypoint": keypoints, "keypoint_score": scores} | fields


@pytest.fixture
def pickled(tmp_path):
    clips = [annotation("a", 0), annotation("b", 1), annotation("c", 1, 1), annotation("d", None)]
    clips.append(annotation("e", 0, keypoint=None))
    splits = {"xsub_train": ["a", "b", "d", "e"], "xsub_val": ["c"], "xview_train": ["b", "c"]}
    path = tmp_path / "mmaction.pkl"
    path.write_bytes(pickle.dumps({"split": splits, "annotations": clips}))
    return path, clips


def test_a_pickle_of_mmaction_is_read(pickled):
    path, clips = pickled
    found = read_mmaction(path, "xsub")
    assert [(c.name, c.label, c.split) for c in found.clips] == [
        ("a", 0, "train"),
        ("b", 1, "train"),
        ("c", 1, "val"),
    ]
    assert found.left_out == {"no label": 1, "no keypoints": 1}
    np.testing.assert_array_equal(
        found.clips[0].keypoints, clips[0]["keypoint"].astype(np.float32).transpose(1, 0, 2, 3)
    )
    assert found.clips[0].image_wh == (200, 100)
    with pytest.raises(InputError, match="protocols xsub, xview: choose one"):
        read_mmaction(path)
    with pytest.raises(InputError, match="no protocol 'x'"):
        read_mmaction(path, "x")


class Evil:
    def __reduce__(self):
        return print, ("run",)


def test_code_in_a_pickle_is_not_run(tmp_path, capsys):
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps([annotation("a", Evil())]))
    with pytest.raises(InputError, match="not allowed"):
        read_mmaction(path)
    assert capsys.readouterr().out == ""


def write_ntu(folder, name, bodies=1):
    rows = ["2"]
    for frame in range(2):
        rows.append(str(bodies))
        for body in range(bodies):
            rows += [f"7205759{body} 0 1 1 1 1 0 0.02 0.1 2", "25"]
            rows += [f"{frame}.5 {body} {joint / 10} 1 2 3 4 0 0 0 0 2" for joint in range(25)]
    (folder / f"{name}.skeleton").write_text("\n".join(rows) + "\n")


def test_files_of_ntu_are_read(tmp_path):
    write_ntu(tmp_path, "S001C001P001R001A001", 2)
    write_ntu(tmp_path, "S001C002P003R001A060")
    write_ntu(tmp_path, "S001C002P003R001A050", 0)
    write_ntu(tmp_path, "S018C001P043R001A120")
    found = read_ntu(tmp_path)
    assert [(c.label, c.split, c.subject) for c in found.clips] == [
        (0, "train", "P001"),
        (59, "val", "P003"),
    ]
    assert found.left_out == {"no person": 1, "of NTU RGB+D 120 only": 1}
    joints = found.clips[0].keypoints
    assert joints.shape == (2, 2, 25, 3)
    np.testing.assert_allclose(joints[1, 1, 10], [1500, 1000, 1000])
    assert [c.split for c in read_ntu(tmp_path, "ntu60-xview").clips] == ["val", "train"]
    assert len(read_ntu(tmp_path, "ntu120-xset").clips) == 3
    (tmp_path / "S001C001P001R001A002.skeleton").write_text("2\n1\n")
    with pytest.raises(InputError, match="ends too early"):
        read_ntu(tmp_path)


def test_files_of_kinetics_are_read(tmp_path):
    pose, score = [0.5] * 36, [0.25] * 18
    person = {"pose": pose, "score": score}
    frames = [{"frame_index": 1, "skeleton": [person, person]}, {"frame_index": 2, "skeleton": []}]
    for name, label, data in (("a", 3, frames), ("b", -1, frames), ("c", 1, [])):
        content = {"data": data, "label": "x", "label_index": label}
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    found = read_kinetics(tmp_path, "val")
    (one,) = found.clips
    assert one.keypoints.shape == (2, 2, 18, 2) and one.label == 3 and one.image_wh == (1, 1)
    assert found.left_out == {"no label": 1, "no person": 1}
    out, names = tmp_path / "out.npz", tmp_path / "names.txt"
    names.write_text("run\nwalk\njump\nsit\n")
    arguments = ["--kinetics", str(tmp_path), "--classes", str(names), "--out", str(out)]
    done = CliRunner().invoke(app, ["prepare", "actions", *arguments])
    assert done.exit_code == 0, done.output
    assert read_actions(out).skeleton.name == "openpose18"
    (tmp_path / "d.json").write_text("[]")
    with pytest.raises(InputError, match="no file of Kinetics-skeleton"):
        read_kinetics(tmp_path, "val")


def test_the_command_prepares_what_it_is_given(pickled, tmp_path):
    path, _ = pickled
    out = tmp_path / "out.npz"
    done = CliRunner().invoke(
        app,
        ["prepare", "actions", "--mmaction", str(path), "--protocol", "xsub", "--out", str(out)],
    )
    assert done.exit_code == 0, done.output
    assert "Given 5 clips = done 3 + left out 2" in done.output
    assert read_actions(out).classes == ("0", "1")


def predicted(frames, ids=(4,)):
    """Content of a file of `jaxpose predict` for a video with these track ids in each frame."""
    point = {"x": 5.0, "y": 6.0, "score": 0.9}
    keypoints = dict.fromkeys(COCO17.keypoints, point)
    person = {"score": 0.9, "box_xywh": [0, 0, 10, 10], "keypoints": keypoints}
    people = [{"track_id": number, **person} for number in ids]
    return [
        {
            "source": "v.mp4",
            "frame": i,
            "seconds": i / 25,
            "width": 64,
            "height": 48,
            "people": people,
        }
        for i in range(frames)
    ]


def test_results_in_folders_of_classes_become_clips(tmp_path):
    for label in ("squat", "wave"):
        for subject in ("anna", "ben", "cem", "dora", "eva"):
            file = tmp_path / "in" / label / f"{subject}_1.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            ids = (4, 5) if subject == "anna" else (4,)
            content = predicted(3, ids)
            if subject == "ben":  # enters in the last frame
                content[0]["people"] = content[1]["people"] = []
            file.write_text(json.dumps(content))
    out = tmp_path / "out.npz"
    done = CliRunner().invoke(
        app, ["prepare", "actions", "--results", str(tmp_path / "in"), "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    made = read_actions(out)
    assert len(made) == 10 and made.classes == ("squat", "wave")
    assert set(made.subject[made.split == "val"]) == {"eva"}
    assert made.people == 2 and (made.image_wh == [64, 48]).all()
    late = made.clip(int(np.flatnonzero(made.subject == "ben")[0]))[1]
    assert late[:2].max() == 0 and late[2, 0].min() == pytest.approx(0.9)


def test_joints_of_a_pickle_become_millimetres(tmp_path):
    joints = RNG.uniform(-1, 1, (1, 6, 25, 3))
    joints[0, 2, 7] = 0
    clip = {"frame_dir": "a", "label": 0, "keypoint": joints, "total_frames": 6}
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps([clip]))
    (one,) = read_mmaction(path).clips
    np.testing.assert_allclose(one.keypoints[:, 0], 1000 * joints[0], rtol=1e-5)
    assert one.scores[2, 0, 7] == 0 and one.scores.sum() == 6 * 25 - 1
