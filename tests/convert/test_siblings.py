"""Models that nobody published, found by the shapes of their arrays."""

import pytest
from test_parity_resnet import norm, published_shapes, zeros

from jaxpose.convert import load_pretrained
from jaxpose.convert.identify import identify
from jaxpose.errors import InputError
from jaxpose.models import simple_baseline
from jaxpose.models.build import abstract_variables, count_parameters
from jaxpose.models.published.catalogue import CATALOGUE
from jaxpose.models.published.catalogue import UNPUBLISHED as SIBLINGS

KNOWN = [*CATALOGUE, *SIBLINGS]


def test_names_are_those_of_no_other_model():
    names = [entry.name for entry in KNOWN]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ["vitpose-ti-simple", "simcc-r18-direct", "cspnext-t-heatmap"])
def test_parameters_are_as_counted(name):
    (entry,) = (entry for entry in SIBLINGS if entry.name == name)
    counted = count_parameters(abstract_variables(entry.model(), entry.input_hw)) / 1e6
    assert entry.parameters == pytest.approx(counted, abs=0.005)


def resnet18(head):
    shapes = published_shapes((2, 2, 2, 2), False, "v1b", "mmpose")
    if head == "heatmaps":
        for i, channels in enumerate((512, 256, 256)):
            shapes[f"head.deconv_layers.{3 * i}.weight"] = (channels, 256, 4, 4)
            shapes |= norm(f"head.deconv_layers.{3 * i + 1}", 256)
        return shapes | {"head.final_layer.weight": (9, 256, 1, 1), "head.final_layer.bias": (9,)}
    shapes |= {"head.final_layer.weight": (9, 512, 1, 1), "head.final_layer.bias": (9,)}
    for axis, pixels in (("x", 288), ("y", 384)):
        shapes[f"head.mlp_head_{axis}.weight"] = (2 * pixels, 12 * 9)
        shapes[f"head.mlp_head_{axis}.bias"] = (2 * pixels,)
    return shapes


def test_a_smaller_resnet_is_found_with_its_keypoints():
    found = identify(zeros(resnet18("heatmaps")), KNOWN)
    assert [fit.entry.name for fit in found] == ["simple-baseline-r18"]
    assert found[0].num_keypoints == 9


def test_the_image_size_is_read_off_coordinate_classifiers_or_taken_as_told():
    arrays = zeros(resnet18("classifiers"))
    found = identify(arrays, KNOWN)
    assert [fit.entry.name for fit in found] == ["simcc-r18-direct"]
    assert found[0].input_hw == (384, 288) and found[0].num_keypoints == 9
    with pytest.raises(InputError, match=r"mlp_head_x"):
        identify(arrays, [found[0].entry], input_hw=(256, 192))


def test_a_classifier_is_not_taken_for_a_head_of_coordinates():
    shapes = published_shapes((2, 2, 2, 2), False, "v1b", "mmpose")
    shapes |= {"head.fc.weight": (1000, 512), "head.fc.bias": (1000,)}
    with pytest.raises(InputError, match="a classifier of 1000 classes"):
        identify(zeros(shapes), KNOWN)
    model = simple_baseline(18)
    neck = {"neck.downsample.weight": (3, 3)}
    load_pretrained(
        model,
        zeros(shapes | neck),
        variables=abstract_variables(model, (64, 64)),
        reset_head=True,
    )
