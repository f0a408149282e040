"""`jaxpose lift`: a file of keypoints and a lifter in, files of joints out."""

import json

import jax
import numpy as np
import pytest
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.codecs.lifting import LiftingCodec, Statistics
from jaxpose.config import to_json
from jaxpose.convert.release import Card, save_release
from jaxpose.media.image import read_image
from jaxpose.models import martinez
from jaxpose.skeletons import COCO17, H36M17
from jaxpose.tasks.lifting.estimator import LiftingEstimator
from jaxpose.tasks.lifting.track_lifter import TrackLifter
from jaxpose.viz import VideoWriter


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A lifter of random weights, and 20 frames of COCO's keypoints as a bare list."""
    folder = tmp_path_factory.mktemp("lift")
    rng = np.random.default_rng(0)
    model = martinez(17, 17, channels=8)
    start = np.zeros(model.input_shape(), np.float32)
    variables = jax.device_get(jax.jit(model.init)(jax.random.key(0), start))
    statistics = Statistics.of(rng.normal(size=(50, 17, 2)))
    joints = Statistics.of(0.3 * rng.normal(size=(50, 17, 3)))
    codec = LiftingCodec(input_statistics=statistics, target_statistics=joints)
    card = Card("tiny", "random", "tracks", H36M17.keypoints)
    config = {"estimator": to_json(LiftingEstimator(model, codec, H36M17))}
    save_release(folder / "lifter", variables, config, card)
    film = rng.uniform(100, 300, (20, COCO17.num_keypoints, 2))
    (folder / "film.json").write_text(json.dumps(film.tolist()))
    return folder


def lift(folder, *arguments: str, **options: str):
    given = {"from": str(folder / "lifter"), "skeleton": "coco17", "size": "640x480"} | options
    flat = [word for name, value in given.items() for word in (f"--{name}", value)]
    return CliRunner().invoke(app, ["lift", str(folder / "film.json"), *arguments, *flat])


def test_every_format_from_one_command(release, tmp_path):
    names = ["a.json", "a.bvh", "a.trc", "a.c3d", "a.png", "a.gif"]
    result = lift(release, *[str(tmp_path / name) for name in names], fps="25")
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)
    assert "20 at 25 a second" in result.output and "bones' lengths vary" in result.output
    document = json.loads((tmp_path / "a.json").read_text())
    (track,) = document["tracks"]
    assert np.shape(track["joints_mm"]) == (20, 17, 3)
    np.testing.assert_array_equal(np.array(track["joints_mm"])[:, 0], 0)


def test_the_film_stands_beside_what_is_lifted(release, tmp_path):
    picture = np.full((480, 640, 3), 200, np.uint8)
    with VideoWriter(tmp_path / "film.mp4", 25) as writer:
        for _ in range(20):
            writer.write(picture)
    film, out = str(tmp_path / "film.mp4"), tmp_path / "a.png"
    assert lift(release, str(out), film=film).exit_code == 0
    shown = read_image(out)
    # Three rows: the film, twice the joints.
    bright = (shown > 180).mean(axis=(1, 2))
    assert bright[: len(bright) // 3].mean() > 0.4 > 0.1 > bright[len(bright) // 3 :].mean()
    result = lift(release, str(out), film=film, size="320x240")
    assert result.exit_code == 2 and "is 640 x 480" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.fbx", {}, "can be written as .json"),
        ("a.bvh", {"track": "3"}, "no track 3; the tracks are 0"),
        ("a.bvh", {"size": "640"}, "not WIDTHxHEIGHT"),
        ("a.bvh", {"skeleton": "coco18"}, "Did you mean"),
        ("a.bvh", {"skeleton": "mpii16"}, "is needed for skeleton 'mpii16'"),
    ],
)
def test_refusals(release, tmp_path, name, options, message):
    result = lift(release, str(tmp_path / name), **options)
    assert result.exit_code == 2 and message in " ".join(result.output.split())
    assert not list(tmp_path.iterdir())


def tracked(*scores: float) -> dict:
    """Predictions of 20 frames with a track for each score, 1 and up, which all keypoints have."""
    rng = np.random.default_rng(1)

    def person(number, score):
        points = rng.uniform(100, 300, (COCO17.num_keypoints, 2))
        named = zip(COCO17.keypoints, points.tolist(), strict=True)
        return {
            "track_id": number,
            "keypoints": {name: {"x": x, "y": y, "score": score} for name, (x, y) in named},
        }

    frame = {"source": "a.mp4", "width": 640, "height": 480}
    people = [[person(n, score) for n, score in enumerate(scores, 1)] for _ in range(20)]
    return {"frames": [frame | {"frame": t, "people": found} for t, found in enumerate(people)]}


def test_tracks_without_certain_keypoints_are_not_lifted(release, tmp_path):
    (tmp_path / "two.json").write_text(json.dumps(tracked(0.2, 0.9)))
    command = ["lift", str(tmp_path / "two.json"), "--from", str(release / "lifter")]
    out = tmp_path / "out.json"
    result = CliRunner().invoke(app, [*command, str(out)])
    assert result.exit_code == 1
    line = "Given 2 tracks = done 1 + left out 1 (not lifted: 1); given 20 frames = done 20"
    assert line in result.stdout
    assert json.loads(out.read_text())["counts"][0]["left_out"] == {"not lifted": 1}
    reason = "Not lifted: track 1: no keypoint scores 0.3 or more in any frame; lower --min-score"
    assert reason in " ".join(result.output.split())
    (track,) = json.loads(out.read_text())["tracks"]
    assert track["track"] == 2 and None not in track["joints_mm"]
    out.unlink()
    result = CliRunner().invoke(app, [*command, str(out), "--track", "1"])
    assert result.exit_code == 2 and reason in " ".join(result.output.split())
    assert "left out 2 (not lifted: 1, not chosen: 1)" in result.stdout
    assert not out.exists()
    result = CliRunner().invoke(app, [*command, str(out), "--min-score", "0.1"])
    assert result.exit_code == 0 and len(json.loads(out.read_text())["tracks"]) == 2


def test_an_impossible_body_is_the_lifters(release, tmp_path, monkeypatch):
    tiny = 1e-5 * np.random.default_rng(0).normal(size=(20, 17, 3))
    monkeypatch.setattr(TrackLifter, "_windows", lambda self, framed: tiny.copy())
    result = lift(release, str(tmp_path / "a.json"))
    text = " ".join(result.output.split())
    assert result.exit_code == 2 and "the lifter gives an impossible body" in text
    assert "--no-rigid" in text and "check the unit" not in text
    assert not list(tmp_path.iterdir())
    assert lift(release, str(tmp_path / "a.json"), smooth="0").exit_code == 2
