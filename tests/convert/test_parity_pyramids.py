"""PVT and Hiera: the same outputs as MMPose's and timm's code."""

from functools import partial

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
from jaxpose.models import PVT, DeconvHead, FeatureHead, Hiera, PoseModel, Swin, hiera, pvt
from jaxpose.models.build import abstract_variables
from jaxpose.models.published.catalogue import CATALOGUE, LIFTERS, UNPUBLISHED
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


@pytest.mark.parametrize("make", [pvt, hiera])
def test_images_of_another_size_are_refused(make):
    model = make("S", 5, (64, 96))
    images = jax.ShapeDtypeStruct((2, 64, 64, 3), np.float32)
    with pytest.raises(InputError, match=r"built for images \[B, 64, 96, 3\]"):
        jax.eval_shape(model.init, jax.random.key(0), images)
    with pytest.raises(InputError, match="Unknown"):
        make("XS")
