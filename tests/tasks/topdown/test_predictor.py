"""Boxes to people: positions, batching, odd boxes, and agreement with evaluation."""

import functools

import jax
import numpy as np
import pytest
from dots import INPUT_HW, SKELETON, Dots, codec, photo

from jaxpose import geometry
from jaxpose.errors import InputError
from jaxpose.tasks.topdown.augment import normalize
from jaxpose.tasks.topdown.forward import predict_keypoints
from jaxpose.tasks.topdown.predictor import Predictor


def predictor(udp: bool = True, **options) -> Predictor:
    return Predictor(Dots(udp), {}, codec(udp), SKELETON, **options)


@pytest.fixture(scope="module")
def shared_predictor() -> Predictor:
    return predictor(batch_size=4)


def person(x: float, y: float, size: float):
    """A box, and the dots (left, right) of a person in it."""
    box = [x, y, size * 0.75, size]
    return box, [(x + 0.6 * size, y + 0.3 * size), (x + 0.2 * size, y + 0.7 * size)]


@pytest.mark.parametrize("flip_test", [False, True])
@pytest.mark.parametrize("udp", [False, True])
def test_keypoints_are_where_the_photo_has_them(udp, flip_test):
    box, dots = person(40, 60, 128)
    people = predictor(udp, flip_test=flip_test)(photo((240, 320), dots, 6), [box])
    assert people.keypoints.shape == (1, 2, 2)
    # An input pixel is 2.5 photo pixels; without UDP the published flip test is off by half of one.
    atol = 1.4 if flip_test and not udp else 0.5
    np.testing.assert_allclose(people.keypoints[0], dots, atol=atol)
    assert ((people.scores > 0.5) & (people.scores <= 1)).all()


def test_the_flip_test_is_the_mean_over_mirror_images():
    _, dots = person(40, 60, 128)
    image = photo((240, 320), dots, 6)
    matrix = geometry.crop_matrix(np.array([88.0, 124.0]), np.array([120.0, 160.0]), INPUT_HW)
    crop = geometry.crop_photo(image, matrix, INPUT_HW)[None]
    images, order = normalize(crop), SKELETON.flip_permutation

    @functools.partial(jax.jit, static_argnames="flip_test")
    def predict(images, flip_test):
        return predict_keypoints(Dots(), {}, images, codec(), order, flip_test)

    plain, both = predict(images, flip_test=False), predict(images, flip_test=True)
    np.testing.assert_allclose(both.keypoints, plain.keypoints, atol=0.02)
    mirrored = predict(images[:, :, ::-1], flip_test=True)
    np.testing.assert_allclose(
        geometry.flip_keypoints(np.asarray(mirrored.keypoints), INPUT_HW[1], order),
        both.keypoints,
        atol=0.02,  # the mixed derivative of the DARK step is one-sided
    )


def test_named_access_and_json(shared_predictor):
    box, dots = person(40, 60, 128)
    people = shared_predictor(photo((240, 320), dots, 6), [box])
    found = people[0]["left_dot"]
    assert found.x == pytest.approx(dots[0][0], abs=0.5)
    assert found == (found.x, found.y, found.score)
    with pytest.raises(InputError, match="left_dot"):
        people[0]["left_dott"]
    content = people.to_dict()
    assert (content["width"], content["height"]) == (320, 240)
    assert content["people"][0]["box_xywh"] == box
    assert content["people"][0]["keypoints"]["left_dot"]["x"] == pytest.approx(found.x, abs=0.01)
    assert "skipped_boxes" not in content
    assert [p["right_dot"] for p in people] == [people[0]["right_dot"]]


def test_batches_are_filled_across_photos_and_compiled_once(shared_predictor):
    rng = np.random.default_rng(0)
    photos, boxes, truth = [], [], []
    for count in (1, 0, 9, 3, 2):
        placed = [person(30 + 220 * i, rng.integers(20, 60), 128) for i in range(count)]
        photos.append(photo((260, 2100), [dot for _, dots in placed for dot in dots], 6))
        boxes.append([box for box, _ in placed])
        truth.append(np.array([dots for _, dots in placed]).reshape(-1, 2, 2))
    results = list(shared_predictor.stream(zip(photos, boxes, strict=True)))
    assert [len(people) for people in results] == [1, 0, 9, 3, 2]
    for people, expected in zip(results, truth, strict=True):
        np.testing.assert_allclose(people.keypoints, expected, atol=0.5)
    alone = shared_predictor(photos[3], boxes[3])
    np.testing.assert_array_equal(alone.keypoints, results[3].keypoints)
    assert shared_predictor.compilations == 1


def test_results_do_not_wait_for_the_last_photo(shared_predictor):
    taken = []

    def photos():
        for index in range(20):
            box, dots = person(40, 60, 128)
            taken.append(index)
            yield photo((240, 320), dots, 6), [box] * 4

    stream = shared_predictor.stream(photos())
    next(stream)
    assert len(taken) <= 3


