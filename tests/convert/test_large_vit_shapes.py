"""Published sizes of large vision transformers: every array has its place, none is missing."""

import json

import numpy as np
import pytest

from jaxpose.convert.load import expected_leaves, fit_backbone, plan_for, recognise
from jaxpose.models import (
    LARGE_VITS,
    AttentionPoolHead,
    FeatureHead,
    PoseModel,
    ViT,
    hiera,
    sam,
    swin,
)
from jaxpose.models.build import abstract_variables, count_parameters
from jaxpose.models.published.large_vit import name_of
from jaxpose.models.published.large_vit_tables import infer_timm

OTHER_NETWORKS = ("samvit_huge_patch16", "hiera_huge_224", "swin_large_patch4_window7_224")
NAMES = {
    "vit_large_patch14_reg4_dinov2": "dinov2-vitl14-reg",
    "vit_giant_patch14_reg4_dinov2": "dinov2-vitg14-reg",
    "vit_large_patch16_dinov3": "dinov3-vitl16",
    "vit_huge_plus_patch16_dinov3": "dinov3-vith16plus",
    "vit_7b_patch16_dinov3": "dinov3-vit7b16",
    "vit_large_patch16_siglip_256": "siglip-l16",
    "vit_giantopt_patch16_siglip_384": "siglip2-g16",
    "eva02_large_patch14_448": "eva02-l14",
    "vit_pe_spatial_large_patch14_448": "pe-spatial-l14",
    "vit_pe_spatial_gigantic_patch14_448": "pe-spatial-g14",
    "vit_pe_core_gigantic_patch14_448": "pe-core-g14",
    "vit_pe_lang_gigantic_patch14_448": "pe-lang-g14",
    "vit_large_patch16_sapiens2": "sapiens2-0.4b",
    "vit_huge_patch16_sapiens2": "sapiens2-0.8b",
    "vit_giant_patch16_sapiens2": "sapiens2-1b",
    "vit_5b_patch16_sapiens2": "sapiens2-5b",
}


@pytest.fixture(scope="module")
def listing(shared):
    return json.loads((shared / "golden/large_vit_shapes.json").read_text())["models"]


def numbers(of):
    if isinstance(of, list):
        return of
    first, _, last = str(of).partition("-")
    return range(int(first), int(last or first) + 1)


def zeros(model):
    """The state dict of a listed model, in arrays that take no memory."""
    shapes = dict(model["rest"])
    for blocks in model["blocks"]:
        for number in numbers(blocks["numbers"]):
            for key, shape in blocks["shapes"].items():
                shapes[f"{blocks['path']}.{number}.{key}"] = shape
    return {key: np.broadcast_to(np.float32(0), shape) for key, shape in shapes.items()}


@pytest.mark.filterwarnings("ignore:Weights of:UserWarning")
def test_models_of_every_listed_size_have_its_arrays(listing):
    names = {}
    for name, listed in listing.items():
        if name in OTHER_NETWORKS:
            continue
        state_dict = zeros(listed)
        source, renamed = recognise(state_dict)
        vit = (source.infer or infer_timm)(renamed, tuple(listed["input_size"][1:]))
        assert (vit.depth, vit.dim, vit.heads) == tuple(
            listed[key] for key in ("depth", "width", "heads")
        ), name
        wanted = {"GELUTanh": "gelu_tanh", "SiLU": "swiglu"}.get(listed["act"], "gelu")
        assert vit.mlp == wanted, name
        epsilon = listed["norm"].rpartition(" ")[2]
        assert epsilon == "None" or vit.norm_eps == float(epsilon), name
        hidden = 0 if "pe_core" in name else vit.mlp_hidden
        pooled = any("attn_pool" in key for key in state_dict)
        head = AttentionPoolHead(vit.heads, hidden) if pooled else FeatureHead()
        model = PoseModel(vit, head)
        count = sum(leaf.size for leaf in expected_leaves(model).values())
        if not vit.last_norm:  # a classifier's norm of the mean over patches
            count += sum(a.size for key, a in state_dict.items() if key.startswith("fc_norm"))
        assert count == listed["parameters"], name
        if source.infer is not None:
            plan = plan_for(source, fit_backbone(renamed, model, source, None), model)
            assert plan.fits, (name, plan.unknown[:3], plan.missing[:3], plan.faulty[:3])
        names[name] = name_of(vit)
    assert len(names) == len(listing) - len(OTHER_NETWORKS) == 45
    assert {name: names[name] for name in NAMES} == NAMES


@pytest.mark.parametrize(
    ("name", "backbone"),
    [
        ("samvit_huge_patch16", sam("H", input_hw=(1024, 1024)).backbone),
        ("hiera_huge_224", hiera("H", input_hw=(224, 224)).backbone),
        ("swin_large_patch4_window7_224", swin("L", input_hw=(224, 224)).backbone),
    ],
)
def test_models_of_other_networks_have_the_listed_arrays(name, backbone, listing):
    state_dict = zeros(listing[name])
    source, renamed = recognise(state_dict)
    model = PoseModel(backbone, FeatureHead())
    plan = plan_for(source, fit_backbone(renamed, model, source, None), model)
    assert plan.fits, (plan.unknown[:3], plan.missing[:3], plan.faulty[:3])
    unused = sum(a.size for key, a in state_dict.items() if key.startswith("head."))
    count = sum(leaf.size for leaf in expected_leaves(model).values())
    assert count + unused == listing[name]["parameters"]


def test_vit_22b_has_its_published_number_of_parameters():
    """arXiv:2302.05442, table 1: 21.7 billion."""
    vit = LARGE_VITS["vit-22b"].clone(input_hw=(224, 224))
    assert abs(count_parameters(abstract_variables(vit, vit.input_hw)) / 1e9 - 21.7) < 0.1
    assert isinstance(vit, ViT)
