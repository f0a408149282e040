"""Small files in the layouts in which datasets are published."""

import contextlib
import io
import sqlite3
from collections.abc import Iterable
from typing import Any

import h5py
import numpy as np

_CORNERS = ("LeftCorner", "Center", "RightCorner")
AFLW_TYPES = list(
    enumerate(
        (
            *(f"{side}Brow{place}" for side in ("Left", "Right") for place in _CORNERS),
            *(f"{side}Eye{place}" for side in ("Left", "Right") for place in _CORNERS),
            *("LeftEar", "NoseLeft", "NoseCenter", "NoseRight", "RightEar"),
            *(f"Mouth{place}" for place in _CORNERS),
            "ChinCenter",
        ),
        start=1,
    )
)
"""Numbers and names of AFLW's landmarks, rows of `FeatureCoordTypes`."""


def cofw_file(
    images: list[np.ndarray], landmarks: np.ndarray, boxes: np.ndarray, part: str = "Tr"
) -> bytes:
    """File of COFW with images `[H, W, 3]` or `[H, W]`, `landmarks [N, 87]` and `boxes [N, 4]`.

    MATLAB 7.3 stores arrays transposed, cells as references, and begins with a text of 512 bytes.
    """
    content = io.BytesIO()
    with h5py.File(content, "w", userblock_size=512) as file:
        cells = [file.create_dataset(f"#refs#/{n}", data=x.T) for n, x in enumerate(images)]
        file[f"Is{part}"] = np.array([[cell.ref for cell in cells]], dtype=h5py.ref_dtype)
        file[f"phis{part}"], file[f"bboxes{part}"] = landmarks.T, boxes.T
    return b"MATLAB 7.3 MAT-file".ljust(512) + content.getvalue()[512:]


def aflw_file(
    faces: Iterable[tuple[Any, ...]],
    images: Iterable[tuple[Any, ...]],
    points: Iterable[tuple[Any, ...]],
    boxes: Iterable[tuple[Any, ...]],
) -> bytes:
    """Database of AFLW from rows of `Faces`, `FaceImages`, `FeatureCoords` and `FaceRect`."""
    tables = {
        "Faces (face_id, file_id)": faces,
        "FaceImages (file_id, filepath, width, height)": images,
        "FeatureCoords (face_id, feature_id, x, y)": points,
        "FaceRect (face_id, x, y, w, h)": boxes,
        "FeatureCoordTypes (feature_id, descr)": AFLW_TYPES,
    }
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        for table, rows in tables.items():
            database.execute(f"CREATE TABLE {table}")
            marks = ", ".join("?" * (table.count(",") + 1))
            database.executemany(f"INSERT INTO {table} VALUES ({marks})", list(rows))
        database.commit()
        return database.serialize()
