"""MediaPipe's models through the converter: outputs, boxes and landmarks of Google's runtime.

The references are in `shared/weights` (LiteRT on real images). Weights that came as packages are
under the folder that `JAXPOSE_REAL_WEIGHTS` names.
"""

import json
from dataclasses import astuple
from functools import cache
from typing import NamedTuple

import cv2
import jax
import numpy as np
import pytest
from reference import distance, real_weights

from jaxpose.convert import load_state_dict, to_variables
from jaxpose.convert.mismatch import Mismatch
from jaxpose.detect import Detector
from jaxpose.geometry.regions import Region
from jaxpose.media.image import read_image
from jaxpose.models.published.catalogue import find
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.augment import normalize
from jaxpose.tasks.topdown.estimator import TopDownEstimator
from jaxpose.tasks.topdown.landmarks import LandmarkPredictor

# Of the spread of each output. Both run in float32; sums have another order.
TOLERANCE = 1e-3
# Rounding of maps that are stored in float16, relative.
HALF = 2.0**-11
PIXELS = 0.1

FOLDERS = {
    "blazepose-detector": "blazepose_detector",
    "blazepose-full": "blazepose_full",
    "hand-landmark-full": "mediapipe_hand_landmark_full",
    "palm-detection-full": "mediapipe_palm_detection_full",
    "face-mesh": "mediapipe_face_mesh",
    "blazeface-short": "mediapipe_blazeface_short",
}
LANDMARKS = ("blazepose-full", "hand-landmark-full", "face-mesh")
DETECTORS = ("blazepose-detector", "palm-detection-full", "blazeface-short")
OUTPUTS = {
    "blazepose-full": {
        "landmarks": "Identity",
        "presence": "Identity_1",
        "segmentation": "Identity_2__first1",
        "heatmaps": "Identity_3__first1",
        "world": "Identity_4",
    },
    "hand-landmark-full": {
        "landmarks": "Identity",
        "presence": "Identity_1",
        "handedness": "Identity_2",
        "world": "Identity_3",
    },
    "face-mesh": {"landmarks": "conv2d_21", "presence": "conv2d_31"},
}
# The regions of the stored hands are from a lower threshold.
PALMS = ("palm-detection-full", 0.3)
COCO_FROM_33 = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)


class Reference(NamedTuple):
    """Content of a folder of references, and the weights that they are from."""

    golden: dict
    about: dict
    crops: np.ndarray
    weights: dict


@pytest.fixture(scope="module")
def reference_of(shared):
    @cache
    def load(name):
        folder = shared / "weights" / FOLDERS[name]
        about = json.loads((folder / "golden.json").read_text())
        ((file, facts),) = about["files"].items()
        path = folder / file
        path = path if path.is_file() else real_weights(file, facts["sha256"])
        with np.load(folder / "golden.npz") as arrays:
            golden = dict(arrays)
        stacked = cv2.imread(str(folder / "inputs.webp"))[..., ::-1]
        crops = stacked.reshape(-1, stacked.shape[1], stacked.shape[1], 3)
        return Reference(golden, about, crops, load_state_dict(path))

    return load


@pytest.fixture(scope="module")
def predictor_of(reference_of):
    @cache
    def make(name):
        record = find(name)
        model = record.model()
        variables = to_variables(reference_of(name).weights, model)
        codec = record.codec(record.input_hw)
        return LandmarkPredictor(model, variables, codec, record.num_keypoints)

    return make


@pytest.fixture(scope="module")
def detector_of(reference_of):
    @cache
    def make(name, threshold=0.5):
        record = find(name)
        model = record.model()
        variables = to_variables(reference_of(name).weights, model)
        return Detector.of(model)(model, variables, record.input_hw, threshold=threshold)

    return make


def outputs_of(name, predictor, crops):
    """All outputs for one crop at a time."""
    model = find(name).model()
    apply = jax.jit(lambda variables, image: model.apply(variables, normalize(image)))
    rows = [jax.device_get(apply(predictor.variables, crop[None])) for crop in crops]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *rows)


@pytest.mark.parametrize("name", LANDMARKS)
def test_outputs_are_those_of_the_runtime(name, reference_of, predictor_of):
    reference = reference_of(name)
    outputs, _ = predictor_of(name).crop_outputs(reference.crops)
    for field, key in OUTPUTS[name].items():
        if key.endswith("first1"):
            continue
        expected = reference.golden[f"out_{key}"][: len(reference.crops)]
        actual = getattr(outputs, field).reshape(expected.shape)
        assert distance(actual, expected) < TOLERANCE, field


