"""Detectors through the converter: what their published ONNX files make of real photos."""

import json
import re
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from broken import PLACES, with_fault
from golden.extract_detectors import PHOTO, STEP, RTMDetNano, YOLOXNano
from reference import distance
from safetensors.numpy import save_file
from suppression import overlap, plain

from jaxpose.convert import load_state_dict
from jaxpose.convert.rules import flatten
from jaxpose.detect import Detector
from jaxpose.detect.letterbox import letterbox
from jaxpose.detect.nms import suppress
from jaxpose.detect.weights import recognise_detector
from jaxpose.errors import InputError
from jaxpose.media.image import read_image

# onnxruntime in float32 is itself up to 3e-4 of their spread away from float64, ours a tenth of it.
TOLERANCE = 1e-3
GOLDEN = Path(__file__).parents[1] / "golden/detectors.npz"
KINDS = [YOLOXNano, RTMDetNano]


@pytest.fixture(scope="module")
def load(shared):
    """The detector of a kind, compiled once."""
    return cache(lambda kind: Detector.load(shared / "weights" / kind.weights))


def left(boxes, scores, iou):
    """What suppression leaves of one image above 0.05: `[P, 5]`."""
    kept = suppress(boxes, scores, threshold=0.05, iou=iou, limit=100)
    found = np.concatenate([kept.boxes_xyxy[0], kept.scores[0][:, None]], 1)
    return found[found[:, 4] > 0]


def assert_same_boxes(ours, theirs):
    """Each has a twin; those whose score is the threshold's within the tolerance may lack it."""
    for some, others in ((ours, theirs), (theirs, ours)):
        for box in some[some[:, 4] > 0.05 + TOLERANCE]:
            apart = np.abs(others[:, :4] - box[:4]).max(1)
            twin = apart.argmin()
            assert apart[twin] < 0.1 and abs(others[twin, 4] - box[4]) < TOLERANCE, box


def recorded(kind, shared):
    """The canvas that a kind of detector looked at, and the arrays that were kept of it."""
    golden = {
        key.split("/")[1]: array
        for key, array in np.load(GOLDEN).items()
        if key.startswith(kind.name)
    }
    canvas = letterbox(read_image(shared / PHOTO), kind.input_hw).canvas
    if zlib.crc32(canvas.tobytes()) != golden["canvas_crc32"]:
        pytest.skip("this OpenCV decodes or shrinks the photo differently")
    return canvas, golden