def test_no_boxes_need_no_forward_pass():
    fresh = predictor()
    for boxes in ([], np.zeros((0, 4)), np.zeros((0,))):
        people = fresh(photo((240, 320), [], 6), boxes)
        assert len(people) == 0
        assert people.keypoints.shape == (0, 2, 2)
        assert people.to_dict()["people"] == []
    assert fresh.compilations == 0


def test_odd_boxes_are_left_out_with_a_reason_and_the_rest_is_predicted(shared_predictor):
    box, dots = person(40, 60, 128)
    boxes = [
        [np.nan, 0, 10, 10],
        [0, 0, np.inf, 10],
        [10, 10, 0, 50],
        [10, 10, 50, -1],
        [400, 10, 50, 50],
        [10, -80, 50, 50],
        [0.1, 0.2, 0.3, 0.4],
        [0, 0, 1e9, 1e9],
        box,
    ]
    people = shared_predictor(photo((240, 320), dots, 6), boxes)
    assert people.box_indices.tolist() == [8]
    np.testing.assert_allclose(people.keypoints[0], dots, atol=0.5)
    reasons = [skipped.reason for skipped in people.skipped]
    assert [skipped.box_index for skipped in people.skipped] == list(range(8))
    for reason, word in zip(
        reasons,
        ("finite", "finite", "area", "area", "outside", "outside", "fractions", "not in pixels"),
        strict=True,
    ):
        assert word in reason
    assert people.to_dict()["skipped_boxes"][2] == {"box_index": 2, "reason": reasons[2]}


def test_a_box_across_the_border_and_photos_of_extreme_shape(shared_predictor):
    box, dots = person(-10, -20, 128)
    people = shared_predictor(photo((240, 320), dots, 6), [box])
    np.testing.assert_allclose(people.keypoints[0], dots, atol=0.5)
    for hw in ((1, 1), (1, 5000), (5000, 1)):
        people = shared_predictor(np.zeros((*hw, 3), np.uint8), [[0, 0, hw[1] + 1, hw[0] + 1]])
        assert np.isfinite(people.keypoints).all()


def test_what_is_no_photo_and_what_are_no_boxes(shared_predictor):
    image = np.zeros((9, 9, 3), np.uint8)
    for wrong in (image[..., 0], image.astype(np.float32), np.zeros((9, 9, 4), np.uint8)):
        with pytest.raises(InputError, match="uint8 RGB"):
            shared_predictor(wrong, [[0, 0, 9, 9]])
    for wrong in ([1, 2, 3, 4], [[1, 2, 3]], [[[1, 2, 3, 4]]]):
        with pytest.raises(InputError, match="boxes must be"):
            shared_predictor(image, wrong)
    with pytest.raises(InputError, match="batch_size"):
        predictor(batch_size=0)
    with pytest.raises(InputError, match="padding"):
        predictor(padding=0)


def test_a_model_that_diverged_is_reported():
    class Diverged(Dots):
        def __call__(self, images, train=False):
            return super().__call__(images) * np.nan

    broken = Predictor(Diverged(), {}, codec(), SKELETON)
    with pytest.raises(InputError, match="not finite"):
        broken(np.zeros((240, 320, 3), np.uint8), [[0, 0, 320, 240]])


def test_same_keypoints_as_the_evaluation_path(tmp_path, shared_predictor):
    """Canvas and warp on the device, against a crop of the photo on the host."""
    import cv2

    from jaxpose.data.canvas import Canvas, ImageAnnotation, InstanceAnnotation, draw
    from jaxpose.data.records import decode_canvas
    from jaxpose.tasks.topdown.augment import center_crop

    box, dots = person(40, 60, 128)
    image = photo((240, 320), dots, 6)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    annotated = InstanceAnnotation(1, np.array(dots), np.array([2, 2]), np.array(box), None)
    canvas = Canvas(hw=(96, 72))
    ((_, record),) = draw(ImageAnnotation(tmp_path / "a.png", "a.png", 1, (annotated,), 0), canvas)
    batch = {
        "image": decode_canvas(record["image"], canvas.hw),
        **{name: record[name] for name in ("keypoints", "visible", "box_xywh")},
    }
    batch = {name: np.asarray(value)[None] for name, value in (batch | {"mask": True}).items()}
    images, _, _, input_from_canvas = center_crop(batch, input_hw=INPUT_HW, udp=True)
    decoded = predict_keypoints(
        Dots(), {}, images, codec(), SKELETON.flip_permutation, flip_test=True
    )
    on_canvas = geometry.apply_affine(
        geometry.invert_affine(np.asarray(input_from_canvas)), np.asarray(decoded.keypoints)
    )
    evaluated = geometry.apply_affine(record["photo_from_canvas"][None], on_canvas)
    predicted = shared_predictor(image, [box]).keypoints
    # Two resamplings and a JPEG against one resampling; an input pixel is 2.5 photo pixels.
    np.testing.assert_allclose(predicted, evaluated, atol=0.25)
