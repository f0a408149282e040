"""NWB files of predictions, read back by pynwb."""

import numpy as np
import pytest
from tool_labels import MOUSE

from jaxpose.errors import InputError
from jaxpose.labels.exporting import LabelsWriter
from jaxpose.labels.labels import Instance, LabelledImage, Labels, VideoFrame
from jaxpose.labels.nwb import _individuals, _series, write_nwb
from jaxpose.results.people import People


def predicted(rng, index, tracks):
    count = len(tracks)
    return People(
        *(MOUSE, (48, 64), rng.uniform(2, 40, (count, 4, 2)).astype(np.float32)),
        np.linspace(0.1, 1, 4 * count).reshape(count, 4).astype(np.float32),
        *(np.full((count, 4), 30, np.float32), np.arange(count)),
        source="walk.mp4",
        index=index,
        seconds=index / 10,
        track_ids=np.array(tracks),
    )


def test_series_have_gaps():
    points = np.arange(8.0).reshape(4, 2)
    one = Instance(points, np.array([2, 0, 2, 2]), "", "anna", scores=np.full(4, 0.5))
    other = Instance(points, np.full(4, 2), "")
    images = [
        LabelledImage(None, f"{n}", own) for n, own in enumerate([(one, other), (), (other,)])
    ]
    found = _individuals(images)
    assert {name: list(own) for name, own in found.items()} == {
        "anna": [0],
        "individual2": [0],
        "individual1": [2],
    }
    rows = _series(found["anna"], 3, 4)
    assert rows[0, 0].tolist() == [0, 1, 0.5] and np.isnan(rows[0, 1, :2]).all()
    assert np.isnan(rows[1:, :, :2]).all() and (rows[1:, :, 2] == 0).all()
    with pytest.raises(InputError, match="'anna' occurs twice in 0"):
        _individuals([LabelledImage(None, "0", (one, one))])


def test_pynwb_reads_the_predictions(tmp_path):
    pytest.importorskip("ndx_pose", reason="ndx-pose is not installed")
    import pynwb

    rng = np.random.default_rng(0)
    frames = [predicted(rng, 0, (3, 8)), predicted(rng, 1, ()), predicted(rng, 4, (8,))]
    writer = LabelsWriter("nwb", tmp_path / "out", MOUSE, min_score=0.3)
    for one in frames:
        writer.write(one)
    writer.close()
    with pynwb.NWBHDF5IO(str(tmp_path / "out" / "walk.nwb"), "r") as stream:
        module = stream.read().processing["behavior"]
        assert module["Skeletons"].skeletons["mouse"].nodes[:].tolist() == list(MOUSE.keypoints)
        pose = module["individual8"]
        series = [pose.pose_estimation_series[name] for name in MOUSE.keypoints]
        data = np.stack([one.data[:] for one in series], axis=1)
        assert series[0].timestamps[:].tolist() == [0.0, 0.1, 0.4]
        expected = np.full((3, 4, 2), np.nan)
        expected[0], expected[2] = frames[0].keypoints[1], frames[2].keypoints[0]
        expected[2, frames[2].scores[0] < 0.3] = np.nan
        np.testing.assert_allclose(data, expected, atol=1e-3, rtol=0)
        assert pose.dimensions[:].tolist() == [[64, 48]]
        assert series[1].confidence[1] == 0 and series[3].confidence[2] == 1


def test_images_are_no_series(tmp_path):
    pytest.importorskip("ndx_pose", reason="ndx-pose is not installed")
    image = LabelledImage(tmp_path / "a.png", "a.png", ())
    timeless = LabelledImage(tmp_path, "b", (), frame=VideoFrame(tmp_path / "a.mp4", 3))
    for one in (image, timeless):
        labels = Labels("code", tmp_path, MOUSE.keypoints, (one,))
        with pytest.raises(InputError, match="no frame of a video with a time stamp"):
            write_nwb(labels, MOUSE, tmp_path / "out")


def test_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ndx_pose", None)
    with pytest.raises(InputError, match=r"pip install \"jaxpose\[nwb\]\""):
        write_nwb(Labels("code", tmp_path, MOUSE.keypoints, ()), MOUSE, tmp_path)
