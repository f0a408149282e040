"""Large vision transformers under every project's names: the same outputs, found by the keys."""

import json
import warnings

import jax
import numpy as np
import pytest
from broken import with_fault
from reference import TOLERANCE, distance
from vit_golden import load_vit

from jaxpose.convert.choose import Clues, choose
from jaxpose.convert.identify import identify
from jaxpose.convert.load import load_pretrained, recognise, to_variables
from jaxpose.models import AttentionPoolHead, DeconvHead, FeatureHead, PoseModel, ViT
from jaxpose.models.build import count_parameters
from jaxpose.models.published.catalogue import CATALOGUE, LIFTERS, UNPUBLISHED

pytestmark = pytest.mark.filterwarnings("ignore:Weights of:UserWarning")

# Reduced models; the others have their published sizes.
SMALL = (
    *("timm_dinov2_reg4_giant_like_224x168", "official_dinov2_giant_like_224x168"),
    *("hf_dinov2_with_registers_giant_like_224x168", "timm_dinov3_7b_like_256x192"),
    *("official_dinov3_7b_like_256x192", "hf_dinov3_7b_like_256x192"),
    "timm_eva02_clip_like_256x192",
    *("official_pe_spatial_g14_like_224x168", "timm_vit_xp_like_224x168"),
)
WHOLE = (
    "timm_eva02_base_like_224x168",
    "timm_pe_spatial_gigantic_like_224x168",
    *("timm_vit_small_patch14_reg4_dinov2_224x168", "official_dinov2_vits14_224x168"),
    *("official_dinov2_vits14_reg_224x168", "hf_dinov2_with_registers_small_224x168"),
    *("timm_vit_small_patch16_dinov3_256x192", "timm_vit_small_patch16_dinov3_qkvb_256x192"),
    *("timm_vit_small_plus_patch16_dinov3_256x192", "official_dinov3_vits16_256x192"),
    *("official_dinov3_vits16plus_256x192", "hf_dinov3_vits16_256x192"),
    *("hf_dinov3_vits16plus_256x192", "timm_eva02_tiny_patch14_224x168"),
    *("timm_vit_pe_spatial_tiny_patch16_512x512", "timm_vit_pe_spatial_tiny_patch16_256x192"),
    *("official_pe_spatial_t16_256x192", "timm_vit_pe_core_tiny_patch16_256x192"),
    *("official_pe_core_t16_256x192", "timm_vit_base_patch16_siglip_256x192"),
    *("hf_siglip_base_patch16_224", "hf_siglip2_base_naflex_256x192"),
    *("timm_so400m_patch14_siglip_4_blocks_224x168", "timm_vit_base_patch16_sapiens2_256x192"),
    *("timm_so400m_patch16_siglip2_4_blocks_256x192", "timm_sapiens2_20_blocks_256x192"),
)
POOLED = tuple(name for name in WHOLE if "siglip" in name or "pe_core" in name)
SAPIENS = (
    *("official_sapiens_0.3b_coco_256x192", "official_sapiens_0.3b_wholebody_256x192"),
    *("official_sapiens_0.3b_coco_1024x768_at_256x192", "official_sapiens2_0.1b_pose17_256x192"),
    "hf_sapiens2_0.4b_pose_256x192",
)
# The official DINOv2, the official DINOv3 and the Perception Encoder have positions of another
# grid and arrays that only pretraining uses; timm's have the model's parameters alone.
COUNTED = ("timm_dino", "timm_vit_small", "timm_vit_pe_spatial", "timm_vit_xp", "timm_sapiens2")
# Blocks' weights, which all outputs depend on.
NOT_A_BLOCK = r"(?!.*(blocks|layers?)\.\d+\.)"


def slow(names):
    return [pytest.param(name, marks=pytest.mark.slow) for name in names]


def inferred(golden, head=None):
    """The model of the state dict's names and shapes, for the reference's images."""
    source, state_dict = recognise(golden.state_dict)
    vit = source.infer(state_dict, golden.input_hw)
    return PoseModel(vit, FeatureHead() if head is None else head(vit))


