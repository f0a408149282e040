"""Uneven and odd videos from predict to motion files: time stamps stay right to a millisecond."""

import json
from fractions import Fraction
from pathlib import Path

import av
import jax
import numpy as np
import pytest
from dots import SKELETON, draw_dots, trained
from typer.testing import CliRunner
from videos import write_video

from jaxpose.cli import lift as lift_module
from jaxpose.cli import predict as predict_module
from jaxpose.cli.main import app
from jaxpose.codecs.lifting import LiftingCodec, Statistics
from jaxpose.measure import cadence, count_repetitions, step_events
from jaxpose.models import martinez
from jaxpose.motion.bvh import read_bvh
from jaxpose.results.motion_files import save_lifted
from jaxpose.results.people import People
from jaxpose.results.readers import read_results
from jaxpose.results.writers import JsonLinesWriter
from jaxpose.skeletons import COCO17, H36M17
from jaxpose.tasks.lifting.track_lifter import TrackLifter
from jaxpose.tasks.lifting.tracks import Lifting, lift_people, tracks_of

CASES = Path(__file__).parents[3] / "shared" / "cases" / "videos"
HW = (128, 96)
TRAINED = trained()
NTSC, CINEMA = Fraction(30000, 1001), Fraction(24000, 1001)
FAST_SLOW = [i / 60 for i in range(60)] + [1 + i / 12 for i in range(25)]
JITTER = np.round(0.034 + np.cumsum(np.random.default_rng(0).choice([17, 33, 50], 90)) / 1000, 3)


def dots_at(seconds: float) -> list[tuple[float, float]]:
    """Dots that swing from side to side once a second."""
    swing = 6 * np.cos(2 * np.pi * seconds)
    return [(70 + swing, 40), (26 + swing, 90)]


class Depth:
    """Lifter that puts keypoints at a depth of 1 m; 10 mm for a pixel."""

    skeleton = SKELETON

    def __call__(self, keypoints, scores, **options):
        return np.concatenate([10 * keypoints, np.full((*keypoints.shape[:2], 1), 1e3)], axis=-1)


@pytest.fixture
def models(monkeypatch):
    for module in (predict_module, lift_module):
        monkeypatch.setattr(module, "open_lifter", lambda *_, **__: Depth())
    monkeypatch.setattr(predict_module, "load_pose", lambda *_, **__: TRAINED)


