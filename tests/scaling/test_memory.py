"""FLOPs of both passes, and memory on a mesh, against counts by hand and XLA's own analysis."""

import re
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.config import override
from jaxpose.errors import InputError
from jaxpose.models.build import PoseModel
from jaxpose.models.heads import DeconvHead
from jaxpose.models.lora import LoRA
from jaxpose.models.vit import ViT
from jaxpose.scaling.memory import memory_per_device
from jaxpose.scaling.training_cost import experiment_cost, training_cost
from jaxpose.train.init_state import abstract_state
from jaxpose.train.recipe import load_recipe

TINY = str(Path(__file__).parents[1] / "tiny.py")


@pytest.fixture(scope="module")
def tiny():
    return load_recipe(TINY)


def vit_pose(**options):
    shape = {"input_hw": (32, 32), "dim": 8, "depth": 3, "heads": 2, "patch": 8}
    return PoseModel(ViT(**shape, **options), DeconvHead(5, deconv_channels=()))


def test_both_passes_of_a_vit_by_hand():
    cost = training_cost(vit_pose(), (32, 32))
    tokens, dim = 16, 8
    embed = tokens * (8 * 8 * 3) * dim
    blocks = 3 * tokens * (12 * dim * dim + 2 * tokens * dim)
    head = tokens * dim * 5
    assert cost.forward == embed + blocks + head
    # Each product has two gradients, except that nobody asks for that of the image.
    assert cost.backward == embed + 2 * (blocks + head)
    assert cost.flops == 2 * (cost.forward + cost.backward)


def test_what_is_recomputed_is_counted_apart():
    plain, again = (training_cost(vit_pose(remat=remat), (32, 32)) for remat in ("none", "block"))
    assert (again.forward, again.backward) == (plain.forward, plain.backward)
    assert plain.recomputed == 0 < again.recomputed < plain.forward


def test_a_frozen_backbone_costs_no_backward_pass():
    cost = training_cost(vit_pose(), (32, 32), ("backbone/.*",))
    assert cost.backward == 16 * 8 * 5
    assert cost.trainable == 8 * 5 + 5


def test_low_rank_terms_cost_their_products_and_train_alone():
    rank, tokens, dim = 2, 16, 8
    full = training_cost(vit_pose(), (32, 32))
    cost = training_cost(vit_pose(), (32, 32), (), LoRA(rank))
    # Of queries, keys and values together, of the projection, and of the two layers of the MLP.
    terms = 3 * rank * ((dim + 3 * dim) + (dim + dim) + 2 * (dim + 4 * dim))
    assert cost.trainable == terms + dim * 5 + 5
    assert cost.parameters == full.parameters + terms
    assert cost.forward == full.forward + tokens * terms
    # The frozen matrices have no gradient, but what lies below them needs theirs.
    assert 0.5 * full.backward < cost.backward < full.backward


def test_the_cost_of_an_experiment_has_its_low_rank_terms(tiny):
    size = tiny.input_hw
    model = PoseModel(ViT(size, dim=8, depth=1, heads=2, patch=8), DeconvHead(17))
    cost = experiment_cost(replace(tiny, model=model, lora=LoRA(2)))
    assert cost == training_cost(model, size, (), LoRA(2)) != training_cost(model, size)


def test_memory_agrees_with_what_xla_plans(tiny):
    memory = memory_per_device(tiny, 1)
    mesh = jax.sharding.Mesh(
        np.array(jax.devices()[:1]).reshape(1, 1, 1), ("data", "fsdp", "tensor")
    )
    state, _ = abstract_state(tiny, mesh)
    assert memory.parameters + memory.optimizer + memory.average == pytest.approx(
        sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state)), abs=8
    )
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    images = jax.ShapeDtypeStruct((tiny.batch_size, *tiny.input_hw, 3), jnp.float32)

    def loss(params, images, key):
        outputs, _ = tiny.model.apply(
            variables | {"params": params},
            images,
            train=True,
            rngs={"dropout": key},
            mutable=["batch_stats"],
        )
        return jnp.square(outputs).mean()

    variables = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), variables)
    compiled = jax.jit(jax.grad(loss)).lower(state.params, images, jax.random.key(0)).compile()
    planned = compiled.memory_analysis().temp_size_in_bytes
    assert 0.6 < memory.activations / planned < 1.4


def test_a_mesh_divides_what_it_can(tiny):
    whole = memory_per_device(tiny, 1)
    changes = ["mesh.data=2", "mesh.fsdp=4", "mesh.tensor=1", "mesh.fsdp_from=0"]
    parts = memory_per_device(override(tiny, changes))
    assert parts.activations == whole.activations // 8
    # Biases and norms of 17 keypoints and the like do not divide by four.
    assert whole.optimizer / 4 <= parts.optimizer < whole.optimizer / 3.5


@pytest.mark.parametrize(
    ("changes", "devices"),
    [(["mesh.data=3"], None), (["mesh.fsdp=4"], 6), (["mesh.data=16"], None)],
)
def test_a_mesh_that_does_not_fit_is_refused(tiny, changes, devices):
    with pytest.raises(InputError, match=r"does not (fit|split)"):
        memory_per_device(override(tiny, changes), devices)


@pytest.mark.parametrize(
    ("mesh", "said"), [("fsdp=4", ""), ("fdsp=4", "Did you mean 'fsdp'"), ("fsdp=x", "of the form")]
)
def test_count_reads_a_mesh_as_train_does(mesh, said):
    words = ["scaling", "count", TINY, "--mesh", mesh, "--set", "mesh.fsdp_from=0"]
    result = CliRunner().invoke(app, words, terminal_width=200)
    assert result.exit_code == (2 if said else 0) and said in result.output
    if not said:
        # The recipe's mesh.data=-1 is not kept: four devices, and a fourth of 0.24 MiB on each.
        assert re.search(r"parameters on a device +0\.06 MiB", result.output)
