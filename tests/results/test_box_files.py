"""Box files of every form, and what is said about the broken ones."""

import json

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.results.box_files import read_boxes, whole_image


def written(tmp_path, content, name="boxes.json"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_coco_results_by_name_and_by_id(tmp_path):
    file = read_boxes(
        written(
            tmp_path,
            [
                {"file_name": "a.jpg", "bbox": [1, 2, 3, 4], "score": 0.9},
                {"file_name": "a.jpg", "bbox": [5, 6, 7, 8], "score": 0.1},
                {"image_id": 139, "category_id": 1, "bbox": [9, 9, 9, 9]},
                {"image_id": 139, "category_id": 18, "bbox": [8, 8, 8, 8]},
            ],
        ),
        min_score=0.3,
    )
    np.testing.assert_array_equal(file.of("some/where/a.jpg"), [[1, 2, 3, 4]])
    np.testing.assert_array_equal(file.of("val2017/000000000139.jpg"), [[9, 9, 9, 9]])
    assert file.of("b.jpg").shape == (0, 4)
    assert "b.jpg" not in file


def test_coco_annotations_of_the_real_photos(shared):
    path = shared / "data" / "coco" / "annotations" / "person_keypoints_val2017.json"
    annotations = json.loads(path.read_text())
    file = read_boxes(path)
    for image in annotations["images"]:
        expected = [
            a["bbox"]
            for a in annotations["annotations"]
            if a["image_id"] == image["id"] and not a["iscrowd"]
        ]
        assert image["file_name"] in file
        np.testing.assert_allclose(
            file.of(image["file_name"]), np.array(expected, np.float32).reshape(-1, 4)
        )


def test_annotations_of_many_categories_keep_the_people(tmp_path):
    file = read_boxes(
        written(
            tmp_path,
            {
                "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
                "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}],
                "annotations": [
                    {"id": 7, "image_id": 1, "category_id": 3, "bbox": [0, 0, 9, 9]},
                    {"id": 8, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]},
                    {"id": 9, "image_id": 1, "category_id": 1, "bbox": [2] * 4, "iscrowd": 1},
                ],
            },
        )
    )
    np.testing.assert_array_equal(file.of("a.jpg"), [[1, 1, 5, 5]])
    assert "b.jpg" in file
    assert file.of("b.jpg").shape == (0, 4)


def test_plain_map_and_table(tmp_path):
    plain = read_boxes(
        written(tmp_path, {"x/1.jpg": [[1, 2, 3, 4]], "y/1.jpg": [5, 6, 7, 8], "none.jpg": []})
    )
    np.testing.assert_array_equal(plain.of("/photos/x/1.jpg"), [[1, 2, 3, 4]])
    np.testing.assert_array_equal(plain.of("y/1.jpg"), [[5, 6, 7, 8]])
    assert plain.of("1.jpg").shape == (0, 4)
    assert "none.jpg" in plain
    table = read_boxes(
        written(
            tmp_path,
            "\ufefffile, x, y, w, h, score\na.jpg, 1, 2, 3, 4.5, 0.9\na.jpg,1,1,1,1,0.2\n",
            "b.csv",
        ),
        min_score=0.3,
    )
    np.testing.assert_array_equal(table.of("a.jpg"), [[1, 2, 3, 4.5]])


@pytest.mark.parametrize(
    "content",
    [
        "file,frame,x,y,w,h\na.mp4,0,1,2,3,4\na.mp4,7,5,6,7,8\na.mp4,7,0,0,2,2\nb.jpg,,9,9,9,9\n",
        {"a.mp4": {"0": [1, 2, 3, 4], "7": [[5, 6, 7, 8], [0, 0, 2, 2]]}, "b.jpg": [9, 9, 9, 9]},
        [
            {"file_name": "a.mp4", "frame": 0, "bbox": [1, 2, 3, 4]},
            {"file_name": "a.mp4", "frame": 7, "bbox": [5, 6, 7, 8]},
            {"file_name": "a.mp4", "frame": 7, "bbox": [0, 0, 2, 2]},
            {"file_name": "b.jpg", "bbox": [9, 9, 9, 9]},
        ],
    ],
)
def test_the_frames_of_films_have_boxes_of_their_own(tmp_path, content):
    file = read_boxes(written(tmp_path, content))
    assert [len(file.of("x/a.mp4", frame)) for frame in (0, 1, 7)] == [1, 0, 2]
    np.testing.assert_array_equal(file.of("a.mp4", 7)[0], [5, 6, 7, 8])
    # Boxes of a whole film hold in every frame.
    np.testing.assert_array_equal(file.of("b.jpg", 3), [[9, 9, 9, 9]])
    assert "a.mp4" in file and len(file.of("a.mp4")) == 0
    file.check_mentions(["x/a.mp4"])


