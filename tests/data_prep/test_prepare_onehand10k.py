"""OneHand10K's own lists: several hands, keypoints that are not labelled, bad lines."""

import json

import numpy as np
import pytest

from jaxpose.data.canvas import NO_KEYPOINTS
from jaxpose.data.coco_json import NOT_NUMBERS, OUTSIDE
from jaxpose.data.records import RecordSource
from jaxpose.errors import InputError

POINTS = np.stack([10 + np.arange(21), 20 + 2 * np.arange(21)], axis=-1)
UNLABELLED = np.full((21, 2), -1)


def _line(name, *hands, hw=(90, 80)):
    numbers = [value for hand in hands for value in np.ravel(hand)]
    return ",".join(map(str, [name, hw[1], hw[0], len(hands), *numbers]))


def test_hands_are_read(script, tmp_path):
    partly = POINTS.copy()
    partly[3] = -1
    file = tmp_path / "label_joint.txt"
    file.write_text("\n".join([_line("1.jpg", partly), "", _line("2.jpg", POINTS, POINTS + 5)]))
    found, skips = script("onehand10k").hands(file, tmp_path)
    assert skips == []
    assert [(image.name, image.image_id, image.first_key) for image in found] == [
        ("1.jpg", 1, 0),
        ("2.jpg", 3, 1),
    ]
    assert found[0].image_hw == (90, 80)
    (one,), two = found[0].people, found[1].people
    assert one.visible.tolist() == [2, 2, 2, 0] + [2] * 17
    np.testing.assert_array_equal(one.box_xywh, [0, 20, 40, 40])
    assert [hand.annotation_id for hand in (one, *two)] == [1, 2, 3]
    np.testing.assert_array_equal(two[1].keypoints, POINTS + 5)


def test_bad_lines_are_counted_by_hand(script, tmp_path):
    lines = [
        _line("1.jpg", POINTS),
        _line("2.jpg", POINTS)[:-3],
        _line("3.jpg", POINTS, POINTS).replace(",11,", ",x,", 1),
        _line("../4.jpg", POINTS),
        _line("1.jpg", POINTS),
        _line("6.jpg", UNLABELLED, POINTS),
        "7.jpg",
    ]
    file = tmp_path / "label_joint.txt"
    file.write_text("\n".join(lines))
    module = script("onehand10k")
    found, skips = module.hands(file, tmp_path)
    assert [image.name for image in found] == ["1.jpg", "6.jpg"]
    assert [(skip.reason, skip.who, skip.fault) for skip in skips] == [
        (module.WRONG_LINE, "line 2, 2.jpg", True),
        (NOT_NUMBERS, "line 3, 3.jpg", True),
        (NOT_NUMBERS, "line 3, 3.jpg", True),
        (OUTSIDE, "line 4, ../4.jpg", True),
        (module.LISTED_TWICE, "line 5, 1.jpg", True),
        (NO_KEYPOINTS, "line 6, 6.jpg, hand 1", False),
        (module.WRONG_LINE, "line 7, 7.jpg", True),
    ]


@pytest.mark.parametrize("content", [b"", b"1.jpg,2,3\n", b"\xff\xfe\x00", b"a,1,2,3,4"])
def test_another_file_is_refused(script, tmp_path, content):
    file = tmp_path / "label_joint.txt"
    file.write_bytes(content)
    with pytest.raises(InputError, match="no list of OneHand10K"):
        script("onehand10k").hands(file, tmp_path)


def test_the_sample_as_from_the_file_of_mmpose(prepare, shared, tmp_path):
    folder = shared / "data" / "samples" / "onehand10k"
    content = json.loads((folder / "test_onehand10k.json").read_text())
    images = {image["id"]: image for image in content["images"]}
    lines = []
    for entry in sorted(content["annotations"], key=lambda entry: entry["image_id"]):
        image, table = images[entry["image_id"]], np.reshape(entry["keypoints"], (21, 3))
        points = np.where(table[:, 2:] > 0, table[:, :2], -1)
        lines.append(_line(image["file_name"], points, hw=(image["height"], image["width"])))
    file = tmp_path / "label_joint.txt"
    file.write_text("\n".join(lines))
    common = ("--images", folder, "--canvas", "64x64", "--processes", 1)
    places = []
    for arguments in (
        ("onehand10k", "--annotations", file, "--out", tmp_path / "own"),
        (
            *("coco", "--dataset", "onehand10k", "--out", tmp_path / "coco"),
            *("--annotations", folder / "test_onehand10k.json"),
        ),
    ):
        result = prepare(*arguments, *common)
        assert result.exit_code == 0, result.stderr
        batch = RecordSource(arguments[arguments.index("--out") + 1], "train").samples(np.arange(4))
        linear, shift = batch["photo_from_canvas"][..., :2], batch["photo_from_canvas"][..., 2]
        points = np.einsum("nij,nkj->nki", linear, batch["keypoints"]) + shift[:, None]
        order = np.argsort(batch["image_id"])
        seen = batch["visible"][order] > 0
        places.append(np.where(seen[..., None], points[order], -1))
    np.testing.assert_allclose(*places, atol=1e-3)
