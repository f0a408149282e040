"""The holistic pipeline with models that are functions: who is followed, searched and drawn."""

import json
from collections import Counter
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

from jaxpose.detect.regions import (
    face_in_region,
    face_of_body,
    hand_in_region,
    hand_of_body,
    next_body,
    next_face,
    next_hand,
    palm_region,
)
from jaxpose.errors import InputError
from jaxpose.geometry.regions import Region
from jaxpose.hub.load import load
from jaxpose.pipeline import holistic as module
from jaxpose.pipeline.holistic import Holistic, HolisticOptions
from jaxpose.pipeline.pipeline import Pipeline
from jaxpose.skeletons import BLAZEPOSE33, HOLISTIC543
from jaxpose.skeletons.holistic543 import PARTS
from jaxpose.tasks.topdown.landmarks import FoundLandmarks
from jaxpose.tracking.smoothing import Smoothing

IMAGE = np.zeros((300, 400, 3), np.uint8)


def body_at(x, y):
    """A standing person with the hips at (x, y) and the arms down, and the two region points."""
    points = np.zeros((33, 2))
    places = {
        "nose": (0, -80),
        "left_eye": (6, -84),
        "right_eye": (-6, -84),
        **{
            f"{side}_eye_{part}": (0, -84)
            for side in ("left", "right")
            for part in ("inner", "outer")
        },
        "left_ear": (12, -82),
        "right_ear": (-12, -82),
        "left_mouth": (4, -72),
        "right_mouth": (-4, -72),
    }
    for side, sign in (("left", 1), ("right", -1)):
        places |= {
            f"{side}_shoulder": (18 * sign, -60),
            f"{side}_elbow": (24 * sign, -30),
            f"{side}_wrist": (26 * sign, 0),
            f"{side}_pinky": (28 * sign, 12),
            f"{side}_index": (24 * sign, 12),
            f"{side}_hip": (10 * sign, 0),
            f"{side}_knee": (10 * sign, 40),
            f"{side}_ankle": (10 * sign, 80),
        }
    for name, place in places.items():
        points[BLAZEPOSE33.index(name)] = place
    return points + np.array([x, y]), np.array([[x, y], [x, y - 100]], float)


def hand_at(body, side):
    """The middle and the landmarks of a hand of a body."""
    wrist = body[BLAZEPOSE33.index(f"{side}_wrist")]
    hand = wrist + np.stack([np.tile([-4, -2, 0, 2], 6)[:21], np.linspace(0, 18, 21)], axis=-1)
    return hand.mean(axis=0), hand


class Found(NamedTuple):
    """Detections of which only the keypoints matter."""

    keypoints: np.ndarray

    def __len__(self):
        return len(self.keypoints)


class Faces:
    """Stands for a detector of faces: six keypoints in each region, unless faces are hidden."""

    compilations = 0

    def __init__(self, scene):
        self.scene, self.regions = scene, []

    def in_regions(self, image, regions):
        self.regions += regions
        return [self._found(region) for region in regions]

    def _found(self, region):
        eyes = np.array([[-6, -4], [6, -4], [0, 0], [0, 6], [-12, -2], [12, -2]])
        keypoints = eyes[None] + np.array([region.x, region.y])
        return Found(keypoints[: int("face" not in self.scene.hidden)])


class Model:
    """Stands for a `LandmarkPredictor`: landmarks of what is nearest to each region."""

    compilations = 0

    def __init__(self, scene, part):
        self.scene, self.part, self.regions = scene, part, []

    def __call__(self, image, regions):
        self.scene.at(image)
        self.regions += regions
        found = [self.scene.nearest(self.part, region) for region in regions]
        points = np.array([points for points, _, _ in found], np.float32)
        return FoundLandmarks(
            keypoints=points,
            depth=points[..., 0],
            scores=np.ones(points.shape[:2], np.float32),
            presence=np.array([presence for *_, presence in found]),
            auxiliary=np.array([extra for _, extra, _ in found], np.float32),
            world=np.ones((*points.shape[:2], 3), np.float32) if self.part == "body" else None,
            right=None,
        )


