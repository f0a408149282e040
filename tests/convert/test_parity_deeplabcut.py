"""DeepLabCut's HRNets in PyTorch: the same maps as timm's trunk with its heads, found by keys."""

import jax
import numpy as np
import pytest
import reference
from broken import with_fault
from reference import TOLERANCE, distance

from jaxpose import convert
from jaxpose.convert.choose import Clues, choose
from jaxpose.convert.identify import identify
from jaxpose.models.build import count_parameters
from jaxpose.models.published.catalogue import CATALOGUE, UNPUBLISHED, find
from jaxpose.models.published.deeplabcut import deeplabcut, deeplabcut_resnet
from jaxpose.skeletons import SUPERANIMAL_MOUSE27

NAMES = {True: "deeplabcut_hrnet_w18_96x64", False: "superanimal_hrnet_w18_96x64"}


@pytest.mark.slow
@pytest.mark.parametrize("refine", [True, False])
def test_maps_equal_deeplabcuts(refine):
    golden = reference.load(NAMES[refine], "backbones")
    model = deeplabcut("W18", 5, refine=refine)
    run = jax.jit(model.apply)

    def far(state_dict):
        outputs = run(convert.to_variables(state_dict, model), golden.images)
        maps = [outputs.scores, outputs.offsets] if refine else [outputs]
        flat = [np.asarray(m).reshape(*m.shape[:3], -1).transpose(0, 3, 1, 2) for m in maps]
        return max(distance(m, golden.outputs[str(i)]) for i, m in enumerate(flat))

    assert far(golden.state_dict) <= TOLERANCE
    layer, broken = with_fault(
        golden.state_dict, "middle", unused=r".*stage4\.2\.fuse_layers\.[1-9]"
    )
    assert far(broken) > TOLERANCE, layer
    used = count_parameters(convert.to_variables(golden.state_dict, model))
    assert used <= golden.description["parameters"]
    fits = identify(golden.state_dict, [*CATALOGUE, *UNPUBLISHED])
    assert fits[0].entry.name == f"deeplabcut-hrnet-w18{'' if refine else '-unrefined'}"
    assert fits[0].num_keypoints == 5


@pytest.mark.slow
def test_the_resnet_equals_deeplabcuts():
    golden = reference.load("deeplabcut_resnet50_96x64", "backbones")
    model = deeplabcut_resnet(50, 5)
    run = jax.jit(model.apply)

    def far(state_dict):
        outputs = run(convert.to_variables(state_dict, model), golden.images)
        flat = [np.asarray(m).reshape(1, 13, 9, -1).transpose(0, 3, 1, 2) for m in outputs]
        return max(distance(m, golden.outputs[str(i)]) for i, m in enumerate(flat))

    assert far(golden.state_dict) <= TOLERANCE
    layer, broken = with_fault(golden.state_dict, "middle")
    assert far(broken) > TOLERANCE, layer
    fits = identify(golden.state_dict, [*CATALOGUE, *UNPUBLISHED])
    assert fits[0].entry.name == "deeplabcut-resnet-50" and fits[0].num_keypoints == 5
    codec = fits[0].entry.codec((96, 64))
    assert codec.output_shapes(5)[0] == ((13, 9, 5), (13, 9, 5, 2)) and not codec.averages


def superanimal(count):
    """Names and shapes of SuperAnimal's HRNet-W32 with `count` keypoints, without memory."""
    trunk = reference.empty_state_dict("hrnet_w32_256x192")
    names = {
        f"backbone.model.{key.removeprefix('backbone.')}": array
        for key, array in trunk.items()
        if key.startswith("backbone.")
    }
    place = "heads.bodypart.heatmap_head.deconv_layers.0"
    zero = np.float32(0)
    return names | {
        f"{place}.weight": np.broadcast_to(zero, (32, count, 1, 1)),
        f"{place}.bias": np.broadcast_to(zero, (count,)),
    }


@pytest.mark.parametrize(("count", "name"), [(39, "quadruped"), (27, "mouse")])
def test_superanimal_is_found_from_the_names(count, name):
    fits = choose(identify(superanimal(count), [*CATALOGUE, *UNPUBLISHED]), Clues())
    record = find(f"superanimal-{name}")
    assert fits[0].entry == record and record.skeleton.num_keypoints == count
    assert record.codec((256, 256)).heatmap_hw == (64, 64)


def test_pairs_are_left_and_right_wherever_the_word_stands():
    order = SUPERANIMAL_MOUSE27.flip_permutation
    names = np.array(SUPERANIMAL_MOUSE27.keypoints)
    moved = {a: b for a, b in zip(names, names[order], strict=True) if a != b}
    assert len(moved) == 12 and moved["left_ear_tip"] == "right_ear_tip"
    quadruped = find("superanimal-quadruped").skeleton
    index = quadruped.index
    assert quadruped.flip_permutation[index("front_left_thai")] == index("front_right_thai")
    assert quadruped.flip_permutation[index("mouth_end_left")] == index("mouth_end_right")
