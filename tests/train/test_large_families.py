"""Large vision transformers in a recipe: two steps with everything that a large model needs."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest
from rich.console import Console

from jaxpose.codecs.simcc import rtmpose as rtmpose_codec
from jaxpose.config import override
from jaxpose.losses import HeatmapMSE, SimCCKL
from jaxpose.models import LARGE_VITS, DeconvHead, Hiera, HRFormer, PoseModel, SAMViT, Swin
from jaxpose.models.published.vit_heads import pose_head
from jaxpose.train.init_state import abstract_state
from jaxpose.train.log import read_metrics
from jaxpose.train.loop import train
from jaxpose.train.mesh import make_mesh
from jaxpose.train.optimizers import AdamW
from jaxpose.train.recipe import load_recipe

TINY = Path(__file__).resolve().parents[1] / "tiny.py"
HW = (64, 32)


def vit(name, **changes):
    """A published backbone, but narrow, with three blocks."""
    known = LARGE_VITS[name]
    small = {"dim": 32, "depth": 3, "heads": 4, "mlp_hidden": 48, "patch": 16, "input_hw": HW}
    if known.kv_heads:
        small |= {"kv_heads": 2, "ungrouped": 1}
    return known.clone(output="map", unroll=1, **small | changes)


# Backbone, head, and frozen parameters.
FAMILIES = {
    "dinov3": (vit("dinov3-vitb16"), "simcc", r"backbone/(patch_embed|register).*"),
    "dinov2": (vit("dinov2-vitg14-reg"), "classic", r"backbone/blocks/scale1/.*"),
    "sapiens2": (vit("sapiens2-0.4b"), "classic", r"backbone/blocks_0/.*"),
    "siglip2": (vit("siglip2-so400m16"), "simple", r"backbone/position_embedding"),
    "eva02": (vit("eva02-b14"), "rtmcc", r"backbone/class_token"),
    "pe": (vit("pe-spatial-g14"), "simple", r"backbone/first_norm/.*"),
    "sam": (SAMViT(HW, 32, 4, 4, window=2, sections=2, neck=16), "classic", r".*/relative_rows"),
    "swin": (Swin(8, (1, 1, 1, 1), (1, 2, 2, 4), window=4), "deconv", r"backbone/block_0/.*"),
    "hiera": (Hiera(HW, 8, (1, 1, 1, 1)), "deconv", r"backbone/block_0/.*"),
    "hrformer": (
        HRFormer((8, 16), (1,), 1, 8, 8, 1, heads=(1, 2)),
        "high",
        r"backbone/stem_.*",
    ),
}


def experiment(name):
    backbone, head, frozen = FAMILIES[name]
    backbone = backbone.clone(drop_path=0.2, remat="block", dtype="bfloat16")
    heads = {"deconv": (8, 8, 8), "high": ()}
    if head in heads:
        model = PoseModel(backbone, DeconvHead(17, heads[head], dtype="bfloat16"))
    else:
        model = PoseModel(backbone, pose_head(head, 17, HW, 2.0, "bfloat16"))
        if head == "classic":
            model = model.clone(head=model.head.clone(deconv_channels=(8, 8)))
    bins = head in ("simcc", "rtmcc")
    tiny = dataclasses.replace(
        load_recipe(str(TINY)),
        model=model,
        loss=SimCCKL() if bins else HeatmapMSE(),
        optimizer=AdamW(learning_rate=1e-3, warmup_steps=1, layer_decay=0.7, frozen=(frozen,)),
        steps=2,
        resident=False,
    )
    if bins:
        tiny = dataclasses.replace(tiny, codec=rtmpose_codec(HW))
    else:
        tiny = override(tiny, [f"codec.input_hw={HW}", "codec.heatmap_hw=(16,8)"])
    changes = ("mesh.data=2", "mesh.fsdp=2", "mesh.tensor=2", "mesh.fsdp_from=64")
    return override(tiny, [*changes, "evaluation.every=2"])


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_run_of_two_steps_on_eight_devices(name, tmp_path):
    tiny = experiment(name)
    result = train(tiny, tmp_path / "run", Console(quiet=True))
    assert result.step == 2 and result.recompilations == 0
    losses = [record["loss"] for record in read_metrics(tmp_path / "run") if "loss" in record]
    assert len(losses) == 2 and np.isfinite(losses).all()


@pytest.mark.parametrize("name", FAMILIES)
def test_its_parameters_are_split_over_the_mesh(name):
    tiny = experiment(name)
    state, _ = abstract_state(tiny, make_mesh(tiny.mesh))
    axes = [{axis for axis in leaf.sharding.spec if axis} for leaf in jax.tree.leaves(state.params)]
    assert {"fsdp"} in axes or {"fsdp", "tensor"} in axes
    if name != "hrformer":
        assert any("tensor" in found for found in axes)
