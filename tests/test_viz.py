"""Pictures: where ink lands, what stays untouched, and what a wrong input says."""

import cv2
import numpy as np
import pytest

from jaxpose import viz
from jaxpose.errors import InputError
from jaxpose.skeletons import COCO17, COCO_WHOLEBODY133, HAND21, Skeleton

STICK = Skeleton(
    name="stick",
    keypoints=("head", "left_end", "right_end"),
    pairs=(("left_end", "right_end"),),
    limbs=(("head", "left_end"), ("head", "right_end")),
)
GREY = 128
LEFT, RIGHT, CENTRE = (np.array(color) for color in STICK.side_colors)


def blank(height: int = 100, width: int = 120) -> np.ndarray:
    return np.full((height, width, 3), GREY, dtype=np.uint8)


def person(scale: float = 1.0) -> np.ndarray:
    """[1, 3, 2]: head in the middle above, ends to both sides."""
    return np.array([[[60.0, 20.0], [100.0, 80.0], [20.0, 80.0]]]) * scale


def ink(picture: np.ndarray) -> np.ndarray:
    """bool [H, W]: the pixels that are not background."""
    return (picture != GREY).any(axis=-1)


def test_limbs_have_the_colour_of_their_side():
    image = blank()
    drawn = viz.draw_people(image, person(), STICK)
    assert drawn.dtype == np.uint8
    assert (image == GREY).all()
    np.testing.assert_allclose(drawn[50, 80], LEFT, atol=25)
    np.testing.assert_allclose(drawn[50, 40], RIGHT, atol=25)
    np.testing.assert_allclose(drawn[80, 100], LEFT, atol=25)
    np.testing.assert_allclose(drawn[20, 60], CENTRE, atol=25)
    assert not ink(drawn)[:, :10].any()


def test_points_land_at_fractions_of_a_pixel():
    keypoints = np.full((1, 3, 2), np.nan)
    keypoints[0, 0] = 50.3, 40.7
    drawn = viz.draw_people(blank(), keypoints, STICK, sizes=[400])
    weight = np.abs(drawn.astype(float) - GREY).sum(axis=-1)
    ys, xs = np.mgrid[: drawn.shape[0], : drawn.shape[1]]
    centre = np.array([(weight * xs).sum(), (weight * ys).sum()]) / weight.sum()
    np.testing.assert_allclose(centre, [50.3, 40.7], atol=0.1)


def test_line_width_follows_the_person():
    small = ink(viz.draw_people(blank(1000, 1200), person(), STICK)).sum()
    large = ink(viz.draw_people(blank(1000, 1200), person(10), STICK)).sum()
    assert 50 < large / small < 120  # ten times the length and, but for a least width, the width
    fine = ink(viz.draw_people(blank(1000, 1200), person(10), STICK, sizes=[300])).sum()
    assert fine < large / 2


def test_unsure_points_fade_and_vanish():
    def contrast(score):
        scores = np.full((1, 3), score)
        drawn = viz.draw_people(blank(), person(), STICK, scores=scores, min_score=0.3)
        return np.abs(drawn.astype(int) - GREY).sum()

    assert contrast(0.29) == 0
    assert 0 < contrast(0.3) < contrast(0.45) < contrast(0.7)
    assert contrast(0.7) == contrast(1.0)


def test_occluded_points_are_hollow_and_unlabelled_ones_absent():
    arguments = {"sizes": [500]}
    seen = viz.draw_people(blank(), person(), STICK, visible=np.array([[2, 2, 2]]), **arguments)
    drawn = viz.draw_people(blank(), person(), STICK, visible=np.array([[2, 1, 0]]), **arguments)
    np.testing.assert_allclose(seen[80, 100], LEFT, atol=25)
    assert drawn[80, 100].max() < 80
    assert not ink(drawn)[:, :45].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e9, -1e9])
def test_points_that_are_nowhere_are_left_out(bad):
    keypoints = person()
    keypoints[0, 1] = bad
    drawn = viz.draw_people(blank(), keypoints, STICK, boxes_xywh=[[10, 10, bad, 50]], labels=["a"])
    assert ink(drawn)[60:90, :50].any()
    keypoints[:] = bad
    assert not ink(viz.draw_people(blank(), keypoints, STICK)).any()


def test_nobody_changes_nothing():
    drawn = viz.draw_people(
        blank(), np.zeros((0, 3, 2)), STICK, scores=np.zeros((0, 3)), boxes_xywh=np.zeros((0, 4))
    )
    np.testing.assert_array_equal(drawn, blank())


@pytest.mark.parametrize("shape", [(1, 1), (9, 7), (40, 2000)])
def test_any_size_of_photo(shape):
    image = np.full((*shape, 3), GREY, dtype=np.uint8)
    keypoints = np.random.default_rng(0).uniform(-10, 60, (3, 17, 2))
    boxes = np.array([[0, 0, 5, 5], [-20, -20, 500, 500], [3, 3, 0, 0]])
    drawn = viz.draw_people(
        image, keypoints, COCO17, boxes_xywh=boxes, labels=["x", "", "long one"]
    )
    assert drawn.shape == image.shape