@pytest.mark.slow
def test_maps_are_those_of_the_runtime(reference_of, predictor_of):
    reference, name = reference_of("blazepose-full"), "blazepose-full"
    outputs = outputs_of(name, predictor_of(name), reference.crops[:1])
    for field in ("segmentation", "heatmaps"):
        expected = reference.golden[f"out_{OUTPUTS[name][field]}"].astype(np.float32)
        rounding = HALF * np.abs(expected).max() / expected.std()
        assert distance(getattr(outputs, field), expected) < TOLERANCE + rounding, field


@pytest.mark.parametrize("name", DETECTORS)
def test_detections_are_those_of_the_runtime(name, reference_of, detector_of, shared):
    """From image files: letterbox, network, anchors, weighted suppression."""
    golden, detector = reference_of(name).golden, detector_of(name)
    np.testing.assert_allclose(detector.anchors, golden["anchors"], atol=1e-6)
    files = [shared / "data" / str(file) for file in golden["files"]]
    found = detector([read_image(file) for file in files])
    for row, detections in enumerate(found):
        expected = golden["detections"][golden["detections"][:, 0] == row]
        corners = detections.found_xywh.copy()
        corners[:, 2:] += corners[:, :2]
        # Levels that OpenCV rounds otherwise on another processor move boxes by up to 0.3 px.
        np.testing.assert_allclose(detections.scores, expected[:, 1], atol=2e-3)
        np.testing.assert_allclose(corners, expected[:, 2:6], atol=0.5)
        np.testing.assert_allclose(
            detections.keypoints.reshape(expected[:, 6:].shape), expected[:, 6:], atol=0.5
        )


@pytest.mark.parametrize("name", DETECTORS)
def test_raw_boxes_are_those_of_the_runtime(name, reference_of, detector_of):
    golden = reference_of(name).golden
    keys = ("out_regressors__first2", "out_classificators__first2")
    keys = keys if keys[0] in golden else ("out_Identity__first2", "out_Identity_1__first2")
    boxes, scores = (
        np.concatenate(rows)
        for rows in zip(
            *(detector_of(name).places(crop[None]) for crop in reference_of(name).crops[:2]),
            strict=True,
        )
    )
    assert distance(boxes, golden[keys[0]]) < TOLERANCE
    logits = np.clip(golden[keys[1]][..., 0].astype(np.float64), -100, 100)
    expected = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(scores, expected, atol=1e-4)


def regions_of(golden):
    """Regions of the hands or of the faces, and the names of their images."""
    roi = golden["roi"]
    numbers = roi[:, 1:5] if "files" not in golden else roi
    names = [f"samples/{file}" for file in roi[:, 0]] if "files" not in golden else golden["files"]
    return [Region(*row) for row in numbers.astype(float).tolist()], [str(name) for name in names]


@pytest.mark.parametrize("name", ["hand-landmark-full", "face-mesh"])
def test_rotated_regions_give_the_crops_and_the_points(name, reference_of, predictor_of, shared):
    reference, predictor = reference_of(name), predictor_of(name)
    for row, (region, file) in enumerate(zip(*regions_of(reference.golden), strict=True)):
        image = read_image(shared / "data" / file)
        # OpenCV rounds single pixels to the next level on another processor.
        apart = np.abs(region.crop(image, predictor.side).astype(int) - reference.crops[row])
        assert apart.max() <= 1 and (apart > 0).mean() < 1e-4
        found = predictor(image, [region])
        expected = reference.golden["keypoints_xy"][row]
        np.testing.assert_allclose(found.keypoints[0], expected, atol=PIXELS)


def test_bodies_from_the_image_alone(reference_of, detector_of, predictor_of, shared):
    """Detections differ in their seventh digits, and single grey levels of the crops with them."""
    golden = reference_of("blazepose-detector").golden
    expected = iter(golden["pipeline_landmarks"])
    for file in golden["files"][:2]:
        image = read_image(shared / "data" / str(file))
        regions = detector_of("blazepose-detector")([image])[0].regions
        found = predictor_of("blazepose-full")(image, regions)
        for i, region in enumerate(regions):
            row = next(expected)
            points = np.concatenate([found.keypoints[i], found.auxiliary[i]])
            assert np.abs(points - row[:, :2]).max() < 2e-4 * region.side
            np.testing.assert_allclose(found.scores[i], row[:33, 2], atol=2e-3)


