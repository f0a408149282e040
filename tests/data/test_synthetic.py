"""Synthetic people: reproducible bits, exact geometry, honest visibility, plausible numbers."""

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from jaxpose.data.source import Source, SyntheticPeople
from jaxpose.data.synthetic import (
    SyntheticSource,
    body,
    clothes,
    drawing,
    image,
    poses,
    render,
    render_image,
    scene,
)
from jaxpose.data.synthetic.image import generator
from jaxpose.errors import InputError
from jaxpose.skeletons import COCO17

HW = (128, 96)
NOSE, LEFT_SHOULDER, RIGHT_SHOULDER = 0, 5, 6


@pytest.fixture(scope="module")
def people() -> list[dict]:
    return [render(7, i, canvas_hw=HW) for i in range(150)]


def test_same_arguments_give_the_same_bits(people):
    again = render(7, 11, canvas_hw=HW)
    assert again.keys() == people[11].keys()
    for key, value in again.items():
        np.testing.assert_array_equal(value, people[11][key])


def test_another_process_draws_the_same_bits(people):
    code = (
        "import hashlib; from jaxpose.data.synthetic import render;"
        f"s = render(7, 3, canvas_hw={HW});"
        "print(hashlib.sha256(s['image'].tobytes() + s['keypoints'].tobytes()).hexdigest())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = people[3]["image"].tobytes() + people[3]["keypoints"].tobytes()
    assert out.stdout.strip() == hashlib.sha256(here).hexdigest()


def test_drawing_leaves_numpys_global_generator_alone():
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    render(0, 0, canvas_hw=HW)
    np.testing.assert_array_equal(before, np.random.get_state()[1])


def test_seeds_and_indices_give_different_people(people):
    others = [render(8, i, canvas_hw=HW) for i in range(20)]
    pictures = {s["image"].tobytes() for s in [*people, *others]}
    assert len(pictures) == len(people) + len(others)


def test_sources_of_disjoint_ranges_continue_one_another():
    whole = SyntheticSource(6, 3, HW)
    held_out = SyntheticSource(2, 3, HW, first_index=4)
    np.testing.assert_array_equal(whole.samples([4, 5])["image"], held_out.samples([0, 1])["image"])
    assert not set(whole.samples([0, 1, 2, 3])["image_id"]) & set(
        held_out.samples([0, 1])["image_id"]
    )


def test_source_follows_the_protocol():
    source = SyntheticPeople(5, 1, HW).open()
    assert isinstance(source, Source)
    assert (len(source), source.canvas_hw, source.skeleton) == (5, HW, COCO17)
    batch = source.samples(np.array([4, 0]))
    expected = {
        "image": (np.uint8, (2, *HW, 3)), "keypoints": (np.float32, (2, 17, 2)),
        "visible": (np.uint8, (2, 17)), "box_xywh": (np.float32, (2, 4)),
        "photo_from_canvas": (np.float32, (2, 2, 3)), "area": (np.float32, (2,)),
        "image_id": (np.int64, (2,)), "annotation_id": (np.int64, (2,)),
        "index": (np.int64, (2,)), "mask": (bool, (2,)),
    }  # fmt: skip
    assert {k: (v.dtype.type if v.dtype != bool else bool, v.shape) for k, v in batch.items()} == (
        expected
    )
    np.testing.assert_array_equal(batch["index"], [4, 0])
    np.testing.assert_array_equal(batch["photo_from_canvas"][0], np.eye(2, 3))


def test_fingerprint_tells_content_apart():
    prints = {
        SyntheticSource(*arguments).fingerprint()
        for arguments in [(5, 1, HW), (6, 1, HW), (5, 2, HW), (5, 1, (96, 96)), (5, 1, HW, 5)]
    }
    assert len(prints) == 5
    assert SyntheticSource(5, 1, HW).fingerprint() == SyntheticSource(5, 1, HW).fingerprint()


@pytest.mark.parametrize("arguments", [(0, 1), (5, -1), (5, 1, (8, 8)), (5, 1, (256, 192), -2)])
def test_impossible_sources_are_refused(arguments):
    with pytest.raises(InputError):
        SyntheticSource(*arguments)


def test_index_outside_the_source_is_refused():
    with pytest.raises(InputError, match="5"):
        SyntheticSource(5, 1, HW).samples([5])


def test_3d_joints_project_onto_the_keypoints(people):
    for sample in people[:40]:
        rays = sample["joints_3d"].astype(np.float64) @ sample["K"].T
        # float32 joints at metres hold 2e-4 mm, keypoints at 100 px 4e-6 px.
        np.testing.assert_allclose(rays[:, :2] / rays[:, 2:], sample["keypoints"], atol=2e-3)
        np.testing.assert_allclose(sample["R"] @ sample["R"].T, np.eye(3), atol=1e-12)
        assert np.linalg.det(sample["R"]) > 0


def test_world_is_upright(people):
    standing = [render(9, i, canvas_hw=HW, family="standing") for i in range(10)]
    for sample in standing:
        world = (sample["joints_3d"] - sample["t"]) @ sample["R"]
        head, ankles = world[NOSE, 2], world[15:, 2].mean()
        assert 0.75 < (head - ankles) / sample["stature"] < 0.95
        assert ankles > 0


def test_box_is_tight_and_holds_the_visible_keypoints(people):
    slack = 2.0
    for sample in people:
        x, y, w, h = sample["box_xywh"]
        seen = sample["keypoints"][sample["visible"] == 2]
        assert (seen >= [x - slack, y - slack]).all()
        assert (seen <= [x + w + slack, y + h + slack]).all()
        assert 0 < sample["area"] <= w * h


def test_canvas_holds_the_training_crop(people):
    # The window is set from the bodies' outline; what other people cover can only shrink the box.
    for sample in people:
        x, y, w, h = sample["box_xywh"]
        assert x > 0
        assert y > 0
        assert x + w < HW[1]
        assert y + h < HW[0]
        assert max(w * 1.25 * 1.5 / HW[1], h * 1.25 * 1.5 / HW[0]) < 1.08


def test_labelled_keypoints_lie_in_the_photo(people):
    for sample in people:
        labelled = sample["keypoints"][sample["visible"] > 0]
        assert len(labelled) >= 4
        assert (labelled >= -0.5).all()
        assert (labelled < np.array([HW[1], HW[0]]) - 0.5).all()
        # Never in the black beyond the photo's edge: some pixel nearby has light in it.
        for x, y in np.rint(labelled).astype(int):
            patch = sample["image"][max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
            assert patch.any()


def _upright(yaw: float = 0.0, x: float = 0.0) -> scene.Person:
    """An average adult in trousers, arms hanging slightly away; yaw 0 faces the camera below."""
    zero = np.zeros(2)
    pose = poses.Pose(
        trunk=np.zeros((5, 3)), arm=np.tile([90.0, 18.0, 0.0], (2, 1)), elbow=np.zeros((2, 2)),
        wrist=np.zeros((2, 2)), leg=np.tile([0.0, 6.0, 0.0], (2, 1)), knee=zero, ankle=zero,
    )  # fmt: skip
    shape = body.Shape(1750.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0)
    rng = generator(0, 0)
    look = clothes.sample_appearance(rng)
    while look.outfit.skirt or look.outfit.prop:
        look = clothes.sample_appearance(rng)
    person = scene.dress(body.forward_kinematics(pose, shape, yaw), shape, look)
    return scene.move(person, np.array([x, 0.0, -person.quads[2].min()]))


def _photograph(person: scene.Person, boxes: list[scene.Box], *others: scene.Person) -> dict:
    camera = scene.look_at(np.array([4000.0, 0.0, 1100.0]), np.array([0.0, 0.0, 950.0]))
    camera = replace(camera, K=np.array([[200.0, 0, 63.5], [0, 200.0, 63.5], [0, 0, 1]]))
    light = drawing.sample_light(generator(0, 0))
    stage = image.Stage([person, *others], boxes, camera, light, -3000.0)
    return image.draw_stage(generator(0, 0), stage, (128, 128))


def test_left_is_left():
    front = _photograph(_upright(), [])["people"][0]
    back = _photograph(_upright(180.0), [])["people"][0]
    for left, right in ((5, 6), (11, 12), (1, 2), (3, 4)):
        assert front["keypoints"][left, 0] > front["keypoints"][right, 0]
        assert back["keypoints"][left, 0] < back["keypoints"][right, 0]


def test_face_is_labelled_from_the_front_only():
    front = _photograph(_upright(), [])["people"][0]
    back = _photograph(_upright(180.0), [])["people"][0]
    assert (front["visible"][:3] == 2).all()
    assert (back["visible"][:3] == 0).all()


def test_far_shoulder_is_occluded_in_profile():
    person = _photograph(_upright(90.0), [])["people"][0]
    # Turned to its left from the camera: the right shoulder is the near one.
    assert person["visible"][RIGHT_SHOULDER] == 2
    assert person["visible"][LEFT_SHOULDER] == 1


def test_occluder_hides_what_it_covers():
    person = _upright()
    free = _photograph(person, [])["people"][0]
    wall = scene.Box(np.array([1500.0, 0.0, 400.0]), np.array([50.0, 2000.0, 400.0]), 0.0,
                     np.array([90.0, 90.0, 90.0]))  # fmt: skip
    covered = _photograph(person, [wall])["people"][0]
    behind = _photograph(person, [replace(wall, centre=np.array([-1500.0, 0, 400]))])["people"][0]
    assert (free["visible"][13:] == 2).all()
    assert (covered["visible"][13:15] == 1).all()  # the hips show, so knees can be placed
    assert (covered["visible"][15:] == 0).all()  # nobody could place the ankles
    np.testing.assert_array_equal(covered["visible"][:13], free["visible"][:13])
    np.testing.assert_array_equal(behind["visible"], free["visible"])
    assert covered["area"] < 0.85 * free["area"]
    assert behind["area"] == free["area"]
    assert covered["box_xywh"][3] < 0.85 * free["box_xywh"][3]


def test_another_person_hides_what_they_cover():
    person = _upright()
    near = _upright(x=900.0)
    alone = _photograph(person, [])["people"][0]
    result = _photograph(person, [], near)["people"]
    assert (result[1]["visible"] >= 1).all()
    hips = result[0]["visible"][11:13]
    assert (hips < 2).all()
    assert result[0]["area"] < 0.7 * alone["area"]


def test_poses_keep_the_joint_limits():
    rng = generator(0, 0)
    for family in poses.FAMILIES:
        for _ in range(20):
            pose = poses.sample(rng, family)
            for name, (low, high) in poses.LIMITS.items():
                values = getattr(pose, name)
                if name == "trunk":  # mirroring changes the sign of bend and twist
                    values = np.abs(values)
                    high = np.maximum(np.abs(low), np.abs(high))
                    low = np.zeros_like(low)
                assert (values >= low - 1e-9).all()
                assert (values <= high + 1e-9).all()


def test_segments_keep_their_lengths():
    rng = generator(0, 1)
    shape = body.sample_shape(rng)
    lengths = []
    for family in poses.FAMILIES:
        joints = body.coco_joints(
            body.forward_kinematics(poses.sample(rng, family), shape, rng.uniform(-180, 180)), shape
        )
        pairs = np.array([(5, 7), (7, 9), (6, 8), (8, 10), (11, 13), (13, 15), (12, 14), (14, 16),
                          (11, 12), (1, 2)])  # fmt: skip
        lengths.append(np.linalg.norm(joints[pairs[:, 0]] - joints[pairs[:, 1]], axis=1))
    np.testing.assert_allclose(np.array(lengths) - lengths[0], 0.0, atol=1e-9)
    np.testing.assert_allclose(lengths[0][0], lengths[0][2])


def test_statistics_are_like_those_of_photos(people):
    flags = np.stack([s["visible"] for s in people])
    boxes = np.stack([s["box_xywh"] for s in people])
    area = np.array([s["area"] for s in people])
    shares = [(flags == k).mean() for k in range(3)]
    # COCO val2017 (538 photos): 0.36 / 0.08 / 0.56; here fewer are left unlabelled, by intent.
    assert 0.1 < shares[0] < 0.4
    assert 0.04 < shares[1] < 0.25
    assert 0.5 < shares[2] < 0.8
    aspect = boxes[:, 2] / boxes[:, 3]
    assert 0.4 < np.median(aspect) < 0.65  # COCO: 0.57
    assert 0.38 < np.median(area / (boxes[:, 2] * boxes[:, 3])) < 0.6  # COCO: 0.53
    left, right = flags[:, 1::2].mean(), flags[:, 2::2].mean()
    assert abs(left - right) < 0.1


def test_whole_photo_lists_its_people():
    result = render_image(4, 2, image_hw=(120, 160), people=3)
    assert result["image"].shape == (120, 160, 3)
    assert result["image"].dtype == np.uint8
    assert 1 <= len(result["people"]) <= 3
    for person in result["people"]:
        rays = person["joints_3d"].astype(np.float64) @ result["K"].T
        np.testing.assert_allclose(rays[:, :2] / rays[:, 2:], person["keypoints"], atol=2e-3)
    again = render_image(4, 2, image_hw=(120, 160), people=3)
    np.testing.assert_array_equal(result["image"], again["image"])


def test_photo_of_nobody_is_refused():
    with pytest.raises(InputError, match="not 0"):
        render_image(4, 2, image_hw=(60, 80), people=0)


def test_every_family_can_be_drawn():
    for family in poses.FAMILIES:
        assert render(2, 0, canvas_hw=HW, family=family)["image"].any()


def test_unknown_family_names_the_nearest():
    with pytest.raises(InputError, match="'standing'"):
        render(0, 0, canvas_hw=HW, family="standng")


def test_a_joint_called_visible_lies_on_the_drawn_person(monkeypatch):
    hits = []
    annotate = image._annotate

    def spy(stage, faces, owner, number):
        found = annotate(stage, faces, owner, number)
        if found:
            seen = found["keypoints"][found["visible"] == 2]
            x, y = np.rint((seen + 0.5) * 2 - 0.5).astype(int).T
            hits.extend(owner[y.clip(0, owner.shape[0] - 1), x.clip(0, owner.shape[1] - 1)] == 1)
        return found

    monkeypatch.setattr(image, "_annotate", spy)
    for i in range(60):
        render(12, i, canvas_hw=HW)
    # Noses and eyes on the outline of a profile may fall a fraction of a pixel beside it.
    assert np.mean(hits) > 0.95


def test_plain_people_are_whole_upright_and_alone():
    source = SyntheticSource(24, 5, (96, 72), plain=True)
    batch = source.samples(np.arange(24))
    nose, ankles = batch["keypoints"][:, 0, 1], batch["keypoints"][:, 15:, 1].min(axis=1)
    assert (nose < ankles).all()
    # Only what the own body hides is missing or occluded: knees and ankles are labelled.
    assert (batch["visible"][:, 13:] > 0).mean() > 0.97
    assert (batch["visible"] == 0).mean() < 0.1
    assert source.fingerprint() != SyntheticSource(24, 5, (96, 72)).fingerprint()
    again = SyntheticSource(24, 5, (96, 72), plain=True).samples(np.arange(24))
    assert again["image"].tobytes() == batch["image"].tobytes()
