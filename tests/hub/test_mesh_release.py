"""Checkpoints of HMR 2.0 and HaMeR become releases, with a model small enough for a test."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxpose.errors import InputError
from jaxpose.hub import meshes
from jaxpose.hub.convert_options import ConvertOptions
from jaxpose.hub.from_checkpoint import release_checkpoint
from jaxpose.hub.load import load_mesh_model
from jaxpose.models import MeshHead
from jaxpose.models.build import PoseModel
from jaxpose.models.published.catalogue import MESH_MODELS, find
from jaxpose.models.vit import ViT

WIDTH, QUERY, HEADS, DIM, HIDDEN = 16, 12, 2, 8, 20


def arrays(prefix: str, joints: int) -> dict[str, np.ndarray]:
    """State dict with the published names: a ViT of one block and a head of one layer."""
    rng = np.random.default_rng(0)
    vit = {"pos_embed": (1, 13, WIDTH)}
    vit |= {"patch_embed.proj.weight": (WIDTH, 3, 16, 16), "patch_embed.proj.bias": (WIDTH,)}
    for norm in ("last_norm", "blocks.0.norm1", "blocks.0.norm2"):
        vit |= {f"{norm}.weight": (WIDTH,), f"{norm}.bias": (WIDTH,)}
    for name, outputs, inputs in (
        ("attn.qkv", 3 * WIDTH, WIDTH),
        ("attn.proj", WIDTH, WIDTH),
        ("mlp.fc1", 4 * WIDTH, WIDTH),
        ("mlp.fc2", WIDTH, 4 * WIDTH),
    ):
        vit[f"blocks.0.{name}.weight"] = (outputs, inputs)
        vit[f"blocks.0.{name}.bias"] = (outputs,)
    layer, inner = "transformer.transformer.layers.0", HEADS * DIM
    head = {
        "transformer.to_token_embedding.weight": (QUERY, 1),
        "transformer.to_token_embedding.bias": (QUERY,),
        "transformer.pos_embedding": (1, 1, QUERY),
        f"{layer}.0.fn.to_qkv.weight": (3 * inner, QUERY),
        f"{layer}.0.fn.to_out.0.weight": (QUERY, inner),
        f"{layer}.0.fn.to_out.0.bias": (QUERY,),
        f"{layer}.1.fn.to_q.weight": (inner, QUERY),
        f"{layer}.1.fn.to_kv.weight": (2 * inner, WIDTH),
        f"{layer}.1.fn.to_out.0.weight": (QUERY, inner),
        f"{layer}.1.fn.to_out.0.bias": (QUERY,),
        f"{layer}.2.fn.net.0.weight": (HIDDEN, QUERY),
        f"{layer}.2.fn.net.0.bias": (HIDDEN,),
        f"{layer}.2.fn.net.3.weight": (QUERY, HIDDEN),
        f"{layer}.2.fn.net.3.bias": (QUERY,),
        f"init_{'body' if joints == 24 else 'hand'}_pose": (1, 6 * joints),
        "init_betas": (1, 10),
        "init_cam": (1, 3),
    }
    for number in range(3):
        head |= {f"{layer}.{number}.norm.{part}": (QUERY,) for part in ("weight", "bias")}
    for name, size in (("decpose", 6 * joints), ("decshape", 10), ("deccam", 3)):
        head |= {f"{name}.weight": (size, QUERY), f"{name}.bias": (size,)}
    shapes = {f"backbone.{name}": shape for name, shape in vit.items()}
    shapes |= {f"{prefix}.{name}": shape for name, shape in head.items()}
    shapes |= {"smpl.J_regressor": (24, 7), "discriminator.D_conv1.weight": (2, 3)}
    return {name: 0.1 * rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}


def small(joints: int) -> PoseModel:
    backbone = ViT(input_hw=(64, 48), dim=WIDTH, depth=1, heads=2)
    head = MeshHead(joints, depth=1, width=QUERY, heads=HEADS, head_dim=DIM, mlp_hidden=HIDDEN)
    return PoseModel(backbone, head)


@pytest.fixture
def published(monkeypatch):
    entries = tuple(
        replace(
            entry,
            make=lambda joints=24 if entry.body == "smpl" else 16: small(joints),
            input_hw=(64, 48),
            codec=replace(entry.codec, input_hw=(64, 48)),
        )
        for entry in MESH_MODELS
    )
    monkeypatch.setattr(meshes, "MESH_MODELS", entries)


@pytest.mark.parametrize(
    ("prefix", "joints", "name", "body"),
    [("smpl_head", 24, "hmr2", "smpl"), ("mano_head", 16, "hamer", "mano")],
)
def test_the_arrays_tell_which_model_it_is(published, tmp_path, prefix, joints, name, body):
    state = arrays(prefix, joints)
    save_file(state, tmp_path / "weights.safetensors")
    table, (counts,) = release_checkpoint(
        tmp_path / "weights.safetensors", tmp_path / "out", ConvertOptions()
    )
    assert {"hmr2", "hamer"} & set(table.columns[1]._cells) == {name}
    assert counts.left_out == {
        "the body model's own arrays": 1,
        "the critic of the training": 1,
        "it is times zero": 1,
    }
    trained = load_mesh_model(tmp_path / "out")
    estimator = trained.estimator
    assert estimator.body == body and estimator.codec.blurred
    assert estimator.padding == find(name).padding
    np.testing.assert_array_equal(
        trained.variables["params"]["head"]["mean_camera"], state[f"{prefix}.init_cam"][0]
    )
    image = np.random.default_rng(1).integers(0, 255, (90, 70, 3), np.uint8)
    bodies = trained.predictor(batch_size=2)(image, [[10, 10, 40, 60]])
    assert bodies.rotations.shape == (1, joints, 3, 3) and bodies.shape.shape == (1, 10)
    outputs = estimator.program(trained.variables).outputs
    assert {value.name: value.shape for value in outputs} == {
        "rotations": ("B", joints, 3, 3),
        "shape": ("B", 10),
        "camera": ("B", 3),
    }


def test_what_does_not_fit_is_named(published, tmp_path):
    path, state = tmp_path / "weights.safetensors", arrays("smpl_head", 24)
    save_file(state, path)

    def convert(**options: object) -> None:
        release_checkpoint(Path(path), tmp_path / "out", ConvertOptions(**options))

    with pytest.raises(InputError, match="leave --keypoints"):
        convert(keypoints=17)
    with pytest.raises(InputError, match="for smpl, and hamer is another"):
        convert(model="hamer")
    save_file({k: v for k, v in state.items() if "init_body_pose" not in k}, path)
    with pytest.raises(InputError, match="no mean pose"):
        convert()