@pytest.mark.slow
def test_mean_oks_of_a_hundred_people(reference_of, predictor_of, shared):
    """Through the crops of prediction, which do not average where they shrink."""
    golden, record = reference_of("blazepose-full").golden, find("blazepose-full")
    codec = record.codec(record.input_hw)
    estimator = TopDownEstimator(record.model(), codec, record.skeleton, record.padding)
    predictor = estimator.predictor(
        predictor_of("blazepose-full").variables, flip_test=False, batch_size=1
    )
    labels = {
        label["id"]: label
        for split in ("train", "val")
        for label in json.loads(
            (shared / f"data/coco/annotations/person_keypoints_{split}2017.json").read_text()
        )["annotations"]
    }
    chosen = [labels[int(number)] for number in golden["eval100_ann_id"]]
    images = (read_image(shared / "data/coco" / str(file)) for file in golden["eval100_file"])
    boxes = [np.array([label["bbox"]]) for label in chosen]
    people = predictor.stream(zip(images, boxes, strict=True))
    found = np.stack([person.keypoints[0][list(COCO_FROM_33)] for person in people])
    truth = np.array([label["keypoints"] for label in chosen], float).reshape(-1, 17, 3)
    variances = (2 * COCO17.oks_sigmas()) ** 2
    area = np.array([label["area"] for label in chosen])[:, None]
    apart = ((found - truth[..., :2]) ** 2).sum(axis=-1)
    near = np.exp(-apart / (2 * area * variances[None]))
    seen = truth[..., 2] > 0
    score = np.mean([row[mask].mean() for row, mask in zip(near, seen, strict=True)])
    assert score == pytest.approx(0.4652, abs=0.005)
    assert golden["eval100_oks"].mean() == pytest.approx(0.4652, abs=1e-4)


def labels_of(folder):
    """Annotations of a folder of samples by the names of their images."""
    document = json.loads(next(folder.glob("test_*.json")).read_text())
    files = {image["id"]: image["file_name"].rpartition("/")[2] for image in document["images"]}
    return {files[label["image_id"]]: label for label in document["annotations"]}


def test_errors_of_hands_and_palms(reference_of, detector_of, predictor_of, shared):
    """Mean errors by the side of the box, over the hands whose palm is found.

    One hand of FreiHAND has none. PCK is over the keypoints within 0.2 of the side.
    """
    expected = reference_of("hand-landmark-full").about["real_accuracy"]
    # RHD lists the joints of each finger from its tip.
    rhd = [0, *(4 * finger + joint for finger in range(5) for joint in (4, 3, 2, 1))]
    detector, predictor = detector_of(*PALMS), predictor_of("hand-landmark-full")
    for folder, figures in expected.items():
        errors = []
        for file, label in labels_of(shared / "data/samples" / folder).items():
            image = read_image(shared / "data/samples" / folder / file)
            regions = detector([image])[0].regions
            if not regions:
                continue
            truth = np.array(label["keypoints"], float).reshape(21, 3)
            truth = truth[rhd] if folder == "rhd" else truth
            points = predictor(image, regions[:1]).keypoints[0]
            apart = np.linalg.norm(points - truth[:, :2], axis=-1) / max(label["bbox"][2:])
            errors.append(np.where(truth[:, 2] > 0, apart, np.nan))
        assert len(errors) == figures["n"] - figures["no_palm"]
        mean = np.nanmean(np.nanmean(errors, axis=1))
        assert mean == pytest.approx(figures["mean_error_over_box_side"], abs=5e-4), folder
        near = np.nanmean([np.mean(row[np.isfinite(row)] < 0.2) for row in errors])
        assert near == pytest.approx(figures["pck02"], abs=1e-3), folder


def test_errors_of_faces(reference_of, detector_of, predictor_of, shared):
    """300W's points without the jaw, by the distance of the outer corners of the eyes."""
    index = reference_of("face-mesh").about["map_300w_51"]["index"]
    errors = {}
    for file, label in labels_of(shared / "data/samples/300w").items():
        image = read_image(shared / "data/samples/300w" / file)
        regions = detector_of("blazeface-short")([image])[0].regions
        points = predictor_of("face-mesh")(image, regions[:1]).keypoints[0][index]
        truth = np.array(label["keypoints"], float).reshape(-1, 3)[:, :2]
        apart = np.linalg.norm(points - truth[17:], axis=-1).mean()
        errors[file] = apart / np.linalg.norm(truth[36] - truth[45])
    assert errors["indoor_029.png"] == pytest.approx(0.0361, abs=5e-4)
    assert errors["indoor_020.png"] == pytest.approx(0.0504, abs=5e-4)


OTHERS = {
    "blazepose-lite": (
        "pose_landmark_lite.tflite",
        "f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61",
    ),
    "blazepose-heavy": (
        "pose_landmark_heavy.tflite",
        "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe",
    ),
    "hand-landmark-lite": (
        "hand_landmark_lite.tflite",
        "048edd3645c9bf7397d19a9f6e3a42957d6e414c9bea6598030a2e9b624156e6",
    ),
}


