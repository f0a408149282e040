"""Files of tracks: MOTChallenge's and PoseTrack's, and `jaxpose score --tracking`."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.errors import InputError
from jaxpose.results.people import People
from jaxpose.results.track_files import (
    mot_frames,
    posetrack_frames,
    read_mot,
    read_posetrack,
    write_posetrack,
)
from jaxpose.skeletons import COCO17, HAND21, POSETRACK17


def score(*arguments):
    return CliRunner().invoke(app, ["score", *map(str, arguments), "--tracking"])


@pytest.fixture
def mot(tmp_path):
    truth = [f"{t},{p},{50 * p + t},10,20,40,1,1,1" for t in (1, 2, 3) for p in (1, 2)]
    truth += ["1,9,300,300,20,40,0,1,1", "2,8,300,300,20,40,1,7,1"]
    # Ids change in the third frame, which has a false person too.
    found = [
        f"{t},{(p if t < 3 else 3 - p) + 10},{50 * p + t},10,20,40,0.9,-1,-1,-1"
        for t in (1, 2, 3)
        for p in (1, 2)
    ]
    found.append("3,30,500,500,20,40,0.9,-1,-1,-1")
    for folder, lines in (("gt", truth), ("out", found)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "one.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_a_text_file_of_mot_is_scored(mot):
    truth = read_mot(mot / "gt/one.txt", truth=True)
    assert list(truth) == [1, 2, 3] and truth[1].ids.tolist() == [1, 2]
    assert len(mot_frames(truth, read_mot(mot / "out/one.txt"))) == 3
    for pair in ((mot / "out/one.txt", mot / "gt/one.txt"), (mot / "out", mot / "gt")):
        done = score(pair[0], "--annotations", pair[1], "--json")
        assert done.exit_code == 0, done.output
        figures = json.loads(done.output)["metrics"]
        assert figures["switches"] == 2 and figures["false"] == 1 and figures["missed"] == 0
        assert figures["MOTA"] == pytest.approx(1 - 3 / 6)
    (mot / "gt/two.txt").write_text("1,1,0,0,9,9\n")
    done = score(mot / "out", "--annotations", mot / "gt")
    assert done.exit_code == 1 and "no results: 1" in done.output
    table = score(mot / "out/one.txt", "--annotations", mot / "gt/one.txt")
    assert "HOTA" in table.output and "overlap of boxes" in table.output


@pytest.mark.parametrize("line", ["1,2,3", "a,1,2,3,4,5", "1,1,nan,3,4,5", "1,1"])
def test_a_row_that_is_none_is_named(tmp_path, line):
    (tmp_path / "x.txt").write_text(f"1,1,2,3,4,5\n{line}\n")
    with pytest.raises(InputError, match=r"x\.txt, line 2: a row must be"):
        read_mot(tmp_path / "x.txt")


def test_an_id_twice_in_a_frame_is_named(tmp_path):
    (tmp_path / "x.txt").write_text("4,1,2,3,4,5\n4,1,2,3,4,5\n")
    found = read_mot(tmp_path / "x.txt")
    with pytest.raises(InputError, match="Frame 4: Id 1 is there twice"):
        mot_frames(found, found)


def posetrack(path, frames, swap=False, shift=0.0):
    """Two people who stand, in PoseTrack's form; `swap` exchanges their ids from frame 2 on."""
    images = [{"id": t, "file_name": f"v/{t:06}.jpg", "is_labeled": t != 3} for t in range(frames)]
    annotations = []
    for t in range(frames):
        for p in range(2):
            keypoints = np.zeros((17, 3))
            keypoints[:, 0] = np.arange(17) + 100 * p + 20 + shift
            keypoints[:, 1], keypoints[:, 2] = 50 + 5 * np.arange(17), 1
            keypoints[3:5] = 0  # ears are not labelled
            track = 1 - p if swap and t >= 2 else p
            annotations.append(
                {
                    "image_id": t,
                    "track_id": track,
                    "keypoints": keypoints.ravel().tolist(),
                    "bbox_head": [0, 0, 30, 40],
                }
            )
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return path


