"""Lifters through the converter: the same outputs as MMPose and the authors' own code."""

from functools import cache, partial

import jax
import numpy as np
import pytest
from broken import PLACES, with_fault
from reference import TOLERANCE, distance, load
from safetensors.numpy import save_file

from jaxpose import convert
from jaxpose.models import count_parameters, motionbert, poseformer, videopose3d
from jaxpose.models.published.catalogue import LIFTERS

# VideoPose3D's own are narrower than published, and MotionBERT's have 16 frames.
OFFICIAL = {
    "official_videopose3d_27": partial(videopose3d, 27, channels=256),
    "official_videopose3d_27_causal": partial(videopose3d, 27, channels=256, causal=True),
    "official_videopose3d_27_traj": partial(videopose3d, 27, num_outputs=1, channels=256),
    "official_motionbert_lite": partial(motionbert, dim=256, mlp_ratio=4.0),
    "poseformer_9": partial(poseformer, 9),
}
MMPOSE = {
    name: lifter.model for lifter in LIFTERS for name in lifter.golden if name not in OFFICIAL
}
MAKE = MMPOSE | OFFICIAL


def converted(state_dict, model, tmp_path, prefix=""):
    """The variables of a checkpoint file with these arrays."""
    path = tmp_path / "checkpoint.safetensors"
    save_file({prefix + key: array for key, array in state_dict.items()}, path)
    return convert.to_variables(convert.load_state_dict(path), model)


@cache
def forward(name):
    """Compiled: variables and keypoints in the source's layout -> features and joints."""
    model = MAKE[name]()

    @jax.jit
    def run(variables, keypoints):
        features = model.apply(variables, keypoints, method=lambda m, x: m.backbone(x))
        return features, model.apply(variables, keypoints)

    def call(variables, keypoints):
        if keypoints.ndim == 3:  # MMPose flattens keypoints to channels: [B, K * D, T]
            keypoints = keypoints.transpose(0, 2, 1)
        if name in MMPOSE:
            keypoints = keypoints.reshape(model.input_shape())
        return map(np.asarray, run(variables, keypoints))

    return call


def test_every_reference_is_compared():
    assert set(MMPOSE) == {"martinez_h36m", "videopose3d_27", "motionbert_243"}


@pytest.mark.slow
@pytest.mark.parametrize("name", OFFICIAL)
def test_outputs_equal_those_of_the_authors_code(name, tmp_path):
    golden = load(name)
    # The published files were saved from `DataParallel`.
    variables = converted(golden.state_dict, MAKE[name](), tmp_path, prefix="module.")
    assert count_parameters(variables) == golden.description["parameters"]
    _, output = forward(name)(variables, golden.images)
    assert distance(output, golden.outputs["output"]) <= TOLERANCE


@pytest.mark.parametrize("name", MMPOSE)
def test_outputs_equal_mmposes(name, tmp_path):
    golden = load(name)
    variables = converted(golden.state_dict, MAKE[name](), tmp_path)
    assert count_parameters(variables) == golden.description["parameters"]
    features, output = forward(name)(variables, golden.images)
    summary = golden.description["backbone_features"][-1]
    first = features.reshape(-1)[: len(summary["first"])]
    assert np.abs(first - summary["first"]).max() / summary["std"] <= TOLERANCE
    assert abs(features.std(ddof=1) / summary["std"] - 1) <= TOLERANCE
    (expected,) = golden.outputs.values()
    # MMPose's heads for one frame drop the axis of frames.
    assert distance(output.reshape(expected.shape), expected) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", MAKE)
def test_a_broken_layer_is_seen(name, place):
    golden = load(name)
    layer, broken = with_fault(golden.state_dict, place)
    variables = convert.to_variables(broken, MAKE[name]())
    _, output = forward(name)(variables, golden.images)
    expected = next(iter(golden.outputs.values()))
    assert distance(output.reshape(expected.shape), expected) > TOLERANCE, layer


def test_the_residuals_of_a_causal_lifter_are_cut_elsewhere(tmp_path):
    golden = load("official_videopose3d_27_causal")
    variables = converted(golden.state_dict, MAKE["official_videopose3d_27"](), tmp_path)
    _, output = forward("official_videopose3d_27")(variables, golden.images)
    assert distance(output, golden.outputs["output"]) > 100 * TOLERANCE
