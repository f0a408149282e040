"""The sources that a configuration names."""

import numpy as np
import pytest

from jaxpose.data.source import Records, Source, SyntheticPeople, check_indices
from jaxpose.errors import InputError


def test_drawn_people_are_a_source():
    source = SyntheticPeople(count=3, seed=1, canvas_hw=(96, 72)).open()
    assert isinstance(source, Source)
    assert len(source) == 3 and source.canvas_hw == (96, 72)
    batch = source.samples([2, 0])
    assert batch["image"].shape == (2, 96, 72, 3) and batch["image"].dtype == np.uint8
    np.testing.assert_array_equal(batch["index"], [2, 0])
    other = SyntheticPeople(count=3, seed=2, canvas_hw=(96, 72)).open()
    assert source.fingerprint() != other.fingerprint()


def test_records_and_drawn_people_have_the_same_arrays(prepared):
    drawn = SyntheticPeople(count=1, seed=1, canvas_hw=(48, 36)).open().samples([0])
    read = Records(str(prepared), "train").open().samples([0])
    for key, value in read.items():
        assert drawn[key].shape == value.shape and drawn[key].dtype == value.dtype, key


def test_indices_are_checked():
    np.testing.assert_array_equal(check_indices(range(3), 3), [0, 1, 2])
    for wrong in ([3], [-1]):
        with pytest.raises(InputError, match="There is no sample"):
            check_indices(wrong, 3)
    with pytest.raises(InputError, match="empty"):
        check_indices([], 3)
