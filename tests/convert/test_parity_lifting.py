"""Lifters through the converter: the same outputs as MMPose and the authors' own code."""

from functools import partial

import jax
import numpy as np
import pytest
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


def converted(golden, model, tmp_path, prefix=""):
    path = tmp_path / "checkpoint.safetensors"
    save_file({prefix + key: array for key, array in golden.state_dict.items()}, path)
    variables = convert.to_variables(convert.load_state_dict(path), model)
    assert count_parameters(variables) == golden.description["parameters"]
    return variables


def test_every_reference_is_compared():
    assert set(MMPOSE) == {"martinez_h36m", "videopose3d_27", "motionbert_243"}


@pytest.mark.parametrize("name", OFFICIAL)
def test_outputs_equal_those_of_the_authors_code(name, shared, tmp_path):
    golden, model = load(shared, name), OFFICIAL[name]()
    # The published files were saved from `DataParallel`.
    variables = converted(golden, model, tmp_path, prefix="module.")
    output = np.asarray(jax.jit(model.apply)(variables, golden.images))
    assert distance(output, golden.outputs["output"]) <= TOLERANCE


@pytest.mark.parametrize("name", MMPOSE)
def test_outputs_equal_mmposes(name, shared, tmp_path):
    golden, model = load(shared, name), MMPOSE[name]()
    variables = converted(golden, model, tmp_path)

    keypoints = golden.images
    if keypoints.ndim == 3:  # MMPose flattens keypoints to channels: [B, K * D, T]
        keypoints = keypoints.transpose(0, 2, 1)
    keypoints = keypoints.reshape(model.input_shape())

    @jax.jit
    def forward(variables, keypoints):
        features = model.apply(variables, keypoints, method=lambda m, x: m.backbone(x))
        return features, model.apply(variables, keypoints)

    features, output = (np.asarray(a) for a in forward(variables, keypoints))
    summary = golden.description["backbone_features"][-1]
    first = features.reshape(-1)[: len(summary["first"])]
    assert np.abs(first - summary["first"]).max() / summary["std"] <= TOLERANCE
    assert abs(features.std(ddof=1) / summary["std"] - 1) <= TOLERANCE
    (expected,) = golden.outputs.values()
    # MMPose's heads for one frame drop the axis of frames.
    assert distance(output.reshape(expected.shape), expected) <= TOLERANCE


def test_a_broken_port_is_noticed(shared, tmp_path):
    """Of a causal lifter the residuals are cut elsewhere, with the same arrays."""
    golden = load(shared, "official_videopose3d_27_causal")
    model = OFFICIAL["official_videopose3d_27"]()
    variables = converted(golden, model, tmp_path)
    output = np.asarray(jax.jit(model.apply)(variables, golden.images))
    assert distance(output, golden.outputs["output"]) > 100 * TOLERANCE
