"""Files of body models: npz and pickles as they are published, and what is refused."""

import collections
import os
import pickle
import sys
import types

import numpy as np
import pytest
from scipy import sparse

from jaxpose.bodies import read_body
from jaxpose.bodies.joints import NAMES
from jaxpose.errors import InputError


def arrays(joints=24, vertices=30, shapes=10, seed=0):
    rng = np.random.default_rng(seed)
    parents = np.array([2**32 - 1, *(rng.integers(0, j) for j in range(1, joints))], np.uint32)
    weights = rng.random((vertices, joints))
    regressor = rng.random((joints, vertices))
    regressor[regressor < 0.8] = 0
    regressor /= np.maximum(regressor.sum(axis=1, keepdims=True), 1e-9)
    template = rng.uniform(-0.8, 0.8, (vertices, 3))
    names = NAMES.get(joints, ("", ()))[1]
    x = dict(
        zip(
            names,
            (regressor / np.maximum(regressor.sum(axis=1, keepdims=True), 1e-9)) @ template[:, 0],
            strict=False,
        )
    )
    across = [x[name] - x[name.replace("left", "right", 1)] for name in x if "left_" in name]
    if across and np.median(across) < 0:  # left is at larger x, as in the published files
        template[:, 0] *= -1
    return {
        "v_template": template,
        "shapedirs": 0.01 * rng.standard_normal((vertices, 3, shapes)),
        "posedirs": 0.01 * rng.standard_normal((vertices, 3, 9 * (joints - 1))),
        "J_regressor": regressor,
        "weights": weights / weights.sum(axis=1, keepdims=True),
        "kintree_table": np.stack([parents, np.arange(joints, dtype=np.uint32)]),
        "f": rng.integers(0, vertices, (50, 3)).astype(np.uint32),
    }


@pytest.fixture
def chumpy(monkeypatch):
    """A module of the name and the classes that published pickles contain."""
    package, module, reordering = (
        types.ModuleType(n) for n in ("chumpy", "chumpy.ch", "chumpy.reordering")
    )
    module.Ch = type("Ch", (), {"__module__": "chumpy.ch"})
    reordering.Select = type("Select", (), {"__module__": "chumpy.reordering"})
    for name in (package, module, reordering):
        monkeypatch.setitem(sys.modules, name.__name__, name)
    return module.Ch, reordering.Select


def test_npz_and_pickle_give_the_same_body(tmp_path, chumpy):
    Ch, Select = chumpy
    made = arrays()
    np.savez(tmp_path / "SMPL_NEUTRAL.npz", **made, joint2num=np.array({"a": 1}, object))
    stored = dict(made)
    stored["J_regressor"] = sparse.csc_matrix(made["J_regressor"])
    stored["v_template"] = Ch()
    stored["v_template"].__dict__.update(x=made["v_template"], _parents=None)
    inner = Ch()
    inner.__dict__.update(x=made["shapedirs"].ravel()[::-1].copy())
    stored["shapedirs"] = Select()
    stored["shapedirs"].__dict__.update(
        a=inner,
        idxs=np.arange(made["shapedirs"].size)[::-1].copy(),
        preferred_shape=made["shapedirs"].shape,
    )
    stored["bs_style"] = "lbs"
    for protocol in (0, 2):
        path = tmp_path / "basicModel_f_lbs_10_207_0_v1.0.0.pkl"
        path.write_bytes(pickle.dumps(stored, protocol=protocol))
        sys_modules = {k: sys.modules.pop(k) for k in list(sys.modules) if k.startswith("chumpy")}
        found = read_body(path)
        sys.modules.update(sys_modules)
        plain = read_body(tmp_path / "SMPL_NEUTRAL.npz", gender="neutral")
        assert (found.gender, plain.gender) == ("female", "neutral")
        assert found.body.parents == plain.body.parents and found.body.name == "smpl"
        for name in ("template", "shapes", "pose_shapes", "regressor", "weights"):
            np.testing.assert_array_equal(getattr(found.body, name), getattr(plain.body, name))
        np.testing.assert_array_equal(found.faces, made["f"])
        np.testing.assert_allclose(found.body.template, 1000 * made["v_template"])
    with pytest.raises(InputError, match="is the female model; the neutral one is wanted"):
        read_body(path, gender="neutral")


def test_smplx_keeps_shapes_and_expressions(tmp_path):
    made = arrays(joints=55, shapes=400)
    basis = np.eye(45)
    np.savez(
        tmp_path / "SMPLX_MALE.npz",
        **made,
        hands_componentsl=basis,
        hands_meanl=np.ones(45),
        hands_componentsr=-basis,
        hands_meanr=np.zeros(45),
    )
    file = read_body(tmp_path / "SMPLX_MALE.npz", shapes=4, expressions=3)
    expected = 1000 * made["shapedirs"][:, :, [0, 1, 2, 3, 300, 301, 302]]
    np.testing.assert_allclose(file.body.shapes, expected)
    assert (file.expressions, file.body.name, file.gender) == (3, "smplx", "male")
    np.testing.assert_allclose(file.hands["left"].pose(np.array([2.0])).ravel()[:2], [3, 1])
    np.testing.assert_allclose(file.hands["right"].pose(np.array([2.0])).ravel()[:2], [-2, 0])


class Runs:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def test_a_pickle_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for value in (Runs(), collections.Counter("a")):
        path = tmp_path / "body.pkl"
        path.write_bytes(pickle.dumps({**arrays(), "weights": value}))
        with pytest.raises(InputError, match="not allowed"):
            read_body(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"v_template": None}, "has no v_template: it is not a body model"),
        ({"v_template": lambda a: 1000 * a}, "in metres"),
        ({"v_template": lambda a: a * np.nan}, "not finite"),
        ({"weights": lambda a: a[:, :-1]}, r"weights has the shape \[30, 23\], not \[30, 24\]"),
        ({"posedirs": lambda a: a[:, :, :-9]}, "mixes two models"),
        ({"weights": lambda a: -a}, "shares of joints, from 0 to 1"),
        ({"v_template": lambda a: a * [-1, 1, 1]}, "left joints are on the right side"),
        ({"J_regressor": lambda a: a[:, :-1]}, "J_regressor has the shape"),
        ({"f": lambda a: a + 30}, "vertices that the mesh has not"),
        ({"kintree_table": lambda a: a[:, ::-1].copy()}, "a joint before its parent"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, change, message):
    made = arrays()
    for name, change_of in change.items():
        made[name] = change_of(made[name]) if change_of else None
    np.savez(tmp_path / "body.npz", **{k: v for k, v in made.items() if v is not None})
    with pytest.raises(InputError, match=message):
        read_body(tmp_path / "body.npz")


def test_other_kinds_of_files_are_refused(tmp_path):
    (tmp_path / "body.obj").write_text("v 0 0 0")
    with pytest.raises(InputError, match=r"from \.npz and \.pkl"):
        read_body(tmp_path / "body.obj")
    np.savez(tmp_path / "walk.npz", poses=np.zeros((5, 72)), betas=np.zeros(10))
    with pytest.raises(InputError, match="Files of poses"):
        read_body(tmp_path / "walk.npz")
    (tmp_path / "list.pkl").write_bytes(pickle.dumps([1]))
    with pytest.raises(InputError, match="it contains a list"):
        read_body(tmp_path / "list.pkl")
    matrix = sparse.csc_matrix(arrays()["J_regressor"])
    matrix.indices = matrix.indices + 100
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps({**arrays(), "J_regressor": matrix}))
    with pytest.raises(InputError, match="sparse matrix J_regressor is damaged"):
        read_body(tmp_path / "bad.pkl")