def tokens(output, key, vit):
    """The part of all tokens that an output of a project contains."""
    before = int(vit.class_token) + vit.registers
    if key.endswith("clstoken"):
        return output[:, 0]
    if "regtokens" in key or "storage_tokens" in key:
        return output[:, 1:before]
    return output[:, before:] if "patchtokens" in key else output


@pytest.mark.parametrize("name", [*SMALL, *slow(WHOLE)])
def test_features_equal_the_references(name, shared):
    golden = load_vit(shared, name)
    model = inferred(golden)
    run = jax.jit(model.apply)
    variables = to_variables(golden.state_dict, model)
    if name.startswith(COUNTED):
        assert count_parameters(variables) == golden.description["parameters"]
    keys = [key for key in golden.outputs if not key.startswith("pool")]
    assert keys
    found = np.asarray(run(variables, golden.images))
    layer, broken = with_fault(golden.state_dict, "middle", NOT_A_BLOCK)
    faulty = np.asarray(run(to_variables(broken, model), golden.images))
    for key in keys:
        expected = golden.outputs[key]
        part = golden.stored(key, tokens(found, key, model.backbone))
        assert distance(part, expected) <= TOLERANCE, key
        part = golden.stored(key, tokens(faulty, key, model.backbone))
        assert distance(part, expected) > TOLERANCE, (key, layer)


@pytest.mark.slow
@pytest.mark.parametrize("name", POOLED)
def test_features_of_whole_images_equal_the_references(name, shared):
    golden = load_vit(shared, name)

    def head(vit):
        # The Perception Encoder's pooling has eight heads and an MLP of four times the width.
        heads, hidden = (8, 0) if "pe_core" in name else (vit.heads, vit.mlp_hidden)
        return AttentionPoolHead(heads, hidden, vit.mlp, vit.norm_eps)

    model = inferred(golden, head)
    key = "pooler_output" if "pooler_output" in golden.outputs else "pooled"
    found = jax.jit(model.apply)(to_variables(golden.state_dict, model), golden.images)
    assert distance(np.asarray(found), golden.outputs[key]) <= TOLERANCE


def heatmaps(model, golden, state_dict=None):
    variables = to_variables(state_dict or golden.state_dict, model)
    maps = np.asarray(jax.jit(model.apply)(variables, golden.images)).transpose(0, 3, 1, 2)
    return golden.stored("heatmaps", maps)


def test_sapiens_head_for_308_keypoints_equals_the_reference(shared):
    """Heads of 48 values are in no published Sapiens, so the model is named."""
    golden = load_vit(shared, "official_sapiens_tiny_goliath308_256x192")
    head = DeconvHead(308, (96, 96), conv_channels=(96, 96), instance_norm=True)
    model = PoseModel(ViT(dim=192, depth=4, heads=4), head)
    assert distance(heatmaps(model, golden), golden.outputs["heatmaps"]) <= TOLERANCE
    other = model.clone(backbone=model.backbone.clone(heads=3))
    assert distance(heatmaps(other, golden), golden.outputs["heatmaps"]) > 1e-2


def found_by_keys(golden, name):
    fits = identify(golden.state_dict, [*CATALOGUE, *LIFTERS, *UNPUBLISHED])
    return choose(fits, Clues(name))[0]


def test_sapiens2_of_any_size_is_found_by_its_keys(shared):
    golden = load_vit(shared, "official_sapiens2_20_blocks_pose308_256x192")
    fit = found_by_keys(golden, "x.safetensors")
    backbone = fit.model.backbone
    assert (fit.num_keypoints, backbone.kv_heads, backbone.ungrouped) == (308, 2, 8)
    model = fit.entry.variant(308, golden.input_hw)
    assert distance(heatmaps(model, golden), golden.outputs["heatmaps"]) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("name", SAPIENS)
def test_sapiens_equals_the_references(name, shared):
    golden = load_vit(shared, name)
    fit = found_by_keys(golden, f"{name}.pth")
    assert fit.entry.name.startswith("sapiens2-" if "sapiens2" in name else "sapiens-")
    model = fit.entry.variant(fit.num_keypoints, golden.input_hw)
    assert distance(heatmaps(model, golden), golden.outputs["heatmaps"]) <= TOLERANCE
    _, broken = with_fault(golden.state_dict, "middle")
    assert distance(heatmaps(model, golden, broken), golden.outputs["heatmaps"]) > TOLERANCE


