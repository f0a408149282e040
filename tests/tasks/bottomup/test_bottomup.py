"""Whole images: augmentation moves everybody alike, training learns, evaluation and prediction."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.cli.predict_summary import PredictSummary, summarise
from jaxpose.codecs import CenterOffsets
from jaxpose.config import from_json, to_json
from jaxpose.data.source import SyntheticPeople, SyntheticScenes
from jaxpose.errors import InputError
from jaxpose.hub.load import Trained
from jaxpose.losses import CenterOffsetLoss
from jaxpose.media.prefetch import StageTimer
from jaxpose.media.sources import Media
from jaxpose.metrics.pck import PCK
from jaxpose.models.build import PoseModel
from jaxpose.models.center_offsets import CenterOffsetHead
from jaxpose.models.pyramid import Pyramid
from jaxpose.pipeline import Options, Pipeline
from jaxpose.skeletons import COCO17
from jaxpose.tasks.bottomup.augment import STILL, ImageAugmentation, augment
from jaxpose.tasks.bottomup.estimate import DEVICE_KEYS
from jaxpose.tasks.bottomup.experiment import BottomUpExperiment, Evaluation
from jaxpose.train.init_state import abstract_state, first_state, run_key
from jaxpose.train.mesh import make_mesh
from jaxpose.train.optimizers import AdamW
from jaxpose.train.step import compile_step

SIZE = (64, 64)


def experiment(**changes):
    return replace(
        BottomUpExperiment(
            skeleton=COCO17,
            model=PoseModel(
                Pyramid(patch=8, widths=(16, 32), depths=(1, 1), path_width=16),
                CenterOffsetHead(17, deconv_channels=(16,)),
            ),
            codec=CenterOffsets(SIZE, (16, 16), sigma=1.0, radius=1.5, max_people=5),
            loss=CenterOffsetLoss(),
            train_data=SyntheticScenes(8, 0, SIZE, people=3),
            eval_data=SyntheticScenes(5, 1, SIZE, people=3),
            augmentation=ImageAugmentation(),
            evaluation=Evaluation(every=10, batch_size=8),
            optimizer=AdamW(learning_rate=3e-3, warmup_steps=5, schedule="constant"),
            steps=20,
            batch_size=8,
            resident=True,
        ),
        **changes,
    )


@pytest.fixture(scope="module")
def scenes():
    return SyntheticScenes(8, 0, SIZE, people=3).open().samples(range(8))


def augmented(scenes, augmentation, key=0, **more):
    batch = {name: jnp.asarray(scenes[name]) for name in DEVICE_KEYS} | more
    return augment(
        jax.random.key(key),
        batch,
        augmentation=augmentation,
        input_hw=SIZE,
        heatmap_hw=(16, 16),
        permutation=COCO17.flip_permutation,
    )


def test_nothing_changes_in_evaluation(scenes):
    images, sample, matrix = augmented(scenes, STILL)
    np.testing.assert_allclose(matrix, np.broadcast_to(np.eye(2, 3), (8, 2, 3)), atol=1e-5)
    np.testing.assert_allclose(sample.keypoints, scenes["keypoints"], atol=1e-3)
    np.testing.assert_allclose(sample.box_xywh, scenes["box_xywh"], atol=1e-3)
    np.testing.assert_allclose(sample.area, scenes["area"], rtol=1e-5)
    assert sample.counted.all() and images.shape == (8, *SIZE, 3)
    half = scenes["photo_from_canvas"] * 2  # canvases at half the size of their photos
    smaller = augmented(scenes, STILL, photo_from_canvas=half)[1]
    np.testing.assert_allclose(smaller.area, scenes["area"] / 4, rtol=1e-5)


def test_pixels_people_and_regions_move_together(scenes):
    """A bright spot on each keypoint, and a region to leave out, end where the labels say."""
    spots = np.zeros((8, *SIZE, 3), np.uint8)
    keypoints = np.round(np.random.default_rng(0).uniform(20, 44, (8, 3, 17, 2))).astype(np.float32)
    for row in range(8):
        x, y = keypoints[row, 0, 0].astype(int)
        spots[row, y - 1 : y + 2, x - 1 : x + 2] = 255
    ignore = np.zeros((8, 16, 16), np.uint8)
    ignore[:, 4:8, 4:8] = 255
    images, sample, matrix = augmented(
        scenes,
        ImageAugmentation(flip=0.5, rotation_degrees=20, scale=(0.8, 1.2), shift=0.05),
        image=jnp.asarray(spots),
        keypoints=jnp.asarray(keypoints),
        ignore=jnp.asarray(ignore),
    )
    mirrored = np.linalg.det(np.asarray(matrix)[:, :, :2]) < 0
    assert 0 < mirrored.sum() < 8
    for row in range(8):
        nose = np.asarray(sample.keypoints)[row, 0, 0]  # has no left and right
        brightness = np.asarray(images)[row, :, :, 0]
        y, x = np.unravel_index(brightness.argmax(), SIZE)
        assert np.abs(nose - [x, y]).max() <= 2
        source = np.array([23.5, 23.5])  # the middle of the region, in canvas pixels
        middle = np.asarray(matrix)[row] @ np.append(source, 1.0) * 15 / 63
        column, line = np.round(middle).astype(int)
        assert not sample.counted[row, line, column]
        assert 0.5 < (~np.asarray(sample.counted)[row]).sum() / 16 < 1.7
        swapped = COCO17.flip_permutation if mirrored[row] else np.arange(17)
        moved = np.asarray(matrix)[row, :, :2] @ keypoints[row, 1, swapped].T
        expected = moved.T + np.asarray(matrix)[row, :, 2]
        np.testing.assert_allclose(np.asarray(sample.keypoints)[row, 1], expected, atol=1e-3)


@pytest.mark.slow
def test_draws_follow_the_key_and_the_place_in_the_batch(scenes):
    first, again = (augmented(scenes, ImageAugmentation(), key)[2] for key in (0, 0))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, augmented(scenes, ImageAugmentation(), 1)[2])
    half = {name: values[:4] for name, values in scenes.items()}
    np.testing.assert_array_equal(augmented(half, ImageAugmentation())[2], first[:4])


def test_a_row_that_fills_up_the_batch_weighs_nothing(scenes):
    task = experiment().task()
    batch = {name: jnp.asarray(scenes[name]) for name in DEVICE_KEYS}
    batch["mask"] = jnp.asarray([True] * 7 + [False])
    _, _, (pixels, offsets) = jax.jit(task.encode)(jax.random.key(0), batch)
    assert float(pixels[7].max()) == 0 and float(offsets[7].max()) == 0
    assert float(pixels[:7].min()) == 1 and float(offsets[:7].max()) > 0


@pytest.fixture(scope="module")
def trained():
    """The experiment after 60 steps without augmentation, and the loss of each."""
    recipe = experiment(augmentation=STILL, steps=60)
    mesh = make_mesh(recipe.mesh)
    task = recipe.task()
    task.check()
    _, layout = abstract_state(recipe, mesh)
    (state, _), key = first_state(recipe, layout), run_key(recipe, mesh)
    batches = task.batches(task.open("train"), mesh, 0)
    batch, losses = next(batches), []
    abstract = task.abstract_batch(mesh)
    assert {k: (v.shape, v.dtype) for k, v in batch.items()} == {
        k: (v.shape, v.dtype) for k, v in abstract.items()
    }
    step = compile_step(recipe, state, batch, key)
    for _ in range(recipe.steps):
        state, scalars = step(state, batch, key)
        losses.append(float(scalars["loss"]))
        batch = next(batches)
    return recipe, state.variables(), losses


@pytest.mark.slow
def test_the_loss_falls(trained):
    losses = trained[2]
    assert np.isfinite(losses).all()
    assert np.mean(losses[-5:]) < 0.5 * losses[0]


def test_streamed_batches_are_the_resident_ones():
    recipe = experiment()
    mesh, source = make_mesh(recipe.mesh), recipe.task().open("train")
    resident = next(recipe.task().batches(source, mesh, 3))
    streamed = next(replace(recipe, resident=False).task().batches(source, mesh, 3))
    assert set(resident) == set(streamed) == set(DEVICE_KEYS)
    for name, values in resident.items():
        np.testing.assert_array_equal(values, streamed[name])


class Perfect:
    """A model that answers the codec's own targets for images whose labels it was given."""

    def __init__(self, codec, scenes):
        self.codec, self.scenes = codec, scenes

    def apply(self, variables, images, train=False):
        sample = augmented(self.scenes, STILL)[1]
        return self.codec.encode(sample).values