@pytest.mark.parametrize("skeleton", [COCO_WHOLEBODY133, HAND21], ids=lambda s: s.name)
def test_dense_sets(skeleton):
    keypoints = np.random.default_rng(0).uniform(10, 90, (2, skeleton.num_keypoints, 2))
    assert ink(viz.draw_people(blank(), keypoints, skeleton)).any()


def test_a_set_without_limbs():
    dots = Skeleton(name="dots", keypoints=("a", "b", "c"))
    drawn = viz.draw_people(blank(), person(), dots)
    assert ink(drawn)[78:83, 98:103].any()
    assert not ink(drawn)[45:55].any()


def test_boxes_and_labels_are_drawn():
    keypoints = np.full((1, 3, 2), np.nan)
    box = viz.draw_people(blank(), keypoints, STICK, boxes_xywh=[[30, 40, 50, 40]])
    assert ink(box)[40:80, 30].all()
    assert ink(box)[40:80, 79].all()
    assert not ink(box)[45:75, 35:75].any()
    named = viz.draw_people(blank(), person(), STICK, labels=["someone"])
    assert ink(named)[:20].sum() > ink(viz.draw_people(blank(), person(), STICK))[:20].sum()


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"keypoints": np.zeros((1, 4, 2))}, r"`keypoints` has shape \[1, 4, 2\].*'stick'"),
        ({"keypoints": np.zeros((3, 2))}, "`keypoints` has shape"),
        ({"scores": np.ones((2, 3))}, r"`scores` has shape \[2, 3\]; \[1, 3\] is needed"),
        ({"visible": np.ones((1, 2))}, "`visible` has shape"),
        ({"boxes_xywh": np.ones((4,))}, "`boxes_xywh` has shape"),
        ({"sizes": [1, 2]}, "`sizes` has shape"),
        ({"labels": []}, "0 labels for 1 people"),
        ({"photo": np.zeros((9, 9, 3))}, "must be uint8"),
        ({"photo": np.zeros((9, 9, 4), np.uint8)}, "must be uint8"),
        ({"photo": np.zeros((0, 9, 3), np.uint8)}, "must be uint8"),
    ],
)
def test_wrong_shapes_are_named(arguments, fault):
    given = {"photo": blank(), "keypoints": person(), "skeleton": STICK, **arguments}
    image, keypoints, skeleton = (given.pop(key) for key in ("photo", "keypoints", "skeleton"))
    with pytest.raises(InputError, match=fault):
        viz.draw_people(image, keypoints, skeleton, **given)


@pytest.mark.parametrize(
    ("udp", "expected"), [(False, (40, 60)), (True, (42, 63)), ("edges", (42, 62))]
)
def test_a_heatmap_cell_lies_where_the_codec_has_it(udp, expected):
    image = np.zeros((128, 96, 3), dtype=np.uint8)
    maps = np.zeros((32, 24, 3), dtype=np.float32)
    maps[15, 10, 1] = 1
    # MSRA: 4 pixels a cell. UDP: 95 / 23 and 127 / 31 pixels, nearly the same at the origin.
    # Edges: the middle of 4 pixels, which are 40 to 43 and 60 to 63.
    places = {False: (40, 60), True: (10 * 95 / 23, 15 * 127 / 31), "edges": (41.5, 61.5)}
    x, y = places[udp]
    drawn = viz.draw_heatmaps(image, maps, skeleton=STICK, udp=udp).sum(axis=-1).astype(float)
    ys, xs = np.mgrid[:128, :96]
    centre = (drawn * xs).sum() / drawn.sum(), (drawn * ys).sum() / drawn.sum()
    np.testing.assert_allclose(centre, (x, y), atol=0.1)
    np.testing.assert_allclose(drawn[round(y), round(x)], drawn.max(), rtol=0.02)
    assert expected[0] - 1 < x < expected[0] + 1


def test_heatmaps_colour_by_value_or_by_side():
    image = blank(64, 48)
    maps = np.zeros((16, 12, 3), dtype=np.float32)
    np.testing.assert_array_equal(viz.draw_heatmaps(image, maps), image)
    maps[8, 6, 2] = 0.6
    by_side = viz.draw_heatmaps(image, maps, skeleton=STICK, peak=1.0)
    assert by_side[32, 24, 0] > by_side[32, 24, 2]  # orange
    assert ink(viz.draw_heatmaps(image, maps.sum(axis=-1))).any()
    weak = viz.draw_heatmaps(image, maps, peak=1.0).astype(int)
    strong = viz.draw_heatmaps(image, maps).astype(int)
    assert np.abs(weak - image).sum() < np.abs(strong - image).sum()
    with pytest.raises(InputError, match="3 heatmaps; skeleton 'coco17' has 17"):
        viz.draw_heatmaps(image, maps, skeleton=COCO17)
    with pytest.raises(InputError, match=r"must be \[h, w, K\]"):
        viz.draw_heatmaps(image, maps[None])