# Points of `hand-region` in LiteRT 2.3.0, without XNNPACK, for the first stored crops of hands,
# enlarged to 256x256 by `cv2.resize`.
REGION = (
    "hand_recrop.tflite",
    "67d996ce96f9d36fe17d2693022c6da93168026ab2f028f9e2365398d8ac7d5d",
)
REGION_POINTS = (
    (137.20947, 158.76564, 186.27696, 317.40845),
    (132.08434, 161.02386, 137.04794, 278.44745),
    (128.30824, 168.15663, 120.66846, 293.03973),
)


def test_regions_of_hands_are_those_of_the_runtime(reference_of):
    record = find("hand-region")
    model = record.model()
    variables = to_variables(load_state_dict(real_weights(*REGION)), model)
    predictor = LandmarkPredictor(model, variables, record.codec(record.input_hw), 2)
    crops = reference_of("hand-landmark-full").crops[: len(REGION_POINTS)]
    crops = np.stack([cv2.resize(crop, record.input_hw) for crop in crops])
    outputs, _ = predictor.crop_outputs(crops)
    found = outputs.landmarks[..., :2].reshape(-1, 4)
    assert distance(found, np.array(REGION_POINTS)) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other_sizes_are_those_of_the_runtime(name, reference_of):
    """Against LiteRT itself, on the crops of the full models.

    Without XNNPACK, whose segmentation of the heavy model is 2e-3 from LiteRT's own kernels, and
    ours 5e-4.
    """
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    path, record = real_weights(*OTHERS[name]), find(name)
    model = record.model()
    variables = to_variables(load_state_dict(path), model)
    crops = reference_of(name.rpartition("-")[0] + "-full").crops[:2]
    codec = record.codec(record.input_hw)
    predictor = LandmarkPredictor(model, variables, codec, record.num_keypoints)
    ours = outputs_of(name, predictor, crops)
    kernels = interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    runtime = interpreter.Interpreter(str(path), experimental_op_resolver_type=kernels)
    runtime.allocate_tensors()
    fields = OUTPUTS[name.rpartition("-")[0] + "-full"]
    for row, crop in enumerate(crops):
        runtime.set_tensor(runtime.get_input_details()[0]["index"], crop[None] / np.float32(255))
        runtime.invoke()
        theirs = {d["name"]: runtime.get_tensor(d["index"]) for d in runtime.get_output_details()}
        for field, key in fields.items():
            expected = theirs[key.partition("__")[0]]
            actual = getattr(ours, field)[row].reshape(expected.shape)
            spread = expected.std() if expected.size > 1 else 1.0
            assert np.abs(actual - expected).max() < TOLERANCE * spread, field


def test_a_kernel_in_the_wrong_place_is_seen(reference_of, predictor_of):
    """Two kernels of one shape changed places: every array fits, and the outputs do not."""
    reference = reference_of("face-mesh")
    weights = dict(reference.weights)
    first, second = "conv2d_11/kernel", "conv2d_12/kernel"
    weights[first], weights[second] = weights[second], weights[first]
    model, codec = find("face-mesh").model(), predictor_of("face-mesh").codec
    broken = LandmarkPredictor(model, to_variables(weights, model), codec, 468)
    outputs, _ = broken.crop_outputs(reference.crops[:1])
    expected = reference.golden["out_conv2d_21"][:1]
    assert distance(outputs.landmarks.reshape(expected.shape), expected) > 100 * TOLERANCE


def test_every_array_is_needed_and_used(reference_of):
    weights, model = reference_of("face-mesh").weights, find("face-mesh").model()
    less = {key: array for key, array in weights.items() if key != "p_re_lu_9/alpha"}
    with pytest.raises(Mismatch, match="stage_2_block_2/activation/alpha"):
        to_variables(less, model)
    with pytest.raises(Mismatch, match="conv2d_99/kernel"):
        to_variables({**weights, "conv2d_99/kernel": weights["conv2d_9/kernel"]}, model)


@pytest.mark.parametrize(
    ("detector", "landmarks"), [(PALMS, "hand-landmark-full"), (("blazeface-short",), "face-mesh")]
)
def test_regions_are_the_published_ones(detector, landmarks, reference_of, detector_of, shared):
    for expected, file in zip(*regions_of(reference_of(landmarks).golden), strict=True):
        found = detector_of(*detector)([read_image(shared / "data" / file)])[0].regions
        apart = [np.abs(np.subtract(astuple(region), astuple(expected))).max() for region in found]
        assert min(apart) < 2 * PIXELS, file
