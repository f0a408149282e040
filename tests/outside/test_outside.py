"""A package that jaxpose knows nothing of trains, resumes, predicts and becomes a release."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import jax
import numpy as np
import pytest
from typer.testing import CliRunner

import jaxpose
from jaxpose.cli.main import app
from jaxpose.errors import InputError
from jaxpose.train.log import read_metrics
from jaxpose.train.run_dir import load_run

HERE = Path(__file__).resolve().parent
RECIPE = HERE / "star_recipe.py"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The package on the path, and a cache folder that holds what this user wrote."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAXPOSE_CACHE", str(folder / "cache"))
        patch.syspath_prepend(str(HERE))
        yield folder


def run(*arguments, status=0):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == status, result.output
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def finished(home):
    run("train", RECIPE, "--workdir", home / "run")
    return home / "run"


@pytest.fixture(scope="module")
def release(finished, home):
    run("convert", finished, home / "release")
    return home / "release"


@pytest.fixture(scope="module")
def sky(home):
    """A drawn sky, twice as large as the model's input, and its stars in pixels."""
    from starpose.data import DrawnStars

    sample = DrawnStars(4, seed=9).samples(np.arange(4))
    path = home / "sky.png"
    image = sample["image"][3].repeat(2, axis=0).repeat(2, axis=1)
    cv2.imwrite(str(path), image[..., ::-1])
    return path, 2 * sample["keypoints"][3]


def test_no_file_of_jaxpose_knows_the_package():
    files = Path(jaxpose.__file__).parent.rglob("*.py")
    assert not [path for path in files if "starpose" in path.read_text()]


@pytest.mark.slow
def test_it_learns_and_logs_its_terms_and_figures(finished):
    records = read_metrics(finished)
    losses = [r["loss"] for r in records if r["kind"] == "train"]
    assert losses[-1] < 0.5 * losses[0]
    last = [r for r in records if r["kind"] == "train"][-1]
    total = last["loss/distance"] + last["loss/direction"]
    np.testing.assert_allclose(total, last["loss"], rtol=1e-6)
    scores = [r["median error"] for r in records if r["kind"] == "eval"]
    assert len(scores) == 2 and scores[-1] < 6.0


def test_a_killed_run_resumes_to_the_same_bits(finished, home):
    """SIGKILL in step 44; the newest checkpoint is of an earlier step."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    process = subprocess.run(
        [sys.executable, "-m", "jaxpose", "train", RECIPE, "--workdir", home / "killed"],
        env=environment | {"STARS_DIE_AT": "44", "JAX_NUM_CPU_DEVICES": "8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert "Resuming" in run("train", RECIPE, "--workdir", home / "killed")
    one, other = (load_run(path, "last") for path in (finished, home / "killed"))
    assert one.step == other.step == 60
    jax.tree.map(np.testing.assert_array_equal, one.variables, other.variables)


def test_it_is_evaluated_and_predicts(finished, home, sky):
    assert "median error" in run("eval", finished)
    report = json.loads((finished / "eval" / "report.json").read_text())
    assert report["metrics"] == json.loads((finished / "report.json").read_text())["metrics"]
    path, stars = sky
    run("predict", path, "--from", finished, "--out", home / "out")
    (image,) = json.loads((home / "out" / "predictions.json").read_text())["photos"]
    (person,) = image["people"]
    found = [[person["keypoints"][name][axis] for axis in "xy"] for name in
             ("pole", "left_star", "right_star")]  # fmt: skip
    assert np.abs(np.array(found) - stars).max() < 24


def test_a_release_predicts_the_same_and_is_exported(finished, release, home, sky):
    image = cv2.imread(str(sky[0]))[..., ::-1].copy()
    one, other = (jaxpose.load(path).predictor()(image) for path in (finished, release))
    np.testing.assert_array_equal(one.keypoints, other.keypoints)
    run("export", release, "--to", "stablehlo", "--out", home / "exported", "--samples", 2)
    assert (home / "exported" / "model.stablehlo").is_file()


def test_it_is_refused_elsewhere_unless_trusted(finished, release, home, sky, monkeypatch):
    for original in (finished, release):
        copy = home / "elsewhere" / original.name
        shutil.copytree(original, copy)
        assert jaxpose.load(copy).skeleton.name == "stars"  # word for word what was written here
        monkeypatch.setenv("JAXPOSE_CACHE", str(home / "another user"))
        with pytest.raises(InputError, match="--trust-recipe"):
            jaxpose.load(copy)
        path = sky[0]
        said = run("predict", path, "--from", copy, "--out", home / "no", status=2)
        assert "needs code that is not part of jaxpose" in said
        assert jaxpose.load(copy, trust_recipe=True).skeleton.name == "stars"
        run("predict", path, "--from", copy, "--out", home / copy.name, "--trust-recipe")
        monkeypatch.setenv("JAXPOSE_CACHE", str(home / "cache"))


def test_a_file_that_was_changed_is_not_ones_own(release, home):
    copy = home / "changed"
    shutil.copytree(release, copy)
    config = copy / "config.json"
    config.write_text(config.read_text().replace('"dim": 24', '"dim": 25'))
    with pytest.raises(InputError, match="was changed since"):
        jaxpose.load(copy)