@pytest.mark.parametrize("kind", KINDS)
def test_places_and_boxes_equal_the_recorded(kind, shared, load):
    canvas, golden = recorded(kind, shared)
    boxes, scores = load(kind).places(canvas[None])
    assert distance(np.asarray(boxes[0, ::STEP]), golden["boxes"]) <= TOLERANCE
    assert distance(np.asarray(scores[0, ::STEP]), golden["scores"]) <= TOLERANCE
    if "left" in golden:
        assert_same_boxes(left(boxes, scores, 0.6), golden["left"])


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_layer_is_seen(kind, place, shared, load, monkeypatch):
    canvas, golden = recorded(kind, shared)
    state_dict = load_state_dict(shared / "weights" / kind.weights)
    layer, broken = with_fault(state_dict, place)
    monkeypatch.setattr(load(kind), "variables", recognise_detector(broken).variables)
    boxes, scores = load(kind).places(canvas[None])
    distances = (
        distance(np.asarray(boxes[0, ::STEP]), golden["boxes"]),
        distance(np.asarray(scores[0, ::STEP]), golden["scores"]),
    )
    assert max(distances) > TOLERANCE, layer


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_places_and_boxes_equal_onnxruntimes(kind, shared, load):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    published = kind(shared)
    images = sorted((shared / "data/coco").glob("*2017/*.jpg"))[::6]
    for path in (*images, shared / PHOTO):
        canvas = letterbox(read_image(path), kind.input_hw).canvas
        boxes, scores = load(kind).places(canvas[None])
        their_boxes, their_scores = published.places(canvas)
        assert distance(np.asarray(boxes[0]), their_boxes) <= TOLERANCE, path.name
        assert distance(np.asarray(scores[0]), their_scores) <= TOLERANCE, path.name
        theirs = published.left(canvas)
        if theirs is None:
            rows = plain(their_boxes, their_scores, 0.05, 0.6, 100)
            theirs = np.concatenate([their_boxes[rows], their_scores[rows, None]], 1)
        assert_same_boxes(left(boxes, scores, 0.6), theirs)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_nine_of_ten_large_people_are_found(kind, shared, load):
    """COCO's large: an area above 96 x 96 pixels. 66 people in 60 photos."""
    people: dict[str, list] = {}
    for split in ("train2017", "val2017"):
        labels = json.loads(
            (shared / f"data/coco/annotations/person_keypoints_{split}.json").read_text()
        )
        for person in labels["annotations"]:
            if person["area"] > 96**2 and not person["iscrowd"]:
                path = f"{split}/{person['image_id']:012}.jpg"
                people.setdefault(path, []).append(np.array(person["bbox"]))
    found = load(kind)([read_image(shared / "data/coco" / path) for path in people])
    corners = [
        np.concatenate([b[:, :2], b[:, :2] + b[:, 2:]], 1)
        for b in (result.boxes_xywh for result in found)
    ]
    seen = [
        any(overlap(np.append(box[:2], box[:2] + box[2:]), other) >= 0.5 for other in others)
        for boxes, others in zip(people.values(), corners, strict=True)
        for box in boxes
    ]
    assert len(seen) > 50
    assert np.mean(seen) >= 0.9


def as_mmdetection(state_dict):
    """YOLOX's own names as those that MMDetection gives the same arrays."""
    parts = (
        (r"^backbone\.backbone\.stem", "backbone.stem"),
        *((rf"^backbone\.backbone\.dark{s + 1}", f"backbone.stage{s}") for s in (1, 2, 3, 4)),
        (r"^backbone\.lateral_conv0", "neck.reduce_layers.0"),
        (r"^backbone\.reduce_conv1", "neck.reduce_layers.1"),
        (r"^backbone\.C3_p4", "neck.top_down_blocks.0"),
        (r"^backbone\.C3_p3", "neck.top_down_blocks.1"),
        (r"^backbone\.bu_conv2", "neck.downsamples.0"),
        (r"^backbone\.bu_conv1", "neck.downsamples.1"),
        (r"^backbone\.C3_n3", "neck.bottom_up_blocks.0"),
        (r"^backbone\.C3_n4", "neck.bottom_up_blocks.1"),
        (r"^head\.stems", "neck.out_convs"),
        (r"^head\.(cls|reg)_convs", r"bbox_head.multi_level_\1_convs"),
        (r"^head\.(cls|reg|obj)_preds", r"bbox_head.multi_level_conv_\1"),
        (r"(stage[123]\.1|stage4\.2|blocks\.\d)\.conv1\.conv", r"\1.main_conv.conv"),
        (r"(stage[123]\.1|stage4\.2|blocks\.\d)\.conv2\.conv", r"\1.short_conv.conv"),
        (r"\.conv3\.conv", ".final_conv.conv"),
        (r"\.m\.(\d)\.", r".blocks.\1."),
        (r"\.dconv\.", ".depthwise_conv."),
        (r"\.pconv\.", ".pointwise_conv."),
    )
    renamed = {}
    for key, array in state_dict.items():
        for pattern, replacement in parts:
            key = re.sub(pattern, replacement, key)
        renamed[key] = array
    return renamed


