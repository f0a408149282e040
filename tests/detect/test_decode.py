"""Outputs of detection heads as boxes: by hand, at one place of one level."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.detect.decode import PICODET, RTMDET, YOLOX, convention_of
from jaxpose.errors import InputError
from jaxpose.models import picodet, rtmdet, rtmpose, yolox
from jaxpose.models.detection import Level


def levels(numbers, objectness, places):
    """Levels of a 32 x 64 image; place (row 1, column 2) of stride 16 holds `numbers`."""
    result = []
    for height, width in places:
        boxes = jnp.zeros((1, height, width, 4))
        logits = jnp.full((1, height, width, 3), -50.0)
        if height == 2:
            boxes = boxes.at[0, 1, 2].set(jnp.array(numbers))
            logits = logits.at[0, 1, 2, 1].set(0.0)
        sure = jnp.zeros((1, height, width, 1)) if objectness else None
        result.append(Level(boxes, logits, sure))
    return result


@pytest.mark.parametrize(
    ("convention", "numbers", "box", "score"),
    [
        # Centre (2.5, 1.25) strides, size (2, 4) strides; objectness a half.
        (YOLOX, [0.5, 0.25, np.log(2), np.log(4)], [24, -12, 56, 52], 0.25),
        (RTMDET, [0.5, 0.25, 1.0, 2.0], [24, 12, 48, 48], 0.5),
        # From the centre (2.5, 1.5); the geometric mean of two halves.
        (PICODET, [0.5, 0.25, 1.0, 2.0], [32, 20, 56, 56], 0.5),
    ],
)
def test_one_place(convention, numbers, box, score):
    places = ((4, 8), (2, 4), (1, 2), (1, 1))[: len(convention.strides)]
    found = levels(numbers, convention is not RTMDET, places)
    boxes, scores = convention.decode(found, category=1)
    count = sum(height * width for height, width in places)
    assert boxes.shape == (1, count, 4) and scores.shape == (1, count)
    place = 32 + 1 * 4 + 2
    np.testing.assert_allclose(boxes[0, place], box, rtol=1e-6)
    np.testing.assert_allclose(scores[0, place], score, rtol=1e-6)
    assert np.delete(np.asarray(scores[0]), place).max() < 1e-6


def test_images_are_normalised_in_the_models_order():
    red = np.array([[[[255, 0, 0]]]], np.uint8)
    np.testing.assert_array_equal(YOLOX.prepare(red)[0, 0, 0], [0, 0, 255])
    expected = (np.array([0, 0, 255]) - [103.53, 116.28, 123.675]) / [57.375, 57.12, 58.395]
    np.testing.assert_allclose(RTMDET.prepare(red)[0, 0, 0], expected, rtol=1e-5)
    expected = (np.array([255, 0, 0]) - [123.675, 116.28, 103.53]) / [58.395, 57.12, 57.375]
    np.testing.assert_allclose(PICODET.prepare(red)[0, 0, 0], expected, rtol=1e-5)


def test_the_head_tells_the_convention():
    assert convention_of(yolox("tiny")) is YOLOX
    assert convention_of(rtmdet("s", 1)) is RTMDET
    assert convention_of(picodet()) is PICODET
    with pytest.raises(InputError, match="RTMCCHead is not the head of a detector"):
        convention_of(rtmpose("s"))
