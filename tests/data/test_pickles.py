"""Reading other projects' pickles: arrays come out, nothing else runs."""

import os
import pickle

import numpy as np
import pytest

from jaxpose.data.pickles import read_pickle, read_pickled_npz
from jaxpose.errors import InputError

CONTENT = {"S1": {"Walking 1": np.arange(6.0).reshape(2, 3)}, ("a", "b"): [1, "two", 3.5]}


def test_arrays_and_containers_come_out(tmp_path):
    path = tmp_path / "cameras.pkl"
    path.write_bytes(pickle.dumps({**CONTENT, "w": np.float64(2.0)}))
    found = read_pickle(path)
    np.testing.assert_array_equal(found["S1"]["Walking 1"], CONTENT["S1"]["Walking 1"])
    assert found["a", "b"] == [1, "two", 3.5] and found["w"] == 2.0


def test_a_dictionary_comes_out_of_an_npz(tmp_path):
    path = tmp_path / "data.npz"
    np.savez_compressed(path, positions_3d=CONTENT, plain=np.zeros(2))
    found = read_pickled_npz(path, "positions_3d")
    np.testing.assert_array_equal(found["S1"]["Walking 1"], CONTENT["S1"]["Walking 1"])
    with pytest.raises(InputError, match="no array 'positions_2d', only positions_3d"):
        read_pickled_npz(path, "positions_2d")
    with pytest.raises(InputError, match="float64, not a stored dictionary"):
        read_pickled_npz(path, "plain")


class Harmful:
    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("pack", ["pickle", "npz"])
def test_nothing_is_run(pack, tmp_path):
    harmful = Harmful()
    harmful.path = str(tmp_path / "made")
    path = tmp_path / "file"
    if pack == "pickle":
        path.write_bytes(pickle.dumps(harmful))
    else:
        with path.open("wb") as file:
            np.savez(file, positions_3d=np.array(harmful, dtype=object))
    with pytest.raises(InputError, match=r"mkdir, which is not allowed"):
        read_pickle(path) if pack == "pickle" else read_pickled_npz(path, "positions_3d")
    assert not (tmp_path / "made").exists()


def test_what_is_no_pickle_is_named(tmp_path):
    (tmp_path / "text").write_text("hello")
    with pytest.raises(InputError, match="not a pickle of arrays"):
        read_pickle(tmp_path / "text")
    with pytest.raises(InputError, match=r"not an intact \.npz"):
        read_pickled_npz(tmp_path / "text", "x")
    with pytest.raises(InputError, match="none does not exist"):
        read_pickle(tmp_path / "none")
