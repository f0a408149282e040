"""Lifting videos: the pipeline, `jaxpose predict` and the demo give the same joints."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from dots import SKELETON, draw_dots, trained
from typer.testing import CliRunner

from jaxpose.cli import lift as lift_module
from jaxpose.cli import predict as predict_module
from jaxpose.cli.main import app
from jaxpose.cli.predict_output import Output
from jaxpose.demo.limits import Limits
from jaxpose.demo.session import DemoSession
from jaxpose.errors import InputError
from jaxpose.motion.clean import Cleaning
from jaxpose.pipeline import Lifting, Options, Pipeline

HW = (128, 96)
DOTS = [(70.8, 38.4), (25.6, 89.6)]
FRAMES = 10
TRAINED = trained()
# Two dots are no body to clean.
LIFTING = ["lifting.cleaning.smooth_seconds=0", "lifting.cleaning.rigid=false"]


class Depth:
    """Puts keypoints at a depth of 1 m, or 2 m without `refit`; records its arguments."""

    skeleton = SKELETON

    def __init__(self):
        self.given = []

    def __call__(self, keypoints, scores, **options):
        self.given.append(options)
        if len(keypoints) < 3:
            raise InputError("too short")
        depth = np.full((*keypoints.shape[:2], 1), 1000.0 if options["refit"] else 2000.0)
        return np.concatenate([10 * keypoints, depth], axis=-1)


@pytest.fixture
def video(tmp_path):
    writer = cv2.VideoWriter(
        str(tmp_path / "walk.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, HW[::-1]
    )
    for t in range(FRAMES):
        writer.write(draw_dots(HW, [(x + t, y) for x, y in DOTS], 6))
    writer.release()
    return tmp_path / "walk.avi"


@pytest.fixture
def lifter(monkeypatch):
    """The lifter that every command opens, and the options that it was opened with."""
    depth, opened = Depth(), []

    def open_lifter(where, checkpoint, options, *, trust_recipe):
        opened.append((str(where), checkpoint, options))
        return depth

    for module in (predict_module, lift_module):
        monkeypatch.setattr(module, "open_lifter", open_lifter)
    monkeypatch.setattr(
        predict_module, "load_pose", lambda run, checkpoint, *, trust_recipe: TRAINED
    )
    return SimpleNamespace(depth=depth, opened=opened)


def invoke(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def predict(video, out, *arguments):
    sets = [word for one in LIFTING for word in ("--set", one)]
    return invoke(
        *("predict", video, "--from", "dots", "--out", out, "--lift", "depth", *sets, *arguments)
    )


def joints(file) -> np.ndarray:
    """`[T, 2, 3]` of the one person in a file of predictions."""
    results = json.loads(file.read_text())["frames"]
    return np.array([list(entry["people"][0]["joints_mm"].values()) for entry in results])


def test_pipeline_predict_lift_and_demo_give_the_same_joints(video, lifter, tmp_path):
    options = Options(lifting=Lifting(cleaning=Cleaning(0.0, rigid=False)))
    pipeline = Pipeline(TRAINED, lifter=lifter.depth, options=options)
    expected = np.stack([people.joints[0] for people in pipeline(video)])
    assert expected.shape == (FRAMES, 2, 3) and (expected[..., 2] == 1000).all()

    assert predict(video, tmp_path / "out").exit_code == 0
    np.testing.assert_allclose(joints(tmp_path / "out/predictions.json"), expected, atol=0.06)
    assert (tmp_path / "out" / "walk.mp4").is_file()

    (tmp_path / "results").mkdir()
    session = DemoSession(pipeline, Limits(), tmp_path / "results", {})
    result = session.video(video)
    shown = np.stack([people.joints[0] for people in result.people])
    np.testing.assert_allclose(shown, expected, atol=1e-3)

    result = invoke(
        *("lift", tmp_path / "out/predictions.json", tmp_path / "lifted.json"),
        *("--from", "depth", "--smooth", 0, "--no-rigid"),
    )
    assert result.exit_code == 0, result.output
    (track,) = json.loads((tmp_path / "lifted.json").read_text())["tracks"]
    np.testing.assert_allclose(track["joints_mm"], expected, atol=0.2)


def test_every_command_passes_the_same_options_on(video, lifter, tmp_path):
    more = ["--set", "lifting.refit=false", "--set", "lifting.longest_gap=2"]
    more += ["--set", "lifting.trained_fps=50", "--set", "lifting.min_score=0.1"]
    assert predict(video, tmp_path / "out", *more).exit_code == 0
    assert (joints(tmp_path / "out/predictions.json")[..., 2] == 2000).all()
    result = invoke(
        *("lift", tmp_path / "out/predictions.json", tmp_path / "lifted.json", "--from", "depth"),
        *("--smooth", 0, "--no-rigid", "--same-camera", "--longest-gap", 2),
        *("--trained-fps", 50, "--min-score", 0.1),
    )
    assert result.exit_code == 0, result.output
    (first, second), (given, again) = lifter.opened, lifter.depth.given
    assert first == second == ("depth", "best", first[2])
    assert (first[2].trained_fps, first[2].longest_gap) == (50, 2)
    assert given["fps"] == pytest.approx(again["fps"])
    names = ("refit", "min_score", "longest_gap", "image_wh")
    assert [given[name] for name in names] == [again[name] for name in names]


def test_a_failure_within_a_video_keeps_and_lifts_what_is_done(
    video, lifter, tmp_path, monkeypatch
):
    draw, drawn = Output.draw, []

    def interrupted(*arguments):
        if len(drawn) == 5:
            raise KeyboardInterrupt
        drawn.append(1)
        return draw(*arguments)

    monkeypatch.setattr(Output, "draw", interrupted)
    assert predict(video, tmp_path / "out").exit_code == 130
    assert joints(tmp_path / "out/predictions.partial.json").shape == (5, 2, 3)


def test_a_track_that_cannot_be_lifted_is_reported(lifter, tmp_path):
    image = tmp_path / "one.png"
    cv2.imwrite(str(image), draw_dots(HW, DOTS, 6))
    result = predict(image, tmp_path / "out")
    assert result.exit_code == 1
    assert "not lifted: track 0: too short" in " ".join(result.output.split())


def test_without_a_lifter_nothing_can_be_lifted():
    with pytest.raises(InputError, match="has no lifter"):
        Pipeline(TRAINED).lift([])
