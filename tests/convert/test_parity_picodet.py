"""PicoDet from its OpenVINO file, against that runtime's boxes on real photos."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from jaxpose.convert import load_state_dict
from jaxpose.detect import Detector
from jaxpose.detect.weights import is_detector, recognise_detector
from jaxpose.errors import InputError
from jaxpose.media.image import read_image

# Of the range. The file has a sixth, the slope of the hard sigmoid, in float16; ours is a sixth.
# That alone moves boxes by 7e-4 and scores by 2e-4 of their ranges: with the rounded slope in
# place of ours, boxes are within 0.003 pixels and scores within 3e-6.
TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def picodet(shared):
    folder = shared / "weights" / "picodet_s_320_pedestrian"
    state_dict = load_state_dict(folder / "model.xml")
    with np.load(folder / "golden.npz") as file:
        golden = dict(file)
    canvases = cv2.imread(str(folder / "inputs.webp"))[..., ::-1].reshape(-1, 320, 320, 3)
    return SimpleNamespace(
        state_dict=state_dict,
        detector=Detector.load(folder / "model.xml", threshold=0.5),
        canvases=canvases,
        golden=golden,
    )


def test_the_file_is_recognised(picodet):
    assert is_detector(picodet.state_dict)
    assert picodet.detector.name == "picodet-s-320-person"
    assert picodet.detector.input_hw == (320, 320)


def test_a_file_with_another_constant_is_refused(picodet):
    changed = {**picodet.state_dict, "auto_88_/MatMul": np.arange(1, 9, dtype=np.float32)}
    with pytest.raises(InputError, match="not the constant of this model"):
        recognise_detector(changed)


def test_boxes_and_scores_of_all_places_are_the_runtimes(picodet):
    for i in range(2):
        boxes, scores = picodet.detector.places(picodet.canvases[i : i + 1])
        expected = picodet.golden["out_boxes__first2"][i]
        assert np.abs(boxes[0] - expected).max() < TOLERANCE * np.ptp(expected)
        expected = picodet.golden["out_scores__first2"][i, 0]
        assert np.abs(scores[0] - expected).max() < TOLERANCE * np.ptp(expected)


def test_people_are_found_where_the_runtime_finds_them(picodet, shared):
    detect, golden = picodet.detector, picodet.golden
    for i, file in enumerate(golden["files"]):
        image = read_image(shared / "data" / str(file))
        if i < len(picodet.canvases):
            canvas = detect.convention.fit(image, (320, 320)).canvas
            np.testing.assert_array_equal(canvas, picodet.canvases[i])
        (found,) = detect([image])
        expected = golden["detections"][golden["detections"][:, 0] == i]
        assert len(found) == len(expected)
        np.testing.assert_allclose(found.scores, expected[:, 1], atol=1e-3)
        corners = found.boxes_xywh.reshape(-1, 2, 2).cumsum(1).reshape(-1, 4)
        height, width = image.shape[:2]
        within = np.clip(expected[:, 2:], 0, [width, height, width, height])
        np.testing.assert_allclose(corners, within, atol=0.1)
