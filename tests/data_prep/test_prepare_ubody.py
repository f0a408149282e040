"""UBody's own files: scenes, names that begin with a slash, the list of test videos.

Layout: MMPose's description of the dataset (https://mmpose.readthedocs.io, UBody).
"""

import json

import numpy as np
import pytest

from jaxpose.data.coco_json import OUTSIDE
from jaxpose.data.records import RecordSource
from jaxpose.errors import InputError

PARTS = {
    "keypoints": 17,
    "foot_kpts": 6,
    "face_kpts": 68,
    "lefthand_kpts": 21,
    "righthand_kpts": 21,
}


def _write(folder, scene, names):
    images = [
        {"id": n, "file_name": name, "height": 60, "width": 50} for n, name in enumerate(names)
    ]
    people = []
    for number in range(len(names)):
        person = {"id": number + 5, "image_id": number, "category_id": 1, "bbox": [5, 6, 30, 40]}
        person |= {"iscrowd": 0, "area": 700}
        for part, count in PARTS.items():
            person[part] = np.tile([7.0 + number, 9, 2], count).tolist()
        people.append(person)
    path = folder / "annotations" / scene / "keypoint_annotation.json"
    path.parent.mkdir(parents=True)
    categories = [{"id": 1, "name": "person"}]
    path.write_text(json.dumps({"images": images, "annotations": people, "categories": categories}))
    (folder / "images" / scene).mkdir(parents=True)
    return path


@pytest.fixture
def ubody(tmp_path):
    _write(tmp_path, "Movie", ["/a_Trim1/000001.png", "/b/000002.png"])
    _write(tmp_path, "Singing", ["c_Trim22/000003.png", "../d/000001.png"])
    np.save(tmp_path / "test.npy", np.array(["b", "c"]))
    return tmp_path


def test_scenes_are_joined_and_parts_selected(script, ubody):
    module = script("ubody")
    videos = module.test_videos(ubody / "test.npy")
    folders = ubody / "annotations", ubody / "images"
    found, skips, _ = module.people(*folders, videos, test=True)
    assert [(image.name, image.path) for image in found] == [
        ("Movie/b/000002.png", ubody / "images/Movie/b/000002.png"),
        ("Singing/c_Trim22/000003.png", ubody / "images/Singing/c_Trim22/000003.png"),
    ]
    assert [image.first_key for image in found] == [0, 1]
    assert [(image.image_id, image.people[0].annotation_id) for image in found] == [
        (2, 12),
        (1, 11),
    ]
    assert found[0].people[0].keypoints.shape == (133, 2)
    assert [(skip.reason, skip.who, skip.fault) for skip in skips] == [
        (module.OTHER_PART, "annotation 5 in Movie/a_Trim1/000001.png", False),
        (OUTSIDE, "Singing: annotation 6 in ../d/000001.png", True),
    ]
    others, _, _ = module.people(*folders, videos)
    assert [image.name for image in others] == ["Movie/a_Trim1/000001.png"]
    everything, _, _ = module.people(*folders)
    assert len(everything) == 3


def test_one_scene_becomes_records(prepare, ubody, write_photo):
    for name in ("a_Trim1/000001.png", "b/000002.png"):
        write_photo(ubody / "images" / "Movie" / name)
    result = prepare(
        "ubody", "--annotations", ubody / "annotations" / "Movie" / "keypoint_annotation.json",
        "--images", ubody / "images" / "Movie", "--out", ubody / "out", "--canvas", "64x48",
        "--processes", 1,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    source = RecordSource(ubody / "out", "train")
    assert len(source) == 2 and source.skeleton.name == "coco_wholebody133"


def test_other_files_are_refused(script, prepare, ubody):
    module = script("ubody")
    with pytest.raises(InputError, match=r"no file SCENE/keypoint_annotation\.json"):
        module.people(ubody / "images", ubody / "images")
    np.save(ubody / "numbers.npy", np.arange(3))
    np.save(ubody / "objects.npy", np.array(["a", None]))
    (ubody / "text.npy").write_text("b")
    huge = (ubody / "test.npy").read_bytes().replace(b"(2,)", b"(9999999999,)")
    (ubody / "huge.npy").write_bytes(huge)
    for name in ("numbers", "objects", "text", "huge", "none"):
        with pytest.raises(InputError, match=rf"{name}\.npy"):
            module.test_videos(ubody / f"{name}.npy")
    result = prepare(
        "ubody", "--annotations", ubody / "annotations", "--images", ubody / "images",
        "--out", ubody / "out", "--part", "test",
    )  # fmt: skip
    assert result.exit_code == 2 and "--part test needs --test-list" in result.stderr
