"""COFW's own MATLAB 7.3 files: landmarks from pixel 1, images inside the file, bad files.

Layout: the variables' names and shapes are those of the published files, as documented by MMPose
(https://mmpose.readthedocs.io, "Prepare Datasets", COFW).
"""

import json

import cv2
import numpy as np
import pytest

from jaxpose.data.records import RecordSource
from jaxpose.errors import InputError
from jaxpose.media.image import read_image
from tests.dataset_files import cofw_file

DRAW = np.random.default_rng(0)
IMAGES = [DRAW.integers(0, 255, (20, 30, 3), np.uint8), DRAW.integers(0, 255, (24, 22), np.uint8)]
LANDMARKS = np.concatenate([DRAW.uniform(2, 18, (2, 58)), np.arange(58).reshape(2, 29) % 3 == 0], 1)
BOXES = np.array([[3.0, 4, 15, 16], [2, 2, 18, 19]])


@pytest.fixture
def write(tmp_path):
    def write(*content, **options):
        (tmp_path / "cofw.mat").write_bytes(cofw_file(*content, **options))
        return tmp_path / "cofw.mat"

    return write


def test_landmarks_boxes_and_images_are_read(script, write, tmp_path):
    path = write(IMAGES, LANDMARKS, BOXES)
    found, skips = script("cofw").faces(path, tmp_path / "images")
    assert skips == []
    assert [(face.name, face.image_id, face.image_hw) for face in found] == [
        ("000001.png", 1, (20, 30)),
        ("000002.png", 2, (24, 22)),
    ]
    for face, numbers, box, image in zip(found, LANDMARKS, BOXES, IMAGES, strict=True):
        (person,) = face.people
        np.testing.assert_array_equal(person.keypoints[:, 0], numbers[:29] - 1)
        np.testing.assert_array_equal(person.keypoints[:, 1], numbers[29:58] - 1)
        np.testing.assert_array_equal(person.visible, 2 - numbers[58:])
        np.testing.assert_array_equal(person.box_xywh, [box[0] - 1, box[1] - 1, box[2], box[3]])
        stored = read_image(face.path)
        np.testing.assert_array_equal(
            stored, image if image.ndim == 3 else image[..., None] + 0 * stored
        )


def test_the_test_file_is_numbered_after_the_training_faces(script, write, tmp_path):
    path = write(IMAGES, LANDMARKS, BOXES, part="T")
    found, _ = script("cofw").faces(path, tmp_path)
    assert [face.image_id for face in found] == [1346, 1347]


def test_unusable_faces_are_counted(script, write, tmp_path):
    flags = LANDMARKS.copy()
    flags[1, 60] = 2
    module = script("cofw")
    found, skips = module.faces(write([IMAGES[0] / 255, IMAGES[1]], flags, BOXES), tmp_path)
    assert found == []
    assert [(skip.reason, skip.who) for skip in skips] == [
        (module.NO_IMAGE, "face 1 of cofw.mat"),
        (module.BAD_FLAG, "face 2 of cofw.mat"),
    ]


def test_another_file_is_refused(script, write, tmp_path):
    faces = script("cofw").faces
    with pytest.raises(InputError, match=r"none\.mat"):
        faces(tmp_path / "none.mat", tmp_path)
    (tmp_path / "text.mat").write_text("IsTr")
    with pytest.raises(InputError, match="not an HDF5 file"):
        faces(tmp_path / "text.mat", tmp_path)
    with pytest.raises(InputError, match="must have 87 numbers"):
        faces(write(IMAGES, LANDMARKS[:, :58], BOXES), tmp_path)
    with pytest.raises(InputError, match="landmarks of 2 faces, 2 boxes and 1 images"):
        faces(write(IMAGES[:1], LANDMARKS, BOXES), tmp_path)
    with pytest.raises(InputError, match=r"no file of COFW.*It has: #refs#, IsX"):
        faces(write(IMAGES, LANDMARKS, BOXES, part="X"), tmp_path)


def test_the_sample_as_from_the_file_of_mmpose(prepare, shared, write, tmp_path):
    folder = shared / "data" / "samples" / "cofw"
    content = json.loads((folder / "test_cofw.json").read_text())
    entries = content["annotations"]
    names = {image["id"]: image["file_name"] for image in content["images"]}
    table = np.array([np.reshape(entry["keypoints"], (29, 3)) for entry in entries])
    numbers = np.concatenate([table[..., 0] + 1, table[..., 1] + 1, 2 - table[..., 2]], axis=1)
    photos = [cv2.imread(str(folder / names[e["image_id"]]))[..., ::-1] for e in entries]
    # MMPose's list keeps the numbers of the boxes; written one larger, they are equal.
    boxes = np.array([entry["bbox"] for entry in entries]) + np.array([1, 1, 0, 0])
    path = write(photos, numbers, boxes)
    common = ("--canvas", "64x64", "--processes", 1)
    for arguments in (
        ("cofw", "--annotations", path, "--images", tmp_path / "png", "--out", tmp_path / "own"),
        (
            *("coco", "--dataset", "cofw", "--annotations", folder / "test_cofw.json"),
            *("--images", folder, "--out", tmp_path / "coco"),
        ),
    ):
        result = prepare(*arguments, *common)
        assert result.exit_code == 0, result.stderr
    ours, theirs = (
        RecordSource(tmp_path / name, "train").samples(np.arange(2)) for name in ("own", "coco")
    )
    rows = [int(np.argmin(abs(theirs["keypoints"] - row).sum((1, 2)))) for row in ours["keypoints"]]
    assert sorted(rows) == [0, 1]
    for key in ("image", "visible", "box_xywh", "photo_from_canvas"):
        np.testing.assert_array_equal(ours[key], theirs[key][rows])
    np.testing.assert_allclose(ours["keypoints"], theirs["keypoints"][rows], atol=1e-4)
