"""The COCO script on real annotations: places in the photo, people counted, skeletons."""

import json

import numpy as np
import pytest

from jaxpose import geometry
from jaxpose.data.records import RecordSource
from jaxpose.media.image import read_image


@pytest.fixture(scope="module")
def real(shared, tmp_path_factory):
    """The 28 real training photos, prepared; the source and the JSON."""
    from jaxpose.config.scripts import find_script, load_script

    coco = shared / "data" / "coco"
    annotations = coco / "annotations" / "person_keypoints_train2017.json"
    out = tmp_path_factory.mktemp("coco") / "out"
    script = load_script(find_script("coco", "data_prep"))
    summary = script.prepare(annotations, coco / "train2017", out, processes=1)
    return RecordSource(out, "train"), json.loads(annotations.read_text()), summary


def test_every_labelled_person_is_written_once(real):
    source, content, summary = real
    batch = source.samples(np.arange(len(source)))
    labelled = {
        entry["id"]
        for entry in content["annotations"]
        if not entry["iscrowd"] and entry["num_keypoints"]
    }
    assert len(source) == 86 == summary.splits["train"].written
    assert set(batch["annotation_id"]) == labelled
    skipped = sum(summary.splits["train"].skipped.values())
    assert len(source) + skipped == len(content["annotations"])


def test_places_and_areas_lead_back_to_the_annotation(real):
    source, content, _ = real
    by_id = {entry["id"]: entry for entry in content["annotations"]}
    sizes = {entry["id"]: (entry["height"], entry["width"]) for entry in content["images"]}
    batch = source.samples(np.arange(len(source)))
    image = geometry.apply_affine(batch["photo_from_canvas"], batch["keypoints"])
    for row, number in enumerate(batch["annotation_id"]):
        entry = by_id[number]
        truth = np.array(entry["keypoints"]).reshape(17, 3)
        labelled = truth[:, 2] > 0
        np.testing.assert_array_equal(batch["visible"][row], truth[:, 2])
        np.testing.assert_allclose(image[row][labelled], truth[labelled, :2], atol=0.01)
        assert batch["image_id"][row] == entry["image_id"]
        np.testing.assert_allclose(batch["area"][row], entry["area"], rtol=1e-6)
        box = batch["box_xywh"][row]
        corners = np.stack([box[:2], box[:2] + box[2:]])
        low, high = geometry.apply_affine(batch["photo_from_canvas"][row], corners)
        height, width = sizes[entry["image_id"]]
        x, y, w, h = entry["bbox"]
        np.testing.assert_allclose(low, [max(x, 0), max(y, 0)], atol=0.02)
        expected = [min(x + w, width - 1), min(y + h, height - 1)]
        np.testing.assert_allclose(high, expected, atol=0.02)


def test_canvases_show_the_photo(real, shared):
    source, _, _ = real
    batch = source.samples([0, 40])
    for row, name in enumerate(source.image_names([0, 40])):
        image = read_image(shared / "data" / "coco" / "train2017" / name)
        matrix = geometry.invert_affine(batch["photo_from_canvas"][row].astype(np.float64))
        again = geometry.crop_image(image, matrix, source.canvas_hw).astype(int)
        # JPEG at quality 95 with half-resolution chroma changes little.
        assert np.abs(again - batch["image"][row]).mean() < 3


def test_a_skeleton_of_ones_own(prepare, tmp_path, write_photo):
    skeleton = tmp_path / "dots.toml"
    skeleton.write_text(
        'name = "dots"\nkeypoints = ["left_dot", "right_dot"]\n'
        'pairs = [["left_dot", "right_dot"]]\nlimbs = [["left_dot", "right_dot"]]\n'
    )
    write_photo(tmp_path / "photos" / "a.jpg")
    people = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 3,
                "bbox": [5, 5, 30, 40],
                "keypoints": [10, 10, 2, 30, 40, 1],
            }
        ],
        "categories": [{"id": 3, "name": "dot", "keypoints": ["left_dot", "right_dot"]}],
    }
    file = tmp_path / "people.json"
    file.write_text(json.dumps(people))
    result = prepare(
        "coco", "--annotations", file, "--images", tmp_path / "photos", "--out", tmp_path / "out",
        "--split", "mine", "--skeleton", skeleton, "--canvas", "64x64", "--processes", 1,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert "fingerprint" in result.stdout
    source = RecordSource(tmp_path / "out", "mine")
    assert source.skeleton.keypoints == ("left_dot", "right_dot")
    assert source.skeleton.sigmas is None
    np.testing.assert_allclose(source.samples([0])["area"], 0.53 * 30 * 40, rtol=1e-6)