def test_evaluation_finds_everybody_whom_the_outputs_hold():
    recipe = experiment(eval_data=SyntheticScenes(8, 0, SIZE, people=3))
    scenes = recipe.eval_data.open().samples(range(8))
    perfect = replace(recipe)
    object.__setattr__(perfect, "model", Perfect(recipe.codec, scenes))
    task = perfect.task()
    result = task.evaluator(task.open("eval"), make_mesh(recipe.mesh), False)({})
    assert result.report.people == scenes["valid"].sum()
    assert len(result.predictions) == scenes["valid"].sum()
    assert result.report.metrics["AR50"] > 0.9
    assert result.image.dtype == np.uint8


def test_evaluation_of_a_trained_model_fills_up_the_last_batch(trained):
    recipe, variables, _ = trained
    task = recipe.task()
    report = task.evaluator(task.open("eval"), make_mesh(recipe.mesh), True)(variables).report
    assert report.notes["images"] == "5" and "whole images" in report.boxes
    assert 0 <= report.metrics["AP"] <= 1


def test_prediction_in_any_size_of_image_and_batch(trained):
    recipe, variables, _ = trained
    estimator, variables = recipe.task().estimator(variables)
    assert estimator.takes == "images"
    predictor = estimator.predictor(variables, batch_size=2, flip_test=False)
    images = [np.full((h, w, 3), 90, np.uint8) for h, w in ((64, 64), (50, 100), (1, 7))]
    people = list(predictor.stream((image, None) for image in images))
    assert [p.image_hw for p in people] == [(64, 64), (50, 100), (1, 7)]
    assert predictor.compilations == 1
    with pytest.raises(InputError, match="whole images"):
        estimator.predictor(variables, padding=1.25)


