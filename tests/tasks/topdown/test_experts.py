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
from jaxpose.train.init_state import abstract_state, first_state, run_key
from jaxpose.train.mesh import make_mesh
from jaxpose.train.step import train_step


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


@pytest.mark.parametrize("resident", [True, False], ids=["resident", "streamed"])
def test_experts_learn_from_their_own_data_set_alone(resident):
    experiment = mixed_experiment(0, 2, resident=resident)
    mesh = make_mesh(experiment.mesh)
    task = experiment.task()
    source = task.open("train")
    batch = next(task.batches(source, mesh, 0))
    abstract = task.abstract_batch(mesh)
    assert {k: v.shape for k, v in batch.items()} == {k: v.shape for k, v in abstract.items()}
    _, layout = abstract_state(experiment, mesh)
    state = first_state(experiment, layout)
    tx = experiment.optimizer.build(experiment.steps, experiment.model)

    def step(state, batch, key):
        return train_step(state, batch, key, experiment=experiment, tx=tx)[0]

    # The first moment of AdamW after one step is a tenth of the gradient: no decay is in it.
    after = jax.jit(step)(state, batch, run_key(experiment, mesh))
    moments = [
        np.abs(np.asarray(leaf)).max(axis=(0, 2, 3))
        for path, leaf in jax.tree_util.tree_leaves_with_path(after.opt_state)
        if "mu" in jax.tree_util.keystr(path)
        and jax.tree_util.keystr(path).endswith("['experts']['kernel']")
    ]
    assert len(moments) == 1
    assert moments[0][0] > 0 and moments[0][1] == 0 and moments[0][2] > 0


def test_evaluation_uses_the_expert_of_each_sample():
    experiment = mixed_experiment(0)
    mesh = make_mesh(experiment.mesh)
    task = experiment.task()
    source = task.open("eval")
    _, layout = abstract_state(experiment, mesh)
    variables = first_state(experiment, layout).variables()
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
    variables = first_state(experiment, layout).variables()
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
    with pytest.raises(InputError, match="data set number 3, and the model has experts for 3"):
        mixed_experiment(0, 3).task().open("train")


def test_a_model_without_experts_trains_on_a_mixture():
    experiment = replace(mixed_experiment(0, 1), model=tiny.get_config().model)
    mesh = make_mesh(experiment.mesh)
    batch = next(experiment.task().batches(experiment.task().open("train"), mesh, 0))
    assert "dataset" not in batch
