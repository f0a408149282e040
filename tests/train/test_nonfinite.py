"""A step that is not finite: what is said, and whether the run goes on."""

import dataclasses
from pathlib import Path

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.data.index import sample_indices
from jaxpose.errors import InputError
from jaxpose.losses import HeatmapMSE
from jaxpose.losses.combine import WeightedSum
from jaxpose.train.device_batches import to_device
from jaxpose.train.init_state import run_key
from jaxpose.train.mesh import make_mesh
from jaxpose.train.nonfinite import PendingSteps
from jaxpose.train.recipe import load_recipe
from jaxpose.train.state import new_state

TINY = Path(__file__).resolve().parents[1] / "tiny.py"
NAN = {"loss": jnp.asarray(jnp.nan), "gradient_norm": jnp.asarray(jnp.nan)}
FINE = {"loss": jnp.asarray(1.0), "gradient_norm": jnp.asarray(2.0)}


@pytest.fixture(scope="module")
def parts():
    """An experiment, its data, a state, a batch of which record 3 has no box, and the key."""
    tiny = load_recipe(str(TINY))
    experiment = dataclasses.replace(tiny, loss=WeightedSum((HeatmapMSE(),), (1.0,)))
    mesh = make_mesh(experiment.mesh, jax.devices()[:1])
    source = experiment.train_data.open()
    batch = source.samples(sample_indices(experiment.seed, 4, 8, len(source)))
    batch["box_xywh"][3] = np.nan
    variables = drawn.variables(experiment.model, experiment.input_hw)
    tx = experiment.optimizer.build(experiment.steps, experiment.model)
    state = new_state(experiment, variables, tx)
    return experiment, source, state, to_device(batch, mesh), run_key(experiment, mesh)


def pending_steps(parts, **changes):
    experiment = dataclasses.replace(parts[0], **changes)
    logged, said = [], []
    return (
        PendingSteps(experiment, parts[1], lambda step, _: logged.append(step), said.append),
        logged,
        said,
    )


def test_stopping_names_step_loss_term_and_record(parts):
    experiment, source, state, batch, key = parts
    pending, logged, _ = pending_steps(parts)
    pending.push(4, FINE, batch)
    pending.push(5, NAN, batch)
    pending.check(state, key)
    assert logged == []  # the host looks at a step when two later ones are on their way
    pending.push(6, FINE, batch)
    pending.check(state, key)
    assert logged == [4]
    with pytest.raises(InputError) as error:
        pending.check(state, key, left=0)
    text = str(error.value)
    index = sample_indices(experiment.seed, 4, 8, len(source))[3]
    sample = source.samples([index])
    assert "The loss is nan at step 5" in text
    assert "Not finite: inputs, outputs, HeatmapMSE; the first of these for 1 of 8 records" in text
    record = f"annotation {sample['annotation_id'][0]} of image {sample['image_id'][0]}"
    assert f"{record} (record {index})" in text


def test_skipping_goes_on_until_ten_in_a_row(parts, monkeypatch):
    _, _, state, batch, key = parts
    pending, logged, said = pending_steps(parts, on_nonfinite="skip")
    monkeypatch.setattr(pending, "_describe", lambda step, *_: f"Step {step} is not finite.")
    for step in range(1, 12):
        pending.push(step, FINE if step == 2 else NAN, batch)
    pending.check(state, key, left=0)
    assert logged == [2] and len(said) == 10
    assert said[0] == "Step 1 is not finite. The step is skipped."
    pending.push(12, NAN, batch)
    with pytest.raises(InputError, match="Step 12 is not finite"):
        pending.check(state, key, left=0)


def test_a_gradient_alone_is_said_to_be_it(parts, monkeypatch):
    _, _, state, batch, key = parts
    pending, _, _ = pending_steps(parts)
    monkeypatch.setattr(pending, "_examine", lambda *_: {"HeatmapMSE": jnp.zeros(8)})
    pending.push(1, FINE | {"gradient_norm": jnp.asarray(jnp.inf)}, batch)
    with pytest.raises(InputError, match="only the gradient is not"):
        pending.check(state, key, left=0)
