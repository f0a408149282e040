"""A ViT with experts on a mixture: each expert is trained by its own data set alone."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import tiny

from jaxpose.config import from_json, to_json
from jaxpose.data.mixture import Mixture, Weighted
from jaxpose.data.source import SyntheticPeople
from jaxpose.errors import InputError
from jaxpose.tasks.topdown.forward import predict_keypoints
from jaxpose.train.init_state import abstract_state, first_state
from jaxpose.train.mesh import make_mesh


def people(seed):
    return SyntheticPeople(count=6, seed=seed, canvas_hw=(96, 72), plain=True)


def mixed_experiment(*datasets, **changes):
    plain = tiny.get_config()
    backbone = plain.model.backbone.clone(experts=3, part_features=8, drop_path=0.0)
    return replace(
        plain,
        model=plain.model.clone(backbone=backbone),
        train_data=Mixture(tuple(Weighted(people(d), 1.0, d) for d in datasets)),
        eval_data=Mixture((Weighted(people(9), 1.0, 2),)),
        ema_decay=None,
        **changes,
    )


def test_batches_say_of_which_data_set_each_sample_is():
    experiment = mixed_experiment(0, 2)
    mesh, source = make_mesh(experiment.mesh), experiment.task().open("train")
    resident = next(experiment.task().batches(source, mesh, 5))
    streamed = next(replace(experiment, resident=False).task().batches(source, mesh, 5))
    abstract = experiment.task().abstract_batch(mesh)
    for batch in (resident, streamed):
        assert {k: v.shape for k, v in batch.items()} == {k: v.shape for k, v in abstract.items()}
        part = source.batch_indices(experiment.seed, 5, 8) // 6
        np.testing.assert_array_equal(batch["dataset"], 2 * part)
    np.testing.assert_array_equal(resident["image"], streamed["image"])


@pytest.mark.slow
def test_experts_learn_from_their_own_data_set_alone():
    experiment = mixed_experiment(0, 2)
    mesh = make_mesh(experiment.mesh)
    task = experiment.task()
    batch = next(task.batches(task.open("train"), mesh, 0))
    assert set(np.unique(batch["dataset"])) == {0, 2}
    _, layout = abstract_state(experiment, mesh)
    variables = first_state(experiment, layout)[0].variables()

    def loss(params, batch):
        inputs, targets, weights = task.encode(jax.random.key(0), batch)
        outputs, _ = experiment.model.apply(
            variables | {"params": params}, inputs, train=True, mutable=["batch_stats"]
        )
        return experiment.loss(outputs, targets, weights)

    gradient = jax.jit(jax.grad(loss))

    def experts_reached(batch):
        found = gradient(variables["params"], batch)["backbone"]["blocks"]["mlp"]["experts"]
        return (np.abs(found["kernel"]).max(axis=(0, 2, 3)) > 0).tolist()

    assert experts_reached(batch) == [True, False, True]
    alone = dict(batch, dataset=jax.numpy.full_like(batch["dataset"], 1))
    assert experts_reached(alone) == [False, True, False]


@pytest.mark.slow
def test_evaluation_uses_the_expert_of_each_sample():
    experiment = mixed_experiment(0)
    mesh = make_mesh(experiment.mesh)
    task = experiment.task()
    source = task.open("eval")
    _, layout = abstract_state(experiment, mesh)
    variables = first_state(experiment, layout)[0].variables()
    mixed = task.evaluator(source, mesh, True)(variables).predictions
    set_to_two = experiment.model.clone(backbone=experiment.model.backbone.clone(dataset=2))
    alone = replace(experiment, model=set_to_two, eval_data=people(9))
    fixed = alone.task().evaluator(alone.task().open("eval"), mesh, True)(variables).predictions
    for ours, theirs in zip(mixed, fixed, strict=True):
        np.testing.assert_allclose(ours["keypoints"], theirs["keypoints"], atol=1e-3)
    first = replace(experiment, eval_data=people(9))
    other = first.task().evaluator(first.task().open("eval"), mesh, True)(variables).predictions
    assert any(a["keypoints"] != b["keypoints"] for a, b in zip(mixed, other, strict=True))


def test_the_flip_test_keeps_each_images_data_set():
    experiment = mixed_experiment(0)
    _, layout = abstract_state(experiment, make_mesh(experiment.mesh))
    variables = first_state(experiment, layout)[0].variables()
    images = jax.random.normal(jax.random.key(0), (2, 64, 48, 3))
    permutation = experiment.skeleton.flip_permutation

    kernel = variables["params"]["backbone"]["blocks"]["mlp"]["experts"]["kernel"]
    variables["params"]["backbone"]["blocks"]["mlp"]["experts"]["kernel"] = 1000 * kernel

    @jax.jit
    def predict(index):
        raw = predict_keypoints(
            experiment.model, variables, images, experiment.codec, permutation, True, index
        ).raw
        return raw * 1e6  # a fresh head's outputs are that small

    both = predict(np.array([0, 2]))
    np.testing.assert_allclose(both[0], predict(np.array([0, 0]))[0], rtol=1e-3)
    np.testing.assert_allclose(both[1], predict(np.array([2, 2]))[1], rtol=1e-3)
    assert np.abs(both[1] / predict(np.array([0, 0]))[1] - 1).max() > 0.1


def test_a_mixture_is_configuration():
    experiment = mixed_experiment(0, 1)
    assert from_json(to_json(experiment)) == experiment


def test_a_data_set_without_an_expert_is_refused():
    with pytest.raises(InputError, match="dataset number 3, but the model has experts for 3"):
        mixed_experiment(0, 3).task().open("train")


def test_a_model_without_experts_trains_on_a_mixture():
    experiment = replace(mixed_experiment(0, 1), model=tiny.get_config().model)
    mesh = make_mesh(experiment.mesh)
    batch = next(experiment.task().batches(experiment.task().open("train"), mesh, 0))
    assert "dataset" not in batch
