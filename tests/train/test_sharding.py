"""Where parameters, optimiser state and averages live on a mesh."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from jaxpose.codecs.heatmap import udp
from jaxpose.errors import InputError
from jaxpose.models import hrnet_pose, vitpose
from jaxpose.train.checkpoint import Checkpoints
from jaxpose.train.device_batches import train_batches
from jaxpose.train.experiment import Mesh
from jaxpose.train.init_state import abstract_state
from jaxpose.train.mesh import make_mesh
from jaxpose.train.parameter_groups import path_name
from jaxpose.train.recipe import load_recipe
from jaxpose.train.sharding import put

TINY = Path(__file__).resolve().parents[1] / "tiny.py"


@pytest.fixture(scope="module")
def tiny():
    return load_recipe(str(TINY))


def specs(experiment, **sizes):
    """PartitionSpec of every array of the state, by its path, without trailing None."""
    experiment = dataclasses.replace(experiment, mesh=Mesh(**sizes))
    state, _ = abstract_state(experiment, make_mesh(experiment.mesh))
    found = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        spec = list(leaf.sharding.spec)
        while spec and spec[-1] is None:
            spec.pop()
        found[path_name(path)] = P(*spec)
    return found


@pytest.fixture(scope="module")
def vit(tiny):
    return dataclasses.replace(
        tiny,
        model=vitpose("S", input_hw=(64, 48), heads=6),
        codec=udp(input_hw=(64, 48), heatmap_hw=(16, 12), sigma=1.0),
    )


def test_heads_and_hidden_units_over_tensor_the_largest_other_axis_over_fsdp(vit):
    found = specs(vit, data=2, fsdp=2, tensor=2)
    blocks = "params/backbone/blocks"
    expected = {
        "attention/qkv/kernel": P(None, "fsdp", None, "tensor"),
        "attention/qkv/bias": P(None, None, "tensor", "fsdp"),
        "attention/out/kernel": P(None, "tensor", None, "fsdp"),
        "mlp/fc1/kernel": P(None, "fsdp", "tensor"),
        "mlp/fc1/bias": P(None, "tensor"),
        "mlp/fc2/kernel": P(None, "tensor", "fsdp"),
        "norm1/scale": P(None, "fsdp"),
    }
    for name, spec in expected.items():
        assert found[f"{blocks}/{name}"] == spec, name
    assert found["params/backbone/norm/scale"] == P()  # too few values to share out
    assert found["params/head/deconv_0/kernel"] in (P(None, None, "fsdp"), P("fsdp"))
    assert found["batch_stats/head/norm_0/mean"] == P() and found["step"] == P()


def test_moments_and_averages_lie_as_their_parameters(vit):
    found = specs(vit, fsdp=4, tensor=2)
    params = {n.removeprefix("params/"): s for n, s in found.items() if n.startswith("params/")}
    for part in ("ema", "opt_state/1/mu", "opt_state/1/nu"):
        for name, spec in params.items():
            assert found[f"{part}/{name}"] == spec


def test_convolutions_are_shared_out_by_their_largest_axis(tiny):
    model = hrnet_pose("W18-small")
    experiment = dataclasses.replace(
        tiny, model=model, codec=udp(input_hw=(64, 64), heatmap_hw=(16, 16), sigma=1.0)
    )
    found = specs(experiment, fsdp=8)
    kernels = {n: s for n, s in found.items() if n.startswith("params/") and n.endswith("kernel")}
    shared = [n for n, spec in kernels.items() if "fsdp" in spec]
    assert len(shared) > len(kernels) / 2
    assert all(
        spec in (P(), P(None, None, "fsdp"), P(None, None, None, "fsdp"))
        for spec in kernels.values()
    )


def test_a_rule_comes_before_the_defaults(vit):
    rules = ((".*/mlp/fc1/kernel", ("fsdp", None)),)
    found = specs(vit, data=-1, fsdp=2, tensor=2, rules=rules)
    assert found["params/backbone/blocks/mlp/fc1/kernel"] == P(None, "fsdp")
    assert found["params/backbone/blocks/mlp/fc1/bias"] == P(None, "tensor")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            ("backbone/block/.*", ("fsdp",)),
            "matches no parameter. The first parameters are: backbone/blocks",
        ),
        (
            (".*/fc1/kernel", ("model",)),
            "allowed are None and, at most once each, data, fsdp, tensor",
        ),
        ((".*/fc1/kernel", ("fsdp", "fsdp")), "at most once each"),
        (("backbone/position_embedding", ("fsdp", None)), "12 of .* over fsdp = 8, which does not"),
        ((".*/norm/scale", ("fsdp", None)), "has 2 axes, .* only 1"),
        (("(", ("fsdp",)), "is not a regular expression"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(vit, rule, message):
    with pytest.raises(InputError, match=message):
        specs(vit, fsdp=8, rules=(rule,))


def test_a_checkpoint_is_restored_exactly_on_another_mesh(tiny, tmp_path):
    def on(**sizes):
        mesh = Mesh(**sizes, fsdp_from=1)
        return abstract_state(dataclasses.replace(tiny, mesh=mesh), make_mesh(mesh))

    shapes, layout = on(fsdp=8)
    rng = np.random.default_rng(0)
    values = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(x.dtype), shapes)
    values = values._replace(step=np.int32(7))
    checkpoints = Checkpoints(tmp_path, "AP")
    checkpoints.save(put(values, layout.state), {"next_step": 7})
    checkpoints.wait()
    other, layout = on(data=2, fsdp=2, tensor=2)
    restored, position = checkpoints.restore(other)
    checkpoints.close()
    assert position == {"next_step": 7}
    jax.tree.map(np.testing.assert_array_equal, values, jax.device_get(restored))
    assert jax.tree.map(lambda x: x.sharding, restored) == layout.state


def test_another_mesh_goes_on_with_the_same_samples(tiny):
    source, batches = tiny.train_data.open(), []
    for mesh in (Mesh(), Mesh(fsdp=2, tensor=2)):
        stream = train_batches(tiny, source, make_mesh(mesh), 5)
        batches.append(jax.device_get(next(stream)))
    jax.tree.map(np.testing.assert_array_equal, *batches)
