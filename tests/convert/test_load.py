"""From state dict to variables: choice of table, heads, position embeddings, refusals."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxpose import convert
from jaxpose.convert.rules import apply, flatten, nest
from jaxpose.errors import InputError
from jaxpose.models import (
    DeconvHead,
    HRNet,
    PoseModel,
    SimCCHead,
    SimpleHead,
    ViT,
    abstract_variables,
    init_variables,
    martinez,
)
from jaxpose.models.conv import ConvNorm
from jaxpose.models.layouts import conv_norm
from jaxpose.models.published.heads import mmpose_heatmap

DIM, DEPTH, HEADS = 8, 3, 2


def vit(input_hw=(64, 48), head=None):
    backbone = ViT(input_hw=input_hw, dim=DIM, depth=DEPTH, heads=HEADS)
    return PoseModel(backbone, head or DeconvHead(5, (6, 4)))


def backbone_shapes(positions=12):
    shapes = {
        "pos_embed": (1, positions, DIM),
        "patch_embed.projection.weight": (DIM, 3, 16, 16),
        "patch_embed.projection.bias": (DIM,),
        "ln1.weight": (DIM,),
        "ln1.bias": (DIM,),
    }
    for i in range(DEPTH):
        for name, shape in {
            "ln1": (DIM,),
            "attn.qkv": (3 * DIM, DIM),
            "attn.proj": (DIM, DIM),
            "ln2": (DIM,),
            "ffn.layers.0.0": (4 * DIM, DIM),
            "ffn.layers.1": (DIM, 4 * DIM),
        }.items():
            shapes[f"layers.{i}.{name}.weight"] = shape
            shapes[f"layers.{i}.{name}.bias"] = shape[:1]
    return {f"backbone.{name}": shape for name, shape in shapes.items()}


def deconv_shapes(prefix, channels_in, channels, keypoints):
    shapes = {}
    for i, width in enumerate(channels):
        shapes[f"{prefix}.deconv_layers.{3 * i}.weight"] = (channels_in, width, 4, 4)
        for name in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{prefix}.deconv_layers.{3 * i + 1}.{name}"] = (width,)
        shapes[f"{prefix}.deconv_layers.{3 * i + 1}.num_batches_tracked"] = ()
        channels_in = width
    shapes[f"{prefix}.final_layer.weight"] = (keypoints, channels_in, 1, 1)
    shapes[f"{prefix}.final_layer.bias"] = (keypoints,)
    return shapes


def arrays(shapes):
    rng = np.random.default_rng(0)
    return {key: rng.standard_normal(shape).astype(np.float32) for key, shape in shapes.items()}


@pytest.fixture(scope="module")
def checkpoint():
    return arrays(backbone_shapes() | deconv_shapes("head", DIM, (6, 4), 5))


@pytest.fixture(scope="module")
def fresh():
    return init_variables(vit(), jax.random.key(0), (64, 48))


def test_every_leaf_is_filled_from_a_file(checkpoint, tmp_path):
    save_file(checkpoint, tmp_path / "x.safetensors")
    variables = convert.to_variables(convert.load_state_dict(tmp_path / "x.safetensors"), vit())
    wanted = abstract_variables(vit(), (64, 48))
    assert {path: leaf.shape for path, leaf in flatten(variables).items()} == {
        path: leaf.shape for path, leaf in flatten(wanted).items()
    }
    np.testing.assert_array_equal(
        variables["params"]["backbone"]["blocks"]["mlp"]["fc1"]["kernel"][2],
        checkpoint["backbone.layers.2.ffn.layers.0.0.weight"].T,
    )
    np.testing.assert_array_equal(
        variables["batch_stats"]["head"]["norm_1"]["var"],
        checkpoint["head.deconv_layers.4.running_var"],
    )


def test_a_simcc_head_is_filled_with_and_without_deconvolutions():
    for channels in ((), (6,)):
        model = vit(head=SimCCHead(5, (64, 48), deconv_channels=channels))
        prefix = "head.deconv_head" if channels else "head"
        pixels = 4 * 3 * 4 ** len(channels)
        shapes = backbone_shapes() | deconv_shapes(prefix, DIM, channels, 5)
        for axis, bins in (("x", 96), ("y", 128)):
            shapes[f"head.mlp_head_{axis}.weight"] = (bins, pixels)
            shapes[f"head.mlp_head_{axis}.bias"] = (bins,)
        source = arrays(shapes)
        head = convert.to_variables(source, model)["params"]["head"]
        np.testing.assert_array_equal(head["y_kernel"], source["head.mlp_head_y.weight"].T)


def test_a_checkpoint_of_another_model_lists_each_mismatched_key(checkpoint):
    with pytest.raises(InputError) as caught:
        convert.to_variables(checkpoint, vit(head=SimpleHead(7)))
    message, full = str(caught.value), caught.value.full
    for key, array in checkpoint.items():
        if "deconv" in key:
            assert f"{key} {list(array.shape)}" in full
        if key.startswith("backbone."):
            assert key not in full
    assert "head.deconv_layers.{1,4}.num_batches_tracked [] (2 arrays)" in message
    # A 1x1 kernel of 5 keypoints where a 3x3 kernel of 7 is needed.
    assert (
        "head.final_layer.weight gives [1, 1, 4, 5], params/head/final/kernel needs [3, 3, 8, 7]"
        in message
    )
    assert "reset_head=True" in message and "`jaxpose convert` finds it" in message


def test_another_kind_of_backbone_lists_all_keys_of_both(checkpoint):
    model = PoseModel(HRNet(channels=(4, 8), modules=(1,), blocks=1), DeconvHead(5, (6, 4)))
    with pytest.raises(InputError) as caught:
        convert.to_variables(checkpoint, model)
    full = caught.value.full
    assert all(key in full for key in checkpoint if key.startswith("backbone."))
    leaves = flatten(abstract_variables(model, (256, 192)))
    assert all(path in full for path in leaves if "/backbone/" in path)
    assert len(str(caught.value).splitlines()) < 40


def test_a_deeper_checkpoint_does_not_fit(checkpoint):
    shallower = vit()
    shallower = shallower.clone(backbone=shallower.backbone.clone(depth=2))
    with pytest.raises(InputError, match=r"ln1\.weight and 2 more gives \[3, 8\].*needs \[2, 8\]"):
        convert.to_variables(checkpoint, shallower)


def test_position_embeddings_are_resized_to_the_model(checkpoint):
    model = vit((128, 96))
    actual = convert.to_variables(checkpoint, model)["params"]["backbone"]["position_embedding"]
    expected = convert.resize_position_embedding(
        checkpoint["backbone.pos_embed"][0], (4, 3), (8, 6)
    )
    np.testing.assert_array_equal(actual, expected)
    with pytest.raises(InputError, match="checkpoint_hw"):
        convert.to_variables(checkpoint, vit((64, 64)))
    resized = convert.to_variables(checkpoint, vit((64, 64)), checkpoint_hw=(64, 48))
    assert resized["params"]["backbone"]["position_embedding"].shape == (16, DIM)


def test_load_pretrained_keeps_the_fresh_head_only_when_told(checkpoint, fresh):
    with pytest.raises(InputError, match=r"head\.final_layer\.bias gives \[5\]"):
        model = vit(head=DeconvHead(9, (6, 4)))
        convert.load_pretrained(model, checkpoint)
    loaded = convert.load_pretrained(vit(), checkpoint, variables=fresh, reset_head=True)
    whole = convert.load_pretrained(vit(), checkpoint, variables=fresh)
    for kind in ("params", "batch_stats"):
        same_head = jax.tree.map(np.array_equal, loaded[kind]["head"], fresh[kind]["head"])
        assert jax.tree.all(same_head)
    same_backbone = jax.tree.map(
        np.array_equal, loaded["params"]["backbone"], whole["params"]["backbone"]
    )
    assert jax.tree.all(same_backbone)
    assert not np.array_equal(
        loaded["params"]["head"]["final"]["kernel"], whole["params"]["head"]["final"]["kernel"]
    )


def test_resetting_the_head_still_refuses_another_backbone(checkpoint, fresh):
    partial = {k: v for k, v in checkpoint.items() if not k.startswith("backbone.layers.1.")}
    with pytest.raises(InputError, match="no key for layer 1") as caught:
        convert.load_pretrained(vit(), partial, variables=fresh, reset_head=True)
    assert "reset_head" not in str(caught.value)


def test_a_release_of_another_size_is_referred_to_its_config(fresh):
    own = flatten(fresh)
    with pytest.raises(InputError, match=r"the config\.json beside the weights") as caught:
        convert.load_pretrained(vit(head=DeconvHead(9, (6, 4))), own)
    assert "jaxpose convert" not in str(caught.value)
    other = PoseModel(vit().backbone.clone(dim=2 * DIM), DeconvHead(5, (6, 4)))
    with pytest.raises(InputError, match="Build the backbone") as caught:
        shapes = abstract_variables(other, other.backbone.input_hw)
        convert.load_pretrained(other, own, variables=shapes, reset_head=True)
    assert "reset_head" not in str(caught.value)


def test_unknown_formats_show_their_first_keys():
    with pytest.raises(
        InputError, match=r"(?s)no known format \(.*MMPose 1\.x.*\).*features\.0 \[3\]"
    ):
        convert.to_variables({"features.0": np.zeros(3)}, vit())


def test_a_module_without_a_table_is_named(checkpoint):
    class OtherHead(DeconvHead):
        pass

    with pytest.raises(InputError, match=r"no table from MMPose 1\.x to OtherHead"):
        convert.to_variables(checkpoint, vit(head=OtherHead(5)))


def test_names_of_mmpose_0_are_those_of_1_with_another_head(checkpoint):
    old = {key.replace("head.", "keypoint_head.", 1): array for key, array in checkpoint.items()}
    same = jax.tree.map(
        np.array_equal, convert.to_variables(old, vit()), convert.to_variables(checkpoint, vit())
    )
    assert jax.tree.all(same)


def test_a_class_token_where_none_is_expected_is_explained(checkpoint):
    with_token = checkpoint | {"backbone.pos_embed": np.zeros((1, 13, DIM), np.float32)}
    with pytest.raises(InputError, match="4 x 3 patches and a class token"):
        convert.to_variables(with_token, vit())


def test_a_folded_norm_only_adds_the_convolutions_bias():
    rng = np.random.default_rng(0)
    leaves = {
        "params/a/conv/kernel": np.zeros((3, 3, 4, 5), np.float32),
        **{f"params/a/norm/{name}": np.zeros(5, np.float32) for name in ("scale", "bias")},
        **{f"batch_stats/a/norm/{name}": np.zeros(5, np.float32) for name in ("mean", "var")},
    }
    source = {
        "c.weight": rng.standard_normal((5, 4, 3, 3)).astype(np.float32),
        "c.bias": rng.standard_normal(5).astype(np.float32),
    }
    rules = conv_norm("c", "n", "a", epsilon=1e-3)
    variables = nest(apply(rules, source, leaves))
    x = rng.standard_normal((2, 6, 6, 4)).astype(np.float32)
    module = ConvNorm(5, 3, activation="none", norm_epsilon=1e-3)
    actual = module.apply({kind: tree["a"] for kind, tree in variables.items()}, x, False)
    expected = nn.Conv(5, (3, 3), padding=1).apply(
        {"params": {"kernel": source["c.weight"].transpose(2, 3, 1, 0), "bias": source["c.bias"]}},
        x,
    )
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    with pytest.raises(InputError, match="several keys for one array"):
        apply(rules, source | {"n.bias": np.zeros(5)}, leaves)


def test_a_folded_norm_of_a_convolution_with_its_own_bias_is_the_identity():
    head = DeconvHead(3, (), conv_channels=(5,))
    shapes = jax.eval_shape(head.init, jax.random.key(0), jnp.zeros((1, 4, 4, 6)))
    leaves = flatten({kind: {"head": tree} for kind, tree in shapes.items()})
    rng = np.random.default_rng(0)
    source = {
        "head.conv_layers.0.weight": rng.standard_normal((5, 6, 1, 1)).astype(np.float32),
        "head.conv_layers.0.bias": rng.standard_normal(5).astype(np.float32),
        "head.final_layer.weight": rng.standard_normal((3, 5, 1, 1)).astype(np.float32),
        "head.final_layer.bias": np.zeros(3, np.float32),
    }
    loaded = nest(apply(mmpose_heatmap(head), source, leaves))
    variables = {kind: tree["head"] for kind, tree in loaded.items()}
    x = rng.standard_normal((2, 4, 4, 6)).astype(np.float32)
    hidden = x @ source["head.conv_layers.0.weight"][:, :, 0, 0].T
    hidden = np.maximum(hidden + source["head.conv_layers.0.bias"], 0)
    expected = hidden @ source["head.final_layer.weight"][:, :, 0, 0].T
    np.testing.assert_allclose(head.apply(variables, x), expected, atol=1e-5)
    half = source | {"head.conv_layers.1.weight": np.ones(5, np.float32)}
    with pytest.raises(InputError, match="leaves of the model that the checkpoint lacks"):
        apply(mmpose_heatmap(head), half, leaves)


def test_the_advice_for_a_lifter_names_no_head():
    model = martinez(17, 17, channels=8)
    with pytest.raises(InputError, match="Build the lifter that") as error:
        convert.load_pretrained(model, {"params/backbone/odd/kernel": np.zeros((2, 2), np.float32)})
    assert "reset_head" not in str(error.value)
