"""Detection task: mosaics, a short training, and the detector that it gives."""

import io
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from jaxpose.convert.load import expected_leaves
from jaxpose.convert.release import load_config
from jaxpose.convert.rules import flatten
from jaxpose.data.source import SyntheticPeople, SyntheticScenes
from jaxpose.detect.detector import Detector
from jaxpose.errors import InputError
from jaxpose.hub.from_checkpoint import release_run
from jaxpose.models.csp import Style
from jaxpose.models.cspnext import CSPNeXt
from jaxpose.models.detection import DetectionModel, PathAggregation, RTMDetHead
from jaxpose.models.distillation import DistillationModel
from jaxpose.models.feature_pyramid import FixedStatistics, PyramidNeck
from jaxpose.tasks.detection.experiment import DetectionExperiment, Evaluation
from jaxpose.tasks.detection.mosaic import STILL, Mosaic, compose
from jaxpose.train.loop import train
from jaxpose.train.optimizers import AdamW
from jaxpose.train.run_dir import load_run


def test_a_still_canvas_fills_its_image_and_grey_surrounds_it():
    canvases = jnp.full((1, 40, 20, 3), 50, jnp.uint8)
    (image,) = compose(jax.random.key(0), canvases, (80, 80), STILL)
    np.testing.assert_allclose(image[10:70, 25:55], 50, atol=1e-3)
    np.testing.assert_allclose(image[:, :15], 114, atol=1e-3)
    np.testing.assert_allclose(image[:, 65:], 114, atol=1e-3)


@pytest.mark.slow
def test_the_second_half_of_a_batch_has_four_canvases_each():
    values = [10, 60, 160, 210]
    canvases = jnp.asarray(np.stack([np.full((32, 32, 3), v, np.uint8) for v in values]))
    images = np.asarray(compose(jax.random.key(3), canvases, (64, 64), STILL))
    assert images.shape == (4, 64, 64, 3)
    centres = images[:, [16, 16, 48, 48], [16, 48, 16, 48], 0]
    np.testing.assert_allclose(centres[:2], [[v] * 4 for v in values[:2]], atol=1e-3)
    assert all(np.isclose(c, values, atol=1e-3).any() for c in centres[2:].ravel())
    assert len(np.unique(centres[2:].round())) > 2


def test_random_images_differ_and_stay_in_range():
    canvases = jnp.asarray(np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8))
    a, b = (compose(jax.random.key(seed), canvases, (64, 64), Mosaic()) for seed in (0, 1))
    assert float(jnp.abs(a - b).mean()) > 5
    assert float(a.min()) >= 0 and float(a.max()) <= 255
    with pytest.raises(InputError, match=r"mosaic\.scale"):
        Mosaic(scale=(2.0, 1.0))


def trunk():
    return CSPNeXt(0.1, 0.125, (2, 3, 4))


STUDENT = DetectionModel(FixedStatistics(trunk()), RTMDetHead(1, 8), PyramidNeck(8))
TEACHER = DetectionModel(trunk(), RTMDetHead(1, 8), PathAggregation(8, 1, "cspnext", 1, Style()))


def experiment(**changes):
    settings = {
        "model": DistillationModel(STUDENT, TEACHER, features=False),
        "teacher_from": "teacher",
        "train_data": SyntheticPeople(count=8, seed=0, canvas_hw=(48, 32)),
        "eval_data": SyntheticScenes(count=2, seed=1, canvas_hw=(64, 64), people=2),
        "image_hw": (64, 64),
        "optimizer": AdamW(learning_rate=1e-2, warmup_steps=1, frozen=("teacher/.*",)),
        "evaluation": Evaluation(every=4, batch_size=8),
        "steps": 4,
        "batch_size": 8,
        "resident": True,
        "loggers": (),
        "log_every": 1,
    }
    return DetectionExperiment(**{**settings, **changes})


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="multiples of 64"):
        experiment(image_hw=(96, 96))
    with pytest.raises(InputError, match=r"model\.features"):
        experiment(model=DistillationModel(STUDENT, TEACHER))
    with pytest.raises(InputError, match="crops of single people"):
        experiment(eval_data=SyntheticPeople(count=2, seed=0)).task().open("eval")


@pytest.mark.slow  # it compiles a step of two detectors
def test_a_student_trains_and_becomes_a_detector(tmp_path):
    rng = np.random.default_rng(0)

    weights = {
        path: np.ones(leaf.shape, np.float32)
        if path.endswith(("scale", "var"))
        else rng.normal(0, 0.2, leaf.shape).astype(np.float32)
        for path, leaf in expected_leaves(TEACHER).items()
    }
    console = Console(file=io.StringIO())
    result = train(experiment(), tmp_path / "run", console, {"teacher": weights}.get)
    assert result.step == 4
    losses = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").open()]
    losses = [line["loss"] for line in losses if "loss" in line]
    assert losses[-1] < losses[0]
    assert "recall" in console.file.getvalue()

    run = load_run(tmp_path / "run", "last")
    after = flatten(run.variables)
    for path, leaf in weights.items():
        kind, _, rest = path.partition("/")
        np.testing.assert_array_equal(after[f"{kind}/teacher/{rest}"], leaf, path)
    release_run(run, tmp_path / "release", overwrite=False, half=True)
    assert load_config(tmp_path / "release")["finds"] == "people"
    detector = Detector.load(tmp_path / "release")
    assert detector.input_hw == (64, 64)
    # The same boxes as the run's own detector, but for the rounding to float16.
    image = rng.integers(0, 256, (64, 64, 3), np.uint8)
    own = run.experiment.task().detector(run.variables).places(image[None])
    for a, b in zip(own, detector.places(image[None]), strict=True):
        np.testing.assert_allclose(a, b, atol=0.2)