class Scene:
    """People at places, whose hands and faces can be hidden."""

    def __init__(self):
        self.people, self.hidden = [(150, 120)], set()
        self.change = lambda scene, index: None

    def at(self, image):
        """Go to the frame whose number is the grey level of the image."""
        self.change(self, int(image[0, 0, 0]))

    def nearest(self, part, region):
        place = min(self.people, key=lambda p: abs(p[0] - region.x) + abs(p[1] - region.y))
        near = abs(place[0] - region.x) + abs(place[1] - region.y) < 120
        points, extra = body_at(*place)
        if part == "body":
            return points, extra, 0.9 if near else 0.1
        if part == "face":
            line = np.linspace(-12, 12, 468)
            mesh = np.stack([line, np.sin(line) * 12], axis=-1) + points[0]
            mesh[33], mesh[263] = points[5], points[2]
            return mesh, np.zeros((0, 2)), 0.0 if "face" in self.hidden else 0.9
        side = "left" if region.x > place[0] else "right"
        if part == "region":
            centre, _ = hand_at(points, side)
            lower = points[BLAZEPOSE33.index(f"{side}_wrist")]
            return np.stack([centre, lower]), np.zeros((0, 2)), 1.0
        return hand_at(points, side)[1], np.zeros((0, 2)), 0.0 if side in self.hidden else 0.9


@pytest.fixture
def made(monkeypatch):
    scene = Scene()
    pipeline = object.__new__(Holistic)
    pipeline.options = HolisticOptions(smooth=None, detect_every=5)
    calls = Counter()

    def detector(images):
        scene.at(images[0])
        calls["detector"] += 1
        return [SimpleNamespace(regions=[Region(x, y, 250.0) for x, y in scene.people])]

    detector.compilations = 0
    pipeline.detector = detector
    pipeline._body, pipeline._hands, pipeline._face, pipeline._hand_region = (
        Model(scene, part) for part in ("body", "hands", "face", "region")
    )
    pipeline._face_detector = Faces(scene)
    return SimpleNamespace(pipeline=pipeline, scene=scene, calls=calls)


def frames(made, count, change=lambda scene, index: None):
    made.scene.change = change
    images = [IMAGE + np.uint8(index) for index in range(count)]
    return list(made.pipeline(images, fps=25))


def test_an_image_has_543_named_landmarks(made):
    people = made.pipeline(IMAGE)
    assert len(people) == 1 and people.keypoints.shape == (1, 543, 2)
    points, _ = body_at(150, 120)
    person = people[0]
    assert person["left_wrist"][:2] == pytest.approx(points[15])
    assert person["left_hand_wrist"][:2] == pytest.approx(points[15] - np.array([4, 0]))
    assert person["right_face_263"][:2] == pytest.approx(points[5])
    assert people.part("left_hand").skeleton.name == "hand21"
    np.testing.assert_array_equal(people.part("face").keypoints, people.keypoints[:, 33:501])
    np.testing.assert_allclose(people.joints, 1000)
    assert people.track_ids is None and people.scores.min() == 1


def test_a_video_is_followed_without_the_detector(made):
    def walk(scene, index):
        scene.people = [(150 + 3 * index, 120)]

    people = frames(made, 12, walk)
    assert made.calls["detector"] == 3  # frames 0, 5 and 10
    assert all(len(p) == 1 and p.track_ids.tolist() == [0] for p in people)
    hips = [p[0]["left_hip"].x for p in people]
    np.testing.assert_allclose(np.diff(hips), 3)
    assert len(made.pipeline._face.regions) == 12 and len(made.pipeline._hands.regions) == 24
    # The small networks run where the parts are new, and with the detector.
    assert len(made.pipeline._face_detector.regions) == 3
    assert len(made.pipeline._hand_region.regions) == 6


def test_people_come_and_go(made):
    def change(scene, index):
        scene.people = [(60, 120)] if index < 3 else [(60, 120), (340, 120)]
        if index >= 8:
            scene.people = [(340, 120)]

    people = frames(made, 11, change)
    ids = [p.track_ids.tolist() for p in people]
    assert ids[:5] == [[0]] * 5  # the second is found when the detector runs again
    assert ids[5:8] == [[0, 1]] * 3 and ids[8:] == [[1]] * 3


