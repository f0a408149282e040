"""`jaxpose fit` of files of `jaxpose lift`: bodies of 3D joints, and files that are refused."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from jaxpose.bodies.fit import Fitted
from jaxpose.bodies.prior import upright
from jaxpose.cli import fit_lifted as command
from jaxpose.cli.main import app
from jaxpose.motion.bvh import read_bvh
from jaxpose.results.lifted_files import read_lifted
from jaxpose.results.motion_files import LiftedTrack, document
from jaxpose.skeletons import H36M17


@pytest.fixture
def content():
    """A document of two tracks; the second one is not seen in its frame 6."""
    rng = np.random.default_rng(0)
    joints = rng.normal(0, 400, (2, 3, 17, 3))
    joints[1, 1] = np.nan
    return document(
        [
            LiftedTrack(H36M17, joints[0], np.arange(3), 10.0, track=4),
            LiftedTrack(H36M17, joints[1], np.arange(5, 8), 10.0, track=9),
        ]
    )


@pytest.fixture
def calls(monkeypatch):
    """Bodies at the first joints in place of a fit; the arguments of the calls."""
    made = []

    def fit_tracks(body, skeleton, points, scores, camera, tracks, seconds, *settings):
        made.append((skeleton, points, scores, camera, tracks, seconds, *settings))
        count = len(points)
        rotations = np.tile(np.eye(3, dtype=np.float32), (count, len(body.joints), 1, 1))
        rotations[:, 0] = upright(body)
        shape = np.zeros((count, body.num_shapes), np.float32)
        place = points[:, 0].astype(np.float32)
        return Fitted(shape, rotations, place, points, np.full(count, 20.0), np.full(count, 17))

    monkeypatch.setattr(command, "fit_tracks", fit_tracks)
    return made


def run(folder, content, *arguments):
    (folder / "in.json").write_text(json.dumps(content))
    result = CliRunner().invoke(app, ["fit", str(folder / "in.json"), *map(str, arguments)])
    return result, " ".join(result.output.split())


def test_bodies_are_fitted_to_the_joints_of_tracks(content, calls, tmp_path):
    result, said = run(tmp_path, content, tmp_path / "a.npz", tmp_path / "a.glb", "--smooth", "0.4")
    assert result.exit_code == 0, said
    assert "5 people" in said and "error of the joints 20 mm" in said
    skeleton, points, scores, camera, tracks, seconds, _, _, smoothing = calls[0]
    assert skeleton == H36M17 and scores is None and camera is None and smoothing.seconds == 0.4
    np.testing.assert_allclose(points[1], content["tracks"][0]["joints_mm"][1])
    np.testing.assert_array_equal(tracks, [4, 4, 4, 9, 9])
    np.testing.assert_allclose(seconds, [0, 0.1, 0.2, 0, 0.2])
    with np.load(tmp_path / "a.npz") as file:
        np.testing.assert_array_equal(file["frame"], [0, 1, 2, 5, 7])
        np.testing.assert_array_equal(file["track_id"], tracks)
        np.testing.assert_allclose(file["trans"], points[:, 0] / 1000, atol=1e-4)
        assert (file["error_mm"] == 20).all()
    assert (tmp_path / "a.glb").read_bytes()[:4] == b"glTF"


def test_one_track_is_written_as_motion(content, calls, tmp_path):
    result, said = run(tmp_path, content, tmp_path / "a.bvh", "--track", "4")
    assert result.exit_code == 0, said
    assert len(calls[0][1]) == 3 and len(read_bvh(tmp_path / "a.bvh").motion) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.bvh",), "has the tracks 4, 9: choose one with --track"),
        (("a.npz", "--track", "5"), "no track 5; its tracks are 4, 9"),
        (("a.obj", "--frame", "6"), "no person in frame 6"),
        (("a.npz", "--frame", "1"), "--frame chooses what is shown"),
        (("a.png",), "joints in 3D can be written as .npz, .obj"),
        (("a.npz", "--focal", "1000"), "--focal is for keypoints in images"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_fit(
    content, calls, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    result, said = run(tmp_path, content, *arguments)
    assert result.exit_code == 2 and message in said, said
    assert not calls


def times(factor):
    def change(content):
        for track in content["tracks"]:
            track["joints_mm"] = [
                None if pose is None else (factor * np.array(pose)).tolist()
                for pose in track["joints_mm"]
            ]

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (times(1e-3), "in.json: its people are"),
        (times(0.1), "multiply metres by 1000 and centimetres by 10"),
        (times(10), "mm large, and joints are needed in millimetres"),
        (lambda c: c.update(fps=0), "fps is 0; a positive number is needed"),
        (lambda c: c["tracks"][0]["seconds"].__setitem__(1, "nan"), "its time is nan"),
        (lambda c: c.update(units="m; x right"), "its units are 'm; x right'"),
        (lambda c: c["tracks"][1]["joints_mm"][2].pop(), "track 9, frame 7: 17 joints"),
        (lambda c: c["tracks"][0]["frames"].pop(), "has another form"),
        (lambda c: c.pop("skeleton"), "has another form"),
        (lambda c: c["tracks"][0].update(frames=[0, 1, 1]), "of its bodies; a track is one person"),
        (lambda c: c.update(tracks=[]), "has no joints"),
    ],
)
def test_damaged_files_are_named(content, calls, tmp_path, damage, message):
    damage(content)
    result, said = run(tmp_path, content, tmp_path / "a.npz")
    assert result.exit_code == 2 and message in said, said


def test_other_files_are_none(tmp_path):
    for text in ("[]", "no JSON", '{"frames": []}', '{"frames": "tracks"'):
        (tmp_path / "a.json").write_text(text)
        assert read_lifted(tmp_path / "a.json") is None
    assert read_lifted(tmp_path / "none.json") is None
