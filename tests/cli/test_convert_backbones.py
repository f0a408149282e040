"""`jaxpose convert` of a backbone: found by its keys, and a start for pose models."""

import json

import numpy as np
import pytest
from reference import tensor
from safetensors.numpy import save_file
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.config import from_json
from jaxpose.convert import load_pretrained, resize_position_embedding
from jaxpose.models import DeconvHead, PoseModel, ViT
from jaxpose.models.conversion import Resize

# A DINOv2 with registers under its authors' names, with positions of 4 x 4 patches.
SHAPES = {
    "cls_token": (1, 1, 64),
    "pos_embed": (1, 17, 64),
    "register_tokens": (1, 4, 64),
    "mask_token": (1, 64),
    "patch_embed.proj.weight": (64, 3, 14, 14),
    "patch_embed.proj.bias": (64,),
    "norm.weight": (64,),
    "norm.bias": (64,),
}
LAYER = {
    "attn.qkv.weight": (192, 64),
    "attn.qkv.bias": (192,),
    "attn.proj.weight": (64, 64),
    "attn.proj.bias": (64,),
    "mlp.fc1.weight": (256, 64),
    "mlp.fc1.bias": (256,),
    "mlp.fc2.weight": (64, 256),
    "mlp.fc2.bias": (64,),
    **{f"{name}.{leaf}": (64,) for name in ("norm1", "norm2") for leaf in ("weight", "bias")},
    **{f"ls{i}.gamma": (64,) for i in (1, 2)},
}


@pytest.fixture
def dinov2():
    shapes = dict(SHAPES)
    for i in range(2):
        shapes |= {f"blocks.{i}.{key}": shape for key, shape in LAYER.items()}
    return {key: tensor(key, shape) for key, shape in shapes.items()}


def invoke(*arguments):
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


def test_a_backbone_is_released_and_starts_a_pose_model(dinov2, tmp_path):
    save_file(dinov2, tmp_path / "x.safetensors")
    result = invoke(tmp_path / "x.safetensors", tmp_path / "out")
    assert result.exit_code == 0, result.output
    for words in ("DINOv2 with registers", "2 blocks of width 64, 1 heads", "56 x 56", "1 dropped"):
        assert words in result.output
    config = json.loads((tmp_path / "out/config.json").read_text())
    backbone = from_json(config["model"]).backbone
    assert isinstance(backbone, ViT) and backbone.registers == 4 and backbone.patch == 14
    pose = PoseModel(backbone.clone(input_hw=(84, 56), output="map"), DeconvHead(3, ()))
    for source in (tmp_path / "out", dinov2):
        loaded = load_pretrained(pose, source, reset_head=True)["params"]["backbone"]
        kernel = dinov2["blocks.1.mlp.fc1.weight"].T
        np.testing.assert_array_equal(loaded["blocks"]["mlp"]["fc1"]["kernel"][1], kernel)
        token = (dinov2["cls_token"] + dinov2["pos_embed"][:, :1]).ravel()
        np.testing.assert_array_equal(loaded["class_token"], token)
    # The authors' way to resize is that of their file; a release of ours has its own names.
    rows = dinov2["pos_embed"][0, 1:]
    resized = resize_position_embedding(rows, (4, 4), (6, 4), Resize(antialias=True))
    np.testing.assert_array_equal(loaded["position_embedding"], resized)


def test_patches_of_another_size_are_resampled_with_a_note(dinov2):
    model = PoseModel(
        ViT(
            input_hw=(64, 64),
            dim=64,
            depth=2,
            heads=1,
            patch_padding=0,
            class_token=True,
            registers=4,
            positions="patches",
            layer_scale="both",
            output="map",
        ),
        DeconvHead(3, ()),
    )
    with pytest.warns(UserWarning, match="patches of 14 pixels, the model has patches of 16"):
        loaded = load_pretrained(model, dinov2, reset_head=True)["params"]["backbone"]
    kernel = loaded["patch_embed"]["projection"]["kernel"]
    assert kernel.shape == (768, 64) and np.isfinite(kernel).all()
    # An image of one colour gives about the same features as before.
    before = dinov2["patch_embed.proj.weight"].sum((2, 3))
    np.testing.assert_allclose(kernel.reshape(256, 3, 64).sum(0).T, before, atol=0.05)


def test_a_model_with_other_constants_is_noted(dinov2):
    backbone = ViT(
        input_hw=(56, 56),
        dim=64,
        depth=2,
        heads=2,
        patch=14,
        patch_padding=0,
        class_token=True,
        registers=4,
        positions="patches",
        layer_scale="both",
        output="map",
        norm_eps=1e-5,
        mlp="gelu_tanh",
    )
    with pytest.warns(UserWarning) as caught:
        load_pretrained(PoseModel(backbone, DeconvHead(3, ())), dinov2, reset_head=True)
    said = " ".join(str(warning.message) for warning in caught)
    for words in ("1 attention heads, this model has 2", "norm_eps=1e-06", "mlp='gelu'"):
        assert words in said


def test_siglip_without_its_head_is_not_taken_for_a_plain_vit():
    """Its names are a plain ViT's in timm, and its GELU is that of tanh."""
    shapes = {
        "pos_embed": (1, 16, 1152),
        "patch_embed.proj.weight": (1152, 3, 16, 16),
        "patch_embed.proj.bias": (1152,),
        "norm.weight": (1152,),
        "norm.bias": (1152,),
        "blocks.0.attn.qkv.weight": (3456, 1152),
        "blocks.0.attn.qkv.bias": (3456,),
        "blocks.0.attn.proj.weight": (1152, 1152),
        "blocks.0.attn.proj.bias": (1152,),
        "blocks.0.mlp.fc1.weight": (64, 1152),
        "blocks.0.mlp.fc1.bias": (64,),
        "blocks.0.mlp.fc2.weight": (1152, 64),
        "blocks.0.mlp.fc2.bias": (1152,),
        **{f"blocks.0.norm{i}.{leaf}": (1152,) for i in (1, 2) for leaf in ("weight", "bias")},
    }
    state_dict = {key: np.zeros(shape, np.float32) for key, shape in shapes.items()}
    vit = ViT((64, 64), 1152, 1, 16, patch_padding=0, mlp_hidden=64)
    with pytest.warns(UserWarning, match="mlp='gelu_tanh', this model has 'gelu'"):
        load_pretrained(PoseModel(vit, DeconvHead(3, ())), state_dict, reset_head=True)


def test_options_of_pose_models_are_refused_for_a_backbone(dinov2, tmp_path):
    save_file(dinov2, tmp_path / "x.safetensors")
    result = invoke(tmp_path / "x.safetensors", tmp_path / "out", "--keypoints", "17")
    assert result.exit_code == 2 and "is a backbone, which has no keypoints" in result.output
