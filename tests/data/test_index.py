"""The index stream: coverage, purity, independence of epochs, seeds and process counts."""

import itertools

import numpy as np
import pytest

from jaxpose.data.index import process_slice, sample_indices
from jaxpose.errors import InputError


def _positions(seed, first, last, batch, count):
    steps = range(first, last)
    return np.concatenate([sample_indices(seed, step, batch, count) for step in steps])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 64, 65, 1000])
@pytest.mark.parametrize("batch", [1, 5, 16])
def test_every_epoch_holds_every_index_once(count, batch):
    epochs = 3
    flat = _positions(7, 0, -(-epochs * count // batch), batch, count)
    for epoch in range(epochs):
        one = flat[epoch * count : (epoch + 1) * count]
        np.testing.assert_array_equal(np.sort(one), np.arange(count))


def test_a_batch_may_span_several_epochs():
    flat = sample_indices(0, 0, 35, 10)
    assert flat.dtype == np.int64
    for epoch in range(3):
        np.testing.assert_array_equal(np.sort(flat[10 * epoch : 10 * epoch + 10]), np.arange(10))


def test_it_is_a_pure_function_of_seed_and_step():
    first = [sample_indices(3, step, 32, 149_813) for step in (5, 1_000_000, 5)]
    np.testing.assert_array_equal(first[0], first[2])
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], sample_indices(4, 5, 32, 149_813))


def test_the_batch_size_does_not_change_the_order():
    np.testing.assert_array_equal(_positions(11, 0, 24, 8, 50), _positions(11, 0, 12, 16, 50))


def test_epochs_and_seeds_are_unrelated_permutations():
    count = 4096
    orders = [sample_indices(seed, epoch, count, count) for seed in (0, 1) for epoch in (0, 1)]
    orders.append(np.arange(count))
    for a, b in itertools.combinations(orders, 2):
        # Two random permutations agree in 1 +- 1 places; correlation of ranks ~ 1/sqrt(count).
        assert np.count_nonzero(a == b) < 10
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(count)


def test_neighbours_in_the_dataset_do_not_stay_neighbours():
    order = sample_indices(5, 0, 10_000, 10_000)
    gaps = np.abs(np.diff(order))
    assert np.count_nonzero(gaps == 1) < 10
    assert abs(gaps.mean() / (10_000 / 3) - 1) < 0.05


@pytest.mark.parametrize("count", [2, 3, 4])
def test_all_orders_of_a_small_dataset_are_equally_likely(count):
    draws = 24 * 200
    orders = sample_indices(1, 0, draws * count, count).reshape(draws, count)
    _, seen = np.unique(orders, axis=0, return_counts=True)
    kinds = len(list(itertools.permutations(range(count))))
    assert len(seen) == kinds
    expected = draws / kinds
    chi_square = np.sum((seen - expected) ** 2 / expected)
    assert chi_square < (kinds - 1) + 5 * np.sqrt(2 * (kinds - 1))


def test_each_place_of_an_epoch_draws_uniformly():
    count, epochs = 10, 20_000
    orders = sample_indices(2, 0, count * epochs, count).reshape(epochs, count)
    for place in range(count):
        seen = np.bincount(orders[:, place], minlength=count)
        chi_square = np.sum((seen - epochs / count) ** 2 / (epochs / count))
        assert chi_square < 9 + 5 * np.sqrt(18)


@pytest.mark.parametrize("processes", [1, 2, 8])
def test_processes_together_load_the_global_batch(processes):
    whole = sample_indices(9, 3, 64, 1000)
    parts = [whole[process_slice(64, i, processes)] for i in range(processes)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert {len(part) for part in parts} == {64 // processes}


def test_a_step_far_beyond_64_bits_of_samples_works():
    indices = sample_indices(0, 2**62, 1024, 10_000)
    assert indices.min() >= 0 and indices.max() < 10_000
    assert len(np.unique(indices)) == 1024 or 2**72 % 10_000 > 10_000 - 1024


def test_bad_arguments_are_named():
    with pytest.raises(InputError, match="dataset is empty"):
        sample_indices(0, 0, 8, 0)
    with pytest.raises(InputError, match="batch size"):
        sample_indices(0, 0, 0, 8)
    with pytest.raises(InputError, match="step"):
        sample_indices(0, -1, 8, 8)
    with pytest.raises(InputError, match="multiple of 3"):
        process_slice(64, 0, 3)
    with pytest.raises(InputError, match="no process 2"):
        process_slice(64, 2, 2)
