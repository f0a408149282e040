"""Rows of the table for files of body models, and for charts and labels of their surfaces."""

import io
import json
import pickle
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy import sparse
from scipy.io import savemat

from jaxpose.bodies import read_body
from jaxpose.bodies.charts import read_atlas, read_symmetry
from jaxpose.bodies.labels import read_labels
from jaxpose.bodies.surface_distances import read_published_distances
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
    return [{"UV.mat": _mat(arrays, compressed)} for compressed in (False, True)]


def _mat(arrays: dict[str, object], compressed: bool) -> bytes:
    file = io.BytesIO()
    savemat(file, arrays, do_compression=compressed)
    # MATLAB files begin with the time of their making.
    stamp = b"Created on: " + b" " * 24
    return re.sub(rb"Created on: .{24}", stamp, file.getvalue(), count=1)


def _symmetry() -> list[Files]:
    cells = np.empty((1, 24), object)
    for chart in range(24):
        cells[0, chart] = np.full((256, 256), chart % 2, np.uint8)
    arrays: dict[str, object] = {"U_transforms": cells, "V_transforms": cells}
    return [{"symmetry.mat": _mat(arrays, compressed=True)}]


def _geodesics() -> list[Files]:
    """One vertex of each chart, on a mesh of three vertices; each file is the first one once."""
    number = np.arange(24)
    fine: dict[str, object] = {
        "U_subdiv": number[:, None] / 24,
        "V_subdiv": number[:, None] / 48,
        "Part_ID_subdiv": number[None] + 1,
    }
    pairs = np.array([[1.0], [2], [3]], np.float32)
    with io.BytesIO() as file:
        with h5py.File(file, "w") as matrix:
            matrix.create_dataset("Pdist_matrix", data=pairs.T, track_times=False)
        hdf5 = file.getvalue()
    common = {
        "SMPL_subdiv.mat": _mat(fine, compressed=False),
        "SMPL_SUBDIV_TRANSFORM.mat": _mat({"index": number[:, None] % 3 + 1}, compressed=False),
    }
    pickled = {"Pdist_matrix.pkl": pickle.dumps({"Pdist_matrix": pairs}, protocol=2)}
    turned = dict(reversed(common.items()))
    return [
        common | pickled,
        turned | pickled,
        pickled | common,
        {"Pdist_matrix.mat": hdf5} | common,
    ]


def _distances_come_out(distances: Any) -> bool:
    # Charts 1, 2 and 3 are at the vertices 0, 1 and 2.
    charts, origin = np.array([1, 2, 3]), np.zeros((3, 2))
    found = distances((charts, origin), (np.array([2, 3, 0]), origin))
    return bool(found.tolist() == [1.0, 3.0, np.inf])


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
        "mirror images of charts",
        lambda folder: read_symmetry(folder / "symmetry.mat"),
        _symmetry,
        lambda symmetry: symmetry.tables[3, 5, 7].tolist() == [1, 1],
    ),
    Reader(
        "distances on a surface",
        read_published_distances,
        _geodesics,
        _distances_come_out,
    ),
    Reader(
        "DensePose-COCO",
        lambda folder: read_densepose(folder / "densepose.json"),
        _surface_labels,
        lambda file: len(file.people) == 1 and file.people[0].mask.sum() == 2000,
    ),
)
