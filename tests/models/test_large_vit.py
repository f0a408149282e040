"""Parts of large vision transformers: what each computes, and the switches that change nothing."""

import drawn
import jax
import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.models import LARGE_VITS, DeconvHead, PoseModel, Rope, ViT, large_vit, sapiens2
from jaxpose.models.build import abstract_variables
from jaxpose.models.norm import instance_norm
from jaxpose.models.vit_block import MLP, Attention
from jaxpose.train.parameter_groups import parameter_groups, path_name

# All parts at once: three stacks, registers, rotary positions, a gated MLP.
TINY = ViT(
    input_hw=(32, 24),
    dim=32,
    depth=6,
    heads=4,
    patch=8,
    patch_padding=0,
    mlp_hidden=48,
    class_token=True,
    registers=2,
    positions="none",
    rope=Rope(),
    norm="rms",
    qk_norm=True,
    mlp="swiglu",
    layer_scale="attention",
    kv_heads=2,
    ungrouped=2,
    output="map",
)
IMAGES = np.random.default_rng(0).normal(size=(2, 32, 24, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def variables():
    return drawn.variables(TINY, TINY.input_hw)


@pytest.fixture(scope="module")
def features(variables):
    return np.asarray(jax.jit(TINY.apply)(variables, IMAGES))


def test_layers_are_stacked_between_equal_ones(variables):
    params = variables["params"]
    assert {name: len(params[name]["norm1"]["scale"]) for name in params if "blocks" in name} == {
        f"blocks_{i}": 2 for i in range(3)
    }
    assert params["blocks_0"]["attention"]["qkv"]["kernel"].shape == (2, 32, 3, 4, 8)
    assert params["blocks_1"]["attention"]["query"]["kernel"].shape == (2, 32, 4, 8)
    assert params["blocks_1"]["attention"]["key_value"]["kernel"].shape == (2, 32, 2, 2, 8)


@pytest.mark.parametrize("change", [{"remat": "block"}, {"unroll": 1}])
def test_scan_and_rematerialisation_change_nothing(change, variables, features):
    found = jax.jit(TINY.clone(**change).apply)(variables, IMAGES)
    np.testing.assert_allclose(found, features, atol=1e-4)


def test_every_head_of_keys_serves_neighbouring_queries():
    x = np.random.default_rng(1).normal(size=(1, 5, 16)).astype(np.float32)
    grouped = Attention(4, "xla", "float32", kv_heads=2)
    variables = drawn.init(grouped, x)
    params = variables["params"]
    query, both = params["query"], params["key_value"]
    parts = [query["kernel"][:, None], np.repeat(both["kernel"], 2, 2)]
    biases = [query["bias"][None], np.repeat(both["bias"], 2, 1)]
    qkv = {"kernel": np.concatenate(parts, 1), "bias": np.concatenate(biases, 0)}
    whole = {"params": {"qkv": qkv, "out": params["out"]}}
    expected = Attention(4, "xla", "float32").apply(whole, x)
    np.testing.assert_allclose(grouped.apply(variables, x), expected, atol=1e-6)


def test_a_gated_mlp_multiplies_silu_of_the_first_part_by_the_second():
    x = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    variables = drawn.init(MLP(5, "float32", "swiglu"), x)
    gate, up = (x @ variables["params"]["gated"]["kernel"][:, part] for part in (0, 1))
    expected = (gate / (1 + np.exp(-gate)) * up) @ variables["params"]["fc2"]["kernel"]
    found = MLP(5, "float32", "swiglu").apply(variables, x)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_rotations_depend_on_the_distance_of_patches_alone():
    """The product of a query and a key is the same one row further down."""
    rope = Rope(10000.0, "neighbours", "counted")
    rng = np.random.default_rng(2)
    q, k = (np.broadcast_to(rng.normal(size=(1, 1, 1, 16)), (1, 12, 1, 16)) for _ in "qk")
    rotation = rope.rotation((4, 3), 16, 0, 0)
    q, k = (np.asarray(rope.rotate(x.astype(np.float32), rotation))[0, :, 0] for x in (q, k))
    products = (q @ k.T).reshape(4, 3, 4, 3)
    np.testing.assert_allclose(products[1:, 1:, 1:, 1:], products[:-1, :-1, :-1, :-1], atol=1e-4)
    assert np.abs(products[1:, :, :-1] - products[:-1, :, 1:]).max() > 0.1


def test_instance_norm_normalises_each_map_by_itself():
    x = np.random.default_rng(3).normal(2, 3, size=(2, 6, 5, 4)).astype(np.float32)
    y = np.asarray(instance_norm(x))
    np.testing.assert_allclose(y.mean((1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((1, 2)), 1, atol=1e-4)
    np.testing.assert_allclose(instance_norm(x[:1]), y[:1], atol=1e-6)


def test_layers_of_several_stacks_are_counted_on():
    """Layer-wise decay (ViTPose): the first of six layers has five more powers than the last."""
    model = PoseModel(TINY, DeconvHead(3, ()))
    params = abstract_variables(model, TINY.input_hw)["params"]
    scales = parameter_groups(model).layer_scales(params, 0.5)["backbone"]
    found = [scales[f"blocks_{i}"]["norm1"]["scale"].ravel() for i in range(3)]
    np.testing.assert_allclose(np.concatenate(found), 0.5 ** np.arange(6, 0, -1))
    assert scales["register_tokens"] == scales["class_token"] == np.float32(0.5**7)


def test_tensor_parallelism_splits_heads_and_hidden_units():
    model = PoseModel(TINY, DeconvHead(3, ()))
    groups = parameter_groups(model)
    leaves = jax.tree_util.tree_leaves_with_path(abstract_variables(model, (32, 24))["params"])
    axes = {}
    for path, leaf in leaves:
        spec = groups.tensor_spec(path_name(path), leaf.ndim)
        if spec and "tensor" in spec:
            axes[path_name(path)] = leaf.shape[leaf.ndim - len(spec) + spec.index("tensor")]
    block = "backbone/blocks_1/"
    assert axes[f"{block}attention/query/kernel"] == 4
    assert axes[f"{block}attention/key_value/bias"] == 2
    assert axes["backbone/blocks_0/attention/qkv/kernel"] == 4
    assert axes[f"{block}mlp/gated/kernel"] == axes[f"{block}mlp/fc2/kernel"] == 48


@pytest.mark.parametrize("head", ["classic", "simple", "simcc", "rtmcc"])
def test_any_head_takes_any_size_and_shape(head):
    model = large_vit("dinov2-vits14-reg", 5, (224, 308), head)
    shapes = abstract_variables(model, (224, 308))
    images = jax.ShapeDtypeStruct((2, 224, 308, 3), np.float32)
    outputs = jax.tree.leaves(jax.eval_shape(model.apply, shapes, images))
    expected = [(2, 5, 616), (2, 5, 448)] if "cc" in head else [(2, 64, 88, 5)]
    assert [leaf.shape for leaf in outputs] == expected


def test_sapiens2_of_five_billion_has_its_published_size():
    """arXiv:2604.21681: 5.071 billion with the head's last layers left out."""
    model = sapiens2("5b", remat="block", drop_path=0.1)
    params = abstract_variables(model, (1024, 768))["params"]
    assert sum(leaf.size for leaf in jax.tree.leaves(params["backbone"])) == 5066902976
    images = jax.ShapeDtypeStruct((1, 1024, 768, 3), np.float32)
    maps = jax.eval_shape(model.apply, {"params": params}, images)
    assert maps.shape == (1, 256, 192, 308)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kv_heads": 3}, "kv_heads 3 must divide its 4 heads"),
        ({"kv_heads": -2}, "kv_heads -2 must divide its 4 heads"),
        ({"drop_path": 1.5}, "drop_path must be from 0 to below 1, and is 1.5"),
        ({"drop_path": -0.1}, "drop_path must be from 0 to below 1"),
        ({"mlp": "relu"}, "mlp must be one of gelu, gelu_tanh, swiglu"),
        ({"heads": 16}, "multiple of 4, not 2"),
        ({"qkv_bias": "query_value"}, "models without grouped queries"),
    ],
)
def test_bad_parts_are_named(change, message):
    model = TINY.clone(**change)
    with pytest.raises(InputError, match=message):
        jax.eval_shape(model.init, jax.random.key(0), IMAGES)


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(InputError, match="dinov3-vitl16"):
        large_vit("dinov3-vit-l16")
    assert len(LARGE_VITS) >= 40
