"""Counts of people whom a representation cannot hold, on people placed by hand."""

import numpy as np

from tests.benchmarks import representation_limits as limits


def person(x, y, size=20.0):
    corners = np.array([[0, 0], [size, 0], [0, 2 * size], [size, 2 * size]])
    return corners + np.array([x, y])


def test_keypoints_in_neighbouring_cells_are_shared():
    keypoints = np.stack([person(0, 0), person(0, 0)])
    keypoints[1, 1:] += 100
    labelled = np.ones((2, 4), bool)
    shared = limits.shared_cells(keypoints, labelled, 4.0, 1)
    assert shared.tolist() == [[True, False, False, False]] * 2
    assert limits.keepable(shared, labelled).tolist() == [False, False]
    labelled[1, 0] = False
    assert not limits.shared_cells(keypoints, labelled, 4.0, 1).any()


def test_a_keypoint_near_anothers_and_one_with_few_nearest_cells_are_counted():
    keypoints = np.stack([person(0, 0), person(0, 0)])
    keypoints[1] += [[5, 0], [7, 0], [0, 7], [100, 0]]
    labelled = np.ones((2, 4), bool)
    near = limits.near_others(keypoints, labelled, 6.0)
    assert near.tolist() == [[True, False, False, False]] * 2
    labelled[1, 0] = False
    assert not limits.near_others(keypoints, labelled, 6.0).any()
    # Of the 16 cells around a keypoint on a corner of four cells, those on the other's side go.
    keypoints = np.array([[[44.0, 44.0]], [[52.0, 44.0]]])
    labelled = np.ones((2, 1), bool)
    assert not limits.few_cells(keypoints, labelled, 8.0, least=8).any()
    assert limits.few_cells(keypoints, labelled, 8.0, least=13).all()
    assert not limits.few_cells(keypoints[:1], labelled[:1], 8.0, least=16).any()
    assert not limits.few_cells(keypoints, np.array([[False], [True]]), 8.0, least=16).any()


def test_the_centre_of_the_larger_of_two_people_is_covered():
    keypoints = np.stack([person(0, 0, 20.0), person(8, 10, 10.0), person(300, 0)])
    labelled = np.ones((3, 4), bool)
    assert limits.covered_centers(keypoints, labelled, 4.0, 4.0).tolist() == [True, False, False]
    shared = limits.shared_centers(keypoints, labelled, 4.0, 3)
    assert shared.tolist() == [True, True, False]


def test_a_limb_beside_the_same_limb_of_another_person_is_unclear():
    limbs = ((0, 1), (1, 3))
    apart = np.stack([person(0, 0), person(300, 50)])
    labelled = np.ones((2, 4), bool)
    assert not limits.unclear_limbs(apart, labelled, limbs, 4.0).any()
    # Ends of the first person's limb continue in those of the second one's.
    row = np.stack([person(0, 0), person(24, 0)])
    assert limits.unclear_limbs(row, labelled, limbs, 4.0).all()
