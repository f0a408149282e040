"""Files that others read: OpenPose's BODY_25, COCO's results, and what is never half written."""

import json

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.metrics.oks import instance_score
from jaxpose.results.people import People
from jaxpose.results.writers import CocoWriter, JsonLinesWriter, JsonWriter, OpenPoseWriter, writer
from jaxpose.skeletons import COCO17, HAND21


def people(source: str = "photos/000000000042.jpg", **fields) -> People:
    rng = np.random.default_rng(0)
    return People(
        COCO17,
        (480, 640),
        rng.uniform(0, 400, (2, 17, 2)).astype(np.float32),
        rng.uniform(0, 1, (2, 17)).astype(np.float32),
        np.array([[1, 2, 30, 40], [5, 6, 70, 80]], np.float32),
        np.arange(2),
        source=source,
        **fields,
    )


def test_openpose_gets_its_25_keypoints_by_name(tmp_path):
    out = OpenPoseWriter(tmp_path / "openpose", COCO17)
    out.write(people("a/walk.mp4", index=7, seconds=0.7, track_ids=np.array([4, 9])), "walk.mp4")
    out.write(people("b/still.jpg"))
    files = sorted((tmp_path / "openpose").rglob("*.json"))
    names = [str(path.relative_to(tmp_path / "openpose")) for path in files]
    assert names == ["a/walk_000000000007_keypoints.json", "b/still_000000000000_keypoints.json"]
    content = json.loads(files[0].read_text())
    assert [person["person_id"] for person in content["people"]] == [[4], [9]]
    body = np.array(content["people"][0]["pose_keypoints_2d"]).reshape(25, 3)
    found, scores = people().keypoints[0], people().scores[0]
    for row, names in {
        0: ["nose"],
        1: ["left_shoulder", "right_shoulder"],
        4: ["right_wrist"],
        8: ["left_hip", "right_hip"],
        14: ["left_ankle"],
        15: ["right_eye"],
        18: ["left_ear"],
    }.items():
        columns = [COCO17.index(name) for name in names]
        np.testing.assert_allclose(body[row, :2], found[columns].mean(axis=0), atol=1e-3)
        assert body[row, 2] == pytest.approx(scores[columns].min(), abs=1e-3)
    np.testing.assert_array_equal(body[19:], 0)
    with pytest.raises(InputError, match="hardly"):
        OpenPoseWriter(tmp_path / "hands", HAND21)


def test_nothing_is_written_twice(tmp_path):
    out = OpenPoseWriter(tmp_path / "openpose", COCO17)
    out.write(people("a.jpg"))
    with pytest.raises(InputError, match=r"a_0+_keypoints.json would be written twice: a.jpg came"):
        out.write(people("a.jpg"))


def test_coco_counts_images_without_a_number(tmp_path):
    out = CocoWriter(tmp_path / "coco.json")
    out.write(people())
    out.write(people("portrait.jpg", box_scores=np.array([0.5, 0.25], np.float32)))
    out.write(people("walk.mp4", index=0, seconds=0.0))
    assert not (tmp_path / "coco.json").exists()
    out.close()
    records = json.loads((tmp_path / "coco.json").read_text())
    assert [r["image_id"] for r in records] == [1, 1, 2, 2, 3, 3]
    assert records[0]["box_xywh"] == [1, 2, 30, 40] and len(records[0]["keypoints"]) == 51
    expected = float(instance_score(people().scores[1], 0.25))
    assert records[3]["score"] == pytest.approx(expected, abs=1e-5)
    assert ("frame" in records[3], records[4]["frame"]) == (False, 0)


def test_a_table_has_no_control_characters(tmp_path):
    table = writer("csv", tmp_path, COCO17, {})
    table.write(people("\x1b[31mred.jpg"))
    table.close()
    data = (tmp_path / "predictions.csv").read_bytes()
    assert b"\x1b" not in data and data.count(rb"\x1b[31mred.jpg,") == 34


@pytest.mark.parametrize("head", [{}, {"units": "pixels", "model": {"step": 7}}])
def test_json_is_whole_however_much_was_written(tmp_path, head):
    for count in (0, 1, 3):
        out = JsonWriter(tmp_path / "a.json", head, name="photos", tail=lambda: {"skipped": []})
        for _ in range(count):
            out.write(people(), "42.png")
        out.close()
        content = json.loads((tmp_path / "a.json").read_text())
        assert {**head, "skipped": []} == {k: v for k, v in content.items() if k != "photos"}
        assert len(content["photos"]) == count
        assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_lines_are_there_at_once_and_a_full_disk_is_told(tmp_path):
    out = JsonLinesWriter(tmp_path / "a.jsonl")
    out.write(people())
    (line,) = (tmp_path / "a.partial.jsonl").read_text().splitlines()
    assert json.loads(line)["file"].endswith("42.jpg")
    out.close()
    assert (tmp_path / "a.jsonl").read_text() == line + "\n"
    (tmp_path / "full.partial.jsonl").symlink_to("/dev/full")
    out = JsonLinesWriter(tmp_path / "full.jsonl")
    with pytest.raises(InputError, match="cannot be written: No space left"):
        out.write(people())
    out.close()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        writer("csv", tmp_path / "file", COCO17, {})
