"""The drawn film: what is counted in it, where the person is, and that it is one film."""

from itertools import islice

import numpy as np
import pytest

from jaxpose.data.synthetic.video import render_video
from jaxpose.errors import InputError
from jaxpose.measure import angle, count_repetitions
from jaxpose.skeletons import COCO17


@pytest.fixture(scope="module")
def frames() -> list[dict]:
    return list(render_video(3, repetitions=3, seconds=3.0, fps=10, image_hw=(90, 120)))


def test_true_keypoints_show_the_repetitions_asked_for(frames):
    assert len(frames) == 30
    assert all(len(frame["people"]) == 1 for frame in frames)
    points = np.stack([frame["people"][0]["keypoints"] for frame in frames])
    raised = angle(points, COCO17, "left_shoulder")
    assert raised.min() < 30 and raised.max() > 140  # hanging, above the head
    counted = count_repetitions(raised, min_range=30, rest="low")
    assert len(counted) == 3 and not counted.unfinished


def test_the_person_stays_whole_and_in_place(frames):
    for frame in frames:
        (person,) = frame["people"]
        x, y, w, h = person["box_xywh"]
        assert x >= 0 and y >= 0 and x + w <= 120 and y + h <= 90
        assert (person["visible"] > 0).all()
    ankles = np.stack([f["people"][0]["keypoints"][15:] for f in frames])
    assert np.ptp(ankles, axis=0).max() < 2.0  # pixels: the feet stand


def test_the_room_stays_the_same(frames):
    corners = np.stack([frame["image"][:15, :15] for frame in frames])
    np.testing.assert_array_equal(corners, corners[:1].repeat(30, axis=0))
    assert np.abs(frames[0]["image"].astype(int) - frames[5]["image"]).max() > 30


def test_a_frame_is_a_pure_function_of_the_arguments(frames):
    again = islice(render_video(3, repetitions=3, seconds=3.0, fps=10, image_hw=(90, 120)), 7, 8)
    np.testing.assert_array_equal(next(again)["image"], frames[7]["image"])
    other = next(render_video(4, repetitions=3, seconds=3.0, fps=10, image_hw=(90, 120)))
    assert (other["image"] != frames[0]["image"]).any()


def test_a_film_without_frames_or_repetitions_is_refused():
    for wrong in ({"seconds": 0.01}, {"repetitions": 0}):
        with pytest.raises(InputError, match="both must be at least 1"):
            next(render_video(0, **wrong))
