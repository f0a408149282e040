"""YOLOv8-, YOLO11- and YOLO26-pose through the converter: stored numbers of Ultralytics 8.4.190."""

import dataclasses
from functools import cache

import jax
import numpy as np
import pytest
from broken import PLACES, with_fault
from reference import TOLERANCE, distance, load
from test_parity_one_stage import normalised

from jaxpose import convert
from jaxpose.codecs.one_stage import OneStageOutputs
from jaxpose.models.build import count_parameters
from jaxpose.models.published.catalogue import find
from jaxpose.models.published.yolo import yolo_codec, yolo_pose

MODELS = {"8": "yolov8n_pose_256x192", "11": "yolo11n_pose_256x192", "26": "yolo26n_pose_256x192"}
HW = (256, 192)
# What only supports training.
UNUSED = r".*flow_model.*"


@cache
def golden(version):
    """The reference, with the constants that its description names."""
    found = load(MODELS[version])
    for key, array in found.state_dict.items():
        if key.endswith("dfl.conv.weight"):
            found.state_dict[key] = np.arange(16, dtype=np.float32).reshape(array.shape)
    return found


@cache
def forward(version):
    """Compiled: variables and images -> outputs, and the maps of the neck."""
    model = yolo_pose(version, "n")

    @jax.jit
    def run(variables, images):
        outputs, state = model.apply(
            variables, images, capture_intermediates=lambda module, _: module.name == "neck"
        )
        return outputs, state["intermediates"]["neck"]["__call__"][0]

    # Recipe's noise, moved to 0 to 1; images of the models here are ImageNet's, 0 to 255 in RGB.
    pixels = 255 * (0.25 * golden(version).images + 0.5)
    return lambda variables: run(variables, normalised(pixels[..., ::-1]))


def rows(levels, name):
    """A field of all places `[B, C, N]`, as the reference has them."""
    maps = [np.asarray(getattr(level, name)) for level in levels]
    joined = np.concatenate([x.reshape(len(x), -1, x.shape[-1]) for x in maps], axis=1)
    return joined.transpose(0, 2, 1)


def branch(levels):
    """Raw outputs of one branch: boxes, score and (x, y, visibility) of each keypoint."""
    points, visible = rows(levels, "keypoints"), rows(levels, "visible")
    points = points.reshape(len(points), -1, 2, points.shape[-1])
    keypoints = np.concatenate([points, visible[:, :, None]], axis=2)
    return {
        "boxes": rows(levels, "boxes"),
        "scores": rows(levels, "person"),
        "kpts": keypoints.reshape(len(keypoints), -1, keypoints.shape[-1]),
    }


def distances(version, outputs, maps):
    expected = golden(version).outputs
    branches = {"1.": outputs.levels}
    if version == "26":
        branches = {"1.one2one.": outputs.levels, "1.one2many.": outputs.more}
    for prefix, levels in branches.items():
        for name, values in branch(levels).items():
            yield prefix + name, distance(values, expected[prefix + name])
        for number, x in enumerate(maps):
            key = f"{prefix}feats.{number}"
            yield key, distance(np.asarray(x).transpose(0, 3, 1, 2), expected[key])


def decoded(version, levels):
    """Boxes (centre and size), score and keypoints of all places `[B, 56, N]`."""
    found = yolo_codec(HW, version).proposals(levels)
    low, high = found.boxes[..., :2], found.boxes[..., 2:]
    points = np.concatenate([found.keypoints, jax.nn.sigmoid(found.visible)[..., None]], axis=-1)
    parts = (
        (low + high) / 2,
        high - low,
        found.probability()[..., None],
        points.reshape(*points.shape[:2], -1),
    )
    return np.concatenate(parts, axis=-1).transpose(0, 2, 1)


@pytest.mark.parametrize(
    "version", ["8", *(pytest.param(v, marks=pytest.mark.slow) for v in ("11", "26"))]
)
def test_outputs_equal_ultralytics(version):
    known = golden(version)
    variables = convert.to_variables(known.state_dict, yolo_pose(version, "n"))
    dropped = sum(
        array.size
        for key, array in known.state_dict.items()
        if "dfl" in key or ("flow_model" in key and ".loc" not in key)
    )
    constants = 4 + 6 * 2 if version == "26" else 0  # covariance and masks of the flow
    assert count_parameters(variables) + dropped - constants == known.description["parameters"]
    outputs, maps = forward(version)(variables)
    found = dict(distances(version, outputs, maps))
    assert len(found) == len(known.outputs) - 1
    assert max(found.values()) <= TOLERANCE, found
    # The decoded output of YOLO26's reference is that of the branch that only trains.
    levels = outputs.more or outputs.levels
    assert distance(decoded(version, levels), known.outputs["0"]) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("version", MODELS)
def test_a_broken_layer_is_seen(version, place):
    layer, broken = with_fault(golden(version).state_dict, place, UNUSED)
    variables = convert.to_variables(broken, yolo_pose(version, "n"))
    found = dict(distances(version, *forward(version)(variables)))
    assert max(found.values()) > TOLERANCE, layer


def test_another_origin_of_keypoints_is_seen():
    version = "8"
    variables = convert.to_variables(golden(version).state_dict, yolo_pose(version, "n"))
    outputs, _ = forward(version)(variables)
    codec = dataclasses.replace(yolo_codec(HW, version), origin="middle")
    apart = (
        codec.proposals(outputs.levels).keypoints
        - yolo_codec(HW).proposals(outputs.levels).keypoints
    )
    assert np.abs(apart).min() >= 4 - 1e-3


def test_yolo26_proposes_everybody_once():
    """Two equal proposals stay, because nothing is suppressed."""
    variables = convert.to_variables(golden("26").state_dict, yolo_pose("26", "n"))
    outputs, _ = forward("26")(variables)
    codec = dataclasses.replace(yolo_codec(HW, "26"), threshold=0.01, max_people=50)
    found = jax.jit(codec.decode)(OneStageOutputs(outputs.levels))
    best = np.sort(np.asarray(codec.proposals(outputs.levels).probability()[0]))[::-1][:50]
    shares = found.scores[0] / jax.nn.sigmoid(found.raw[0])
    np.testing.assert_allclose(shares[:, 0], best, rtol=1e-5)


def test_the_licence_is_stated():
    for version in MODELS:
        assert (
            find(MODELS[version].removesuffix("_256x192").replace("_", "-")).licence == "AGPL-3.0"
        )