def test_contact_sheet_places_pictures_row_by_row():
    pictures = [np.full((10, 20, 3), level, dtype=np.uint8) for level in (50, 100, 150)]
    sheet = viz.contact_sheet([*pictures[:2], pictures[2][:, :10]], columns=2, pad=4)
    assert sheet.shape == (4 + 10 + 4 + 10 + 4, 4 + 20 + 4 + 20 + 4, 3)
    assert (sheet[4:14, 4:24] == 50).all()
    assert (sheet[4:14, 28:48] == 100).all()
    assert (sheet[18:28, 9:19] == 150).all()  # the narrow one stands in the middle of its cell
    captioned = viz.contact_sheet(pictures, columns=2, captions=["a", "", "far too long"], pad=4)
    assert captioned.shape[0] > sheet.shape[0]
    square = viz.contact_sheet([pictures[0]] * 8)
    assert square.shape[:2] == (4 * 16 + 6, 2 * 26 + 6)
    assert viz.contact_sheet([np.zeros((5, 5), np.uint8)]).shape == (17, 17, 3)


def test_contact_sheet_faults():
    with pytest.raises(InputError, match="at least one"):
        viz.contact_sheet([])
    with pytest.raises(InputError, match="1 captions for 2 images"):
        viz.contact_sheet([blank(), blank()], captions=["a"])


def test_pictures_come_back_from_normalised_crops():
    normalize = pytest.importorskip("jaxpose.tasks.topdown.augment").normalize
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 6, 3), dtype=np.uint8)
    np.testing.assert_array_equal(viz.to_uint8(np.asarray(normalize(images))), images)
    assert viz.to_uint8(images) is images
    with pytest.raises(InputError, match=r"must be \[..., H, W, 3\]"):
        viz.to_uint8(np.zeros((4, 4, 1), np.float32))


def test_sample_sheet_shows_pictures_keypoints_and_targets():
    crops = np.full((4, 64, 48, 3), GREY, dtype=np.uint8)
    keypoints = np.repeat(person(0.4), 4, axis=0)
    visible = np.full((4, 3), 2)
    heatmaps = np.zeros((4, 16, 12, 3), dtype=np.float32)
    plain = viz.sample_sheet(crops, keypoints, visible, STICK, columns=2)
    # 64 pixels are enlarged four times; two panels with a gap of 2, cells 6 apart.
    assert plain.shape == (6 + 2 * (256 + 6), 6 + 2 * (2 * 192 + 2 + 6), 3)
    first = plain[6:262, 6:392]
    assert not ink(first[:, :192]).any()
    points = (keypoints[0] + 0.5) * 4 - 0.5
    for (x, y), color in zip(points, (CENTRE, LEFT, RIGHT), strict=True):
        np.testing.assert_allclose(first[round(y), 194 + round(x)], color, atol=25)
    captions = ["one", "two", "three", "four"]
    full = viz.sample_sheet(
        crops, keypoints, visible, STICK, heatmaps=heatmaps, captions=captions, columns=2
    )
    assert full.shape[1] == 6 + 2 * (3 * 192 + 4 + 6)
    assert full.shape[0] > plain.shape[0]


def test_comparison_shows_both_and_leads_from_one_to_the_other():
    predicted = person()
    predicted[0, 1, 0] -= 30
    visible = np.array([[2, 2, 0]])
    sheet = viz.comparison(blank(), predicted, person(), STICK, visible=visible, min_side=120)
    left, right = sheet[6:106, 6:126], sheet[6:106, 132:252]
    assert ink(left)[79:82, 99:102].all()
    assert not ink(left)[60:90, :50].any()
    assert ink(right)[60:90, :50].any()  # predicted though not labelled
    np.testing.assert_allclose(right[80, 90], 255, atol=40)  # the white line to the label
    unsure = viz.comparison(
        blank(), predicted, person(), STICK, scores=np.zeros((1, 3)), min_score=0.1, min_side=120
    )
    assert not ink(unsure[6:106, 132:252]).any()


@pytest.mark.parametrize("name", ["a.png", "b.jpg", "deep/er/c.JPEG"])
def test_save_image_writes_rgb(tmp_path, name):
    picture = np.zeros((16, 24, 3), dtype=np.uint8)
    picture[:, :, 0] = 200
    viz.save_image(tmp_path / name, picture)
    read = cv2.imread(str(tmp_path / name))[:, :, ::-1]
    np.testing.assert_allclose(read, picture, atol=0 if name.endswith("png") else 4)
    assert [p.name for p in (tmp_path / name).parent.iterdir()] == [(tmp_path / name).name]


def test_save_image_says_why_it_cannot(tmp_path):
    with pytest.raises(InputError, match=r"a\.gif: an image's name must end in"):
        viz.save_image(tmp_path / "a.gif", blank())
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"a\.png cannot be written: .*file is not a folder"):
        viz.save_image(tmp_path / "file" / "a.png", blank())
    (tmp_path / "b.png").mkdir()
    with pytest.raises(InputError, match=r"b\.png cannot be written"):
        viz.save_image(tmp_path / "b.png", blank())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.png", "file"]
