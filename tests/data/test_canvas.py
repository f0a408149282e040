"""Cutting people out of photos: geometry of the canvas, kinds of photo, reasons to leave out."""

import cv2
import numpy as np
import pytest
from PIL import Image

from jaxpose import geometry
from jaxpose.data import canvas as cut
from jaxpose.data.canvas import (
    Canvas,
    ImageAnnotation,
    InstanceAnnotation,
    Skip,
    Turned,
    by_image,
    draw,
    turn_shows,
)
from jaxpose.data.records import decode_canvas
from jaxpose.errors import InputError

CANVAS = Canvas(hw=(96, 72))
POINTS = np.array([[30.0, 20.0], [40.0, 30.0], [35.5, 44.25]])


def _person(**changes):
    values = {
        "annotation_id": 5,
        "keypoints": POINTS,
        "visible": np.array([2, 1, 0]),
        "box_xywh": np.array([25.0, 15.0, 20.0, 40.0]),
        "area": 321.0,
    }
    return InstanceAnnotation(**{**values, **changes})


def _draw(path, *people, image_hw=None):
    return draw(ImageAnnotation(path, path.name, 7, people or (_person(),), 40, image_hw), CANVAS)


@pytest.fixture
def image(tmp_path, make_photo):
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), make_photo(0, (60, 80))[..., ::-1])
    return path


def test_a_record_holds_the_person_in_canvas_pixels(image, make_photo):
    ((key, record),) = _draw(image)
    assert key == 40 and record["image_id"] == 7 and record["annotation_id"] == 5
    assert record["photo"] == "photo.png" and record["area"] == np.float32(321)
    np.testing.assert_array_equal(record["photo_hw"], [60, 80])
    np.testing.assert_array_equal(record["visible"], [2, 1, 0])
    np.testing.assert_array_equal(record["keypoints"][2], 0)  # not labelled: no place
    back = geometry.apply_affine(record["photo_from_canvas"], record["keypoints"])
    np.testing.assert_allclose(back[:2], POINTS[:2], atol=1e-4)
    # The box fills, padded by 1.25, 1 / 1.5 of the canvas in the direction that is tight.
    np.testing.assert_allclose(record["box_xywh"][3] * 1.25 * 1.5, 96, rtol=1e-5)
    np.testing.assert_allclose(record["box_xywh"][:2] + record["box_xywh"][2:] / 2, [36, 48])


def test_the_picture_moves_as_the_keypoints_do(image, make_photo):
    ((_, record),) = _draw(image)
    decoded = decode_canvas(record["image"], CANVAS.hw).astype(float)
    inside = np.array([[36.0, 48.0], [30.0, 40.0], [45.0, 60.0], [20.0, 50.0]])
    x, y = geometry.apply_affine(record["photo_from_canvas"], inside).T
    source = make_photo(0, (60, 80)).astype(float)
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - x0)[:, None], (y - y0)[:, None]
    expected = (
        source[y0, x0] * (1 - fx) * (1 - fy)
        + source[y0, x0 + 1] * fx * (1 - fy)
        + source[y0 + 1, x0] * (1 - fx) * fy
        + source[y0 + 1, x0 + 1] * fx * fy
    )
    column, row = inside.astype(int).T
    np.testing.assert_allclose(decoded[row, column], expected, atol=6)  # JPEG


def test_an_unaugmented_crop_is_a_shift_by_whole_pixels(image):
    ((_, record),) = draw(ImageAnnotation(image, "x", 1, (_person(),), 0), Canvas(hw=(384, 288)))
    center, scale = geometry.box_to_center_scale(record["box_xywh"], 1.25)
    scale = geometry.fix_aspect_ratio(scale, 192 / 256)
    matrix = geometry.crop_matrix(center, scale, (256, 192))
    np.testing.assert_allclose(matrix, [[1, 0, -48], [0, 1, -64]], atol=1e-4)


def test_boxes_are_clipped_to_the_photo_as_pixel_centres():
    box = cut.clip_box(np.array([-5.0, 10.0, 100.0, 30.0]), 60, 80)
    np.testing.assert_array_equal(box, [0, 10, 79, 30])


def test_a_window_given_by_centre_and_size_is_not_clipped(image):
    person = _person(box_xywh=np.array([-30.0, -20.0, 100.0, 100.0]), clip=False)
    ((_, record),) = _draw(image, person)
    corners = np.stack([record["box_xywh"][:2], record["box_xywh"][:2] + record["box_xywh"][2:]])
    back = geometry.apply_affine(record["photo_from_canvas"], corners)
    np.testing.assert_allclose(back, [[-30, -20], [70, 80]], atol=1e-4)


