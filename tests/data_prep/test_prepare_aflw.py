"""AFLW's own SQLite database: landmarks without a row, boxes, bad faces, hostile databases.

Layout: the tables and columns of the published `aflw.sqlite`, as described in its documentation.
"""

import json
import sqlite3

import numpy as np
import pytest

from jaxpose.data.canvas import NO_KEYPOINTS
from jaxpose.data.coco_json import NOT_NUMBERS, OUTSIDE
from jaxpose.data.records import RecordSource
from jaxpose.errors import InputError
from tests.dataset_files import AFLW_TYPES, aflw_file

POINTS = np.stack([20.5 + np.arange(19), 30.25 + 2 * np.arange(19)], axis=-1)
IMAGES = [(f"image{n}", f"0/image{n}.jpg", 200, 150) for n in range(8)]
BOX = (10, 20, 60, 70)


def _rows(face, points=POINTS):
    """Rows of `FeatureCoords`, where None is a landmark without a row; and one of an ear."""
    own = [number for number, name in AFLW_TYPES if "Ear" not in name]
    rows = [(face, n, *xy) for n, xy in zip(own, points, strict=True) if xy is not None]
    return [*rows, (face, 13, 1.0, 2.0)]


@pytest.fixture
def write(tmp_path):
    def write(faces, points, boxes=()):
        path = tmp_path / "aflw.sqlite"
        path.write_bytes(aflw_file(faces, IMAGES, points, boxes))
        return path

    return write


def test_faces_are_read(script, write, tmp_path):
    partly = [None, *POINTS[1:]]
    path = write(
        [(7, "image0"), (5, "image1"), (9, "image0")],
        [*_rows(7, partly), *_rows(5), *_rows(9, POINTS + 3)],
        [(7, *BOX), (5, *BOX), (5, *BOX)],
    )
    found, skips = script("aflw").faces(path, tmp_path)
    assert skips == []
    assert [(i.name, i.image_id, i.image_hw, i.first_key) for i in found] == [
        ("0/image0.jpg", 7, (150, 200), 0),
        ("0/image1.jpg", 5, (150, 200), 2),
    ]
    first, second = found[0].people
    assert [face.annotation_id for face in (first, second)] == [7, 9]
    assert first.visible.tolist() == [0] + [2] * 18 and second.visible.tolist() == [2] * 19
    np.testing.assert_array_equal(first.keypoints[1:], POINTS[1:])
    np.testing.assert_array_equal(first.box_xywh, BOX)
    assert first.clip and not second.clip
    # Extent 23.5 to 41.5, 33.25 to 69.25: 23 to 42 and 33 to 70 in whole pixels.
    np.testing.assert_array_equal(second.box_xywh, [14, 33, 37, 37])


def test_bad_faces_are_counted(script, write, tmp_path):
    text = [("x", 1), *POINTS[1:]]
    path = write(
        [(1, "image1"), (2, "nowhere"), (3, "image3"), (4, "image4"), (5, "image5"), (6, "up")],
        [*_rows(1, text), *_rows(2), *_rows(4), *_rows(4), *_rows(5), *_rows(6)],
        [(5, *BOX), (5, 11, 20, 60, 70)],
    )
    with sqlite3.connect(path) as database:
        database.execute("INSERT INTO FaceImages VALUES ('up', '../a.jpg', 3, 4)")
    module = script("aflw")
    found, skips = module.faces(path, tmp_path)
    assert found == []
    assert [(skip.reason, skip.who, skip.fault) for skip in skips] == [
        (NOT_NUMBERS, "face 1 of 0/image1.jpg", True),
        (module.NO_IMAGE, "face 2 of image nowhere", True),
        (NO_KEYPOINTS, "face 3 of 0/image3.jpg", False),
        (module.TWICE, "face 4 of 0/image4.jpg", True),
        (module.SEVERAL_BOXES, "face 5 of 0/image5.jpg", True),
        (OUTSIDE, "face 6 of ../a.jpg", True),
    ]


def test_other_databases_are_refused(script, write, tmp_path):
    faces = script("aflw").faces
    with pytest.raises(InputError, match=r"none\.sqlite"):
        faces(tmp_path / "none.sqlite", tmp_path)
    (tmp_path / "text").write_text("Faces" * 200)
    with pytest.raises(InputError, match="not a database"):
        faces(tmp_path / "text", tmp_path)
    path = write([(1, "image1")], _rows(1))
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS face_id"
    for statement, message in (
        ("DELETE FROM FeatureCoordTypes WHERE feature_id = 2", "absent: LeftBrowCenter"),
        ("ALTER TABLE FaceRect RENAME COLUMN w TO wide", "'FaceRect' has no column w"),
        ("DROP TABLE Faces", "no table 'Faces'"),
        (f"CREATE VIEW Faces AS {endless}, x AS file_id FROM n", "no table 'Faces'"),
    ):
        with sqlite3.connect(path) as database:
            database.execute(statement)
        if statement.startswith("ALTER"):
            database.close()
            with pytest.raises(InputError, match=message):
                faces(path, tmp_path)
            with sqlite3.connect(path) as database:
                database.execute("ALTER TABLE FaceRect RENAME COLUMN wide TO w")
        else:
            with pytest.raises(InputError, match=message):
                faces(path, tmp_path)
        database.close()


def test_the_sample_as_from_the_file_of_mmpose(prepare, shared, tmp_path):
    folder = shared / "data" / "samples" / "aflw"
    content = json.loads((folder / "test_aflw.json").read_text())
    images = [(i["id"], i["file_name"], i["width"], i["height"]) for i in content["images"]]
    points, boxes = [], []
    for entry in content["annotations"]:
        points += _rows(entry["id"], np.reshape(entry["keypoints"], (19, 3))[:, :2])
        center, half = np.array(entry["center"]), 100 * entry["scale"]
        boxes.append((entry["id"], *(center - half).tolist(), 2 * half, 2 * half))
    faces = [(entry["id"], entry["image_id"]) for entry in content["annotations"]]
    path = tmp_path / "aflw.sqlite"
    path.write_bytes(aflw_file(faces, images, points, boxes))
    common = ("--images", folder, "--canvas", "64x64", "--processes", 1)
    places = []
    for arguments in (
        ("aflw", "--annotations", path, "--out", tmp_path / "own"),
        (
            *("coco", "--dataset", "aflw", "--annotations", folder / "test_aflw.json"),
            *("--out", tmp_path / "coco"),
        ),
    ):
        result = prepare(*arguments, *common)
        assert result.exit_code == 0, result.stderr
        batch = RecordSource(arguments[arguments.index("--out") + 1], "train").samples(np.arange(2))
        linear, shift = batch["photo_from_canvas"][..., :2], batch["photo_from_canvas"][..., 2]
        found = np.einsum("nij,nkj->nki", linear, batch["keypoints"]) + shift[:, None]
        places.append(found[np.argsort(batch["annotation_id"])])
    np.testing.assert_allclose(*places, atol=1e-3)
