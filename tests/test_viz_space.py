"""Skeletons in space and films: what is where, what hides what, what a wrong input says."""

import numpy as np
import pytest

from jaxpose import viz
from jaxpose.errors import InputError
from jaxpose.skeletons import H36M17, Skeleton
from jaxpose.viz.pose3d import Stage, fitted, stage_of

STICK = Skeleton(
    name="stick",
    keypoints=("left_end", "right_end"),
    pairs=(("left_end", "right_end"),),
    limbs=(("left_end", "right_end"),),
    side_colors=((255, 0, 0), (0, 255, 0), (0, 0, 255)),
)
# One end to the viewer's left, the other to the right, level with a camera's frame (y down).
LEVEL = np.array([[-300.0, -900, 0], [300, -900, 0]])
STAGE = Stage(middle=(0.0, 0.0), floor=0.0, top=1800.0, radius=500.0)


def places(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (x, y) of the red and of the green pixels."""
    found = []
    for channel in (0, 1):
        others = picture[..., [c for c in range(3) if c != channel]].max(axis=-1)
        strong = picture[..., channel] > 120 + others.astype(int)
        found.append(np.argwhere(strong).mean(axis=0)[::-1])
    return found[0], found[1]


def test_azimuth_walks_to_the_right():
    front = viz.draw_space(LEVEL, STICK, stage=STAGE)
    assert front.shape == (480, 480, 3) and front.dtype == np.uint8
    red, green = places(front)
    assert red[0] < 200 and green[0] > 280
    # Half way up the stage is half way up the picture.
    np.testing.assert_allclose([red[1], green[1]], 240, atol=12)
    red, green = places(viz.draw_space(LEVEL, STICK, stage=STAGE, azimuth=180))
    assert green[0] < red[0]
    near, far = places(viz.draw_space(LEVEL, STICK, stage=STAGE, azimuth=-80))
    # From the left the left end is in front: lower on the picture, seen from above.
    assert near[1] > far[1]


def test_nearer_limbs_hide_others():
    behind = LEVEL + np.array([0, 0, 200])
    one = viz.draw_space(np.stack([LEVEL, behind[::-1]]), STICK, stage=STAGE, elevation=0)
    other = viz.draw_space(np.stack([behind[::-1], LEVEL]), STICK, stage=STAGE, elevation=0)
    np.testing.assert_array_equal(one, other)
    red, green = places(one)
    assert red[0] < green[0]


def test_the_vertical_may_be_any_axis():
    expected = viz.draw_space(LEVEL, STICK, stage=STAGE)
    x, y, z = LEVEL.T
    zup = np.stack([x, z, -y], axis=-1)
    np.testing.assert_array_equal(viz.draw_space(zup, STICK, stage=STAGE, up="z"), expected)
    with pytest.raises(InputError, match="up is 'w'"):
        viz.draw_space(LEVEL, STICK, up="w")


def test_stage_holds_everything_from_every_side():
    rng = np.random.default_rng(0)
    joints = rng.normal(size=(17, 3)) * [300, 500, 300]
    blank = viz.draw_space(joints * np.nan, H36M17, stage=stage_of(joints))
    for azimuth in (0, 45, 135, 300):
        view = viz.draw_space(joints, H36M17, azimuth=azimuth)
        inked = (view != blank).any(axis=-1)
        assert inked.sum() > 3000
        edge = np.concatenate([inked[:2].ravel(), inked[:, :2].ravel(), inked[:, -2:].ravel()])
        assert not edge.any()


def test_missing_joints_are_left_out():
    joints = np.random.default_rng(0).normal(size=(17, 3)) * 300
    joints[3] = np.nan
    viz.draw_space(joints, H36M17)
    with pytest.raises(InputError, match="no joint is known"):
        viz.draw_space(joints * np.nan, H36M17)
    with pytest.raises(InputError, match=r"\[17, 3\] or \[P, 17, 3\] is needed"):
        viz.draw_space(joints[:16], H36M17)


def test_views_stand_beside_the_photo():
    image = np.full((100, 50, 3), 200, np.uint8)
    sheet = viz.draw_views(
        LEVEL, STICK, image=image, azimuths=(0, 90), captions=["photo", "0", "90"], size_wh=(80, 60)
    )
    assert sheet.shape[1] == 3 * 80 + 4 * 6
    assert (fitted(image, (80, 60))[:, 25:55] == 200).all()


def test_turning_film(tmp_path):
    joints = np.tile(LEVEL, (10, 1, 1))
    pictures = list(viz.turning(joints, STICK, turn=(0, 180), size_wh=(61, 40)))
    assert len(pictures) == 10 and pictures[0].shape == (40, 61, 3)
    viz.save_animation(tmp_path / "a.gif", pictures, fps=30)
    from PIL import Image

    with Image.open(tmp_path / "a.gif") as gif:
        shown = []
        for frame in range(gif.n_frames):
            gif.seek(frame)
            shown.append(gif.info["duration"])
        first = np.asarray(gif.convert("RGB"))
    # Every other picture, and the same third of a second in all.
    assert len(shown) == 5 and sum(shown) == 330
    assert np.abs(first.astype(int) - pictures[8].astype(int)).mean() < 6
    viz.save_animation(tmp_path / "a.mp4", pictures, fps=30)
    import cv2

    film = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == 10
    assert (film.get(cv2.CAP_PROP_FRAME_WIDTH), film.get(cv2.CAP_PROP_FPS)) == (62, 30)
    film.release()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.gif", "a.mp4"]
    wide = next(viz.turning(joints, STICK, images=pictures, size_wh=(61, 40)))
    assert wide.shape == (40, 122, 3)


@pytest.mark.parametrize(
    ("name", "pictures", "fps", "message"),
    [
        ("a.avi", 1, 30, "must end in .gif or .mp4"),
        ("a.gif", 0, 30, "at least one image"),
        ("a.gif", 1, 0, "must be positive"),
        ("a.mp4", 1, np.nan, "must be positive"),
    ],
)
def test_film_refusals(tmp_path, name, pictures, fps, message):
    with pytest.raises(InputError, match=message):
        viz.save_animation(tmp_path / name, [np.zeros((4, 4, 3), np.uint8)] * pictures, fps)
    with pytest.raises(InputError, match="in one animation"):
        viz.save_animation(tmp_path / "b.gif", [np.zeros((n, 4, 3), np.uint8) for n in (4, 5)], 30)
    with pytest.raises(InputError, match="3 images for 10 frames"):
        next(viz.turning(np.tile(LEVEL, (10, 1, 1)), STICK, images=[np.zeros((2, 2, 3))] * 3))
    assert not list(tmp_path.iterdir())
