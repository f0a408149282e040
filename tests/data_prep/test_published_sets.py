"""Public datasets of `jaxpose prepare coco --dataset`: each read as laid out, and from its sample.

Samples are those of MMPose's tests. Those that are not among the shared ones are read from a folder
`tests/data` of its repository, which the variable JAXPOSE_SAMPLES gives.
"""

import json
import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from jaxpose import geometry
from jaxpose.data import coco_json
from jaxpose.data.canvas import NO_KEYPOINTS
from jaxpose.data.published_sets import PUBLISHED, SQUARE, published_key
from jaxpose.data.records import RecordSource
from jaxpose.errors import InputError


class Sample(NamedTuple):
    """Sample of a dataset, and what it contains.

    Attributes:
      folder: folder of the images.
      file: annotations, relative to that folder.
      written, skipped: numbers of records, and of people left out by reason.
      annotation: id of a record.
      keypoint, xy: name and place in pixels of one of its keypoints, looked up in the file and seen
        in the image.
    """

    folder: str
    file: str
    written: int
    annotation: int
    keypoint: str
    xy: tuple[float, float]
    skipped: dict[str, int] = {}


EMPTY_2 = {NO_KEYPOINTS: 2}
SAMPLES = {
    "coco_wholebody": Sample(
        *("coco", "test_coco_wholebody.json", 12, 442619),
        *("right_pinky_finger4", (288.4, 194.5), EMPTY_2),
    ),
    "halpe": Sample(
        "coco", "../halpe/test_halpe.json", 12, 442619, "left_wrist", (449, 165), EMPTY_2
    ),
    "halpe26": Sample(
        "coco", "../halpe/test_halpe.json", 12, 442619, "left_wrist", (449, 165), EMPTY_2
    ),
    "crowdpose": Sample(
        *("crowdpose", "test_crowdpose.json", 4, 123803, "head_top", (256, 27), {NO_KEYPOINTS: 1})
    ),
    "aic": Sample("aic", "test_aic.json", 9, 4, "head_top", (395, 74)),
    "jhmdb": Sample(
        "jhmdb", "test_jhmdb_sub1.json", 3, 1000002280001, "head", (99.914365, 78.770933)
    ),
    "posetrack18": Sample("posetrack18", "annotations/val", 14, 1003418000000, "nose", (621, 471)),
    "humanart": Sample(
        "humanart", "test_humanart.json", 4, 2000000006746, "nose", (715.4305, 970.0197)
    ),
    "humanart21": Sample(
        *("humanart", "test_humanart.json", 4, 2000000006746),
        *("left_finger", (711.6695, 1391.3213)),
    ),
    "ochuman": Sample("ochuman", "test_ochuman.json", 5, 1, "nose", (371.570127, 188.867694)),
    "coco_wholebody_face": Sample(
        *("coco", "test_coco_wholebody.json", 4, 442619, "nose_tip", (366.99, 80.4957)),
        {coco_json.NOT_ANNOTATED: 10},
    ),
    "300w": Sample("300w", "test_300w.json", 2, 197, "nose_tip", (570.283, 465.089)),
    "wflw": Sample("wflw", "test_wflw.json", 4, 2, "nose_tip", (479.648263, 158.477047)),
    "aflw": Sample("aflw", "test_aflw.json", 2, 3, "nose_tip", (443.325282, 338.504026)),
    "cofw": Sample("cofw", "test_cofw.json", 2, 1766, "nose_tip", (78.57746, 180.001129)),
    "lapa": Sample("lapa", "test_lapa.json", 2, 40, "right_pupil", (501, 666)),
    "coco_wholebody_hand": Sample(
        *("coco", "test_coco_wholebody.json", 10, 442619 * 2 + 1),
        *("pinky_finger4", (288.4, 194.5), {coco_json.NOT_ANNOTATED: 18}),
    ),
    "onehand10k": Sample("onehand10k", "test_onehand10k.json", 4, 9, "forefinger4", (91, 98)),
    "freihand": Sample("freihand", "test_freihand.json", 8, 17620, "wrist", (75.09007, 114.79035)),
    "panoptic_hand": Sample("panoptic", "test_panoptic.json", 4, 100586, "wrist", (721, 224)),
    "rhd": Sample("rhd", "test_rhd.json", 3, 111, "thumb4", (170.4, 115)),
    "ap10k": Sample("ap10k", "test_ap10k.json", 2, 9284, "nose", (94, 475)),
    "animalpose": Sample("animalpose", "test_animalpose.json", 2, 129, "nose", (102, 109)),
    "animal_kingdom": Sample(
        "ak", "test_animalkingdom.json", 2, 1, "head_mid_top", (220.991453, 135.683891)
    ),
    "macaque": Sample("macaque", "test_macaque.json", 2, 16169, "nose", (641.06, 308.89)),
    "atrw": Sample("atrw", "test_atrw.json", 2, 3464, "nose", (191, 368)),
    "horse10": Sample("horse10", "test_horse10.json", 3, 100, "eye", (117.3, 56.4)),
    "fly": Sample("fly", "test_fly.json", 2, 1400, "head", (146, 95)),
    "locust": Sample("locust", "test_locust.json", 2, 630, "head", (96.501678, 79.083063)),
    "zebra": Sample("zebra", "test_zebra.json", 2, 810, "snout", (121.138234, 64.428279)),
    "deepfashion_full": Sample("fld", "test_fld.json", 2, 128, "left_collar", (108, 33)),
    "deepfashion2": Sample(
        "deepfasion2", "deepfasion2.json", 2, 429, "long_sleeve_dress_1", (417, 107)
    ),
}


