"""Matching people between views."""

import numpy as np
import pytest
from walker import motion, ring, seen

from jaxpose.errors import InputError
from jaxpose.multiview.match import match_people, ray_distances


def crowd(noise: float):
    """Four people, shuffled and partly unseen: detections, their weights and true numbers."""
    cameras = ring(5)
    rng = np.random.default_rng(0)
    people = np.concatenate([motion(1, seed=i) for i in range(4)])
    people[:, :, :2] += np.array([[-900, 0], [900, 300], [0, -900], [200, 1000]])[:, None]
    pixels = seen(cameras, people, noise=noise)
    orders = [rng.permutation(4)[: 4 - (view == 1)] for view in range(5)]
    detections = [pixels[view][order] for view, order in enumerate(orders)]
    return cameras, detections, orders


def test_four_people_in_five_views():
    cameras, detections, orders = crowd(noise=4.0)
    weights = [np.ones(d.shape[:-1]) for d in detections]
    weights[2][:, 5:9] = 0
    detections[2][:, 5:9] = np.nan
    numbers = np.concatenate(match_people(cameras, detections, weights))
    truth = np.concatenate(orders)
    assert len(set(zip(numbers, truth, strict=True))) == 4
    assert set(numbers) == {0, 1, 2, 3}


def test_someone_seen_once_is_alone():
    cameras, detections, _ = crowd(noise=0.0)
    detections[0] = np.concatenate([detections[0], detections[0][:1] + 400])
    numbers = match_people(cameras, detections)
    assert list(np.concatenate(numbers)).count(numbers[0][-1]) == 1
    empty = match_people(cameras, [*detections[:4], np.zeros((0, 17, 2))])
    assert len(empty[4]) == 0


def test_lines_of_sight_meet():
    cameras, points = ring(3), motion(2)
    pixels = seen(cameras, points)
    assert ray_distances(cameras.take([0, 2]), pixels[0], pixels[2]).max() < 1e-6
    moved = ray_distances(cameras.take([0, 2]), pixels[0] + [0, 10], pixels[2])
    assert 10 < moved.mean() < 80
    same = ray_distances(cameras.take([1, 1]), pixels[1], pixels[1])
    assert np.isfinite(same).all()


def test_one_view_is_refused():
    cameras, detections, _ = crowd(noise=0.0)
    with pytest.raises(InputError, match="two views"):
        match_people(cameras.take([0]), detections[:1])
