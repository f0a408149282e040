"""Rotary tables, positions and patches on other grids: equal to the projects' own functions."""

import json

import numpy as np
import pytest
from reference import tensor

from jaxpose.convert.positions import resize_patches, resize_position_embedding
from jaxpose.models.conversion import Resize
from jaxpose.models.rope import Rope

TOLERANCE = 1e-5
EVA = Rope(10000.0, "neighbours", "counted", reference=16)
PE = Rope(10000.0, "neighbours", "counted", "xy", first=1)
ROPES = {
    "rope_dinov3_separate_16x12": Rope(),
    "rope_dinov3_min_16x12": Rope(coordinates="min"),
    "rope_dinov3_max_16x12": Rope(coordinates="max"),
    "rope_dinov3_separate_14x14": Rope(),
    "rope_dinov3_bfloat16_16x12": Rope(rounded=True),
    "rope_eva02_16x16": EVA,
    "rope_eva02_16x12": EVA,
    "rope_eva02_24x24": EVA,
    "rope_pe_timm_16x12": Rope(10000.0, "neighbours", "counted", "xy", first=1, reference=32),
    "rope_pe_official_with_class_token_16x12": PE,
    "rope_pe_official_no_class_token_16x12": Rope(10000.0, "neighbours", "counted", "xy"),
}
PLAIN, TIMM = Resize(), Resize(antialias=True)
RESIZED = {
    "positions_dinov2_": Resize(offset=0.1),
    "positions_dinov2_reg_": TIMM,
    "positions_timm_": TIMM,
    "positions_bicubic_plain_": PLAIN,
    "positions_bilinear_plain_": Resize("bilinear"),
    "positions_siglip2_naflex_": Resize("bilinear", antialias=True),
    "positions_pe_": Resize("bilinear"),
}


@pytest.fixture(scope="module")
def cases(shared):
    folder = shared / "golden"
    with np.load(folder / "functions_vit.npz") as file:
        return json.loads((folder / "functions_vit.json").read_text()), dict(file)


def close(actual, expected):
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= TOLERANCE * max(expected.std(), 1e-3)


@pytest.mark.parametrize("name", ROPES)
def test_rotary_tables_equal_the_projects(name, cases):
    listing, arrays = cases
    given, rope = listing[name]["arguments"], ROPES[name]
    table = rope.table(tuple(given["grid_hw"]), given["head_dim"])
    for part, key in zip(table, ("sin", "cos"), strict=True):
        close(part, arrays[f"{name}/{key}"][-len(part) :])
    if f"{name}/periods" in arrays:
        close(rope.periods(given["head_dim"]), arrays[f"{name}/periods"])


@pytest.mark.parametrize(("case", "rope"), [("half", Rope()), ("interleaved", EVA)])
def test_rotations_equal_the_projects(case, rope, cases):
    x = tensor("rope.x", (1, 2, 192, 64)).transpose(0, 2, 1, 3)
    turned = np.asarray(rope.rotate(x, rope.rotation((16, 12), 64, 0, 0)))
    close(turned.transpose(0, 2, 1, 3), cases[1][f"rope_apply_{case}/y"])


def test_resized_positions_equal_the_projects(cases):
    listing, arrays = cases
    compared = 0
    for name, case in listing.items():
        prefix = name[: name.rfind("_") + 1]
        if prefix not in RESIZED:
            continue
        source, side, dim = "positions", 37, 8
        if "'positions16'" in case["arguments"]["positions"]:
            source, side = "positions16", 16
        if "'positions32'" in case["arguments"]["positions"]:
            source, side, dim = "positions32", 32, 64
        token = 0 if side == 16 else 1
        shape = (token + side * side, dim)
        positions = tensor(source, shape if side == 32 else (1, *shape)).reshape(shape)
        grid = tuple(case["arguments"]["grid_hw"])
        found = resize_position_embedding(positions[token:], (side, side), grid, RESIZED[prefix])
        expected = arrays[f"{name}/y"].reshape(-1, dim)
        close(found, expected[-len(found) :])
        compared += 1
    assert compared == sum(name.startswith("positions") for name in listing) == 15


def test_resampled_patches_equal_timms(cases):
    found = resize_patches(tensor("patches14", (8, 3, 14, 14)), 16)
    close(found, cases[1]["patches_14_to_16/y"])
