"""PVT, HRFormer and Hiera: the same outputs as MMPose's and timm's code."""

from functools import partial

import drawn
import jax
import numpy as np
import pytest
from broken import with_fault
from reference import TOLERANCE, distance
from vit_golden import load_vit

from jaxpose.convert.choose import Clues, choose
from jaxpose.convert.identify import identify
from jaxpose.convert.load import load_pretrained, to_variables
from jaxpose.errors import InputError
from jaxpose.models import (
    PVT,
    DeconvHead,
    FeatureHead,
    Hiera,
    HRFormer,
    PoseModel,
    Swin,
    hiera,
    pvt,
)
from jaxpose.models.build import abstract_variables
from jaxpose.models.published.catalogue import CATALOGUE, LIFTERS, UNPUBLISHED
from jaxpose.models.swin import WindowAttention
from jaxpose.train.parameter_groups import parameter_groups


def compared(model, golden, key, layout):
    """Distances of the outputs, and of those with noise on one layer's weights."""
    run = jax.jit(model.apply)
    for state_dict in (golden.state_dict, with_fault(golden.state_dict, "middle")[1]):
        found = np.asarray(run(to_variables(state_dict, model), golden.images))
        yield distance(layout(found), golden.outputs[key])


def test_heatmaps_of_pvt_equal_mmposes(shared):
    """Its positions are for 224 x 224 pixels, and the reference's images have 256 x 192."""
    golden = load_vit(shared, "pvt_s_256x192")
    fits = identify(golden.state_dict, [*CATALOGUE, *LIFTERS, *UNPUBLISHED])
    fit = choose(fits, Clues("x.pth"))[0]
    assert fit.entry.name == "pvt-s"
    right, wrong = compared(fit.model, golden, "output", lambda x: x.transpose(0, 3, 1, 2))
    assert right <= TOLERANCE < wrong


@pytest.mark.slow
def test_heatmaps_of_hrformer_equal_mmposes(shared):
    """The file's name tells the two sizes of images apart."""
    golden = load_vit(shared, "hrformer_small_256x192")
    fits = identify(golden.state_dict, [*CATALOGUE, *LIFTERS, *UNPUBLISHED])
    fit = choose(fits, Clues("hrformer_small_coco_256x192-5310d898_20220316.pth"))[0]
    assert fit.entry.name == "hrformer-s" and fit.num_keypoints == 17
    right, wrong = compared(fit.model, golden, "output", lambda x: x.transpose(0, 3, 1, 2))
    assert right <= TOLERANCE < wrong


def test_features_of_hiera_equal_timms(shared):
    golden = load_vit(shared, "timm_hiera_tiny_224")
    model = PoseModel(Hiera((224, 224)), FeatureHead())
    right, wrong = compared(model, golden, "features", lambda x: x)
    assert right <= TOLERANCE < wrong


def test_hiera_starts_a_pose_model_of_another_size(shared):
    golden = load_vit(shared, "timm_hiera_tiny_224")
    model = hiera("T", 5, (256, 192))
    loaded = load_pretrained(model, golden.state_dict, reset_head=True)["params"]["backbone"]
    assert loaded["position_embedding"].shape == (64 * 48, 96)
    kernel = golden.state_dict["blocks.11.mlp.fc1.weight"].T
    np.testing.assert_array_equal(loaded["block_11"]["mlp"]["fc1"]["kernel"], kernel)


@pytest.mark.parametrize(
    "backbone",
    [
        PVT((64, 96), (1, 1, 1, 2), (8, 16, 24, 32), (1, 2, 3, 4), drop_path=0.1, remat="block"),
        Hiera((64, 96), 8, (1, 1, 2, 1), drop_path=0.1, remat="block"),
        Swin(8, (1, 1, 2, 1), (1, 1, 2, 2), drop_path=0.1, remat="block"),
    ],
)
def test_layers_are_blocks_and_maps_a_thirty_second(backbone):
    model = PoseModel(backbone, DeconvHead(5, ()))
    variables = abstract_variables(model, (64, 96))
    images = jax.ShapeDtypeStruct((2, 64, 96, 3), np.float32)
    key = jax.random.key(0)
    run = partial(model.apply, train=True, rngs={"dropout": key})
    assert jax.eval_shape(run, variables, images).shape == (2, 2, 3, 5)
    scales = parameter_groups(model).layer_scales(variables["params"], 0.5)["backbone"]
    blocks = [scales[f"block_{i}"]["norm1"]["scale"] for i in range(5)]
    np.testing.assert_allclose(blocks[::-1], 0.5 ** np.arange(1, 6))


def test_blocks_of_hrformer_are_in_stages_and_split_heads_that_divide():
    backbone = HRFormer((8, 16, 24), (1, 2), heads=(1, 2, 3), drop_path=0.1, remat="block")
    model = PoseModel(backbone, DeconvHead(5, ()))
    variables = abstract_variables(model, (48, 32))
    images = jax.ShapeDtypeStruct((2, 48, 32, 3), np.float32)
    run = partial(model.apply, train=True, mutable=["batch_stats"])
    rngs = {"dropout": jax.random.key(0)}
    assert jax.eval_shape(run, variables, images, rngs=rngs)[0].shape == (2, 12, 8, 5)
    scales = parameter_groups(model).layer_scales(variables["params"], 0.5)["backbone"]
    last = scales["stage_3_module_1"]["branch_0_block_1"]["attention"]["position_bias"]
    assert last == 2 * scales["stage_2_module_0"]["branch_0_block_0"]["norm1"]["scale"] == 0.5
    with pytest.raises(InputError, match=r"heads \(1, 2, 5\) must be one number for each"):
        abstract_variables(model.clone(backbone=backbone.clone(heads=(1, 2, 5))), (48, 32))


def test_windows_are_padded_at_both_ends_if_centred():
    x = np.random.default_rng(0).normal(size=(1, 2, 2, 8)).astype(np.float32)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    layer = WindowAttention(2, 4, (0, 0), "float32", centred=True)
    variables = drawn.init(layer, x)
    whole = np.asarray(layer.apply(variables, padded))
    np.testing.assert_allclose(layer.apply(variables, x), whole[:, 1:3, 1:3], atol=1e-6)


@pytest.mark.parametrize("make", [pvt, hiera])
def test_images_of_another_size_are_refused(make):
    model = make("S", 5, (64, 96))
    images = jax.ShapeDtypeStruct((2, 64, 64, 3), np.float32)
    with pytest.raises(InputError, match=r"built for images \[B, 64, 96, 3\]"):
        jax.eval_shape(model.init, jax.random.key(0), images)
    with pytest.raises(InputError, match="Unknown"):
        make("XS")
