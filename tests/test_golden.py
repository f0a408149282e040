"""Every case of the golden functions is kept beside the tests, and has a test."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

TESTS = Path(__file__).parent
FOLDER = TESTS / "golden"

# The file that tests each kind of case; the kind stands in it by this name.
TESTED_IN = {
    "msra_heatmap": "codecs/test_heatmap.py",
    "msra_heatmap_unbiased_dark": "codecs/test_heatmap.py",
    "udp_heatmap": "codecs/test_heatmap.py",
    "megvii_heatmap": "codecs/test_megvii.py",
    "simcc_gaussian": "codecs/test_simcc.py",
    "simcc_rtmpose": "codecs/test_simcc.py",
    "simcc_standard": "codecs/test_simcc.py",
    "regression": "codecs/test_regression.py",
    "integral_regression": "codecs/test_regression.py",
    "crop": "geometry/test_planar.py",
    "keypoint_mse": "losses/test_heatmap_loss.py",
    "keypoint_ohkm_mse": "losses/test_heatmap_loss.py",
    "adaptive_wing": "losses/test_heatmap_loss.py",
    "kl_discrete": "losses/test_simcc_loss.py",
    "kl_discrete_rtmpose": "losses/test_simcc_loss.py",
    "smooth_l1": "losses/test_coordinates.py",
    "wing": "losses/test_coordinates.py",
    "l1": "losses/test_coordinates.py",
    "loss/mpjpe": "losses/test_coordinates.py",
    "pck": "metrics/test_pck.py",
    "auc": "metrics/test_error.py",
    "epe": "metrics/test_error.py",
    "nme": "metrics/test_error.py",
    "metric/mpjpe": "metrics/test_mpjpe.py",
    "oks": "metrics/test_oks.py",
}


def kind(case: str) -> str:
    """`udp_heatmap` of `encode/udp_heatmap/0`; losses and metrics share the name `mpjpe`."""
    room, name = case.split("/")[:2]
    if room == "crop":
        return room
    return f"{room}/{name}" if name == "mpjpe" else name


@pytest.fixture(scope="module")
def cases(shared):
    return json.loads((shared / "golden/functions.json").read_text())["cases"]


def test_every_case_has_a_test(cases):
    names = [case["name"] for case in cases]
    assert len(names) == 52
    assert {kind(name) for name in names} == set(TESTED_IN)
    for name, file in TESTED_IN.items():
        assert name in (TESTS / file).read_text(), f"{file} says nothing of {name}"


def test_every_array_is_kept_as_it_was(shared, cases):
    spec = importlib.util.spec_from_file_location("extract", FOLDER / "extract.py")
    extract = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(extract)
    wanted = {f"{case['name']}/{array}" for case in cases for array in case["arrays"]}
    with np.load(shared / "golden/functions.npz") as functions:
        for room in extract.KEPT:
            with np.load(FOLDER / f"{room}.npz") as kept:
                assert set(kept.files) <= wanted, f"an array is kept twice, or {room} is old"
                wanted -= set(kept.files)
                for key in kept.files:
                    np.testing.assert_array_equal(kept[key], functions[key], err_msg=key)
    assert not wanted