def invoke(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def trc(path: Path) -> tuple[float, np.ndarray, np.ndarray]:
    """Rate, times `[T]` and coordinates `[T, K * 3]` of a marker file."""
    lines = path.read_text().splitlines()
    rows = [line.split("\t") for line in lines[6:]]
    values = np.array([[float(cell or "nan") for cell in row[1:]] for row in rows])
    return float(lines[2].split("\t")[0]), values[:, 0], values[:, 1:]


@pytest.mark.parametrize(
    ("name", "times", "options", "rate"),
    [
        ("a.mp4", FAST_SLOW, {}, None),
        ("a.mkv", JITTER, {"stated_rate": False}, None),
        ("a.ts", [5 + second for second in FAST_SLOW], {}, None),
        ("a.mp4", np.arange(60) / float(NTSC), {"rate": NTSC}, NTSC),
        ("a.mkv", np.arange(60) / float(CINEMA), {"rate": CINEMA}, CINEMA),
        ("a.mp4", np.arange(60) / 25, {"rotation": (90, True), "rate": 25}, 25),
    ],
    ids=["fast, then slow", "jitter without rate", "transport stream", "29.97", "23.98", "turned"],
)
@pytest.mark.parametrize("smooth", ["savitzky-golay", "one-euro"])
def test_predict_track_smooth_measure_lift(tmp_path, models, name, times, options, rate, smooth):
    images = [draw_dots(HW, dots_at(second), 6) for second in times]
    if "rotation" in options:  # the inverse of a mirrored quarter turn
        images = [np.rot90(image[:, ::-1], -1).copy() for image in images]
    times, stamps = np.array(times), times if rate is None else None
    video = write_video(tmp_path / name, images, stamps, **options)
    sets = ("--set", "lifting.cleaning.smooth_seconds=0", "--set", "lifting.cleaning.rigid=false")
    out = tmp_path / "out"
    said = invoke(
        *("predict", video, "--from", "dots", "--out", out, "--lift", "depth", *sets),
        *("--smooth", smooth, "--format", "json,csv"),
    )
    assert ("were resampled" in said) == (rate is None)
    # The clock of a transport stream may begin anywhere.
    with av.open(str(video)) as file:
        own = np.array([frame.time for frame in file.decode(video=0)])
    np.testing.assert_allclose(own - own[0], times - times[0], atol=1.1e-3)
    shift = own[0] - times[0]

    entries = json.loads((out / "predictions.json").read_text())["frames"]
    np.testing.assert_allclose([e["seconds"] for e in entries], own, atol=1e-8)
    if rate is not None:
        assert {Fraction(e["frame_rate"]) for e in entries} == {rate}
        assert f",{rate}\n" in (out / "predictions.csv").read_text().replace("\r", "")
    with av.open(str(out / f"{video.stem}.mp4")) as file:
        drawn = np.array([frame.time for frame in file.decode(video=0)])
    np.testing.assert_allclose(drawn - drawn[0], own - own[0], atol=1e-4)

    (track,) = tracks_of(read_results(out / "predictions.json"))
    assert track.seconds[[0, -1]] == pytest.approx(own[[0, -1]], abs=1e-3)
    if rate is not None:
        assert Fraction(track.fps).limit_denominator(1001) == rate
    true = np.array([dots_at(second - shift) for second in track.seconds])
    lag = 3.5 if smooth == "one-euro" else 1.2  # it follows, and lags at 12 frames a second
    assert np.abs(track.keypoints - true).max() < lag
    turns = count_repetitions(track.keypoints[:, 0, 0], min_range=5, rest="high").turns
    if smooth == "savitzky-golay":
        half = track.seconds[turns] - shift
        np.testing.assert_allclose(half, np.round(half - 0.5) + 0.5, atol=0.06)

    file = tmp_path / "a.trc"
    said = invoke(
        *("lift", out / "predictions.json", file, "--from", "depth", "--smooth", 0, "--no-rigid")
    )
    assert ("were resampled" in said) == (rate is None)
    fps, seconds, places = trc(file)
    assert seconds[[0, -1]] == pytest.approx(own[[0, -1]], abs=1e-3)
    np.testing.assert_allclose(np.diff(seconds), 1 / fps, atol=2e-6)
    assert fps == pytest.approx(float(rate or track.fps), rel=1e-9)
    np.testing.assert_allclose(places[:, 0], 10 * track.keypoints[:, 0, 0], atol=0.01)


@pytest.mark.slow
def test_all_real_videos_are_predicted_whole(tmp_path, models):
    if not CASES.is_dir():
        pytest.skip("needs ../shared/cases")
    truth = json.loads((CASES / "truth.json").read_text())
    videos = [CASES / name for name in truth]
    invoke("predict", *videos, "--from", "dots", "--out", tmp_path, "--no-flip-test")
    content = json.loads((tmp_path / "predictions.json").read_text())
    assert content["skipped"] == []
    for name, true in truth.items():
        own = [e["seconds"] for e in content["frames"] if Path(e["file"]).name == name]
        assert len(own) == true["frames"]
        assert [own[0], own[-1]] == pytest.approx(
            [true["first_seconds"], true["last_seconds"]], abs=1e-4
        )
    drawn = {e["picture"] for e in content["frames"]}
    assert len(drawn) == len(truth)
    for name in drawn:
        with av.open(str(tmp_path / name)) as file:
            stream = file.streams.video[0]
            times = np.array([frame.time for frame in file.decode(stream)])
            lasts = float(stream.duration * stream.time_base)
        source = next(e["file"] for e in content["frames"] if e["picture"] == name)
        own = np.array([e["seconds"] for e in content["frames"] if e["file"] == source])
        np.testing.assert_allclose(times, own, atol=1e-3)
        assert lasts == pytest.approx(2 * own[-1] - own[-2] - own[0], abs=1e-3)


def walk(seconds: np.ndarray) -> list[People]:
    """Results of a person who walks from the left, a stride in a second, at these times."""
    base = np.random.default_rng(3).uniform(180, 220, (17, 2))
    found = []
    for index, t in enumerate(seconds):
        points = base + np.array([[20 * t, 0]])
        for side, late in (("left", 0.5), ("right", 1.0)):
            ankle = COCO17.index(f"{side}_ankle")
            points[ankle, 0] = 200 + 20 * t + 30 * np.cos(2 * np.pi * (t - late))
        found.append(
            People(
                COCO17,
                (480, 640),
                points[None].astype(np.float32),
                np.ones((1, 17), np.float32),
                np.zeros((1, 4), np.float32),
                np.arange(1),
                source="walk.mp4",
                index=index,
                seconds=float(t),
                track_ids=np.ones(1, np.int64),
            )
        )
    return found


@pytest.fixture(scope="module")
def lifter():
    model = martinez(17, 17, channels=8)
    start = np.zeros(model.input_shape(), np.float32)
    variables = jax.device_get(jax.jit(model.init)(jax.random.key(0), start))
    rng = np.random.default_rng(0)
    codec = LiftingCodec(
        input_statistics=Statistics.of(rng.normal(size=(50, 17, 2))),
        target_statistics=Statistics.of(0.3 * rng.normal(size=(50, 17, 3))),
    )
    return TrackLifter(model, variables, codec, H36M17)


def times_of(name: str) -> np.ndarray:
    if name == "made":
        return np.array(FAST_SLOW + [3.0 + i / 30 for i in range(1, 120)])
    if not CASES.is_dir():
        pytest.skip("needs ../shared/cases")
    with av.open(str(CASES / name)) as file:
        return np.array([frame.time for frame in file.decode(video=0)])


@pytest.mark.parametrize(
    "name",
    [
        *("made", "browser.webm", "r_dark_then_light.ts", "r_jitter.mp4", "vfr_fast_slow.mp4"),
        *("vfr_slow_fast.mkv", "cfr.mp4", "f2997.mp4", "r_still_then_fast.mkv"),
    ],
)
def test_a_stride_of_a_second_is_a_second(tmp_path, lifter, name):
    times = times_of(name)
    writer = JsonLinesWriter(tmp_path / "a.jsonl")
    for people in walk(times):
        writer.write(people)
    writer.close()
    results = read_results(tmp_path / "a.jsonl")
    (track,) = tracks_of(results)
    assert track.seconds[[0, -1]] == pytest.approx(times[[0, -1]], abs=1e-3)
    fast = np.isfinite(track.keypoints).all(axis=(1, 2))
    if not fast.all():  # ten frames at one a second, then 60 a second
        assert "nothing is filled into 10 gaps" in track.note
        fast = np.arange(len(fast)) > np.flatnonzero(~fast)[-1]
    forward = np.array([1.0, 0.0])
    steps = step_events(track.keypoints[fast], COCO17, track.fps, forward=forward)
    if len(steps.left_strikes) > 1:
        np.testing.assert_allclose(np.diff(steps.left_strikes), 1.0, atol=0.025)
    if len(steps.strikes) > 4:
        assert cadence(steps) == pytest.approx(120, abs=2)
    changed, (lifted,) = lift_people(results, lifter, Lifting())
    assert all(np.isfinite(people.joints).all() for people in changed)
    for suffix in ("trc", "bvh", "c3d", "json"):
        save_lifted(tmp_path / f"a.{suffix}", lifted)
    _, seconds, _ = trc(tmp_path / "a.trc")
    assert seconds[[0, -1]] == pytest.approx(times[[0, -1]], abs=1e-3)
    bvh = read_bvh(tmp_path / "a.bvh")
    lasts = (len(bvh.motion) - 1) * bvh.frame_time
    assert lasts == pytest.approx(times[-1] - times[0], abs=1e-3)
    document = json.loads((tmp_path / "a.json").read_text())
    np.testing.assert_allclose(document["tracks"][0]["seconds"], times, atol=1e-8)
    assert len(document["tracks"][0]["joints_mm"]) == len(times)
