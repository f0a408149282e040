"""Errors of object poses against the BOP toolkit's values, and VSD against its definition."""

import json

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.geometry.rigid import RigidPose
from jaxpose.geometry.symmetries import symmetry_transforms
from jaxpose.metrics import object_pose


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden/functions_object.npz") as file:
        return dict(file)


@pytest.mark.parametrize("number", range(3))
def test_errors_are_the_bop_toolkits(golden, shared, number):
    c = {k.split("/")[-1]: v for k, v in golden.items() if k.startswith(f"bop/{number}/")}
    entries = json.loads((shared / "golden/functions_object.json").read_text())["cases"]
    entry = next(entry for entry in entries if entry["name"] == f"bop/{number}")
    found, true = (RigidPose(c[f"R_{w}"], c[f"t_{w}"].reshape(3)) for w in ("est", "gt"))
    points = c["points"]
    made = {
        "add": object_pose.add(found, true, points),
        "adi": object_pose.add_s(found, true, points),
        "re_deg": object_pose.rotation_error(found, true),
        "te": object_pose.translation_error(found, true),
        "proj": object_pose.projection_error(found, true, points, c["K"]),
    }
    info = entry["model_info"]
    for name, keys in (("none", ()), ("discrete", ("symmetries_discrete",)), ("both", info)):
        symmetries = symmetry_transforms({k: info[k] for k in keys}, entry["max_sym_disc_step"])
        made[f"mssd_{name}"] = object_pose.mssd(found, true, points, symmetries)
        made[f"mspd_{name}"] = object_pose.mspd(found, true, points, symmetries, c["K"])
    for name, value in made.items():
        assert value == pytest.approx(float(c[name]), rel=1e-5, abs=1e-5), name


@pytest.mark.parametrize("number", range(2))
def test_centimetres_and_degrees_are_pvnets(golden, number):
    c = {
        k.split("/")[-1]: v
        for k, v in golden.items()
        if k.startswith(f"metric/cm_degree/{number}/")
    }
    found, true = (RigidPose(c[w][:, :3], 1000 * c[w][:, 3]) for w in ("pred", "gt"))
    cm = object_pose.translation_error(found, true) / 10
    assert cm == pytest.approx(float(c["cm"]), rel=1e-5)
    assert object_pose.rotation_error(found, true) == pytest.approx(float(c["degrees"]), abs=1e-5)


def test_vsd_counts_pixels():
    """Two squares 10 px wide, shifted by 5 px, and 30 mm apart where they overlap."""
    K = np.array([[1e5, 0, 10], [0, 1e5, 10], [0, 0, 1]])  # distances are depths
    true, found, scene = (np.zeros((20, 20)) for _ in range(3))
    true[5:15, 5:15], found[5:15, 10:20] = 1000, 1030
    union, both = 150, 50
    scores = object_pose.vsd(found, true, scene, K, taus=(20.0, 40.0))
    np.testing.assert_allclose(scores, [1, (union - both) / union])
    relative = object_pose.vsd(found, true, scene, K, taus=(0.2, 0.4), diameter=100.0)
    np.testing.assert_allclose(relative, scores)
    # Something nearer hides the left half of the true square; the estimate in front of it is seen.
    scene[:, :10] = 900
    hidden = object_pose.vsd(found, true, scene, K, taus=(40.0,))
    np.testing.assert_allclose(hidden, [50 / 100])
    # An estimate behind the scene counts where the truth is seen (BOP 2019).
    scene[:, :], scene[5:15, 5:15] = 900, 1000
    behind = object_pose.vsd(found, true, scene, K, taus=(20.0,))
    np.testing.assert_allclose(behind, [1.0])
    nothing = object_pose.vsd(0 * found, 0 * true, scene, K, taus=(20.0,))
    np.testing.assert_allclose(nothing, [1.0])
    with pytest.raises(InputError, match="three depths of one size"):
        object_pose.vsd(found[:5], true, scene, K, taus=(20.0,))