@pytest.fixture
def sample_folder(shared):
    """Folder of a sample; skips where there is none."""

    def find(name: str) -> Path:
        folders = [shared / "data" / "samples"]
        if more := os.environ.get("JAXPOSE_SAMPLES"):
            folders.append(Path(more))
        for folder in folders:
            if (folder / name).is_dir():
                return folder / name
        pytest.skip(f"no sample {name} beside this checkout, nor in JAXPOSE_SAMPLES")

    return find


@pytest.mark.parametrize("name", SAMPLES)
def test_the_sample_becomes_records(prepare, sample_folder, tmp_path, name):
    sample = SAMPLES[name]
    folder = images = sample_folder(sample.folder)
    if sample.folder == "humanart":  # its file names begin so, unlike the sample's folders
        images = tmp_path
        (tmp_path / "HumanArt").mkdir()
        (tmp_path / "HumanArt" / "images").symlink_to(folder)
    result = prepare(
        "coco", "--dataset", name, "--annotations", folder / sample.file, "--images", images,
        "--out", tmp_path / "out", "--canvas", "64x48", "--processes", 1, "--outside",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    source = RecordSource(tmp_path / "out", "train")
    assert source.skeleton == PUBLISHED[name].skeleton
    assert len(source) == sample.written
    assert source.summary["splits"]["train"]["skipped"] == sample.skipped
    batch = source.samples(np.arange(len(source)))
    row = batch["annotation_id"].tolist().index(sample.annotation)
    column = source.skeleton.index(sample.keypoint)
    image = geometry.apply_affine(batch["photo_from_canvas"], batch["keypoints"])
    # Canvases store float32: 1e-3 px in images of a thousand pixels.
    np.testing.assert_allclose(image[row, column], sample.xy, atol=1e-3)


def _content(name: str, points: np.ndarray) -> dict:
    """Annotation file of a dataset with one annotation, whose instances have the points [K, 3]."""
    layout = PUBLISHED[name]
    entry = {"id": 7, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 900.0}
    for number, entries in enumerate(layout.entries):
        # COCO-WholeBody's parts have 17, 6, 68, 21 and 21 points, other datasets one list.
        ends = np.cumsum([17, 6, 68, 21, 21]) if len(entries.keypoints) > 1 else [len(points)]
        parts = np.split(points + np.array([100 * number, 0, 0]), ends[:-1])
        for key, part in zip(entries.keypoints, parts, strict=True):
            entry[key] = part.ravel().tolist()
        if entries.box == SQUARE:
            entry |= {"center": [30.0, 40.0], "scale": 0.25}
        else:
            entry[entries.box] = [5 + 100 * number, 15, 50, 50]
        if entries.valid:
            entry[entries.valid] = True
    return {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [entry],
        "categories": [{"id": 1, "name": "thing", "keypoints": []}],
    }


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_file_is_read_as_its_dataset_is_laid_out(tmp_path, name):
    layout = PUBLISHED[name]
    count = layout.skeleton.num_keypoints
    points = np.stack([10 + np.arange(count), 20 + np.arange(count) % 7, np.ones(count)], axis=-1)
    points[0, 2] = 0
    file = tmp_path / "people.json"
    file.write_text(json.dumps(_content(name, points)))
    (image,), skips, notes = coco_json.read_people(
        file, tmp_path, layout.skeleton, published=layout
    )
    assert skips == [] and notes == []
    assert len(image.people) == len(layout.entries)
    for number, person in enumerate(image.people):
        entries = layout.entries[number]
        flag = 2 if entries.keypoints[-1] in entries.labelled else 1
        places = points[:, :2] + np.array([100 * number, 0]) - layout.first_pixel
        np.testing.assert_array_equal(person.keypoints, places)
        assert person.visible[0] == 0 and person.visible[-1] == flag
        assert person.annotation_id == 7 * len(layout.entries) + number
        low = np.array([5 + 100 * number, 15]) - layout.first_pixel
        np.testing.assert_array_equal(person.box_xywh, [*low, 50, 50])
        assert person.clip == (entries.box != SQUARE)
        assert person.area == (900.0 if layout.whole else None)


def test_halpe_is_read_with_or_without_face_and_hands(tmp_path):
    points = np.stack([np.arange(136), np.arange(136), np.full(136, 2)], axis=-1)
    file = tmp_path / "people.json"
    file.write_text(json.dumps(_content("halpe", points)))
    layout = PUBLISHED["halpe26"]
    (image,), _, _ = coco_json.read_people(file, tmp_path, layout.skeleton, published=layout)
    np.testing.assert_array_equal(image.people[0].keypoints, points[:26, :2])


def test_flags_that_are_scores_mean_labelled(tmp_path):
    """As of the hands in COCO-WholeBody."""
    points = np.stack([np.arange(21), np.arange(21), np.linspace(0, 0.9, 21)], axis=-1)
    file = tmp_path / "people.json"
    file.write_text(json.dumps(_content("coco_wholebody_hand", points)))
    layout = PUBLISHED["coco_wholebody_hand"]
    (image,), _, _ = coco_json.read_people(file, tmp_path, layout.skeleton, published=layout)
    assert image.people[0].visible.tolist() == [0] + [2] * 20


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("wflw", {"center": None}, coco_json.NO_SQUARE),
        ("wflw", {"center": [1.0]}, coco_json.NOT_NUMBERS),
        ("wflw", {"scale": "large"}, coco_json.NOT_NUMBERS),
        ("coco_wholebody_face", {"face_valid": False}, coco_json.NOT_ANNOTATED),
        ("coco_wholebody_face", {"face_box": [1, 2, 3]}, coco_json.BAD_BOX_LENGTH),
        ("coco_wholebody_face", {"face_kpts": [1, 2]}, coco_json.WRONG_LENGTH),
    ],
)
def test_an_unusable_instance_is_counted(tmp_path, name, change, reason):
    layout = PUBLISHED[name]
    count = layout.skeleton.num_keypoints
    content = _content(name, np.full((count, 3), 2.0))
    content["annotations"].append(content["annotations"][0] | {"id": 8} | change)
    file = tmp_path / "people.json"
    file.write_text(json.dumps(content))
    _, (skip,), _ = coco_json.read_people(file, tmp_path, layout.skeleton, published=layout)
    assert skip.reason == reason and "annotation 8 in a.jpg" in skip.who
    assert skip.fault == (reason != coco_json.NOT_ANNOTATED)


