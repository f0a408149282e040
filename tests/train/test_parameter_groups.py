"""Depth, weight decay and tensor parallelism as the models declare them."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.models import abstract_variables, hrnet_pose, vitpose
from jaxpose.models.build import PoseModel
from jaxpose.models.distillation import DistillationModel
from jaxpose.models.heads import DeconvHead
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.published.catalogue import find
from jaxpose.models.published.lifting import videopose3d_with_trajectory
from jaxpose.models.vit import ViT
from jaxpose.train.experiment import Mesh
from jaxpose.train.mesh import AXES
from jaxpose.train.parameter_groups import frozen_mask, parameter_groups, path_name
from jaxpose.train.sharding import lay_out

# Digests of scales, decay mask and layouts that version 0.1.0 computed, which matched the names of
# all parameters with regular expressions in `train`.
PUBLISHED = json.loads(
    Path(__file__).with_name("parameter_groups_0.1.0.json").read_text(encoding="utf-8")
)
# One of each kind of backbone and head; the others are marked slow.
QUICK = (
    *("vitpose-s", "vitpose-plus-s", "simcc-r50", "rle-r50", "hourglass-52", "litehrnet-18"),
    *("rtmpose-t", "mobilenetv2", "openpose", "transpose-r-a3", "martinez", "videopose3d-27"),
    *("poseformer-81", "motionbert-243", "videopose3d-with-trajectory", "yolox-nano"),
)


class State(NamedTuple):
    params: object
    base: object = None


def leaves(tree):
    return {path_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def model_and_input(name):
    """A published model by name, and the size of its images (None for a lifter)."""
    if name == "videopose3d-with-trajectory":
        return videopose3d_with_trajectory(), None
    record = find(name)
    return record.model(), record.input_hw


def digest(tree):
    lines = "".join(f"{name} {leaf}\n" for name, leaf in leaves(tree).items())
    return hashlib.sha256(lines.encode()).hexdigest()[:12]


def layout_texts(model, params, **sizes):
    mesh = jax.sharding.AbstractMesh(tuple(sizes[axis] for axis in AXES), AXES)
    layout = lay_out(Mesh(**sizes), mesh, State(params), parameter_groups(model))

    def text(sharding):
        spec = list(sharding.spec)
        while spec and spec[-1] is None:
            spec.pop()
        return str(tuple(spec))

    return jax.tree.map(text, layout.state.params)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in PUBLISHED],
)
def test_groups_of_published_models_are_those_of_the_first_version(name):
    model, input_hw = model_and_input(name)
    params = abstract_variables(model, input_hw)["params"]
    groups = parameter_groups(model)
    scales = jax.tree.map(
        lambda s: np.asarray(s, np.float32).tobytes().hex() + str(np.shape(s)),
        groups.layer_scales(params, 0.75),
    )
    found = [
        digest(scales),
        digest(groups.weight_decay_mask(params)),
        digest(layout_texts(model, params, data=1, fsdp=8, tensor=1)),
        digest(layout_texts(model, params, data=2, fsdp=2, tensor=2)),
    ]
    assert found == PUBLISHED[name].split()


def test_every_quick_model_has_digests():
    assert set(QUICK) <= set(PUBLISHED)


@pytest.fixture(scope="module")
def small_vit():
    model = vitpose("Ti", input_hw=(64, 48))
    return parameter_groups(model), abstract_variables(model, (64, 48))["params"]


def test_kernels_decay_and_nothing_else(small_vit):
    groups, params = small_vit
    mask = leaves(groups.weight_decay_mask(params))
    assert any(mask.values())
    for name, on in mask.items():
        skipped = name.endswith(("bias", "scale")) or "pos" in name
        assert on != skipped, name


def test_layer_scales_follow_the_depth(small_vit):
    """12 layers: position and patch embedding at 0.75**13, layer i at 0.75**(12-i), the rest 1."""
    groups, params = small_vit
    scales = leaves(groups.layer_scales(params, 0.75))
    stacked = {n: s for n, s in scales.items() if n.startswith("backbone/blocks/")}
    assert stacked
    for scale in stacked.values():
        np.testing.assert_allclose(scale.ravel(), 0.75 ** np.arange(12, 0, -1), rtol=1e-6)
    embeddings = [s for n, s in scales.items() if "embed" in n]
    assert len(embeddings) == 3  # position, patch kernel, patch bias
    np.testing.assert_allclose(embeddings, 0.75**13, rtol=1e-6)
    rest = [s for n, s in scales.items() if n not in stacked and "embed" not in n]
    assert rest and all(s == 1.0 for s in rest)


# ViTPose-L: 24 layers and decay 0.8, so ids 0 (embeddings) to 25 (last norm and head), and id i
# has 0.8 ** (25 - i).
VITPOSE_L = (
    *(0.00377789, 0.00472237, 0.00590296, 0.0073787, 0.00922337, 0.01152922, 0.01441152),
    *(0.0180144, 0.022518, 0.0281475, 0.03518437, 0.04398047, 0.05497558, 0.06871948),
    *(0.08589935, 0.10737418, 0.13421773, 0.16777216, 0.2097152, 0.262144, 0.32768),
    *(0.4096, 0.512, 0.64, 0.8, 1.0),
)


def test_vitpose_large_has_24_and_2_layer_ids_with_two_groups_each():
    model = vitpose("L")
    params = abstract_variables(model, (256, 192))["params"]
    scales = leaves(parameter_groups(model).layer_scales(params, 0.8))
    mask = leaves(parameter_groups(model).weight_decay_mask(params))
    groups: dict[tuple[int, bool], list[str]] = {}
    for name, scale in scales.items():
        for value in np.ravel(scale):
            id = int(np.argmin(np.abs(np.asarray(VITPOSE_L) - value)))
            np.testing.assert_allclose(value, VITPOSE_L[id], rtol=1e-5)
            groups.setdefault((id, mask[name]), []).append(name)
    assert len(groups) == 2 * (24 + 2)
    assert groups[0, True] == ["backbone/patch_embed/projection/kernel"]
    assert groups[0, False] == [
        "backbone/patch_embed/projection/bias",
        "backbone/position_embedding",
    ]
    layer = "backbone/blocks/"
    kernels = ["attention/out", "attention/qkv", "mlp/fc1", "mlp/fc2"]
    for id in range(1, 25):
        assert groups[id, True] == [f"{layer}{name}/kernel" for name in kernels]
        assert groups[id, False] == [
            *(f"{layer}{name}/bias" for name in kernels),
            *(f"{layer}{norm}/{leaf}" for norm in ("norm1", "norm2") for leaf in ("bias", "scale")),
        ]
    assert groups[25, True] == [f"head/{n}/kernel" for n in ("deconv_0", "deconv_1", "final")]
    assert groups[25, False] == [
        *("backbone/norm/bias", "backbone/norm/scale", "head/final/bias"),
        *(f"head/norm_{i}/{leaf}" for i in range(2) for leaf in ("bias", "scale")),
    ]


def test_stages_of_a_convolution_net_are_its_layers():
    """HRNet: stem at 0.5**5, stages 1 to 4 at 0.5**4 to 0.5, head at 1."""
    model = hrnet_pose("W18-small")
    params = abstract_variables(model, (64, 64))["params"]
    expected = {"stem": 0.5**5, "stage_1": 0.5**4, "stage_2": 0.5**3, "stage_3": 0.25}
    expected |= {"stage_4": 0.5, "head": 1.0}
    seen = set()
    for name, scale in leaves(parameter_groups(model).layer_scales(params, 0.5)).items():
        (part,) = (p for p in expected if name.removeprefix("backbone/").startswith(p))
        assert scale == expected[part], name
        seen.add(part)
    assert seen == set(expected)


def test_student_and_teacher_count_their_own_layers():
    def vit(depth):
        backbone = ViT(input_hw=(32, 32), dim=8, depth=depth, heads=2)
        return PoseModel(backbone, DeconvHead(3, (4,)))

    model = DistillationModel(vit(2), vit(3), features=False)
    params = abstract_variables(model, (32, 32))["params"]
    scales = parameter_groups(model).layer_scales(params, 0.5)
    for part, rates in (("student", [0.25, 0.5]), ("teacher", [0.125, 0.25, 0.5])):
        kernel = scales[part]["backbone"]["blocks"]["mlp"]["fc1"]["kernel"]
        np.testing.assert_array_equal(kernel.ravel(), rates)
        assert scales[part]["head"]["final"]["kernel"] == 1
        assert scales[part]["backbone"]["position_embedding"] == 0.5 ** (len(rates) + 1)


class Plain(nn.Module):
    """A backbone that declares nothing."""

    @nn.compact
    def __call__(self, images, train=False):
        table = self.param("stage_table", nn.initializers.ones, (4, 3), jnp.float32)
        x = nn.Conv(8, (3, 3), name="stage_0_block_0")(images @ table.T)
        return nn.Conv(8, (3, 3), name="stage_1_block_0")(x)


class Declared(Plain):
    """The same with layers and a table that does not decay."""

    parameter_rules = ParameterRules(
        stages=r"stage_(\d+)_\w+/.*",
        no_decay=("stage_table",),
        tensor=((r"stage_1_block_0/(kernel|bias)", ("tensor",)),),
    )


def test_a_backbone_that_declares_nothing_is_one_group():
    model = PoseModel(Plain(), DeconvHead(3, ()))
    params = abstract_variables(model, (32, 32))["params"]
    groups = parameter_groups(model)
    assert set(leaves(groups.layer_scales(params, 0.5)).values()) == {1}
    mask = groups.weight_decay_mask(params)["backbone"]
    assert mask["stage_table"] and mask["stage_0_block_0"] == {"bias": False, "kernel": True}
    split = leaves(layout_texts(model, params, data=1, fsdp=1, tensor=8))
    assert set(split.values()) == {"()"}


def test_a_backbone_from_outside_declares_in_one_place():
    model = PoseModel(Declared(), DeconvHead(3, ()))
    params = abstract_variables(model, (32, 32))["params"]
    groups = parameter_groups(model)
    scales = leaves(groups.layer_scales(params, 0.5))
    assert scales["backbone/stage_0_block_0/kernel"] == 0.25
    assert scales["backbone/stage_1_block_0/kernel"] == 0.5
    assert scales["backbone/stage_table"] == scales["head/final/kernel"] == 1
    assert not groups.weight_decay_mask(params)["backbone"]["stage_table"]
    split = leaves(layout_texts(model, params, data=1, fsdp=1, tensor=8))
    assert split["backbone/stage_1_block_0/bias"] == "('tensor',)"
    assert split["backbone/stage_0_block_0/bias"] == "()"


def test_matrices_are_those_of_each_layer(small_vit):
    groups, _ = small_vit
    block = "backbone/blocks/"
    expected = {
        (f"{block}attention/qkv/kernel", (12, 192, 3, 12, 16)): ((1,), (3, 4)),
        (f"{block}attention/out/kernel", (12, 12, 16, 192)): ((1, 2), (3,)),
        (f"{block}mlp/fc1/kernel", (12, 192, 768)): ((1,), (2,)),
        (f"{block}mlp/experts/kernel", (12, 6, 768, 48)): ((2,), (3,)),
        (f"{block}mlp/fc1/bias", (12, 768)): None,
        ("backbone/position_embedding", (12, 192)): None,
        ("head/deconv_0/kernel", (4, 4, 192, 256)): ((0, 1, 2), (3,)),
        ("head/depthwise/kernel", (3, 3, 1, 64)): None,
        ("head/norm_0/scale", (256,)): None,
    }
    for (name, shape), axes in expected.items():
        assert groups.matrix_axes(name, shape) == axes, name
    assert groups.is_output("head/final/kernel") and not groups.is_output("head/deconv_0/kernel")
    assert groups.is_embedding("backbone/patch_embed/projection/kernel")


def test_a_frozen_pattern_that_matches_nothing_is_refused(small_vit):
    with pytest.raises(
        InputError, match=r"matches no parameter\. The first parameters are: backbone/blocks"
    ):
        frozen_mask(small_vit[1], ("backbon/.*",))