def test_the_head_box_stays_in_photo_pixels(image):
    ((_, record),) = _draw(image, _person(head_xyxy=np.array([1.0, 2.0, 3.0, 4.0])))
    np.testing.assert_array_equal(record["head_xyxy"], [1, 2, 3, 4])
    ((_, record),) = _draw(image)
    np.testing.assert_array_equal(record["head_xyxy"], 0)


def test_an_absent_area_is_taken_from_the_box(image):
    ((_, record),) = _draw(image, _person(area=None))
    np.testing.assert_allclose(record["area"], 0.53 * 20 * 40)


NAN = float("nan")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"visible": np.array([0, 0, 0])}, cut.NO_KEYPOINTS),
        ({"visible": np.array([2, 3, 0])}, cut.BAD_FLAG),
        ({"visible": np.array([2, NAN, 0])}, cut.BAD_FLAG),
        ({"keypoints": np.array([[NAN, 1], [2, 2], [3, 3]])}, cut.NOT_FINITE),
        ({"box_xywh": np.array([NAN, 1, 5, 5])}, cut.NOT_FINITE),
        ({"box_xywh": np.array([1, 1, np.inf, 5])}, cut.NOT_FINITE),
        ({"area": NAN}, cut.NOT_FINITE),
        ({"area": 0.0}, cut.NO_AREA),
        ({"area": -4.0}, cut.NO_AREA),
        ({"box_xywh": np.array([5.0, 5.0, -10.0, 20.0])}, cut.BAD_BOX),
        ({"box_xywh": np.array([5.0, 5.0, 10.0, 0.0])}, cut.BAD_BOX),
        ({"box_xywh": np.array([500.0, 5.0, 10.0, 20.0])}, cut.BOX_OUTSIDE),
        ({"box_xywh": np.array([-50.0, 5.0, 10.0, 20.0])}, cut.BOX_OUTSIDE),
    ],
)
def test_unusable_people_are_left_out_with_a_reason(image, changes, reason):
    skip, (key, _) = _draw(image, _person(**changes), _person(annotation_id=6))
    assert skip == Skip(reason, "annotation 5 in photo.png", reason != cut.NO_KEYPOINTS)
    assert key == 41  # the next person keeps their place


def test_nan_where_nothing_is_labelled_does_no_harm(image):
    points = np.array([[30.0, 20.0], [40.0, 30.0], [NAN, NAN]])
    ((_, record),) = _draw(image, _person(keypoints=points))
    np.testing.assert_array_equal(record["keypoints"][2], 0)


def test_a_missing_photo_is_a_reason(tmp_path):
    first, second = _draw(tmp_path / "gone.jpg", _person(), _person(annotation_id=6))
    tried = f"there is no {tmp_path / 'gone.jpg'}"
    assert first == Skip(cut.IMAGE_MISSING, f"annotation 5 in gone.jpg: {tried}")
    assert second.who.startswith("annotation 6 in gone.jpg")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("train\\a.jpg", "train/a.jpg with / in place of"),
        ("photos/train/a.jpg", "give {parent} as folder"),
        ("elsewhere/b.jpg", "{folder}/b.jpg exists: shorten file_name"),
        ("../a.jpg", ""),
        ("c.jpg", ""),
        ("train.jpg", ""),  # a folder has this name
        ("B.JPG", "but b.jpg exists, in another spelling"),
        ("train/%61.jpg", "but a.jpg exists, in another spelling"),
        ("b.png", "but b.jpg exists, with another suffix"),
    ],
)
def test_a_missing_image_says_what_would_fit(tmp_path, name, hint):
    folder = tmp_path / "photos"
    (folder / "train").mkdir(parents=True)
    for file in ("train/a.jpg", "b.jpg"):
        (folder / file).write_bytes(b"")
    message = cut.where_missing(folder / name, name)
    assert message.startswith(f"there is no {folder / name}")
    assert hint.format(folder=folder, parent=tmp_path) in message
    assert hint or "exists" not in message


