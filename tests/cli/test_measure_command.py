"""`jaxpose measure`: a file of predictions in, tables, figures and a plot out."""

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.media.image import read_image
from jaxpose.skeletons import COCO17
from tests.measure.test_measure import body, uneven


def frames_of(seconds, people) -> dict:
    """Document of `predict`; `people` gives, for a second, points by track id."""
    entries = []
    for index, second in enumerate(seconds):
        found = [
            {
                "track_id": number,
                "keypoints": {
                    name: {"x": x, "y": y, "score": score}
                    for name, (x, y) in zip(COCO17.keypoints, points.tolist(), strict=True)
                },
            }
            for number, (points, score) in people(second).items()
        ]
        own = {"source": "a.mp4", "width": 640, "height": 480, "frame": index, "people": found}
        entries.append(own | ({} if second is None else {"seconds": float(second)}))
    return {"frames": entries}


def walk(t: float) -> np.ndarray:
    """A walk with a stride a second; knees bend with it."""
    knee = 150 + 30 * np.cos(2 * np.pi * t)
    points = body(left_knee=knee, right_knee=knee, hips=(100 + 60 * t, 200))
    for side, late in (("left", 0.5), ("right", 1.0)):
        points[COCO17.index(f"{side}_ankle"), 0] += 30 * np.cos(2 * np.pi * (t - late))
    return points