def test_names_at_other_places_are_refused(tmp_path):
    layout = PUBLISHED["ap10k"]
    content = _content("ap10k", np.full((17, 3), 2.0))
    names = list(layout.skeleton.keypoints)
    content["categories"][0]["keypoints"] = [names[1], names[0], *names[2:]]
    file = tmp_path / "people.json"
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match="keypoint 0 is 'right_eye'"):
        coco_json.read_people(file, tmp_path, layout.skeleton, published=layout)


@pytest.mark.parametrize("name", ["AP-10K", "ap10k", "Ap 10K"])
def test_names_of_datasets_are_written_as_one_likes(name):
    assert published_key(name) == "ap10k"


def test_an_unknown_dataset_gets_the_nearest_name(prepare, tmp_path):
    result = prepare(
        "coco", "--dataset", "ap1k", "--annotations", tmp_path / "a.json", "--images", tmp_path,
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert result.exit_code == 2
    assert "Did you mean 'ap10k'" in " ".join(result.stderr.split())


def test_a_dataset_has_its_own_skeleton(prepare, tmp_path):
    result = prepare(
        "coco", "--dataset", "ap10k", "--skeleton", "coco17", "--annotations", tmp_path / "a.json",
        "--images", tmp_path, "--out", tmp_path / "out",
    )  # fmt: skip
    assert result.exit_code == 2
    assert "leave out --skeleton" in result.stderr


def test_a_folder_of_files_is_one_dataset(tmp_path):
    """As PoseTrack18 is published, with one file for each video."""
    layout = PUBLISHED["posetrack18"]
    content = _content("posetrack18", np.full((17, 3), 1.0))
    for number in (1, 2):
        content["images"] = [{"id": number, "file_name": f"{number}.jpg"}]
        content["annotations"][0] |= {"id": number, "image_id": number}
        (tmp_path / f"video{number}.json").write_text(json.dumps(content))
    images, skips, _ = coco_json.read_people(tmp_path, tmp_path, layout.skeleton, published=layout)
    assert [image.name for image in images] == ["1.jpg", "2.jpg"] and not skips
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"contains no \.json file"):
        coco_json.read_people(tmp_path / "none", tmp_path, layout.skeleton, published=layout)


def test_the_page_lists_every_dataset_with_the_records_of_its_sample():
    page = Path(__file__).resolve().parents[2] / ".github" / "docs" / "train.md"
    section = page.read_text().partition("## Public datasets")[2].partition("\n## ")[0]
    rows = [line.split("|")[2:5] for line in section.splitlines() if line.count("|") == 6]
    listed = {
        name if not name.startswith("_") else f"deepfashion{name}": cells
        for cells in rows[2:]
        for name in re.findall(r"`(\w+)`", cells[0])
    }
    assert set(listed) == set(PUBLISHED)
    for name, (_, keypoints, records) in listed.items():
        assert str(PUBLISHED[name].skeleton.num_keypoints) in re.findall(r"\d+", keypoints), name
        if name in SAMPLES:
            counts = [SAMPLES[name].written, *SAMPLES[name].skipped.values()]
            assert list(map(int, re.findall(r"\d+", records))) == counts, name