def test_a_truncated_photo_is_a_reason(tmp_path, make_photo):
    path = tmp_path / "cut.jpg"
    data = cv2.imencode(".jpg", make_photo(1))[1].tobytes()
    path.write_bytes(data[: len(data) // 2])
    (skip,) = _draw(path)
    assert skip.reason == cut.IMAGE_UNREADABLE
    assert "cut.jpg" in skip.who and "cut off" in skip.who


def test_a_file_that_is_no_photo_is_a_reason(tmp_path):
    path = tmp_path / "text.jpg"
    path.write_text("<html>not found</html>")
    (skip,) = _draw(path)
    assert skip.reason == cut.IMAGE_UNREADABLE and "text file" in skip.who


def test_a_photo_of_another_size_is_a_reason(image):
    (skip,) = _draw(image, image_hw=(61, 80))
    assert skip.reason == cut.IMAGE_SIZE
    assert "has 80x60 pixels, the annotation says 80x61" in skip.who
    assert not isinstance(_draw(image, image_hw=(60, 80))[0], Skip)


def test_an_image_turned_by_exif_is_named_as_the_reason(tmp_path, make_photo):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(make_photo(1)).save(path, exif=exif)
    (skip,) = _draw(path, image_hw=(60, 80))
    assert skip.reason == cut.IMAGE_SIZE
    assert "60x80 upright, 80x60 as stored and annotated: the file is turned by EXIF" in skip.who
    assert not isinstance(_draw(path, image_hw=(80, 60))[0], Skip)


@pytest.mark.parametrize(
    ("turn", "stated", "remark"),
    [
        *((turn, (60, 80), True) for turn in (2, 3, 4)),
        (1, (60, 80), False),
        (3, None, True),
        (6, (80, 60), False),  # the upright size
        (8, None, True),
    ],
)
def test_an_image_whose_turn_its_size_does_not_show_is_remarked(
    tmp_path, make_photo, turn, stated, remark
):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(make_photo(1, (60, 80))).save(path, exif=exif)
    first, *rest = _draw(path, image_hw=stated)
    assert isinstance(first, tuple)
    assert rest == ([Turned("turned.jpg", turn)] if remark else [])


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_square_image_never_shows_its_turn(orientation):
    assert not turn_shows(orientation, (60, 60), (60, 60))


def _odd_photos(rgb):
    """Files of unusual kinds that show the same 60x80 picture."""
    from PIL import Image

    picture = Image.fromarray(rgb)
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(rgb)))  # shown turned back by its EXIF
    exif = Image.Exif()
    exif[0x0112] = 6
    sixteen = cv2.imencode(".png", rgb[..., ::-1].astype(np.uint16) * 257)[1].tobytes()
    return {
        "cmyk.jpg": lambda path: picture.convert("CMYK").save(path, quality=98),
        "rgba.png": lambda path: picture.convert("RGBA").save(path),
        "sixteen.png": lambda path: path.write_bytes(sixteen),
        "png_named.jpg": lambda path: picture.save(path, format="PNG"),
        "turned.jpg": lambda path: turned.save(path, quality=98, exif=exif),
    }


@pytest.mark.parametrize(
    "name", ["cmyk.jpg", "rgba.png", "sixteen.png", "png_named.jpg", "turned.jpg"]
)
def test_unusual_kinds_of_photo_give_the_same_canvas(tmp_path, image, make_photo, name):
    path = tmp_path / name
    _odd_photos(make_photo(0, (60, 80)))[name](path)
    ((_, record),) = _draw(path, image_hw=(60, 80))
    ((_, plain),) = _draw(image)
    difference = decode_canvas(record["image"], CANVAS.hw).astype(int) - decode_canvas(
        plain["image"], CANVAS.hw
    )
    assert np.abs(difference).mean() < 4


def test_people_are_gathered_by_photo_in_order(tmp_path):
    def image(name, number):
        return ImageAnnotation(tmp_path / name, name, number, (), 0)

    people = [
        (image("b", 1), _person(annotation_id=1)),
        (image("a", 2), _person(annotation_id=2)),
        (image("b", 1), _person(annotation_id=3)),
    ]
    first, second = by_image(people)
    assert [p.annotation_id for p in first.people] == [1, 3] and first.first_key == 0
    assert [p.annotation_id for p in second.people] == [2] and second.first_key == 2


def test_canvas_sizes_are_checked():
    assert Canvas.parse("384X288").hw == (384, 288)
    for text in ("384", "384x", "x288", "384x28.8", "-1x5"):
        with pytest.raises(InputError, match="HEIGHTxWIDTH"):
            Canvas.parse(text)
    with pytest.raises(InputError, match="sides"):
        Canvas(hw=(8, 288))
    with pytest.raises(InputError, match="margin"):
        Canvas(margin=0.9)
    with pytest.raises(InputError, match="quality"):
        Canvas(jpeg_quality=0)
