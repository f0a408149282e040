"""ResNeXt, SE-ResNet and SCNet: the same features as MMPose's code, found by the keys."""

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
from jaxpose.models import ResNet, resnet_kin
from jaxpose.models.build import abstract_variables, count_parameters
from jaxpose.models.published.catalogue import CATALOGUE, LIFTERS, UNPUBLISHED

NAMES = {
    "resnext": "mmpose_resnext50_64x96",
    "seresnet": "mmpose_seresnet50_64x96",
    "scnet": "mmpose_scnet50_128x192",
}
# Variables with a head, by name, which are made once.
FRESH: dict = {}


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "name", ["scnet", *(pytest.param(n, marks=pytest.mark.slow) for n in ("resnext", "seresnet"))]
)
def test_features_equal_mmposes(name, place):
    golden = reference.load(NAMES[name], "backbones")
    model = resnet_kin(name, 50)
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


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_pose_model_is_found_by_its_keys(name):
    backbone = reference.load(NAMES[name], "backbones").state_dict
    baseline = reference.empty_state_dict("simplebaseline_r50_256x192")
    head = {key: array for key, array in baseline.items() if key.startswith("head.")}
    fits = identify({**backbone, **head}, [*CATALOGUE, *LIFTERS, *UNPUBLISHED], input_hw=(256, 192))
    assert choose(fits, Clues("x.pth"))[0].entry.name == f"{name}-50"


def test_other_kinds_are_refused():
    with pytest.raises(InputError, match="Unknown architecture 'resnxt'"):
        resnet_kin("resnxt", 50)
    with pytest.raises(InputError, match="images of at least 128 pixels"):
        abstract_variables(resnet_kin("scnet", 50), (96, 96))
    with pytest.raises(InputError, match="needs bottleneck=True"):
        jax.eval_shape(
            ResNet((1, 1), False, groups=2).init, jax.random.key(0), np.zeros((1, 8, 8, 3))
        )
