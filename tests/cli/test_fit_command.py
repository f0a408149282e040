"""Files of `jaxpose fit`: what cannot be written is refused before the fit, the rest is written."""

import json

import numpy as np
import pytest
import videos
from PIL import Image
from typer.testing import CliRunner

from jaxpose.bodies.fit import Fitted, Fitting
from jaxpose.bodies.prior import upright
from jaxpose.cli import fit as command
from jaxpose.cli.fit_command import Fit
from jaxpose.cli.fit_settings import fitting_of
from jaxpose.cli.main import app
from jaxpose.media.video import open_video
from jaxpose.motion.bvh import read_bvh
from jaxpose.skeletons import COCO17
from jaxpose.viz import save_image

HW = (48, 64)


def people(*tracks):
    """People of all keypoints in a row, with these track ids (None: without)."""
    points = {
        name: {"x": 10.0 + k, "y": 20.0, "score": 1.0} for k, name in enumerate(COCO17.keypoints)
    }
    given = [{} if track is None else {"track_id": track} for track in tracks]
    return [{**one, "score": 1.0, "box_xywh": [0, 0, 1, 1], "keypoints": points} for one in given]


def image(name, *tracks):
    return {"file": name, "width": HW[1], "height": HW[0], "people": people(*tracks)}


def lacking(name):
    """Image of a person without a nose."""
    made = image(name, None)
    made["people"][0]["keypoints"] = dict(list(made["people"][0]["keypoints"].items())[1:])
    return made


def frames(*ids, name="a.mp4", rate=10):
    """Frames of a video, each with people of these track ids."""
    return [
        {**image(name, *own), "frame": at, "seconds": at / rate, "frame_rate": str(rate)}
        for at, own in enumerate(ids)
    ]


def run(folder, records, *outputs, **options):
    (folder / "in.json").write_text(json.dumps({"frames": records}))
    flat = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    paths = [str(folder / name) for name in outputs]
    result = CliRunner().invoke(app, ["fit", str(folder / "in.json"), *paths, *flat])
    return result, " ".join(result.output.split())


@pytest.fixture
def fitted(monkeypatch):
    """Bodies 4 m away in place of a fit, each to the right of the one before; the calls."""
    calls = []

    def fit_tracks(body, skeleton, keypoints, scores, cameras, tracks, seconds, *settings):
        count, joints = len(keypoints), len(body.joints)
        calls.append(count)
        rotations = np.tile(np.eye(3, dtype=np.float32), (count, joints, 1, 1))
        rotations[:, 0] = upright(body)
        place = np.array([0, 0, 4000], np.float32) + 500 * np.arange(count)[:, None] * [1, 0, 0]
        shape = np.zeros((count, body.num_shapes), np.float32)
        ones = np.ones(count)
        return Fitted(shape, rotations, place.astype(np.float32), keypoints, ones, 17 * ones)

    monkeypatch.setattr(command, "fit_tracks", fit_tracks)
    return calls


