"""Hands of `predict --mesh`: boxes from keypoints, sides, mirror images, and what is refused."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from made_hand import save_hand

from jaxpose.bodies import pose_body, read_body
from jaxpose.bodies.hands import mirrored
from jaxpose.cli.predict_hands import HandOutput, open_hands
from jaxpose.codecs import MeshCodec
from jaxpose.errors import InputError
from jaxpose.geometry.rotations import matrix_from_axis_angle
from jaxpose.media.image import read_image
from jaxpose.results.hands import hand_boxes, one_hand
from jaxpose.results.image_names import ImageNames
from jaxpose.results.people import People
from jaxpose.skeletons import COCO17, COCO_WHOLEBODY133, GOLIATH308, HAND21
from jaxpose.tasks.meshes.predictor import Bodies

HW = (120, 160)


class Network:
    """Stand-in of a predictor: each hand has the same pose, at the middle of its box."""

    codec = MeshCodec()

    def __call__(self, image, boxes, *, focal=None, mirrored=None):
        boxes = np.asarray(boxes).reshape(-1, 4)
        count = len(boxes)
        vectors = np.random.default_rng(0).normal(0, 0.3, (16, 3))
        rotations = np.tile(matrix_from_axis_angle(vectors), (count, 1, 1, 1)).astype(np.float32)
        middle = boxes[:, :2] + boxes[:, 2:] / 2 - [(HW[1] - 1) / 2, (HW[0] - 1) / 2]
        depth = 25000.0
        place = np.column_stack([middle * depth / self.codec.focal_of(HW), np.full(count, depth)])
        return Bodies(np.zeros((count, 10), np.float32), rotations, place.astype(np.float32))


def people(skeleton, hands):
    """People `[P]` with hands by side: the box of the keypoints."""
    count = len(hands)
    keypoints = np.zeros((count, skeleton.num_keypoints, 2), np.float32)
    scores = np.zeros(keypoints.shape[:2], np.float32)
    for person, boxes in enumerate(hands):
        for side, (x, y, w, h) in boxes.items():
            prefix = f"{side}_" if side else ""
            rows = [
                number
                for number, name in enumerate(skeleton.keypoints)
                if name.startswith(prefix) and name.removeprefix(prefix)[:-1] in FINGERS
            ]
            keypoints[person, rows] = np.linspace([x, y], [x + w, y + h], len(rows))
            scores[person, rows] = 0.9
    boxes = np.tile(np.float32([1, 2, 30, 40]), (count, 1))
    return People(skeleton, HW, keypoints, scores, boxes, np.arange(count), source="photo.png")


FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
BOTH = {"left": (100, 20, 20, 30), "right": (30, 20, 20, 30)}


@pytest.mark.parametrize("skeleton", [COCO_WHOLEBODY133, GOLIATH308])
def test_boxes_are_the_extents_of_sure_keypoints(skeleton):
    found = people(skeleton, [BOTH, {}, {"right": (5, 6, 7, 8)}])
    unsure = [n for n in one_hand(found, "left").skeleton.keypoints if n.startswith("thumb")]
    assert len(unsure) == 4
    boxes = hand_boxes(found)
    np.testing.assert_array_equal(boxes.person, [0, 0, 2])
    assert boxes.side.tolist() == ["left", "right", "right"]
    assert len(hand_boxes(found, "left").person) == 1
    if skeleton is COCO_WHOLEBODY133:
        np.testing.assert_allclose(boxes.boxes_xywh, [*BOTH.values(), (5, 6, 7, 8)], atol=1e-4)
        found.scores[found.scores > 0] = 0.4
        assert len(hand_boxes(found).person) == 0


def test_a_lone_hand_needs_a_side_and_keeps_the_detectors_box():
    found = people(HAND21, [{"": (10, 10, 20, 20)}, {}])
    with pytest.raises(InputError, match="give --hand right or --hand left"):
        hand_boxes(found)
    boxes = hand_boxes(found, "left")
    np.testing.assert_allclose(boxes.boxes_xywh, [[10, 10, 20, 20], [1, 2, 30, 40]])
    with pytest.raises(InputError, match="no keypoints of hands"):
        hand_boxes(people(COCO17, [{}]))


def test_both_hands_are_written_and_drawn_as_mirror_images(tmp_path):
    file = read_body(save_hand(tmp_path))
    out = tmp_path / "out"
    output = HandOutput(Network(), file, out, ImageNames([Path("photo.png")]), None, None)
    output.add(people(COCO_WHOLEBODY133, [BOTH, {}]), np.zeros((*HW, 3), np.uint8))
    note = output.end()
    assert "2 hands (1 left, 1 right) in bodies.npz" in note
    assert "1 of 2 people have no hand" in note
    with np.load(out / "bodies.npz") as saved:
        values = dict(saved)
    assert values["side"].tolist() == ["left", "right"] and values["person"].tolist() == [0, 0]
    vectors = values["poses"].reshape(2, 16, 3)
    np.testing.assert_allclose(vectors[0] * [1, -1, -1], vectors[1], atol=1e-5)
    left, right = (
        np.asarray(pose_body(body, values["betas"][row], vectors[row]).vertices)
        for row, body in enumerate((mirrored(file).body, file.body))
    )
    np.testing.assert_allclose(left * [-1, 1, 1], right, atol=1e-2)
    ink = read_image(out / "meshes/photo.png").max(axis=-1) > 50
    assert ink[:, :80].sum() > 50 and ink[:, 80:].sum() > 50


def test_files_that_are_not_the_right_hand_are_refused(tmp_path):
    head = SimpleNamespace(joints=16, shapes=10)
    network = SimpleNamespace(body="mano", body_file=None, body_fingerprint="")
    trained = SimpleNamespace(model=SimpleNamespace(head=head), estimator=network)
    options = SimpleNamespace(mesh="hamer", body=None, hand=None)
    with pytest.raises(InputError, match="pass it with --body MANO_RIGHT"):
        open_hands(options, trained, COCO_WHOLEBODY133, None)
    with pytest.raises(InputError, match="no keypoints of hands"):
        open_hands(options, trained, COCO17, None)
    left = tmp_path / "MANO_LEFT.npz"
    with np.load(save_hand(tmp_path)) as arrays:
        flipped = {**arrays, "v_template": arrays["v_template"] * [-1, 1, 1]}
    np.savez(left, **flipped)
    options.body = left
    with pytest.raises(InputError, match="is MANO's left hand"):
        open_hands(options, trained, COCO_WHOLEBODY133, None)
