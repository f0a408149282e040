"""One vision transformer under the names of every project that stores it."""

import re
import warnings

import jax
import numpy as np
import pytest

from jaxpose import convert
from jaxpose.errors import InputError
from jaxpose.models import ClassificationHead, DeconvHead, PoseModel, ViT

TINY = ViT(input_hw=(32, 32), dim=16, depth=2, heads=2, patch=8, class_token=True)
CLASSIFIER = PoseModel(TINY, ClassificationHead(3, pool="token"))

# timm's names to those of the others.
TORCHVISION = (
    (r"^cls_token", "class_token"),
    (r"^pos_embed", "encoder.pos_embedding"),
    (r"^patch_embed\.proj", "conv_proj"),
    (r"^head", "heads.head"),
    (r"^norm", "encoder.ln"),
    (r"^blocks\.(\d+)", r"encoder.layers.encoder_layer_\1"),
    (r"\.norm([12])", r".ln_\1"),
    (r"attn\.qkv\.", "self_attention.in_proj_"),
    (r"attn\.proj", "self_attention.out_proj"),
    (r"mlp\.fc", "mlp.linear_"),
)
MMPRETRAIN = (
    (r"^head", "head.layers.head"),
    (r"^(cls_token|pos_embed)", r"backbone.\1"),
    (r"^patch_embed\.proj", "backbone.patch_embed.projection"),
    (r"^norm", "backbone.ln1"),
    (r"^blocks", "backbone.layers"),
    (r"\.norm([12])", r".ln\1"),
    (r"mlp\.fc1", "ffn.layers.0.0"),
    (r"mlp\.fc2", "ffn.layers.1"),
)


def timm_weights(grid=16):
    shapes = {
        "cls_token": (1, 1, 16),
        "pos_embed": (1, 1 + grid, 16),
        "patch_embed.proj.weight": (16, 3, 8, 8),
        "patch_embed.proj.bias": (16,),
        "norm.weight": (16,),
        "norm.bias": (16,),
        "head.weight": (3, 16),
        "head.bias": (3,),
    }
    for i in range(2):
        for name, shape in (
            *(("norm1", (16,)), ("norm2", (16,)), ("attn.qkv", (48, 16))),
            *(("attn.proj", (16, 16)), ("mlp.fc1", (64, 16)), ("mlp.fc2", (16, 64))),
        ):
            shapes[f"blocks.{i}.{name}.weight"] = shape
            shapes[f"blocks.{i}.{name}.bias"] = shape[:1]
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def renamed(weights, patterns):
    result = {}
    for key, array in weights.items():
        for pattern, replacement in patterns:
            key = re.sub(pattern, replacement, key)
        result[key] = array
    return result


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize("names", [TORCHVISION, MMPRETRAIN])
def test_classifiers_load_alike_under_every_name(names):
    expected = convert.to_variables(timm_weights(), CLASSIFIER)
    same(convert.to_variables(renamed(timm_weights(), names), CLASSIFIER), expected)


@pytest.mark.parametrize("project", ["timm", "mae", "torchvision", "mmpretrain", "bare"])
def test_pose_models_start_from_their_patches_alone(project):
    """The class token and its position go, and positions fit another image."""
    model = PoseModel(TINY.clone(class_token=False, input_hw=(48, 32)), DeconvHead(5, (8,)))
    weights = timm_weights()
    if project == "mae":
        del weights["head.weight"], weights["head.bias"]
        for key in ("mask_token", "decoder_pos_embed", "decoder_blocks.0.norm1.weight"):
            weights[key] = np.zeros((1, 1, 4), np.float32)
    elif project == "torchvision":
        weights = renamed(weights, TORCHVISION)
    elif project == "mmpretrain":
        weights = renamed(weights, MMPRETRAIN)
    elif project == "bare":
        weights = {
            key.removeprefix("backbone."): array
            for key, array in renamed(weights, MMPRETRAIN).items()
            if not key.startswith("head")
        }
    loaded = convert.load_pretrained(model, weights, reset_head=True)["params"]["backbone"]
    positions = convert.resize_position_embedding(
        timm_weights()["pos_embed"][0, 1:], (4, 4), (6, 4)
    )
    np.testing.assert_array_equal(loaded["position_embedding"], positions)
    kernel = timm_weights()["blocks.1.mlp.fc1.weight"].T
    np.testing.assert_array_equal(loaded["blocks"]["mlp"]["fc1"]["kernel"][1], kernel)
    assert "class_token" not in loaded


def test_a_class_token_beside_a_pose_head_is_refused():
    model = PoseModel(TINY.clone(class_token=False), DeconvHead(3, ()))
    weights = renamed(timm_weights(), MMPRETRAIN)
    pose = {key: array for key, array in weights.items() if not key.startswith("head")}
    pose["head.final_layer.weight"] = np.zeros((3, 16, 1, 1), np.float32)
    pose["head.final_layer.bias"] = np.zeros(3, np.float32)
    with pytest.raises(InputError, match=r"has a class token.*and a pose head.*reset_head=True"):
        convert.to_variables(pose, model)
    with pytest.raises(InputError, match=r"a backbone without a pose head.*reset_head=True"):
        convert.to_variables(weights, model)
    del pose["backbone.cls_token"]
    with pytest.raises(InputError, match="17 positions, which is 4 x 4 patches and a class token"):
        convert.to_variables(pose, model)


def test_official_vitpose_plus_keeps_the_experts_and_the_first_head():
    model = PoseModel(TINY.clone(class_token=False, experts=3, part_features=6), DeconvHead(5, ()))
    weights = {f"backbone.{key}": array for key, array in timm_weights().items()}
    weights = renamed(weights, ((r"^backbone\.norm", "backbone.last_norm"),))
    for key in ("backbone.cls_token", "backbone.head.weight", "backbone.head.bias"):
        del weights[key]
    rng = np.random.default_rng(1)
    for i in range(2):
        mlp = f"backbone.blocks.{i}.mlp"
        for leaf in ("weight", "bias"):
            whole = weights[f"{mlp}.fc2.{leaf}"]
            weights[f"{mlp}.fc2.{leaf}"] = whole[:10]
            for k in range(3):
                weights[f"{mlp}.experts.{k}.{leaf}"] = rng.standard_normal(whole[10:].shape)
    for head, count in (("keypoint_head", 5), ("associate_keypoint_heads.0", 7)):
        weights[f"{head}.final_layer.weight"] = rng.standard_normal((count, 16, 1, 1))
        weights[f"{head}.final_layer.bias"] = rng.standard_normal(count)
    params = convert.to_variables(weights, model)["params"]
    experts = params["backbone"]["blocks"]["mlp"]["experts"]
    expected = weights["backbone.blocks.1.mlp.experts.2.weight"].T.astype(np.float32)
    np.testing.assert_array_equal(experts["kernel"][1, 2], expected)
    rows = weights["backbone.pos_embed"][0]
    np.testing.assert_array_equal(params["backbone"]["position_embedding"], rows[1:] + rows[:1])
    assert params["head"]["final"]["bias"].shape == (5,)


def test_weights_of_another_width_are_refused_without_advice_on_heads():
    wide = PoseModel(TINY.clone(class_token=False, dim=32, heads=8), DeconvHead(5, (8,)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match="does not belong to this model"):
            convert.load_pretrained(wide, timm_weights(), reset_head=True)