def test_constants_that_outputs_do_not_show_are_read_off_the_family(shared):
    """SigLIP's epsilon moves its features by 1.7e-5: no comparison of outputs would show it."""
    expected = {
        "timm_vit_base_patch16_siglip_256x192": (1e-6, "gelu", 12),
        "hf_siglip_base_patch16_224": (1e-6, "gelu_tanh", 12),
        "timm_so400m_patch14_siglip_4_blocks_224x168": (1e-6, "gelu", 16),
        "timm_so400m_patch16_siglip2_4_blocks_256x192": (1e-6, "gelu_tanh", 16),
        "timm_vit_small_patch16_dinov3_256x192": (1e-5, "gelu", 6),
        "timm_eva02_tiny_patch14_224x168": (1e-6, "swiglu", 3),
        "official_pe_core_t16_256x192": (1e-5, "gelu", 3),
        "official_sapiens2_0.1b_pose17_256x192": (1e-6, "swiglu", 12),
    }
    for name, facts in expected.items():
        listing = load_listing(shared, name)
        source, state_dict = recognise(listing)
        vit = source.infer(state_dict, None)
        assert (vit.norm_eps, vit.mlp, vit.heads) == facts, name


def load_listing(shared, name):
    description = json.loads((shared / "golden" / f"{name}.json").read_text())
    shapes = description["state_dict"]
    return {key: np.broadcast_to(np.float32(0), shape) for key, shape in shapes.items()}


def test_periods_of_another_base_are_refused_and_rounded_ones_noted(shared):
    golden = load_vit(shared, "official_dinov3_7b_like_256x192")
    model = inferred(golden)
    state_dict, key = dict(golden.state_dict), "rope_embed.periods"
    exact = state_dict[key]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Weights of")
        to_variables(state_dict, model)
    state_dict[key] = np.asarray(exact, jax.numpy.bfloat16).astype(np.float32)
    with pytest.warns(UserWarning, match="rounded to bfloat16"):
        to_variables(state_dict, model)
    state_dict[key] = (1000 ** (np.arange(len(exact)) / len(exact))).astype(np.float32)
    with pytest.raises(ValueError, match=r"another base \(about 1000, the model has 100\)"):
        to_variables(state_dict, model)
    state_dict[key] = exact[:16]
    with pytest.raises(ValueError, match="heads of width 64; the model's heads have width 128"):
        to_variables(state_dict, model)


def test_another_number_of_tokens_or_patches_is_refused(shared):
    golden = load_vit(shared, "timm_dinov2_reg4_giant_like_224x168")
    model = inferred(golden)
    fewer = model.clone(backbone=model.backbone.clone(registers=0))
    with pytest.raises(ValueError, match=r"has 4 register tokens.*the model has 0"):
        to_variables(golden.state_dict, fewer)
    other = model.clone(backbone=model.backbone.clone(patch=16, input_hw=(256, 192)))
    with pytest.raises(ValueError, match=r"patch_embed.proj.weight gives \[588, 384\]"):
        to_variables(golden.state_dict, other)


def test_biases_that_timm_leaves_out_are_zero(shared):
    golden = load_vit(shared, "timm_dinov3_7b_like_256x192")
    vit = inferred(golden).backbone.clone(qkv_bias="query_value", output="map")
    model = PoseModel(vit, DeconvHead(3, ()))
    loaded = load_pretrained(model, golden.state_dict, reset_head=True)["params"]["backbone"]
    bias = loaded["blocks"]["attention"]["query_value_bias"]
    assert bias.shape == (4, 2, 4, 128) and not bias.any()


def test_terms_of_weights_are_shown_when_they_are_loaded(shared):
    golden = load_vit(shared, "timm_dinov3_7b_like_256x192")
    with pytest.warns(UserWarning, match="DINOv3 licence"):
        to_variables(golden.state_dict, inferred(golden))