def test_a_file_of_posetrack_is_scored(tmp_path):
    truth = posetrack(tmp_path / "gt.json", 4)
    read = read_posetrack(truth)
    assert list(read) == ["v/000000.jpg", "v/000001.jpg", "v/000002.jpg"]
    people = read["v/000000.jpg"]
    assert people.head_sizes.tolist() == [30, 30] and np.isnan(people.keypoints[:, 3:5]).all()

    def figures(**changes):
        found = posetrack(tmp_path / "found.json", 4, **changes)
        done = score(found, "--annotations", truth, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.output)["metrics"]

    assert figures()["keypoint MOTA"] == 100 and figures()["HOTA"] == pytest.approx(1)
    swapped = figures(swap=True)
    assert swapped["MOTA of nose"] == pytest.approx(100 * (1 - 2 / 6))
    assert swapped["switches"] == 2 and "MOTA of left_ear" not in swapped
    assert figures(shift=15.0)["keypoint MOTA"] == 100
    assert figures(shift=15.5)["keypoint MOTA"] == -100


def test_predictions_are_written_as_posetrack_reads_them(tmp_path):
    keypoints = np.random.default_rng(0).uniform(0, 99, (2, 17, 2)).astype(np.float32)
    people = People(
        COCO17,
        (100, 100),
        keypoints,
        np.full((2, 17), 0.8, np.float32),
        np.tile(np.float32([1, 2, 3, 4]), (2, 1)),
        np.arange(2),
        source="walk.mp4",
        index=7,
        track_ids=np.array([5, 6]),
    )
    write_posetrack(tmp_path / "x.json", [people])
    (read,) = read_posetrack(tmp_path / "x.json").values()
    assert list(read_posetrack(tmp_path / "x.json")) == ["walk/000007.jpg"]
    assert read.ids.tolist() == [5, 6]
    wrist = COCO17.index("left_wrist"), POSETRACK17.index("left_wrist")
    np.testing.assert_allclose(read.keypoints[:, wrist[1]], keypoints[:, wrist[0]], atol=1e-3)
    assert np.isnan(read.keypoints[:, POSETRACK17.index("head_top")]).all()
    with pytest.raises(InputError, match="no track ids"):
        write_posetrack(tmp_path / "y.json", [People(*_six(people, COCO17))])
    hand = People(*_six(people, HAND21), track_ids=np.array([5, 6]))
    with pytest.raises(InputError, match="no keypoint of PoseTrack's"):
        write_posetrack(tmp_path / "y.json", [hand])


def _six(people, skeleton):
    points, scores = np.zeros((2, skeleton.num_keypoints, 2)), np.zeros((2, skeleton.num_keypoints))
    return skeleton, (9, 9), points, scores, people.boxes_xywh, people.box_indices


def test_files_that_do_not_fit_are_refused(tmp_path):
    truth = posetrack(tmp_path / "gt.json", 2)
    (tmp_path / "x.txt").write_text("1,1,2,3,4,5\n")
    (tmp_path / "bad.json").write_text("[1]")
    other = {"images": [{"id": 0, "file_name": "w/0.jpg"}], "annotations": []}
    (tmp_path / "other.json").write_text(json.dumps(other))
    for results, message in (
        ("x.txt", "must both be"),
        ("bad.json", "no file of PoseTrack18"),
        ("other.json", "No image is in both files"),
        ("none.json", "none.json"),
    ):
        done = score(tmp_path / results, "--annotations", truth)
        assert done.exit_code == 2 and message in done.output.replace("\n", " "), done.output
    done = score(tmp_path / "x.txt", "--annotations", tmp_path / "x.txt", "--metric", "coco")
    assert done.exit_code == 2 and "not for --tracking" in done.output
    assert posetrack_frames({}, {}) == ([], [])