def test_senseless_numbers_are_left_to_prediction(tmp_path):
    file = read_boxes(written(tmp_path, '{"a.jpg": [[NaN, 0, 5, 5], [0, 0, -3, 5]]}'))
    assert np.isnan(file.of("a.jpg")[0, 0])
    assert file.of("a.jpg")[1, 2] == -3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"bbox": [1, 2, 3', "not JSON: .* line 1, column"),
        ([{"file_name": "a.jpg"}], "record 0: no `bbox`"),
        (
            '{"a.jpg": [[1, 2, 3, 4]],\n "a.jpg": [[5, 6, 7, 8]]}',
            "the key 'a.jpg' occurs twice in line 2, column 2",
        ),
        ({"a.jpg": [[1, 2, 3, 4]] * 10_001}, "10,001 people in one image, and the limit is 10,000"),
        ([{"bbox": [1, 2, 3, 4]}], "record 0: neither `file_name` nor `image_id`"),
        (
            [{"file_name": "a", "bbox": [1, 2, 3]}],
            r"record 0: the box \[1, 2, 3\] is not four numbers",
        ),
        ([{"file_name": "a", "bbox": "1234"}], "is not four numbers"),
        ([{"file_name": "a", "bbox": [1, 2, 3, "w"]}], "is not four numbers"),
        (
            [{"file_name": "a", "bbox": [1, 2, 3, 4], "score": "high"}],
            "score 'high' is not a number",
        ),
        ([5], "record 0"),
        ({"a.jpg": 5}, "'a.jpg': not a list of boxes"),
        ({"a.jpg": [[1, 2, 3, 4], [1]]}, "'a.jpg', box 1"),
        ({"annotations": [], "categories": []}, "`images` or `categories` is missing"),
        ({"annotations": [{"image_id": 5}], "images": []}, "annotation 0: there is no image 5"),
        ("name,x,y\na.jpg,1,2\n", "does not name the column 'file'"),
        ("file,x,y,w,h\na.jpg,1,2,3\n", r"line 2: .* is not four numbers"),
        ("", "does not name the column"),
        ("file,frame,x,y,w,h\na.mp4,-1,1,2,3,4\n", "line 2: the frame '-1' is not 0, 1, 2"),
        ({"a.mp4": {"0": 5}}, "'a.mp4', frame 0: not a list of boxes"),
    ],
)
def test_broken_files_name_the_record(tmp_path, content, message):
    path = written(tmp_path, content)
    with pytest.raises(InputError, match=f"boxes.json.*{message}"):
        read_boxes(path)


def test_a_photo_as_a_box_file_and_a_missing_one(tmp_path):
    (tmp_path / "a.jpg").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="not a readable text file"):
        read_boxes(tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"did you mean 'a\.jpg'"):
        read_boxes(tmp_path / "b.jpg")
    with pytest.raises(InputError, match="is a folder"):
        read_boxes(tmp_path)


def test_a_file_for_other_photos_is_noticed(tmp_path):
    file = read_boxes(written(tmp_path, {"1.jpg": [[1, 2, 3, 4]]}))
    file.check_mentions(["a/1.jpg", "a/2.jpg"])
    with pytest.raises(InputError, match=r"boxes for '1\.jpg', but .*the first is 'p\.jpg'"):
        file.check_mentions(["a/p.jpg"])


def test_whole_photo():
    np.testing.assert_array_equal(whole_image((48, 64)), [[0, 0, 64, 48]])