def test_parts_that_are_not_seen_have_no_score(made):
    made.scene.hidden = {"left", "face"}
    people = made.pipeline(IMAGE)
    points, _ = body_at(150, 120)
    assert people.part("left_hand").scores.max() == 0 and people.part("face").scores.max() == 0
    np.testing.assert_allclose(people.part("left_hand").keypoints[0], np.tile(points[15], (21, 1)))
    assert people.part("right_hand").scores.min() == 1


def test_a_hand_that_comes_back_is_found_again(made):
    def change(scene, index):
        scene.hidden = {"left"} if 2 <= index < 4 else set()

    scores = [p.part("left_hand").scores.max() for p in frames(made, 6, change)]
    assert scores == [1, 1, 0, 0, 1, 1]


def test_a_followed_part_that_is_lost_is_searched_once_more(made):
    def change(scene, index):
        scene.hidden = {"left"} if index == 1 else set()

    frames(made, 3, change)
    pipeline = made.pipeline
    # Two hands new, the left one lost, and new again in the last frame.
    assert len(pipeline._hand_region.regions) == 2 + 1 + 1
    assert len(pipeline._hands.regions) == 2 + (2 + 1) + 2
    assert len(pipeline._face_detector.regions) == 1


def test_parts_that_move_fast_are_searched_anew(made):
    """By 5 pixels the faces are searched again, whose regions are small, and by 60 all parts."""

    def change(scene, index):
        scene.people = [(150 + (0, 5, 65)[index], 120)]

    people = frames(made, 3, change)
    assert [len(p) for p in people] == [1, 1, 1]
    assert len(made.pipeline._face_detector.regions) == 3
    assert len(made.pipeline._hand_region.regions) == 4
    np.testing.assert_allclose(np.diff([p[0]["left_hand_wrist"].x for p in people]), [5, 60])


def test_at_most_so_many_people(made):
    made.scene.people = [(60, 120), (340, 120)]
    made.pipeline.options = HolisticOptions(max_people=1)
    assert len(made.pipeline(IMAGE)) == 1


def test_results_go_into_files_and_drawings(made, tmp_path):
    people = made.pipeline(IMAGE)
    drawn = people.draw(np.full_like(IMAGE, 255))
    assert drawn.shape == IMAGE.shape and (drawn != 255).any()
    made.scene.hidden = {"face", "left", "right"}
    bare = made.pipeline(IMAGE).draw(np.full_like(IMAGE, 255))
    hand = slice(118, 142), slice(168, 184)
    assert (drawn[hand] != bare[hand]).any()
    entry = json.loads(json.dumps(people.to_dict()))
    assert len(entry["people"][0]["keypoints"]) == 543
    assert len(list(people.rows())) == 543
    assert people.save(tmp_path / "x.csv").read_text().startswith("source")


def test_a_rotated_hand_is_searched_along_its_fingers():
    hand = np.zeros((21, 2))
    for finger in range(5):
        for joint in range(4):
            hand[1 + 4 * finger + joint] = (20 + 10 * joint, 6 * finger - 12)
    region = next_hand(hand + 100)
    assert region.rotation == pytest.approx(np.pi / 2)  # fingers point to the right
    assert region.x > 120 and abs(region.y - 100) < 5
    turned = next_hand(np.stack([100 - hand[:, 1], 100 + hand[:, 0]], axis=-1))
    assert abs(turned.rotation) == pytest.approx(np.pi)
    assert turned.side == pytest.approx(region.side)


def test_regions_of_a_body():
    points, extra = body_at(100, 200)
    region = next_body(np.concatenate([points, extra]))
    assert (region.x, region.y, region.side) == pytest.approx((100, 200, 250))
    assert region.rotation == pytest.approx(0)
    seen = np.ones(33)
    face = face_of_body(points)
    assert abs(face.rotation) < 1e-9 and face.side == pytest.approx(3 * 24)
    assert (face.x, face.y) == pytest.approx((100, 200 - 78))
    hand = hand_of_body(points, seen, "left")
    assert hand.y > points[15][1] and abs(hand.rotation) > 2.5  # fingers point down
    assert hand_of_body(points, np.zeros(33), "left") is None
    mesh = points[0] + np.random.default_rng(0).normal(size=(468, 2)) * 5
    assert next_face(mesh).side == pytest.approx(1.5 * np.ptp(mesh, axis=0).max())


