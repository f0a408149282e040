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
        ("a.bvh", {"track": "3"}, "no track 3; there are 0"),
        ("a.bvh", {"size": "640"}, "not WIDTHxHEIGHT"),
        ("a.bvh", {"skeleton": "coco18"}, "Did you mean"),
        ("a.bvh", {"skeleton": "mpii16"}, "is needed for skeleton 'mpii16'"),
    ],
)
def test_refusals(release, tmp_path, name, options, message):
    result = lift(release, str(tmp_path / name), **options)
    assert result.exit_code == 2 and message in " ".join(result.output.split())
    assert not list(tmp_path.iterdir())
