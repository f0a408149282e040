"""The detector around a stand-in for a network, which sees white people on black ground."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.detect import Detector
from jaxpose.errors import InputError
from jaxpose.models.detection import Level, YOLOXHead


class Bright:
    """Finds a person of 16 x 32 pixels wherever a cell of 8 pixels is white."""

    head = YOLOXHead(num_classes=2, features=8)

    def apply(self, variables, images):
        """Levels as a network's; `variables` is added to all scores."""
        batch, height, width, _ = images.shape
        cells = images.reshape(batch, height // 8, 8, width // 8, 8, 3).mean((2, 4, 5))[..., None]
        logits = jnp.where(cells > 200, 20.0, -20.0) + variables
        size = jnp.log(jnp.array([2.0, 4.0])).reshape(1, 1, 1, 2)
        box = jnp.concatenate([jnp.full((1, 1, 1, 2), 0.5), size], -1)
        box = jnp.broadcast_to(box, (*cells.shape[:3], 4))
        found = Level(box, jnp.concatenate([logits, -logits], -1), logits)
        nothing = [
            Level(
                jnp.zeros((batch, height // s, width // s, 4)),
                jnp.full((batch, height // s, width // s, 2), -20.0),
                jnp.full((batch, height // s, width // s, 1), -20.0),
            )
            for s in (16, 32)
        ]
        return found, *nothing


def detector(**options):
    return Detector(Bright(), jnp.zeros(()), (64, 64), **options)


def image(*cells, hw=(64, 64)):
    """Black, with white cells (row, column) of 8 pixels."""
    image = np.zeros((*hw, 3), np.uint8)
    for row, column in cells:
        image[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 255
    return image


def test_boxes_are_in_pixels_of_each_photo():
    wide = np.repeat(np.repeat(image((2, 3), hw=(32, 64)), 4, 0), 4, 1)
    first, second, third = detector(batch_size=2)([image((3, 1), (3, 6)), image(), wide])
    np.testing.assert_allclose(first.boxes_xywh, [[4, 12, 16, 32], [44, 12, 16, 32]])
    assert len(second) == 0 and second.boxes_xywh.shape == (0, 4)
    # Cut at the photo's lower edge, which is at 128 pixels.
    np.testing.assert_allclose(third.boxes_xywh, [[80, 16, 64, 112]])
    assert first.boxes_xywh.dtype == first.scores.dtype == np.float32
    assert (first.scores > 0.99).all()


def test_it_is_compiled_once_for_photos_of_all_sizes():
    detect = detector()
    sizes = [(1, 1), (5, 20_000), (64, 64), (480, 640)]
    assert [len(found) for found in detect([image(hw=hw) for hw in sizes])] == [0, 0, 0, 0]
    detect([image((1, 1))])
    assert detect.compilations == 1


def test_options_bound_what_is_reported():
    crowd = image(*((row, column) for row in range(8) for column in range(8)))
    assert len(detector(max_people=5)([crowd])[0]) == 5
    # Neighbours share half of themselves: of eight in a row, four are left.
    assert len(detector(iou=0.3)([image(*((3, column) for column in range(8)))])[0]) == 4
    assert len(detector(person_class=1)([image()])[0]) == 0


def test_no_photos_no_people():
    assert detector()([]) == []


def test_one_photo_without_a_list_is_refused():
    with pytest.raises(InputError, match=r"detector\(\[image\]\)"):
        detector()(image())


def test_scores_that_are_no_numbers_are_reported():
    with pytest.raises(InputError, match="not finite"):
        Detector(Bright(), jnp.array(jnp.nan), (64, 64))([image()])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.0}, "threshold"),
        ({"iou": 1.5}, "iou"),
        ({"max_people": 0}, "max_people"),
        ({"batch_size": 0}, "batch_size"),
        ({"person_class": 2}, "from 0 to 1, not 2"),
    ],
)
def test_senseless_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        detector(**options)


@pytest.mark.parametrize("input_hw", [(0, 64), (100, 64), (64,)])
def test_the_size_is_in_steps_of_32(input_hw):
    with pytest.raises(InputError, match="multiples of 32"):
        Detector(Bright(), jnp.zeros(()), input_hw)
