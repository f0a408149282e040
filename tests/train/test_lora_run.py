"""A run of low-rank terms: what it trains, what its checkpoints contain, where its base is."""

import dataclasses
import json
from pathlib import Path

import drawn
import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from rich.console import Console
from safetensors.numpy import save_file

from jaxpose.config import override
from jaxpose.convert import load_state_dict
from jaxpose.errors import InputError
from jaxpose.train.experiment import Mesh
from jaxpose.train.init_state import abstract_state, first_state
from jaxpose.train.log import read_metrics
from jaxpose.train.loop import train
from jaxpose.train.mesh import make_mesh
from jaxpose.train.recipe import load_recipe
from jaxpose.train.run_dir import load_run
from jaxpose.train.start_weights import checksum, start_variables

TINY = Path(__file__).resolve().parents[1] / "tiny.py"
QUIET = Console(quiet=True)


def write_weights(path, experiment, seed=0):
    variables = drawn.variables(experiment.model, experiment.input_hw, seed)
    leaves = flatten_dict(variables, sep="/")
    save_file({name: np.asarray(leaf) for name, leaf in leaves.items()}, path)
    return variables


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Weights of a tiny ViT, and the experiment that fine-tunes them."""
    path = tmp_path_factory.mktemp("base") / "base.safetensors"
    tiny = load_recipe(str(TINY))
    write_weights(path, tiny)
    return path, override(
        tiny,
        [
            *(f"init_from={path}", "reset_head=true", "lora.rank=4", "steps=4"),
            # The learning rate does not depend on the length of the run.
            *("evaluation.every=4", "optimizer.schedule=constant"),
            "optimizer.warmup_steps=1",
        ],
    )


@pytest.fixture(scope="module")
def finished(start, tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "finished"
    train(start[1], directory, QUIET)
    return directory


def arrays_in(item: Path) -> set[str]:
    return set(json.loads((item / "_METADATA").read_text())["tree_metadata"])


def test_checkpoints_contain_terms_and_head_and_name_the_base(start, finished):
    path, experiment = start
    step = finished / "checkpoints" / "4"
    found = {item: arrays_in(step / item) for item in ("model", "ema", "optimizer")}
    for item, names in found.items():
        assert any("'lora_" in name for name in names), item
        assert not [n for n in names if "'backbone'" in n and "'lora_" not in n], item
    base = json.loads((step / "position" / "metadata").read_text())["base"]
    before = start_variables(experiment, load_state_dict).base
    assert base == {"from": str(path), "sha256": checksum(before)}


def test_the_loaded_run_is_the_base_plus_the_terms(start, finished):
    _, experiment = start
    run = load_run(finished, "last")
    base = flatten_dict(start_variables(experiment, load_state_dict).base, sep="/")
    leaves = flatten_dict(jax.device_get(run.variables["params"]), sep="/")
    changed = {
        name
        for name, leaf in base.items()
        if not np.array_equal(leaves[name], np.asarray(leaf, np.float32))
    }
    layers = ("attention/qkv", "attention/out", "mlp/fc1", "mlp/fc2")
    assert changed == {f"backbone/blocks/{layer}/kernel" for layer in layers}
    assert set(leaves) == set(
        flatten_dict(drawn.variables(experiment.model, (64, 48))["params"], sep="/")
    )
    losses = [record["loss"] for record in read_metrics(finished) if "loss" in record]
    assert len(losses) == 4 and losses[-1] < losses[0]


@pytest.mark.slow  # trains twice
def test_a_resumed_run_ends_with_the_same_bits(start, finished, tmp_path):
    _, experiment = start
    train(dataclasses.replace(experiment, steps=2), tmp_path / "run", QUIET)
    train(experiment, tmp_path / "run", QUIET)
    ends = (
        flatten_dict(load_run(d, "last").variables, sep="/") for d in (finished, tmp_path / "run")
    )
    first, second = ends
    for name, leaf in first.items():
        assert np.asarray(leaf).tobytes() == np.asarray(second[name]).tobytes(), name


def test_an_absent_or_another_base_is_named(start, finished, tmp_path):
    path, experiment = start
    here = path.read_bytes()
    try:
        write_weights(path, experiment, seed=1)
        with pytest.raises(InputError, match=r"low-rank terms for the weights of .* are others"):
            load_run(finished)
        path.unlink()
        with pytest.raises(InputError, match=r"low-rank terms for .* cannot be read: .*base\.safe"):
            load_run(finished)
        with pytest.raises(InputError, match="cannot be read"):
            train(dataclasses.replace(experiment, steps=5), finished, QUIET)
    finally:
        path.write_bytes(here)
    with pytest.raises(InputError, match=r"lora\.rank is set and init_from is not"):
        without = dataclasses.replace(experiment, init_from=None, reset_head=False)
        train(without, tmp_path / "run", QUIET)


def test_the_base_is_sharded_and_has_no_optimizer_state(start):
    _, experiment = start
    experiment = dataclasses.replace(experiment, mesh=Mesh(data=1, fsdp=4, tensor=2, fsdp_from=64))
    mesh = make_mesh(experiment.mesh)
    shapes, layout = abstract_state(experiment, mesh)
    qkv = layout.state.base["backbone"]["blocks"]["attention"]["qkv"]["kernel"]
    assert tuple(qkv.spec) == (None, "fsdp", None, "tensor", None)
    moments, trained = (
        sum(leaf.size for leaf in jax.tree.leaves(tree))
        for tree in (shapes.opt_state, shapes.params)
    )
    assert trained < moments <= 2 * trained + 8
    state, record = first_state(experiment, layout)
    assert record["base"]["sha256"] == checksum(jax.device_get(state.base))
    assert state.base["backbone"]["blocks"]["attention"]["qkv"]["kernel"].dtype == "bfloat16"
