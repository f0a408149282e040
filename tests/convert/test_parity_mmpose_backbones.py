"""Backbones of MMPose's model zoo: the same features as its code, found by the keys."""

import jax
import numpy as np
import pytest
import reference
from broken import PLACES, with_fault
from reference import TOLERANCE, distance

from jaxpose.convert.choose import Clues, choose
from jaxpose.convert.identify import identify
from jaxpose.convert.load import load_pretrained
from jaxpose.errors import InputError
from jaxpose.models import (
    MSPN,
    CPMHead,
    CPMTrunk,
    DeconvHead,
    PyramidHeads,
    ResNet,
    ViPNASMobileNet,
    mspn,
    resnet_kin,
    shufflenet,
    vipnas,
)
from jaxpose.models.build import PoseModel, abstract_variables, count_parameters
from jaxpose.models.published.catalogue import CATALOGUE, LIFTERS, UNPUBLISHED
from jaxpose.models.vipnas import SearchedStage

# Golden file and model of each.
NAMES: dict[str, tuple[str, PoseModel]] = {
    "resnext-50": ("mmpose_resnext50_64x96", resnet_kin("resnext", 50)),
    "seresnet-50": ("mmpose_seresnet50_64x96", resnet_kin("seresnet", 50)),
    "scnet-50": ("mmpose_scnet50_128x192", resnet_kin("scnet", 50)),
    "resnest-50": ("mmpose_resnest50_64x96", resnet_kin("resnest", 50)),
    "shufflenet-v1": ("mmpose_shufflenetv1_64x96", shufflenet("v1")),
    "shufflenet-v2": ("mmpose_shufflenetv2_64x96", shufflenet("v2")),
}
# Variables with a head, by name, which are made once.
FRESH: dict = {}


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", NAMES)
def test_features_equal_mmposes(name, place):
    file, model = NAMES[name]
    golden = reference.load(file, "backbones")
    run = jax.jit(
        lambda variables, images: model.apply(
            variables, images, method=lambda whole, images: whole.backbone(images, False)
        )
    )

    def far(state_dict):
        loaded = load_pretrained(model, state_dict, variables=FRESH[name], reset_head=True)
        found = np.asarray(run(loaded, golden.images)).transpose(0, 3, 1, 2)
        return distance(found, golden.outputs["0"])

    FRESH.setdefault(name, load_pretrained(model, golden.state_dict, reset_head=True))
    assert far(golden.state_dict) <= TOLERANCE
    layer, broken = with_fault(golden.state_dict, place)
    assert far(broken) > TOLERANCE, layer
    backbone = abstract_variables(model, golden.images.shape[1:3])["params"]["backbone"]
    assert count_parameters({"params": backbone}) == golden.description["parameters"]


def channels_of(backbone):
    """Channels of a backbone's features."""
    images = jax.ShapeDtypeStruct((1, 128, 128, 3), np.float32)
    shape, _ = jax.eval_shape(
        lambda key, x: backbone.init_with_output(key, x), jax.random.key(0), images
    )
    return shape.shape[-1]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_pose_model_is_found_by_its_keys(name):
    backbone = reference.load(NAMES[name][0], "backbones").state_dict
    baseline = reference.empty_state_dict("simplebaseline_r50_256x192")
    head = {key: array for key, array in baseline.items() if key.startswith("head.")}
    first = "head.deconv_layers.0.weight"
    channels = channels_of(NAMES[name][1].backbone)
    head[first] = np.broadcast_to(np.float32(0), (channels, *head[first].shape[1:]))
    fits = identify({**backbone, **head}, [*CATALOGUE, *LIFTERS, *UNPUBLISHED], input_hw=(256, 192))
    assert choose(fits, Clues("x.pth"))[0].entry.name == name


SMALL_VIPNAS = PoseModel(
    ViPNASMobileNet(
        (
            SearchedStage(16, 1, 3, 8, 1, True),
            SearchedStage(24, 2, 7, 60, 2, True, 5, "hard_swish"),
            SearchedStage(40, 1, 5, 20, 2, False, 4),
        )
    ),
    DeconvHead(5, (40, 40, 40), deconv_groups=40),
)
# Golden file of heatmaps, the last of which is compared, and the model.
WHOLE: dict[str, tuple[str, PoseModel]] = {
    "cpm": ("mmpose_cpm_64x96", PoseModel(CPMTrunk(), CPMHead(5, 3))),
    "mspn": ("mmpose_mspn_64x96", PoseModel(MSPN((2, 1, 1, 1), 2), PyramidHeads(5))),
    "vipnas-res50": ("mmpose_vipnas_res50_64x96", vipnas("res50", 5)),
    "vipnas-mbv3": ("mmpose_vipnas_mbv3_32x48", SMALL_VIPNAS),
    "rsn": ("mmpose_rsn_64x96", PoseModel(MSPN((2, 1, 1, 1), 2, "steps"), PyramidHeads(5))),
}


RUN = jax.jit(
    lambda model, variables, images: model.apply(variables, images, train=False), static_argnums=0
)


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", WHOLE)
def test_heatmaps_equal_mmposes(name, place):
    file, model = WHOLE[name]
    golden = reference.load(file, "backbones")

    def far(state_dict):
        variables = load_pretrained(model, state_dict)
        last = np.asarray(RUN(model, variables, golden.images)).transpose(0, 3, 1, 2)
        return distance(last, golden.outputs[max(golden.outputs, key=int)])

    own = far(golden.state_dict)
    assert own <= TOLERANCE
    layer, broken = with_fault(golden.state_dict, place)
    # CPM's first layer reaches the last stage only through the heatmaps of the first one.
    assert far(broken) > max(10 * own, TOLERANCE / 2), layer
    variables = abstract_variables(model, golden.images.shape[1:3])
    assert count_parameters(variables) == golden.description["parameters"]


def test_other_kinds_are_refused():
    with pytest.raises(InputError, match="Unknown architecture 'resnxt'"):
        resnet_kin("resnxt", 50)
    with pytest.raises(InputError, match="Unknown ResNeSt depth 152; known: 50, 101, 200, 269"):
        resnet_kin("resnest", 152)
    with pytest.raises(InputError, match=r"Unknown network 'rsn-101'; known: mspn-50, rsn-18"):
        mspn("rsn-101")
    with pytest.raises(InputError, match="multiples of 8"):
        CPMTrunk().init(jax.random.key(0), np.zeros((1, 12, 8, 3)))
    with pytest.raises(InputError, match="multiples of 32"):
        MSPN().init(jax.random.key(0), np.zeros((1, 48, 32, 3)))
    with pytest.raises(InputError, match="Unknown ShuffleNet 'v3'"):
        shufflenet("v3")
    with pytest.raises(InputError, match="Unknown trunk 'res101'; known: res50, mbv3"):
        vipnas("res101")
    with pytest.raises(InputError, match="images of at least 128 pixels"):
        abstract_variables(resnet_kin("scnet", 50), (96, 96))
    with pytest.raises(InputError, match="needs bottleneck=True"):
        jax.eval_shape(
            ResNet((1, 1), False, groups=2).init, jax.random.key(0), np.zeros((1, 8, 8, 3))
        )