@pytest.mark.parametrize(
    ("records", "outputs", "options", "message"),
    [
        ([image("a.png", None)], ["a.fbx"], {}, "can be written as .npz, .obj, .glb, .bvh, .gif"),
        ([image("a.png", None)], ["a.png", "./a.png"], {}, "is given twice"),
        (
            [image("x/a.png", None), image("x/b.png", None), image("c.png")],
            ["a.npz", "a.obj"],
            {},
            "people in 2: choose one of x/a.png, x/b.png with --only, or write only .npz",
        ),
        ([image("a.png", None)], ["a.obj"], {"only": "d.png"}, "no image or video named d.png"),
        (
            [image("x/a.png", None), image("y/a.png", None)],
            ["a.obj"],
            {"only": "a.png"},
            "several images or videos named a.png; there are x/a.png, y/a.png",
        ),
        ([image("a.png", None), image("c.png")], ["a.npz"], {"only": "c.png"}, "no person in c"),
        ([image("a.png", None)] * 2, ["a.gif"], {}, "2 images of the name a.png"),
        ([image("a.png", None)], ["a.glb"], {"frame": 3}, "a.png is an image: leave --frame 3 out"),
        (frames([1], [1]), ["a.glb"], {"frame": 2}, "no person in frame 2; frames with people are"),
        ([image("a.png", None)], ["a.bvh"], {}, "a.png is an image"),
        (frames([1], [1]), ["a.npz"], {"frame": 1}, "--frame chooses what is shown"),
        ([image("a.png", None)], ["a.npz"], {"gender": "male"}, "the free body has none"),
        ([image("a.png", None)], ["still.jpg"], {"image": "short.mp4"}, "short.mp4 is a video"),
        ([{**image("a.png", None), "width": 0}], ["a.npz"], {}, "a.png has the size 0 x 48"),
        ([image("a.png")], ["a.npz"], {}, "contains no person, in 1 images or frames"),
        ([image("a.png", None), lacking("a.png")], ["a.npz"], {}, "lacks the keypoint 'nose'"),
        (frames([1, 4], [1]), ["a.bvh"], {}, "tracks 1, 4: choose one with --track"),
        (frames([1, 4], [1]), ["a.bvh"], {"track": 2}, "no track 2; its tracks are 1, 4"),
        (frames([None], [None]), ["a.bvh"], {"track": 2}, "no track ids, so --track"),
        (frames([1], [1]), ["a.bvh"], {"frame": 1}, "leave one of them out"),
        (frames([None, None], [None]), ["a.glb"], {}, "no track ids, so people cannot be matched"),
        (frames([1], [1])[::-1], ["a.mp4"], {}, "run backwards"),
        (frames([1], [1]), ["a.gif"], {"image": "still.png"}, "shows the whole video a.mp4"),
        (frames([1], [1]), ["a.png"], {"image": "large.png"}, "is 30 x 20, its keypoints are of"),
        ([image("a.png", None)], ["still.png"], {"image": "still.png"}, "is read, so it cannot"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_fit(
    tmp_path, monkeypatch, fitted, records, outputs, options, message
):
    monkeypatch.chdir(tmp_path)
    save_image(tmp_path / "still.png", np.zeros((*HW, 3), np.uint8))
    save_image(tmp_path / "large.png", np.zeros((20, 30, 3), np.uint8))
    (tmp_path / "short.mp4").write_bytes(b"")
    result, text = run(tmp_path, records, *outputs, **options)
    assert result.exit_code == 2 and message in text, text
    assert not fitted
    assert not list(tmp_path.glob("a.*"))


def test_poor_fits_are_named(tmp_path, fitted, monkeypatch):
    monkeypatch.setattr(command, "POOR", 0.06)  # the keypoints are 16 pixels wide, errors 1
    _, text = run(tmp_path, frames([1], [1]), "a.npz")
    assert "1 person fitted" not in text and "badly" in text
    assert "person 0 of a.mp4, frame 1 (1 pixels)" in text
    monkeypatch.setattr(command, "POOR", 0.07)
    assert "badly" not in run(tmp_path, frames([1], [1]), "a.npz")[1]


def test_one_of_several_images_is_shown(tmp_path, fitted):
    names = ["a.npz", "a.obj", "a.glb", "a.png"]
    records = [image("x/a.png", None), image("x/b.png", None, None), image("c.png")]
    result, text = run(tmp_path, records, *names, only="b.png")
    assert result.exit_code == 0, text
    assert fitted == [2]
    with np.load(tmp_path / "a.npz") as file:
        np.testing.assert_array_equal(file["image"], [1, 1])
        assert [str(name) for name in file["source"]] == ["x/b.png"] * 2
    assert (tmp_path / "a.obj").read_text().count("\no person_") == 1  # after the first line
    assert (tmp_path / "a.glb").stat().st_size > 10_000


def test_a_video_is_animated_and_one_frame_is_not(tmp_path, fitted):
    records = frames([1, 4], [1, 4], [1], [], [1])
    result, text = run(tmp_path, records, "a.glb", "a.gif", "a.bvh", "a.npz", track=1)
    assert result.exit_code == 0, text
    assert b'"animations"' in (tmp_path / "a.glb").read_bytes()
    assert fitted == [4]  # the people of one track
    assert len(read_bvh(tmp_path / "a.bvh").motion) == 5
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 5
    result, text = run(tmp_path, records, "b.glb", frame=1)
    assert result.exit_code == 0, text
    content = (tmp_path / "b.glb").read_bytes()
    assert b'"animations"' not in content and b"person_1" in content


def test_the_tracks_of_a_video_are_smoothed(tmp_path, monkeypatch):
    calls = []

    def fit_tracks(body, skeleton, keypoints, *others):
        calls.append(others)
        count = len(keypoints)
        bodies = (np.full((count, *shape), np.nan) for shape in ((8,), (17, 3, 3), (3,), (17, 3)))
        return Fitted(*bodies, np.full(count, np.nan), np.zeros(count))

    monkeypatch.setattr(command, "fit_tracks", fit_tracks)
    records = [image("b.png", 1), *frames([4, 1], [1, 2], [4])]
    for options in ({}, {"smooth": 0}):
        result, text = run(tmp_path, records, "a.npz", **options)
        assert result.exit_code == 2 and "fewer than 6 keypoints: 6" in text, text
    (_, _, tracks, seconds, *_, usual), (_, _, none, *_, off) = calls
    np.testing.assert_array_equal(tracks, [-1, 0, 1, 1, 2, 0])  # none of the image
    np.testing.assert_allclose(seconds[1:], [0, 0, 0.1, 0.1, 0.2])
    assert usual.seconds == 0.4 and off.seconds == 0 and (none == -1).all()
    result, text = run(tmp_path, frames([1, 1], [1]), "a.npz")
    assert result.exit_code == 2 and "frame 0: two people have the track id 1" in text, text
    assert len(calls) == 2


def test_bodies_are_drawn_on_the_frames_of_their_video(tmp_path, fitted):
    videos.write_video(tmp_path / "a.mp4", [np.full((*HW, 3), 200, np.uint8)] * 4)
    records = frames([1], [], [1, 4])
    names = ["b.mp4", "b.gif", "b.jpg"]
    result, text = run(tmp_path, records, *names, image=tmp_path / "a.mp4", focal=60)
    assert result.exit_code == 0, text
    drawn = [frame.image for frame in open_video(tmp_path / "b.mp4", print)]
    covered = [int((abs(one.astype(int) - 200).max(axis=-1) > 60).sum()) for one in drawn]
    assert len(drawn) == 3 and covered[1] == 0 and covered[2] > covered[0] > 100
    with Image.open(tmp_path / "b.gif") as gif:
        assert (gif.n_frames, gif.size) == (3, HW[::-1])
    videos.write_video(tmp_path / "short.mp4", [np.full((*HW, 3), 200, np.uint8)] * 2)
    result, text = run(tmp_path, records, "c.mp4", "c.npz", image=tmp_path / "short.mp4")
    assert result.exit_code == 2 and "ends after frame 1, and its bodies with frame 2" in text
    assert (tmp_path / "c.npz").is_file()  # the fit is not lost


def test_settings_depend_on_the_prior(tmp_path):
    options = {"source": tmp_path, "out": []}
    assert fitting_of(Fit(**options, min_score=0.05)) == Fitting()
    learnt = fitting_of(Fit(**options, prior=tmp_path, pose_weight=2.0))
    assert (learnt.starts, learnt.pixel_sigma, learnt.pose_weight) == (32, 0.015, 2.0)
    given = fitting_of(Fit(**options, prior=tmp_path, starts=4, pixel_sigma=0.02))
    assert (given.starts, given.pixel_sigma) == (4, 0.02)
