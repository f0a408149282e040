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

# VideoPose3D's own are narrower than published, and MotionBERT's input has 16 frames.
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
TESTED = OFFICIAL | MMPOSE


@cache
def forward(name):
    """Compiled: variables and keypoints in the source's layout -> features and joints."""
    model = TESTED[name]()

    @jax.jit
    def run(variables, keypoints):
        features = model.apply(variables, keypoints, method=lambda m, x: m.backbone(x))
        return features, model.apply(variables, keypoints)

    def call(variables, keypoints):
        if name in MMPOSE:
            if keypoints.ndim == 3:  # MMPose flattens keypoints to channels: [B, K * D, T]
                keypoints = keypoints.transpose(0, 2, 1)
            keypoints = keypoints.reshape(model.input_shape())
        return map(np.asarray, run(variables, keypoints))

    return call


def converted(golden, name, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    # The authors' files were saved from `DataParallel`.
    prefix = "module." if name in OFFICIAL else ""
    save_file({prefix + key: array for key, array in golden.state_dict.items()}, path)
    variables = convert.to_variables(convert.load_state_dict(path), TESTED[name]())
    assert count_parameters(variables) == golden.description["parameters"]
    return variables


def first_output(golden):
    """The joints; of MotionBERT the representation is stored, too."""
    return golden.outputs.get("output") or next(iter(golden.outputs.values()))


def test_every_reference_is_compared():
    assert set(MMPOSE) == {"martinez_h36m", "videopose3d_27", "motionbert_243"}


@pytest.mark.parametrize("name", OFFICIAL)
def test_outputs_equal_those_of_the_authors_code(name, tmp_path):
    golden = load(name)
    _, output = forward(name)(converted(golden, name, tmp_path), golden.images)
    assert distance(output, first_output(golden)) <= TOLERANCE


@pytest.mark.parametrize("name", MMPOSE)
def test_outputs_equal_mmposes(name, tmp_path):
    golden = load(name)
    features, output = forward(name)(converted(golden, name, tmp_path), golden.images)
    summary = golden.description["backbone_features"][-1]
    first = features.reshape(-1)[: len(summary["first"])]
    assert np.abs(first - summary["first"]).max() / summary["std"] <= TOLERANCE
    assert abs(features.std(ddof=1) / summary["std"] - 1) <= TOLERANCE
    expected = first_output(golden)
    # MMPose's heads for one frame drop the axis of frames.
    assert distance(output.reshape(expected.shape), expected) <= TOLERANCE


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", TESTED)
def test_a_broken_layer_is_seen(name, place):
    golden = load(name)
    layer, broken = with_fault(golden.state_dict, place)
    variables = convert.to_variables(broken, TESTED[name]())
    _, output = forward(name)(variables, golden.images)
    expected = first_output(golden)
    assert distance(output.reshape(expected.shape), expected) > TOLERANCE, layer


def test_causal_residuals_are_seen():
    """Of a causal lifter they are cut elsewhere, with the same arrays."""
    golden = load("official_videopose3d_27_causal")
    model = OFFICIAL["official_videopose3d_27"]()
    variables = convert.to_variables(golden.state_dict, model)
    output = np.asarray(jax.jit(model.apply)(variables, golden.images))
    assert distance(output, first_output(golden)) > 100 * TOLERANCE