def test_only_people_in_the_boxes_are_kept(scenes):
    recipe = experiment()
    one = {name: values[:1] for name, values in scenes.items()}
    assert one["valid"].sum() >= 2
    estimator = recipe.task().estimator({})[0]
    object.__setattr__(estimator, "model", Perfect(recipe.codec, one))
    predictor = estimator.predictor({}, batch_size=1, flip_test=False)
    everybody = predictor(one["image"][0])
    assert len(everybody) == one["valid"].sum()
    assert (everybody.box_indices == 0).all()
    middle = everybody.keypoints[1].mean(axis=0)
    box = np.array([[0, 0, 0.5, 0.5], [*(middle - 1), 2, 2]])
    kept = predictor(one["image"][0], box)
    assert len(kept) == 1 and kept.box_indices.tolist() == [1]
    np.testing.assert_array_equal(kept.keypoints[0], everybody.keypoints[1])
    assert len(predictor(one["image"][0], np.zeros((0, 4)))) == 0


def test_the_pipeline_needs_no_detector(scenes, tmp_path):
    recipe = experiment()
    one = {name: values[:1] for name, values in scenes.items()}
    estimator = recipe.task().estimator({})[0]
    object.__setattr__(estimator, "model", Perfect(recipe.codec, one))
    options = Options(flip_test=False, batch_size=1, nms=None)
    pipeline = Pipeline(Trained(tmp_path, estimator, {}, None), options=options)
    people = pipeline(one["image"][0])
    truth = one["keypoints"][0][one["valid"][0]]
    assert len(people) == len(truth) >= 2
    away = np.abs(people.keypoints[:, None].mean(axis=2) - truth[None].mean(axis=2)).max(axis=-1)
    assert (away.min(axis=1) < 4).all()  # what leaves the image is labelled, not trained


def test_people_who_do_not_fit_are_counted_and_said(scenes, tmp_path, capsys):
    wide = experiment(eval_data=SyntheticScenes(8, 0, SIZE, people=3))
    most = int(scenes["valid"].sum(axis=1).max())
    assert most == 3
    recipe = replace(wide, codec=replace(wide.codec, max_people=most - 1))
    full = scenes["valid"].sum(axis=1) == most
    object.__setattr__(recipe, "model", Perfect(recipe.codec, scenes))
    task = recipe.task()
    report = task.evaluator(task.open("eval"), make_mesh(recipe.mesh), False)({}).report
    assert report.notes["people left out"].startswith(
        f"at least {full.sum()}, in {full.sum()} of 8"
    )
    assert "max_people is 2" in report.notes["people left out"]

    image = int(np.flatnonzero(full)[0])
    one = {name: values[image : image + 1] for name, values in scenes.items()}
    estimator = recipe.task().estimator({})[0]
    object.__setattr__(estimator, "model", Perfect(recipe.codec, one))
    options = Options(flip_test=False, batch_size=1)
    people = Pipeline(Trained(tmp_path, estimator, {}, None), options=options)(one["image"][0])
    assert (len(people), people.lost, people.to_dict()["people_lost"]) == (2, 1, 1)
    outcome = PredictSummary(0.0)
    outcome.add(people)
    summarise(outcome, Media([]), tmp_path, None, StageTimer(), [])
    assert "At least 1 person left out in 1 image" in " ".join(capsys.readouterr().out.split())


def test_the_exported_function_is_the_predictors(trained):
    recipe, variables, _ = trained
    estimator, variables = recipe.task().estimator(variables)
    program = estimator.program(variables, flip_test=False)
    (images,) = program.samples(2)
    found = jax.jit(program.function)(images)
    people = estimator.predictor(variables, flip_test=False, batch_size=2)(images[0])
    there = np.asarray(found["scores"])[0].max(axis=-1) > 0
    np.testing.assert_allclose(
        np.asarray(found["keypoints"])[0][there], people.keypoints, atol=1e-3
    )
    with pytest.raises(InputError, match="whole"):
        estimator.program(variables, level="photo")


def test_the_experiment_is_configuration():
    assert from_json(to_json(experiment())) == experiment()


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"\[16, 16, 18\] and \[16, 16, 34\], but CenterOffsets"):
        experiment(codec=CenterOffsets(SIZE, (32, 32))).task().check()
    with pytest.raises(InputError, match="crops of single people"):
        experiment(train_data=SyntheticPeople(4, 0, SIZE)).task().open("train")
    with pytest.raises(InputError, match="PCK scores people in given boxes"):
        experiment(evaluation=Evaluation(metrics=(PCK(),)))
    with pytest.raises(InputError, match="num_keypoints is 5"):
        experiment(model=experiment().model.clone(head=CenterOffsetHead(5)))
