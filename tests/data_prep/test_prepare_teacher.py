"""Labels of a teacher: agreement with the joints of LSP, people who are turned, the records."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from jaxpose import geometry
from jaxpose.data.canvas import InstanceAnnotation
from jaxpose.data.records import RecordSource
from jaxpose.hub import load as hub
from jaxpose.skeletons import COCO17, LSP14

LEFT, RIGHT = (COCO17.keypoints.index(f"{side}_wrist") for side in ("left", "right"))
NOSE = COCO17.keypoints.index("nose")


@pytest.fixture
def teacher(script):
    return script("teacher")


def person(places=None, hidden=()):
    """A person of LSP, upright: joints along a line, or at `places`."""
    points = np.stack([np.full(14, 20.0), 10.0 + 3 * np.arange(14)], axis=1)
    for name, place in (places or {}).items():
        points[LSP14.keypoints.index(name)] = place
    visible = np.full(14, 2)
    visible[[LSP14.keypoints.index(name) for name in hidden]] = 0
    return InstanceAnnotation(1, points, visible, np.array([10.0, 5, 20, 60]))


def prediction(joints, moved=None):
    """Keypoints at the joints of the same names, the face at (1, 1), some moved."""
    keypoints = np.ones((17, 2))
    for row, name in enumerate(COCO17.keypoints):
        if name in LSP14.keypoints:
            keypoints[row] = joints.keypoints[LSP14.keypoints.index(name)]
    for row, place in (moved or {}).items():
        keypoints[row] = place
    return keypoints


def test_near_a_joint_the_prediction_counts(teacher):
    joints = person()
    keypoints = prediction(joints) + 1.0
    found, labelled = teacher.merged(keypoints, np.full(17, 0.9), joints, 3.0, accurate=True)
    np.testing.assert_array_equal(found, keypoints)
    assert labelled.all()


def test_where_they_differ_an_accurate_joint_counts(teacher):
    joints = person()
    keypoints = prediction(joints, {LEFT: (80, 80)})
    scores = np.full(17, 0.9)
    found, labelled = teacher.merged(keypoints, scores, joints, 3.0, accurate=True)
    np.testing.assert_array_equal(
        found[LEFT], joints.keypoints[LSP14.keypoints.index("left_wrist")]
    )
    assert labelled[LEFT]


@pytest.mark.parametrize(("score", "kept"), [(0.9, False), (0.45, True)])
def test_an_inaccurate_joint_counts_if_the_teacher_is_not_certain(teacher, score, kept):
    joints = person()
    keypoints = prediction(joints, {LEFT: (80, 80)})
    found, labelled = teacher.merged(keypoints, np.full(17, score), joints, 3.0, accurate=False)
    assert labelled[LEFT] == kept
    if kept:
        own = joints.keypoints[LSP14.keypoints.index("left_wrist")]
        np.testing.assert_array_equal(found[LEFT], own)


def test_sides_that_an_annotator_exchanged_are_the_teachers(teacher):
    joints = person({"left_wrist": (5, 40), "right_wrist": (35, 40)})
    keypoints = prediction(joints, {LEFT: (35, 40), RIGHT: (5, 40)})
    found, labelled = teacher.merged(keypoints, np.full(17, 0.9), joints, 3.0, accurate=False)
    np.testing.assert_array_equal(found[[LEFT, RIGHT]], keypoints[[LEFT, RIGHT]])
    assert labelled[[LEFT, RIGHT]].all()
    found, _ = teacher.merged(keypoints, np.full(17, 0.9), joints, 3.0, accurate=True)
    np.testing.assert_array_equal(found[[LEFT, RIGHT]], [(5, 40), (35, 40)])


def test_without_a_joint_the_score_decides(teacher):
    joints = person(hidden=["left_wrist"])
    keypoints = prediction(joints)
    scores = np.full(17, 0.9)
    scores[[NOSE, LEFT]] = 0.37
    _, labelled = teacher.merged(keypoints, scores, joints, 3.0, accurate=True)
    assert labelled[NOSE] and not labelled[LEFT]


def test_a_person_upside_down_is_turned_and_the_map_leads_back(teacher):
    down = person()  # LSP's order begins with the ankles, so they are above the head here
    up = InstanceAnnotation(1, 60.0 - down.keypoints, down.visible, down.box_xywh)
    assert abs(teacher._tilt(down)) == pytest.approx(180)
    assert teacher._tilt(up) == pytest.approx(0)
    shoulder = down.keypoints[LSP14.keypoints.index("left_shoulder")].astype(int)
    image = np.zeros((80, 80, 3), np.uint8)
    image[shoulder[1], shoulder[0]] = 255
    crop, box, back = teacher._turned(image, teacher.Target(None, down, True, down.box_xywh))
    place = np.unravel_index(crop[..., 0].argmax(), crop.shape[:2])[::-1]
    found = geometry.apply_affine(back, np.array([place], float))[0]
    np.testing.assert_allclose(found, shoulder, atol=1.0)
    # In the turned image the shoulder is above the middle of its box.
    assert place[1] < box[1] + box[3] / 2
    assert teacher._turned(image, teacher.Target(None, up, True, up.box_xywh))[0] is image


def test_a_tilted_person_is_turned_the_right_way(teacher):
    upright = person()
    points = 60.0 - upright.keypoints
    lying = InstanceAnnotation(1, points[:, ::-1] * [-1, 1] + [60, 0], upright.visible, np.ones(4))
    tilt = teacher._tilt(lying)
    assert abs(tilt) == pytest.approx(90)
    turn = geometry.crop_matrix(np.zeros(2), np.ones(2), (1, 1), tilt)
    turned = InstanceAnnotation(
        1, geometry.apply_affine(turn, lying.keypoints), lying.visible, lying.box_xywh
    )
    assert teacher._tilt(turned) == pytest.approx(0, abs=1e-4)


def test_the_records_hold_people_of_the_detector_and_of_lsp(
    prepare, tmp_path, monkeypatch, write_photo
):
    """A detector and a teacher that find one box in the middle, and keypoints on a line in it."""
    joints = np.zeros((3, 14, 2000))
    joints[0], joints[1] = 30.0, np.linspace(20, 80, 14)[:, None]
    (tmp_path / "lsp").mkdir()
    savemat(tmp_path / "lsp/joints.mat", {"joints": joints})
    for number in range(1, 1001):
        target = tmp_path / "lsp/images" / f"im{number:04d}.jpg"
        if number <= 2:
            write_photo(target, (100, 60))
    write_photo(tmp_path / "more/one.png", (200, 200))
    cv2.imwrite(str(tmp_path / "more/two.png"), np.zeros((20, 20, 3), np.uint8))
    (tmp_path / "more/three.png").write_bytes(b"no image")

    class Detector:
        def __call__(self, images):
            return [
                SimpleNamespace(
                    boxes_xywh=np.array([[50.0, 20, 60, 120], [0, 0, 5, 5]]),
                    scores=np.array([0.9, 0.9]),
                )
                if image.shape[0] == 200
                else SimpleNamespace(boxes_xywh=np.zeros((0, 4)), scores=np.zeros(0))
                for image in images
            ]

    class Predictor:
        def stream(self, items):
            for _, boxes in items:
                (x, y, w, h) = boxes[0]
                line = np.stack([np.full(17, x + w / 2), y + np.linspace(0, h, 17)], axis=1)
                yield SimpleNamespace(keypoints=line[None], scores=np.full((1, 17), 0.8))

    trained = SimpleNamespace(skeleton=COCO17, predictor=lambda **options: Predictor())
    monkeypatch.setattr(hub, "load_detector", lambda where, **options: Detector())
    monkeypatch.setattr(hub, "load_pose", lambda where: trained)
    options = ["--teacher", "t", "--detector", "d", "--canvas", "48x32", "--processes", 1]
    out = tmp_path / "out"
    result = prepare("teacher", "--images", tmp_path / "more", *options, "--out", out)
    assert result.exit_code == 1, result.stderr
    assert "Given 2 people = done 1 + left out 1 (image unreadable: 1)." in result.stdout
    source = RecordSource(out, "train")
    assert len(source) == 1  # the small box is left out
    batch = source.samples([0])
    image = geometry.apply_affine(batch["photo_from_canvas"], batch["keypoints"])
    np.testing.assert_allclose(image[0, :, 0], 80, atol=1e-3)
    np.testing.assert_allclose(image[0, [0, -1], 1], [20, 140], atol=1e-3)
    assert (batch["visible"] == 2).all()


def test_nothing_to_label_is_a_sentence(prepare, tmp_path):
    options = ["--teacher", "t", "--detector", "d", "--out", tmp_path / "out"]
    result = prepare("teacher", *options)
    assert result.exit_code != 0
    assert "give --images, --lsp or --lspet" in " ".join(result.stderr.split())
    result = prepare("teacher", "--images", tmp_path / "absent", *options)
    assert "is not a folder" in " ".join(result.stderr.split())


def test_images_of_a_folder_are_told_by_content_and_the_others_counted(teacher, tmp_path):
    data = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    for name in ("10.jpg", "2.JPE", "3", "sub/4.jfif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    assert teacher._listed(tmp_path)[1] == []
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "v.mp4").write_bytes(b"no image")
    listed, notes = teacher._listed(tmp_path)
    assert [path.name for path in listed] == ["10.jpg", "2.JPE", "3", "4.jfif"]
    assert notes == [f"files in {tmp_path.name} that are no images, left out: 2 (notes.txt, v.mp4)"]
