"""DensePose-COCO annotations: points in pixels of the image, masks, and files with faults."""

import json

import numpy as np
import pytest

from jaxpose.data.densepose import read_densepose
from jaxpose.errors import InputError


def runs(low, high):
    """Run lengths of columns low to high of a mask, as COCO counts them."""
    return {"size": [256, 256], "counts": [256 * low, 256 * (high - low), 256 * (256 - high)]}


def person(**changes):
    row = {
        "id": 5,
        "image_id": 9,
        "bbox": [10.0, 20.0, 51.0, 102.0],
        "dp_I": [2.0, 24.0],
        "dp_U": [0.25, 1.0],
        "dp_V": [0.5, 0.0],
        "dp_x": [0.0, 127.5],
        "dp_y": [255.0, 51.0],
        "dp_masks": [runs(0, 10), [], *[[]] * 11, runs(5, 20)],
    }
    return {key: value for key, value in {**row, **changes}.items() if value is not None}


def read(tmp_path, *rows):
    path = tmp_path / "densepose.json"
    path.write_text(json.dumps({"annotations": list(rows)}))
    return read_densepose(path)


def test_labels_are_in_pixels_of_the_image(tmp_path):
    file = read(tmp_path, person(), {"id": 6, "image_id": 9}, person(id=7, dp_masks=None))
    first, second = file.people
    assert (first.image_id, first.annotation_id, second.annotation_id) == (9, 5, 7)
    assert file.without == 1
    np.testing.assert_allclose(first.points, [[10, 122], [35.5, 40.4]])
    np.testing.assert_array_equal(first.part, [2, 24])
    np.testing.assert_allclose(first.uv, [[0.25, 0.5], [1, 0]])
    assert first.mask.shape == (256, 256)
    assert (first.mask[:, :5] == 1).all() and (first.mask[:, 5:20] == 14).all()
    assert not first.mask[:, 20:].any() and not second.mask.any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dp_V": None}, "annotation 5: has dp_I and no dp_V"),
        ({"dp_U": [0.5]}, "dp_I 2, dp_U 1, dp_V 2"),
        ({"dp_I": [2, 25]}, "dp_I of point 1 is 25, outside 1 to 24"),
        ({"dp_I": [2.5, 3]}, "not whole"),
        ({"dp_V": [0, -0.1]}, "dp_V of point 1 is -0.1"),
        ({"dp_x": [0, 300]}, "dp_x of point 1 is 300"),
        ({"dp_y": ["a", 1]}, "dp_y is no list of finite numbers"),
        ({"bbox": [1, 2, 0, 4]}, "bbox has to be"),
        ({"image_id": "x"}, "image_id is 'x'"),
        ({"dp_masks": [[]] * 15}, "at most 14 masks"),
        ({"dp_masks": [{"size": [2, 2], "counts": [4]}]}, "mask 1 of dp_masks"),
        ({"dp_masks": [[], {"size": [256, 256], "counts": [4]}]}, "mask 2 of dp_masks"),
    ],
)
def test_faults_are_named(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, person(**change))


def test_other_files_are_refused(tmp_path):
    for content in ("[]", '{"annotations": 3}', '{"annotations": [3]}'):
        path = tmp_path / "other.json"
        path.write_text(content)
        with pytest.raises(InputError, match=r"other\.json"):
            read_densepose(path)


def test_faults_are_left_out_and_listed_if_asked(tmp_path):
    path = tmp_path / "densepose.json"
    rows = [person(id=1, dp_I=[2, 25]), person(id=2), 7, person(id=3, bbox=[1, 2, 0, 4]), {"id": 4}]
    rows += [person(id=6, **{name: [] for name in ("dp_I", "dp_U", "dp_V", "dp_x", "dp_y")})]
    path.write_text(json.dumps({"annotations": rows, "images": [{"id": 9}]}))
    file = read_densepose(path, skip_faults=True)
    assert [one.annotation_id for one in file.people] == [2] and file.without == 2
    assert [text.split(", ", 1)[-1][:12] for text in file.faults[::2]] == [
        "annotation 1",
        "annotation 3",
    ]
    assert "annotation number 2 is no object" in file.faults[1]
    assert file.images == ({"id": 9},)
    assert file.people[0].area is None and file.people[0].has_mask


def test_two_annotations_of_one_id_are_a_fault(tmp_path):
    path = tmp_path / "densepose.json"
    path.write_text(json.dumps({"annotations": [person(id=2), person(id=2), person(id=3)]}))
    with pytest.raises(InputError, match="two annotations have the id 2"):
        read_densepose(path)
    file = read_densepose(path, skip_faults=True)
    assert [one.annotation_id for one in file.people] == [2, 3] and len(file.faults) == 1
    with pytest.raises(InputError, match="annotation 8: area is -3"):
        read(tmp_path, person(id=8, area=-3))
