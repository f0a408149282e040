"""Calibration files: round trips, real ones, refusals."""

import json

import numpy as np
import pytest
from walker import ring

from jaxpose.errors import InputError
from jaxpose.multiview import calibration
from jaxpose.multiview.calibration import Rig


def rig() -> Rig:
    return Rig(("left", "right", "top"), ring(3), np.array([[1000, 1002]] * 3))


def assert_same(found: Rig, expected: Rig) -> None:
    assert found.names == expected.names
    for ours, theirs in zip(found.cameras, expected.cameras, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-8)


def test_pose2sim_round_trip(tmp_path):
    calibration.write_pose2sim(tmp_path / "Calib.toml", rig())
    found = calibration.read_pose2sim(tmp_path / "Calib.toml")
    assert_same(found, rig())
    np.testing.assert_array_equal(found.size_wh, rig().size_wh)
    with pytest.raises(InputError, match="size of each"):
        calibration.write_pose2sim(tmp_path / "x.toml", Rig(rig().names, rig().cameras))


@pytest.mark.parametrize("unit", ["m", "mm"])
def test_opencv_round_trip(tmp_path, unit):
    calibration.write_opencv(tmp_path / "all.yml", rig(), unit)
    assert_same(calibration.read_opencv(tmp_path / "all.yml", unit=unit), rig())
    again = calibration.read_opencv(tmp_path / "all.yml", tmp_path / "all.yml", unit=unit)
    assert_same(again, rig())


def test_h36m_layout(tmp_path):
    lens = {"calibration_matrix": np.eye(3).tolist(), "distortion": [0.1, 0, 0, 0, 0]}
    view = {"R": np.eye(3).tolist(), "t": [[1], [2], [3]]}
    path = tmp_path / "cameras.json"
    path.write_text(json.dumps({"intrinsics": {"a": lens}, "extrinsics": {"S1": {"a": view}}}))
    np.testing.assert_array_equal(calibration.read_h36m(path, "S1").camera("a").t, [1, 2, 3])
    with pytest.raises(InputError, match="no subject 'S2'"):
        calibration.read_h36m(path, "S2")
    with pytest.raises(InputError, match="no camera 'b'"):
        calibration.read_h36m(path, "S1").camera("b")
    view["R"] = np.diag([1, 1, -1]).tolist()
    path.write_text(json.dumps({"intrinsics": {"a": lens}, "extrinsics": {"S1": {"a": view}}}))
    with pytest.raises(InputError, match=r"camera 'a': .*mirrors"):
        calibration.read_h36m(path, "S1")


def test_real_h36m(shared):
    path = shared / "data" / "lifting" / "h36m_cameras" / "camera-parameters.json"
    found = calibration.read_h36m(path, "S9")
    assert found.names == ("54138969", "55011271", "58860488", "60457274")


def test_refusals(tmp_path):
    path = tmp_path / "file"
    path.write_text("[]")
    with pytest.raises(InputError, match="JSON object"):
        calibration.read_panoptic(path)
    path.write_text("{}")
    with pytest.raises(InputError, match="no 'cameras'"):
        calibration.read_panoptic(path)
    path.write_text("x = ")
    with pytest.raises(InputError, match="not valid TOML"):
        calibration.read_pose2sim(path)
    path.write_text("[cam]\nfisheye = true\n")
    with pytest.raises(InputError, match="fisheye"):
        calibration.read_pose2sim(path)
    with pytest.raises(FileNotFoundError):
        calibration.read_opencv(tmp_path / "none.yml")
    with pytest.raises(InputError, match="unit 'feet'"):
        calibration.read_opencv(path, unit="feet")
