"""FreiHAND's own files: joints in metres projected by the camera, backgrounds, bad entries."""

import json

import numpy as np
import pytest

from jaxpose.data.coco_json import NOT_NUMBERS, WRONG_LENGTH
from jaxpose.data.image_records import ImageSource
from jaxpose.data.records import RecordSource
from jaxpose.errors import InputError

CAMERA = [[480.0, 0.0, 112.0], [0.0, 470.0, 110.0], [0.0, 0.0, 1.0]]


def _write(folder, joints, cameras=None):
    (folder / "xyz.json").write_text(json.dumps(joints))
    (folder / "K.json").write_text(json.dumps(cameras or [CAMERA] * len(joints)))
    return folder / "xyz.json", folder / "K.json"


def _joints(seed=0):
    draw = np.random.default_rng(seed)
    return np.concatenate([draw.uniform(-0.1, 0.1, (21, 2)), draw.uniform(0.5, 0.7, (21, 1))], 1)


def test_joints_are_projected_and_every_background_has_its_hand(script, tmp_path):
    hands = [_joints(0), _joints(1)]
    files = _write(tmp_path, [x.tolist() for x in hands])
    (tmp_path / "rgb").mkdir()
    for name in ("00000000.jpg", "00000001.jpg", "00000003.jpg", "cover.jpg"):
        (tmp_path / "rgb" / name).touch()
    module = script("freihand")
    found, skips = module.hands(*files, tmp_path / "rgb")
    assert [image.image_id for image in found] == [0, 1, 3]
    assert [(skip.reason, skip.who) for skip in skips] == [(module.NOT_A_NUMBER, "cover.jpg")]
    for image, own in zip(found, (hands[0], hands[1], hands[1]), strict=True):
        (hand,) = image.people
        x = 480 * own[:, 0] / own[:, 2] + 112
        y = 470 * own[:, 1] / own[:, 2] + 110
        np.testing.assert_allclose(hand.keypoints, np.stack([x, y], axis=-1))
        np.testing.assert_allclose(hand.keypoints_3d, own * 1000)
        low, side = hand.box_xywh[:2], hand.box_xywh[2]
        assert (hand.keypoints >= low).all() and (hand.keypoints <= low + side).all()


def test_bad_hands_are_counted(script, tmp_path):
    good, behind, text = (_joints().tolist() for _ in range(3))
    behind[3][2], text[0][0] = -0.5, "x"
    files = _write(tmp_path, [good, good[:20], behind, text, good], [CAMERA] * 4 + [[[1, 2], [3]]])
    for number in range(5):
        (tmp_path / f"{number}.png").touch()
    module = script("freihand")
    found, skips = module.hands(*files, tmp_path)
    assert len(found) == 1
    reasons = [skip.reason for skip in skips]
    assert reasons == [WRONG_LENGTH, module.BEHIND, NOT_NUMBERS, NOT_NUMBERS]


def test_files_that_do_not_belong_together_are_refused(script, tmp_path):
    hands = script("freihand").hands
    files = _write(tmp_path, [_joints().tolist()], [CAMERA] * 2)
    (tmp_path / "rgb").mkdir()
    with pytest.raises(InputError, match=r"1 hands and .* 2 cameras"):
        hands(*files, tmp_path)
    with pytest.raises(InputError, match="has no images"):
        hands(files[0], _write(tmp_path, [_joints().tolist()])[1], tmp_path / "rgb")
    (tmp_path / "xyz.json").write_text("{}")
    with pytest.raises(InputError, match="not a file of FreiHAND"):
        hands(*files, tmp_path)


def test_the_sample_as_from_the_file_of_mmpose(prepare, shared, tmp_path):
    folder = shared / "data" / "samples" / "freihand"
    content = json.loads((folder / "test_freihand.json").read_text())
    entries = sorted(content["annotations"], key=lambda entry: entry["image_id"])
    pixels = np.array([np.reshape(entry["keypoints"], (21, 3))[:, :2] for entry in entries])
    # As many hands as the dataset has; those without an image in the sample are not read.
    joints = [0] * 32_560
    for entry, points in zip(entries, pixels, strict=True):
        rays = np.concatenate([points, np.ones((21, 1))], axis=1) @ np.linalg.inv(CAMERA).T
        joints[entry["image_id"] % len(joints)] = (0.6 * rays).tolist()
    joints_file, cameras_file = _write(tmp_path, joints)
    own = ("freihand", "--joints", joints_file, "--cameras", cameras_file)
    theirs = (
        *("coco", "--dataset", "freihand", "--annotations", folder / "test_freihand.json"),
        *("--images", folder, "--out", tmp_path / "coco", "--canvas", "64x64", "--processes", 1),
    )
    for arguments in (
        (*own, "--images", folder, "--out", tmp_path / "own", "--canvas", "64x64"),
        (*own, "--images", folder, "--out", tmp_path / "whole", "--layout", "images"),
        theirs,
    ):
        result = prepare(*arguments, *(() if "coco" in arguments else ("--processes", 1)))
        assert result.exit_code == 0, result.stderr
    ours = RecordSource(tmp_path / "own", "train").samples(np.arange(8))
    mmpose = RecordSource(tmp_path / "coco", "train").samples(np.arange(8))
    for batch in (ours, mmpose):  # canvases follow the boxes, which differ
        linear, shift = batch["photo_from_canvas"][..., :2], batch["photo_from_canvas"][..., 2]
        points = np.einsum("nij,nkj->nki", linear, batch["keypoints"]) + shift[:, None]
        order = np.argsort(batch["image_id"])
        np.testing.assert_allclose(points[order], pixels, atol=1e-3)
    whole = ImageSource(tmp_path / "whole", "train").samples([0])
    assert np.nanmax(np.abs(whole["keypoints_3d"][0, 0, :, 2] - 600)) < 1e-3
