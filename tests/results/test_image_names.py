"""Names and ids of the images of a command: unique, with their folders, and those of a file."""

import json
from pathlib import Path

import pytest

from jaxpose.errors import InputError
from jaxpose.results.box_files import read_boxes
from jaxpose.results.image_names import ImageNames, check_not_read


def table(*paths: str, ids=None) -> dict[str, tuple[str, str, int]]:
    names = ImageNames(map(Path, paths), ids)
    return {p: (names.file_name(p), names.stem(p), names.image_id(p)) for p in paths}


def test_numbers_in_names_are_ids_as_in_coco():
    found = table("val/000000000139.jpg", "val/000000000285.jpg")
    assert found["val/000000000139.jpg"] == ("000000000139.jpg", "000000000139", 139)
    assert found["val/000000000285.jpg"][2] == 285


def test_images_of_one_name_keep_their_folders_and_get_ids_of_their_own():
    found = table("d/cam1/0001.jpg", "d/cam2/0001.jpg", "d/cam2/0002.jpg")
    assert list(found.values()) == [
        ("cam1/0001.jpg", "cam1/0001", 1),
        ("cam2/0001.jpg", "cam2/0001", 2),
        ("cam2/0002.jpg", "cam2/0002", 3),
    ]


def test_names_that_differ_in_suffix_or_case_get_files_of_their_own():
    found = table("a.jpg", "a.png", "A.webp", "b.jpg")
    assert [stem for _, stem, _ in found.values()] == ["a", "a-2", "A-3", "b"]
    assert [number for *_, number in found.values()] == [1, 2, 3, 4]


def test_ids_of_an_annotation_file_are_used():
    ids = {"cam1/0001.jpg": 7, "cam2/0001.jpg": 3, "0005.jpg": 1}
    found = table("x/cam1/0001.jpg", "x/cam2/0001.jpg", "x/other.jpg", ids=ids)
    assert [number for *_, number in found.values()] == [7, 3, 2]  # 1, 3 and 7 are taken


def test_frames_streams_and_arrays(tmp_path):
    names = ImageNames([tmp_path / "a.mp4", tmp_path / "9.jpg"])
    video = str(tmp_path / "a.mp4")
    assert [names.image_id(video, frame) for frame in (0, 1, 0)] == [1, 2, 1]
    assert names.image_id(str(tmp_path / "9.jpg")) == 3
    assert names.stem("rtsp://host/live") == "rtsp---host-live"
    assert names.stem("webcam 0") == "webcam-0" and "webcam 0" not in names
    assert names.stem("array 3") == "array-3" and names.image_id("array 3") == 4


def test_paths_without_a_common_folder(tmp_path):
    names = ImageNames([Path("a.jpg"), tmp_path / "a.jpg"])
    assert names.stem("a.jpg") == "a" and names.stem(str(tmp_path / "a.jpg")) == "a-2"


def test_what_is_read_is_not_overwritten(tmp_path):
    check_not_read([tmp_path / "out" / "a.png"], [tmp_path / "a.png"])
    with pytest.raises(InputError, match="would overwrite an image"):
        check_not_read([tmp_path / "out" / ".." / "a.png"], [tmp_path / "a.png"])


def test_a_box_file_has_the_ids_of_its_images(shared):
    boxes = read_boxes(shared / "cases" / "ids" / "ann.json")
    document = json.loads((shared / "cases" / "ids" / "ann.json").read_text())
    assert boxes.image_ids == {i["file_name"]: i["id"] for i in document["images"]}


def test_boxes_of_another_category_are_named(tmp_path):
    box = {"image_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps([{**box, "category_id": 0}, {**box, "category_id": 0}]))
    with pytest.raises(InputError, match=r"people have category_id 1.* its boxes have 0 \(2\)"):
        read_boxes(path)
    path.write_text(json.dumps([{**box, "category_id": 0}, {**box, "category_id": 1}]))
    assert len(read_boxes(path).by_id[1]) == 1