def test_regions_within_the_rough_ones():
    """As MediaPipe's graphs: shifts are shares of the height before the enlargement."""
    hand = hand_in_region(np.array([[50, 40], [50, 60.0]]))
    assert (hand.x, hand.y, hand.side) == pytest.approx((50, 40 - 4, 40))
    assert hand.rotation == pytest.approx(0)
    turned = hand_in_region(np.array([[50, 40], [30, 40.0]]))
    assert turned.rotation == pytest.approx(np.pi / 2) and turned.x == pytest.approx(54)
    assert hand_in_region(np.full((2, 2), 7.0)) is None
    face = face_in_region(np.array([[40, 50], [60, 50], [50, 60], [50, 66], [34, 52], [66, 52.0]]))
    assert (face.x, face.y) == pytest.approx((50, 58 - 1.6)) and face.side == pytest.approx(64)
    assert face.rotation == pytest.approx(0)


def test_a_palm_is_shifted_towards_its_fingers():
    keypoints = np.array([[50, 80], [0, 0], [50, 40]], float)
    region = palm_region(np.array([30, 40, 40, 40.0]), keypoints)
    assert (region.x, region.y, region.side, region.rotation) == pytest.approx((50, 40, 104, 0))


def test_a_crop_and_its_points_agree():
    image = np.zeros((120, 160, 3), np.uint8)
    image[40:44, 100:104] = 255
    for rotation, side in ((0.0, 60.0), (0.7, 60.0), (-2.0, 150.0)):
        region = Region(90, 50, side, rotation)
        crop = region.crop(image, 60)[..., 0].astype(float)
        y, x = np.mgrid[:60, :60] + 0.5
        centre = np.array([(crop * x).sum(), (crop * y).sum()]) / crop.sum()
        np.testing.assert_allclose(region.to_image(centre[None], 60)[0], (101.5, 41.5), atol=0.2)


def test_options_out_of_range_are_refused():
    for options, match in (
        ({"max_people": 0}, "max_people"),
        ({"detect_every": 0}, "detect_every"),
        ({"min_presence": 2}, "min_presence"),
    ):
        with pytest.raises(InputError, match=match):
            HolisticOptions(**options)
    with pytest.raises(InputError, match="leave the boxes out"):
        object.__new__(Holistic).results(None, boxes=[[0, 0, 1, 1]])


def test_models_of_other_keypoints_are_refused():
    body = SimpleNamespace(skeleton=BLAZEPOSE33, directory="x")
    with pytest.raises(InputError, match="a model for hand21, and x is one for blazepose33"):
        Holistic(body, body, body, None, body, None)


def test_parts_are_all_of_the_skeleton():
    rows = [row for part, _ in PARTS.values() for row in range(543)[part]]
    assert rows == list(range(543)) and HOLISTIC543.num_keypoints == 543
    assert module.HOLISTIC543 is HOLISTIC543


def test_its_name_loads_it_as_that_of_a_model_does(monkeypatch):
    monkeypatch.setattr(module, "load_detector", lambda name: name)
    monkeypatch.setattr(module, "load_pose", lambda name: name)
    monkeypatch.setattr(Holistic, "__init__", lambda self, *models: setattr(self, "given", models))
    *models, options = Pipeline.load("holistic", max_people=1).given
    assert models == [*module.MODELS.values()]
    assert options.max_people == 1 and options.smoothing == Smoothing("one-euro")
    assert HolisticOptions(smooth=None).smoothing is None
    with pytest.raises(InputError, match="leave the detector out"):
        Pipeline.load("holistic", detector="yolox-s")
    with pytest.raises(InputError, match=r"no option max_person.*max_people"):
        Pipeline.load("holistic", max_person=1)
    with pytest.raises(InputError, match="no single model but a pipeline"):
        load("holistic")
