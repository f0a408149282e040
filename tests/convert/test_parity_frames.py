"""DCPose and PoseWarper through the converter: the same outputs as their published code."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from broken import with_fault
from reference import TOLERANCE, distance, empty_state_dict, feature_distance, load, noise

from jaxpose.convert import to_variables
from jaxpose.convert.choose import Clues, choose
from jaxpose.convert.identify import identify
from jaxpose.models.build import count_parameters
from jaxpose.models.frames import FrameImages
from jaxpose.models.published.catalogue import CATALOGUE, find

DCPOSE, POSEWARPER = "dcpose_hrnet48_128x96", "posewarper_neck"
FEATURES = {
    "rough": "rough_pose_estimation_net",
    "differences_1": "diff_temporal_fuse",
    "support_0": "support_temporal_fuse",
    "combine_1": "offset_mask_combine_conv",
    "warp_0": "modulated_deform_conv_list.0",
}


def channels_first(array) -> np.ndarray:
    return np.asarray(array).transpose(0, 3, 1, 2)


@pytest.mark.slow
def test_dcpose_is_the_published_one():
    golden, model = load(DCPOSE), find("dcpose-hrnet-w48").model()
    variables = to_variables(golden.state_dict, model)
    assert count_parameters(variables) == golden.description["parameters"]
    # Current, previous and next frame; the previous one is one frame away, the next one two.
    ((before, after),) = golden.description["margin"]
    crops = golden.images.reshape(1, 3, 3, 128, 96).transpose(0, 1, 3, 4, 2)
    frames = FrameImages(jnp.asarray(crops), jnp.asarray([[0, -before, after]]))
    apply = jax.jit(lambda v, features: model.head.apply(
        {name: tree["head"] for name, tree in v.items()},
        features, frames.times, capture_intermediates=True, mutable=["intermediates"],
    ))  # fmt: skip
    of_backbone = {name: tree["backbone"] for name, tree in variables.items()}
    features = jax.jit(model.backbone.apply)(of_backbone, frames.images[0])[None]
    heatmaps, state = apply(variables, features)
    assert distance(channels_first(heatmaps), golden.outputs["output"]) <= TOLERANCE
    found = state["intermediates"]
    for name, theirs in FEATURES.items():
        summary = golden.description["features"][theirs]
        own = channels_first(found[name]["__call__"][0])
        assert feature_distance(own, summary) <= TOLERANCE, name

    # Faults in the weights of the head, and exchanged times, are seen.
    own = {k: a for k, a in golden.state_dict.items() if not k.startswith("rough")}
    for place in ("first", "middle", "last"):
        layer, broken = with_fault(own, place)
        changed = to_variables({**golden.state_dict, **broken}, model)
        heatmaps, _ = apply(changed, features)
        assert distance(channels_first(heatmaps), golden.outputs["output"]) > TOLERANCE, layer


def of_mmpose(neck: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Checkpoint of MMPose: a backbone of zeros under its names, and a neck."""
    rough = "rough_pose_estimation_net."
    backbone = {
        "backbone." + key.removeprefix(rough): array
        for key, array in empty_state_dict(DCPOSE).items()
        if key.startswith(rough) and "final_layer" not in key
    }
    return backbone | neck


@pytest.mark.slow
def test_posewarpers_neck_is_mmposes():
    golden, model = load(POSEWARPER), find("posewarper-hrnet-w48").model()
    weights, shape = tuple(golden.description["frame_weight"]), golden.description["input_shape"]
    head = model.head.clone(frame_weights=weights, times=(0.0, -1.0, 1.0))
    features = np.stack([noise(shape, i)[0].transpose(1, 2, 0) for i in range(3)])[None]
    run = jax.jit(lambda v: head.apply(v, features, np.array([[0.0, -1.0, 1.0]])))

    def heatmaps(neck):
        variables = to_variables(of_mmpose(neck), model)
        own = {name: tree["head"] for name, tree in variables.items()}
        assert count_parameters(own) == golden.description["parameters"]
        return channels_first(run(own))

    found = heatmaps(golden.state_dict)
    for output in golden.outputs.values():
        assert distance(found, output) <= TOLERANCE
    for place in ("middle", "last"):
        layer, broken = with_fault(golden.state_dict, place)
        assert distance(heatmaps(broken), golden.outputs["list"]) > TOLERANCE, layer


def test_both_are_found_by_their_keys():
    fits = choose(identify(empty_state_dict(DCPOSE), CATALOGUE), Clues())
    assert fits[0].entry.name == "dcpose-hrnet-w48"
    assert fits[0].entry.codec((384, 288)).sigma == 3.0
    fits = choose(identify(of_mmpose(empty_state_dict(POSEWARPER)), CATALOGUE), Clues())
    assert fits[0].entry.name == "posewarper-hrnet-w48"