def unfolded(state_dict, epsilon):
    """The same network with batch norms beside its convolutions."""
    rng = np.random.default_rng(2)
    result = {}
    for key, array in state_dict.items():
        if not key.endswith(".conv.weight"):
            if not key.endswith(".conv.bias"):
                result[key] = array
            continue
        norm = key.removesuffix("conv.weight") + "bn"
        channels = len(array)
        gain, mean = rng.uniform(0.5, 2, channels), rng.normal(size=channels)
        variance = rng.uniform(0.5, 2, channels)
        scale = (gain / np.sqrt(variance + epsilon)).astype(np.float32)
        result[key] = array / scale[:, None, None, None]
        result[f"{norm}.weight"] = gain.astype(np.float32)
        result[f"{norm}.bias"] = state_dict[key.replace("weight", "bias")] + mean * scale
        result[f"{norm}.running_mean"] = mean
        result[f"{norm}.running_var"] = variance
        result[f"{norm}.num_batches_tracked"] = np.array(7)
    return result


def effective(leaves, epsilon):
    """Each convolution's place, and its kernel and bias with its norm folded in."""
    for path in (path for path in leaves if path.endswith("/norm/scale")):
        place = path.removeprefix("params/").removesuffix("/norm/scale")
        mean, variance = (leaves[f"batch_stats/{place}/norm/{name}"] for name in ("mean", "var"))
        scale = leaves[path] / np.sqrt(variance + epsilon)
        kernel = leaves[f"params/{place}/conv/kernel"] * scale
        yield place, kernel, leaves[f"params/{place}/norm/bias"] - mean * scale


@pytest.mark.parametrize(("kind", "epsilon"), [(YOLOXNano, 1e-3), (RTMDetNano, 1e-5)])
def test_batch_norms_that_are_not_folded_are_read_the_same(kind, epsilon, shared):
    state_dict = load_state_dict(shared / "weights" / kind.weights)
    folded = recognise_detector(state_dict)
    beside = recognise_detector(unfolded(state_dict, epsilon))
    assert folded.entry == beside.entry and folded.model == beside.model
    leaves = (flatten(found.variables) for found in (folded, beside))
    pairs = zip(*(effective(some, epsilon) for some in leaves), strict=True)
    for (place, *expected), (_, *actual) in pairs:
        for a, b in zip(actual, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max(), err_msg=place)


def test_mmdetections_names_for_yolox(shared):
    state_dict = load_state_dict(shared / "weights" / YOLOXNano.weights)
    expected = recognise_detector(state_dict)
    found = recognise_detector(as_mmdetection(state_dict))
    assert found.entry == expected.entry
    theirs = flatten(expected.variables)
    for path, leaf in flatten(found.variables).items():
        np.testing.assert_array_equal(leaf, theirs[path], err_msg=path)


def test_a_folder_with_our_own_names(shared, tmp_path):
    expected = recognise_detector(load_state_dict(shared / "weights" / RTMDetNano.weights))
    leaves = {path: np.array(leaf) for path, leaf in flatten(expected.variables).items()}
    save_file(leaves, tmp_path / "model.safetensors")
    found = recognise_detector(load_state_dict(tmp_path))
    assert found.entry == expected.entry and found.model == expected.model


def test_weights_that_are_no_known_detectors_are_refused(shared, tmp_path):
    state_dict = load_state_dict(shared / "weights" / RTMDetNano.weights)
    narrow = {key: array[: max(1, len(array) // 2)] for key, array in state_dict.items()}
    path = tmp_path / "narrow.safetensors"
    save_file({key: np.ascontiguousarray(array) for key, array in narrow.items()}, path)
    with pytest.raises(
        InputError, match=r"narrow.safetensors: No .* fits; rtmdet-nano-person is the nearest"
    ):
        Detector.load(path)
    pose = {"backbone.stage1.0.conv.weight": np.zeros((4, 3, 3, 3)), "head.x": np.zeros(1)}
    with pytest.raises(InputError, match=r"MMPose 1\.x weights, not weights of a detector"):
        recognise_detector(pose)
