"""RHD's own pickle: two hands of an image, visibility, 3D, and pickles that would run code.

Layout: the README of RHD_published_v2 (Zimmermann and Brox, University of Freiburg).
"""

import json
import pickle

import numpy as np
import pytest

from jaxpose.data.coco_json import NOT_NUMBERS, WRONG_LENGTH
from jaxpose.data.image_records import ImageSource
from jaxpose.data.records import RecordSource
from jaxpose.errors import InputError

CAMERA = np.array([[299.0, 0, 160], [0, 299, 160], [0, 0, 1]])


def _entry(seed=0, visible=1.0):
    draw = np.random.default_rng(seed)
    joints = np.concatenate([draw.uniform(-0.2, 0.2, (42, 2)), draw.uniform(0.5, 0.7, (42, 1))], 1)
    pixels = joints @ CAMERA.T
    flags = np.full((42, 1), visible)
    return {
        "xyz": joints.astype(np.float32),
        "uv_vis": np.concatenate([pixels[:, :2] / pixels[:, 2:], flags], 1),
        "K": CAMERA,
    }


def _write(path, content):
    path.write_bytes(pickle.dumps(content, 2))
    return path


def test_both_hands_are_read(script, tmp_path):
    entry = _entry()
    entry["uv_vis"][[2, 22], 2] = 0
    entry["uv_vis"][2, :2], entry["uv_vis"][22, :2] = (-3000, 100), (7, 100)
    entry["uv_vis"][3, :2] = 10, 330  # visible, so labelled
    (image,), skips = script("rhd").hands(_write(tmp_path / "a.pickle", {12: entry}), tmp_path)
    assert skips == [] and (image.name, image.image_id) == ("00012.png", 12)
    assert [hand.annotation_id for hand in image.people] == [24, 25]
    for side, hand in enumerate(image.people):
        rows = slice(21 * side, 21 * side + 21)
        np.testing.assert_array_equal(hand.keypoints, entry["uv_vis"][rows, :2])
        np.testing.assert_allclose(hand.keypoints_3d, entry["xyz"][rows] * 1000, rtol=1e-6)
    left, right = image.people
    assert left.visible.tolist() == [2, 2, 0] + [2] * 18
    assert right.visible.tolist() == [2, 1] + [2] * 19
    assert left.box_xywh[2] < 1000  # -3000 is not labelled
    assert left.box_xywh[1] + left.box_xywh[3] >= 330


def test_unusable_hands_are_counted(script, tmp_path):
    short, text, unseen, nan = _entry(), _entry(), _entry(), _entry()
    short["xyz"] = short["xyz"][:21]
    text["uv_vis"] = "x"
    unseen["uv_vis"][5:21, 2], unseen["uv_vis"][21:, 2] = 0, 0
    nan["xyz"][0] = np.nan
    path = _write(tmp_path / "a.pickle", {0: short, 1: text, 2: unseen, 3: nan})
    module = script("rhd")
    found, skips = module.hands(path, tmp_path)
    assert [[hand.annotation_id for hand in image.people] for image in found] == [[4]]
    assert [(skip.reason, skip.who, skip.fault) for skip in skips] == [
        (WRONG_LENGTH, "left hand of 00000.png", True),
        (WRONG_LENGTH, "right hand of 00000.png", True),
        (NOT_NUMBERS, "left hand of 00001.png", True),
        (NOT_NUMBERS, "right hand of 00001.png", True),
        (module.TOO_FEW, "right hand of 00002.png", False),
        (NOT_NUMBERS, "left hand of 00003.png", True),
        (NOT_NUMBERS, "right hand of 00003.png", True),
    ]
    found, skips = module.hands(path, tmp_path, min_visible=6)
    assert found == [] and len(skips) == 8


class Evil:
    def __reduce__(self):
        return print, ("this must not run",)


@pytest.mark.parametrize(
    "content", [{0: Evil()}, [], {}, {"a": 1}, {True: 2}, {0: {"xyz": 1}}, {-1: {}}]
)
def test_other_pickles_are_refused(script, tmp_path, content, capsys):
    with pytest.raises(InputError, match=r"a\.pickle"):
        script("rhd").hands(_write(tmp_path / "a.pickle", content), tmp_path)
    assert capsys.readouterr().out == ""


def test_the_sample_as_from_the_file_of_mmpose(prepare, shared, tmp_path):
    folder = shared / "data" / "samples" / "rhd"
    entries = json.loads((folder / "test_rhd.json").read_text())["annotations"]
    content = {}
    for entry in entries:
        side = 0 if entry["hand_type"] == "left" else 21
        own = {"xyz": np.ones((42, 3)), "uv_vis": np.zeros((42, 3)), "K": CAMERA}
        own["uv_vis"][side : side + 21] = entry["keypoints"]
        own["xyz"][side : side + 21] = np.array(entry["joint_cam"]) / 1000
        content[entry["image_id"]] = own
    path = _write(tmp_path / "a.pickle", content)
    common = ("--images", folder, "--canvas", "64x64", "--processes", 1)
    own = ("rhd", "--annotations", path)
    for arguments in (
        (*own, "--out", tmp_path / "own"),
        (*own, "--out", tmp_path / "whole", "--layout", "images"),
        (
            *("coco", "--dataset", "rhd", "--annotations", folder / "test_rhd.json"),
            *("--out", tmp_path / "coco"),
        ),
    ):
        result = prepare(*arguments, *common)
        assert result.exit_code == 0, result.stderr
    places = []
    for name in ("own", "coco"):  # canvases follow the boxes, which differ
        batch = RecordSource(tmp_path / name, "train").samples(np.arange(len(entries)))
        linear, shift = batch["photo_from_canvas"][..., :2], batch["photo_from_canvas"][..., 2]
        points = np.einsum("nij,nkj->nki", linear, batch["keypoints"]) + shift[:, None]
        places.append(points[np.argsort(batch["image_id"])])
    np.testing.assert_allclose(*places, atol=1e-3)
    whole = ImageSource(tmp_path / "whole", "train")
    batch = whole.samples(np.arange(len(whole)))
    depths = {round(float(x)) for x in batch["keypoints_3d"][:, 0, 0, 2]}
    assert depths == {round(entry["joint_cam"][0][2]) for entry in entries}
