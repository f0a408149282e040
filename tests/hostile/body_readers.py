"""Rows of the table for files of body models, and for charts and labels of their surfaces."""

import io
import json
import pickle
import re
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.io import savemat

from jaxpose.bodies import read_body
from jaxpose.bodies.charts import read_atlas
from jaxpose.bodies.labels import read_labels
from jaxpose.data.densepose import read_densepose
from jaxpose.data.source import SyntheticPeople
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


def _charts() -> list[Files]:
    number = np.arange(1, 7)
    arrays = {
        "All_Faces": number.reshape(2, 3),
        "All_FaceIndices": np.array([[1], [24]]),
        "All_vertices": number[None],
        "All_U_norm": number[:, None] / 8,
        "All_V_norm": number[:, None] / 9,
    }
    made = []
    for compressed in (False, True):
        file = io.BytesIO()
        savemat(file, arrays, do_compression=compressed)
        # MATLAB files begin with the time of their making.
        stamp = b"Created on: " + b" " * 24
        made.append({"UV.mat": re.sub(rb"Created on: .{24}", stamp, file.getvalue(), count=1)})
    return made


def _surface_labels() -> list[Files]:
    runs = {"size": [256, 256], "counts": [600, 1000, 63936]}
    person = {
        "id": 1,
        "image_id": 2,
        "bbox": [1.0, 2, 30, 40],
        "dp_I": [1, 24],
        "dp_U": [0.5, 1],
        "dp_V": [0, 0.25],
        "dp_x": [3, 250.5],
        "dp_y": [0, 255],
        "dp_masks": [[], runs],
    }
    content = {"annotations": [person, {"id": 2, "image_id": 2}]}
    return [{"densepose.json": json.dumps(content).encode()}]


def _labels() -> list[Files]:
    """Bodies of another tool, of the free body."""
    file = io.BytesIO()
    np.savez(
        file,
        betas=np.ones((2, 8), np.float32),
        pose=np.full((2, 51), 0.1, np.float32),
        annotation_id=np.array([1, 0]),
        error=np.zeros(2, np.float32),
    )
    return [{"labels.npz": file.getvalue()}]


def _read_labels(folder: Path) -> np.ndarray:
    people = SyntheticPeople(2, seed=0, canvas_hw=(96, 72), plain=True).open()
    return read_labels(folder / "labels.npz", people).shape


BODY_READERS: tuple[Reader, ...] = (
    *(
        Reader(
            f"body {form}",
            lambda folder, form=form: read_body(folder / f"body.{form}"),
            samples,
            lambda file: file.body.name == "mano" and file.faces.shape == (8, 3),
        )
        for form, samples in (("npz", _npz), ("pkl", _pkl))
    ),
    Reader(
        "labels of bodies",
        _read_labels,
        _labels,
        lambda shape: shape.tolist() == [[1.0] * 8] * 2,
    ),
    Reader(
        "charts of a surface",
        lambda folder: read_atlas(folder / "UV.mat"),
        _charts,
        lambda atlas: atlas.faces.tolist() == [[0, 1, 2], [3, 4, 5]],
    ),
    Reader(
        "DensePose-COCO",
        lambda folder: read_densepose(folder / "densepose.json"),
        _surface_labels,
        lambda file: len(file.people) == 1 and file.people[0].mask.sum() == 2000,
    ),
)