def fall(t: float) -> np.ndarray:
    tilt = np.clip(t - 4, 0, 0.6) / 0.6
    return body(lean=88 * tilt, hips=(400, 200 + 75 * tilt))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Two people at uneven time stamps from 5 s on, and one whose keypoints are all uncertain."""
    path = tmp_path_factory.mktemp("measure") / "predictions.json"

    def people(t):
        return {1: (walk(t - 5), 0.9), 4: (fall(t - 5), 0.8), 7: (walk(t - 5), 0.1)}

    path.write_text(json.dumps(frames_of(5 + uneven(8), people)))
    return path


def run(*words):
    return CliRunner().invoke(app, ["measure", *map(str, words)])


def test_files_and_figures_by_the_times_of_the_video(source, tmp_path):
    out = tmp_path / "out"
    options = ("--angles", "left_knee,trunk", "--repetitions", "left_knee", "--gait", "--falls")
    result = run(source, "--out", out, *options)
    assert result.exit_code == 1, result.output
    assert "Given 3 tracks = done 2 + left out 1 (no keypoint above the score: 1)" in result.stdout
    text = " ".join(result.stdout.split())
    assert "Zeni et al., Gait & Posture 2008" in text and "resampled" in text
    document = json.loads((out / "measures.json").read_text())
    assert len(document["definitions"]) == 6 and document["counts"][0]["done"] == 2
    first, second = document["tracks"]
    assert (first["track_id"], second["track_id"]) == (1, 4)
    figures = first["figures"]
    assert figures["cadence, steps/min"] == pytest.approx(120, rel=0.01)
    assert figures["step time, s"] == pytest.approx(0.5, rel=0.01)
    assert figures["falls"] == 0 and second["figures"]["falls"] == 1
    (fell,) = [event for event in second["events"] if event["event"] == "fall"]
    assert 9 < fell["begin_s"] < 10

    events = list(csv.DictReader((out / "events.csv").open()))
    strikes = [e for e in events if e["event"] == "left strike" and e["track_id"] == "1"]
    times = np.array([float(e["begin_s"]) for e in strikes])
    np.testing.assert_allclose(times, 5.5 + np.arange(len(times)), atol=0.04)
    assert len(times) >= 7
    rows = list(csv.DictReader((out / "measures.csv").open()))
    own = [row for row in rows if row["track_id"] == "1"]
    np.testing.assert_allclose([float(row["seconds"]) for row in own], 5 + uneven(8))
    assert {row["track_id"] for row in rows} == {"1", "4"}
    assert read_image(out / "measures.png").shape[1] > 600


def test_one_track_and_an_assumed_rate(tmp_path):
    path = tmp_path / "plain.json"
    path.write_text(json.dumps([walk(t / 25).tolist() for t in range(100)]))
    bare = ("--skeleton", "coco17", "--size", "640x480", "--gait", "--out", tmp_path / "out")
    result = run(path, *bare)
    assert result.exit_code == 0 and "30 frames a second are assumed" in result.output
    result = run(path, *bare, "--fps", 25, "--track", 0)
    assert result.exit_code == 0 and "are assumed" not in result.output
    (track,) = json.loads((tmp_path / "out" / "measures.json").read_text())["tracks"]
    assert track["figures"]["cadence, steps/min"] == pytest.approx(120, rel=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "at least one of angles"),
        (("--angles", "left_knie"), "Did you mean 'left_knee'"),
        (("--angles", "left_ankle"), "skeleton 'coco17' lacks one"),
        (("--gait", "--track", "2"), "no track 2; the tracks are 1, 4, 7"),
    ],
)
def test_refusals(source, tmp_path, options, message):
    result = run(source, "--out", tmp_path / "out", *options)
    assert result.exit_code == 2 and message in " ".join(result.output.split())
    assert not (tmp_path / "out").exists()


def test_frames_that_cannot_be_measured(tmp_path):
    path, out = tmp_path / "a.json", tmp_path / "out"
    one = {1: (body(), 0.9)}
    path.write_text(json.dumps(frames_of([0.0, 0.1, 0.05], lambda t: one)))
    result = run(path, "--out", out, "--falls")
    assert result.exit_code == 2 and "run backwards" in result.output
    path.write_text(json.dumps(frames_of([0.0], lambda t: {})))
    assert "contains no person" in " ".join(run(path, "--falls", "--out", out).output.split())
    path.write_text(json.dumps(frames_of([0.0], lambda t: {1: (body(), 0.1)})))
    result = run(path, "--falls", "--out", out)
    assert result.exit_code == 2 and "done 0" in result.output and not out.exists()
    path.write_text(json.dumps(frames_of([3.0], lambda t: one)))
    result = run(path, "--out", out, "--angles", "left_knee", "--falls", "--gait")
    assert result.exit_code == 0, result.output
    (track,) = json.loads((out / "measures.json").read_text())["tracks"]
    assert (track["frames"], track["begin_s"]) == (1, 3.0)
    photos = {"photos": [{"file": "a.jpg", **frames_of([None], lambda t: one)["frames"][0]}]}
    del photos["photos"][0]["frame"]
    path.write_text(json.dumps(photos))
    result = run(path, "--falls", "--out", out)
    assert result.exit_code == 2 and "results of images" in " ".join(result.output.split())


def bent(t: float) -> dict[str, list[float]]:
    """Joints of a leg towards the camera: the knee is bent by 90 degrees, and looks straight."""
    knee = np.deg2rad(90 + 40 * np.sin(2 * np.pi * t))
    ankle = [0.0, 400 - 300 * np.cos(knee), 300 * np.sin(knee)]
    leg = {"hip": [0.0, 0.0, 0.0], "knee": [0.0, 400.0, 0.0], "ankle": ankle}
    return {f"{side}_{name}": place for side in ("left", "right") for name, place in leg.items()}


def test_angles_of_a_lifted_file_are_those_in_3d(tmp_path):
    path, out = tmp_path / "lifted.json", tmp_path / "out"
    seconds = np.arange(60) / 30
    document = frames_of(seconds, lambda t: {1: (walk(t), 0.9), 4: (walk(t), 0.9)})
    for entry, t in zip(document["frames"], seconds, strict=True):
        entry["people"][0]["joints_mm"] = bent(t)
    # Frames in which too few keypoints were found have no joints.
    for entry in document["frames"][50:]:
        entry["people"][0]["joints_mm"] = dict.fromkeys(bent(0), [None] * 3)
    path.write_text(json.dumps(document))
    options = ("--angles", "left_knee,trunk", "--repetitions", "right_elbow", "--out", out)
    result = run(path, *options)
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    assert "Track 1: left_knee: angles in 3D" in text
    assert "Track 1: trunk, right_elbow: angles in the image" in text
    assert "Track 4: left_knee" not in text
    rows = list(csv.DictReader((out / "measures.csv").open()))
    knees = {n: [r["left_knee"] for r in rows if r["track_id"] == n] for n in ("1", "4")}
    truth = 90 + 40 * np.sin(2 * np.pi * seconds)
    np.testing.assert_allclose([float(a) for a in knees["1"][:48]], truth[:48], atol=1.5)
    assert knees["1"][-1] == ""
    result = run(path, *options, "--in-image")
    assert result.exit_code == 0 and "angles in 3D," not in result.stdout
    rows = list(csv.DictReader((out / "measures.csv").open()))
    assert [r["left_knee"] for r in rows if r["track_id"] == "1"] == knees["4"]

    document["frames"][0]["people"][1]["joints_mm"] = {"other": [0.0, 0.0, 0.0]}
    path.write_text(json.dumps(document))
    result = run(path, *options)
    assert result.exit_code == 2 and "different names" in " ".join(result.output.split())


def test_tracks_of_several_videos_are_named_with_their_file(tmp_path):
    path = tmp_path / "a.json"
    seconds = np.arange(30) / 30
    first = frames_of(seconds, lambda t: {1: (walk(t), 0.9)})["frames"]
    second = [entry | {"source": "b.mp4"} for entry in first]
    photo = {key: value for key, value in first[0].items() if key not in ("frame", "seconds")}
    path.write_text(json.dumps({"frames": first + second, "photos": [photo | {"file": "c.jpg"}]}))
    result = run(path, "--angles", "left_knee", "--out", tmp_path / "out")
    text = " ".join(result.output.split())
    assert result.exit_code == 0 and "1 of a.mp4" in text and "1 of b.mp4" in text
    # An image has no time stamp, and misses none.
    assert "no time stamps" not in text
