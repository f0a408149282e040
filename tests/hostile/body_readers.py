"""Rows of the table for files of body models."""

import io
import pickle

import numpy as np
from scipy import sparse

from jaxpose.bodies import read_body
from tests.hostile.reader import Files, Reader

_JOINTS, _VERTICES = 16, 12


def _arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    parents = np.array([2**32 - 1, *range(_JOINTS - 1)], np.uint32)
    return {
        "v_template": np.float32(rng.uniform(-0.1, 0.1, (_VERTICES, 3))),
        "shapedirs": np.float32(rng.normal(0, 0.01, (_VERTICES, 3, 2))),
        "posedirs": np.zeros((_VERTICES, 3, 9 * (_JOINTS - 1)), np.float32),
        "J_regressor": np.full((_JOINTS, _VERTICES), 1 / _VERTICES, np.float32),
        "weights": np.full((_VERTICES, _JOINTS), 1 / _JOINTS, np.float32),
        "kintree_table": np.stack([parents, np.arange(_JOINTS, dtype=np.uint32)]),
        "f": rng.integers(0, _VERTICES, (8, 3)),
    }


def _npz() -> list[Files]:
    file = io.BytesIO()
    np.savez(file, **_arrays())
    return [{"body.npz": file.getvalue()}]


def _pkl() -> list[Files]:
    arrays: dict[str, object] = dict(_arrays())
    arrays["J_regressor"] = sparse.csc_matrix(_arrays()["J_regressor"])
    return [{"body.pkl": pickle.dumps(arrays, protocol=2)}]


BODY_READERS: tuple[Reader, ...] = tuple(
    Reader(
        f"body {form}",
        lambda folder, form=form: read_body(folder / f"body.{form}"),
        samples,
        lambda file: file.body.name == "mano" and file.faces.shape == (8, 3),
    )
    for form, samples in (("npz", _npz), ("pkl", _pkl))
)
