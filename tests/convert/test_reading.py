"""Reading checkpoint files: plain arrays only, and messages for everything else."""

import pickle

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxpose.convert import load_state_dict
from jaxpose.errors import InputError


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "a.weight": rng.random((2, 3)).astype(np.float32),
        "a.half": rng.random(4).astype(np.float16),
        "count": np.array(3, np.int64),
    }


def write(path, arrays):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        save_file(arrays, path)
    return path


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_arrays_come_back_with_half_precision_widened(suffix, arrays, tmp_path):
    read = load_state_dict(write(tmp_path / f"x{suffix}", arrays))
    assert set(read) == set(arrays)
    for key, array in arrays.items():
        np.testing.assert_array_equal(read[key], array)
    assert read["a.half"].dtype == np.float32


def test_bfloat16_is_widened(tmp_path):
    array = np.arange(4, dtype=np.float32).astype(ml_dtypes.bfloat16)
    read = load_state_dict(write(tmp_path / "x.safetensors", {"a": array}))
    assert read["a"].dtype == np.float32
    np.testing.assert_array_equal(read["a"], np.arange(4))


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("length", [0, 5, 150])
def test_damaged_files_are_named(suffix, length, arrays, tmp_path):
    path = write(tmp_path / f"x{suffix}", arrays)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(InputError, match=r"x\.\w+ is no intact"):
        load_state_dict(path)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was opened",))


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin"])
def test_pickles_are_refused_unopened(suffix, tmp_path):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match=r"(?s)can run code.*weights_only=True.*x\.safetensors"):
        load_state_dict(path)


def test_pickled_objects_inside_npz_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.array([Bomb()], dtype=object))
    with pytest.raises(InputError, match="something else than plain arrays"):
        load_state_dict(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("name", "message"),
    [("absent.npz", "There is no checkpoint file"), ("x.txt", "expected .safetensors or .npz")],
)
def test_other_files_are_refused(name, message, tmp_path):
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(InputError, match=message):
        load_state_dict(tmp_path / name)


def test_an_empty_file_of_arrays_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz")
    with pytest.raises(InputError, match="holds no arrays"):
        load_state_dict(tmp_path / "x.npz")
