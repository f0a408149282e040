"""Reading checkpoint files: plain arrays only, and messages for everything else."""

import io
import zipfile

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file
from torch_file import Writer, call
from torch_file import write as write_torch

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
    with pytest.raises(InputError, match=r"x\.\w+ is not an intact"):
        load_state_dict(path)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was opened",))


PLAIN, AVERAGE = np.zeros(2, np.float32), np.ones(2, np.float32)


@pytest.mark.parametrize(
    ("wrap", "default", "other"),
    [
        (lambda p, a: {"state_dict": p, "state_dict_ema": a}, AVERAGE, PLAIN),
        (lambda p, a: {"model": p, "model_ema": a, "epoch": 3}, AVERAGE, PLAIN),
        # MMEngine saves the average as the state_dict and the weights where the average was.
        (
            lambda p, a: {
                "state_dict": a,
                "ema_state_dict": {f"module.{k}": v for k, v in p.items()} | {"steps": 9},
            },
            AVERAGE,
            PLAIN,
        ),
    ],
)
def test_the_average_is_taken_unless_told_otherwise(wrap, default, other, tmp_path, capsys):
    writer = Writer()
    sets = [{"w": writer.tensor(array)} for array in (PLAIN, AVERAGE)]
    path = writer.write(tmp_path / "x.pth", wrap(*sets))
    for ema, expected in ((None, default), (True, default), (False, other)):
        read = load_state_dict(path, ema=ema)
        assert list(read) == ["w"]
        np.testing.assert_array_equal(read["w"], expected)
        assert "are used; left out, with their numbers of arrays: '" in capsys.readouterr().err


def test_weights_of_an_unknown_average_are_named(tmp_path, capsys):
    writer = Writer()
    sets = [{"w": writer.tensor(array)} for array in (PLAIN, AVERAGE)]
    path = writer.write(tmp_path / "x.pth", dict(zip(("model", "swa_model"), sets, strict=True)))
    np.testing.assert_array_equal(load_state_dict(path)["w"], PLAIN)
    note = "the weights under 'model' are used; left out, with their numbers of arrays: "
    assert f"{note}'swa_model' (1)." in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrap",
    [
        lambda weights: weights,
        lambda weights: {"model": {f"_forward_module.{key}": weights[key] for key in weights}},
        lambda weights: {"state_dict": weights, "meta": {"epoch": 3}},
        lambda weights: {"model": weights},
        lambda weights: {"model_state_dict": weights},
        lambda weights: {"model_ema": weights},
        lambda weights: {"ema": {"module": weights, "updates": 7}},
        lambda weights: {f"module.{key}": w for key, w in weights.items()} | {"n_averaged": 5},
        lambda weights: {"state_dict": {f"module.{key}": w for key, w in weights.items()}},
        lambda weights: {"state_dict": {f"model._orig_mod.{key}": weights[key] for key in weights}},
    ],
)
def test_wrappers_are_opened(wrap, arrays, tmp_path):
    path = write_torch(tmp_path / "x.pth", arrays, wrap)
    assert set(load_state_dict(path)) == set(arrays)
    with pytest.raises(InputError, match="leave ema out"):
        load_state_dict(path, ema=True)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda p, a: {"model": p, "ema": {"module": a, "updates": 3}},
        lambda p, a: {"state_dict": {"model.w": p["w"], "ema_model.w": a["w"]}},
        lambda p, a: {"state_dict": {"model.w": p["w"], "ema.module.w": a["w"]}},
    ],
)
def test_an_average_inside_wrappers_is_found(wrap, tmp_path, capsys):
    writer = Writer()
    sets = [{"w": writer.tensor(array)} for array in (PLAIN, AVERAGE)]
    path = writer.write(tmp_path / "x.pth", wrap(*sets))
    for ema, expected in ((None, AVERAGE), (True, AVERAGE), (False, PLAIN)):
        read = load_state_dict(path, ema=ema)
        assert list(read) == ["w"]
        np.testing.assert_array_equal(read["w"], expected)
    capsys.readouterr()


def test_an_average_that_cannot_be_read_is_not_replaced_silently(arrays, tmp_path):
    def wrap(weights):
        return {"model": weights, "ema": call("torch.nn", "Module", 1)}

    path = write_torch(tmp_path / "x.pth", arrays, wrap)
    for ema in (None, True):
        with pytest.raises(InputError, match="moving average under 'ema' that is not plain tens"):
            load_state_dict(path, ema=ema)
    assert set(load_state_dict(path, ema=False)) == set(arrays)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".npz"])
def test_what_is_beside_the_model_is_left_out_and_listed(suffix, arrays, tmp_path, capsys):
    both = {f"model.{key}": array for key, array in arrays.items()}
    both |= {"criterion.weight": np.ones(3, np.float32), "metric.0": np.ones(1, np.float32)}
    path = tmp_path / f"x{suffix}"
    if suffix == ".pth":
        write_torch(path, both, lambda weights: {"state_dict": weights, "epoch": 3})
    else:
        write(path, both)
    assert set(load_state_dict(path)) == set(arrays)
    said = " ".join(capsys.readouterr().err.split())
    assert "arrays under 'model' are used" in said and "criterion (1), metric (1)" in said


def test_a_part_called_model_is_not_a_wrapper(tmp_path):
    arrays = {f"backbone.{i}": np.zeros(1, np.float32) for i in range(9)}
    arrays["model.weight"] = np.zeros(1, np.float32)
    assert set(load_state_dict(write(tmp_path / "x.npz", arrays))) == set(arrays)


def test_small_files_cannot_fill_the_memory(tmp_path):
    writer = Writer()
    tensor = writer.tensor(np.zeros(1, np.float32), (0, (40_000, 40_000), (0, 0)))
    path = writer.write(tmp_path / "x.pth", {"w": tensor})
    with pytest.raises(InputError, match=r"need 6.0 GiB of memory, although the file has"):
        load_state_dict(path)
    np.savez_compressed(tmp_path / "x.npz", w=np.zeros(2**25, np.float32))
    with pytest.raises(InputError, match=r"x.npz is refused: its arrays need 0.1 GiB of memory"):
        load_state_dict(tmp_path / "x.npz")


def test_a_header_that_claims_too_much_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        header = {"descr": "<f4", "fortran_order": False, "shape": (2**40,)}
        file = io.BytesIO()
        np.lib.format.write_array_header_1_0(file, header)
        archive.writestr("w.npy", file.getvalue() + bytes(16))
    with pytest.raises(InputError, match=r"not an intact npz file \(w.npy claims the shape"):
        load_state_dict(tmp_path / "x.npz")


def test_files_without_weights_show_what_they_hold(arrays, tmp_path):
    path = write_torch(tmp_path / "x.pth", arrays, lambda weights: {"epoch": 3, "best": {"a": 1}})
    with pytest.raises(InputError, match="Its entries: epoch, best"):
        load_state_dict(path)


def test_values_that_are_no_tensors_are_named(arrays, tmp_path):
    path = write_torch(tmp_path / "x.pth", arrays, lambda weights: weights | {"b": "text"})
    with pytest.raises(InputError, match="objects other than plain tensors under b"):
        load_state_dict(path)


def test_pickled_objects_inside_npz_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.array([Bomb()], dtype=object))
    with pytest.raises(InputError, match="objects other than plain arrays"):
        load_state_dict(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("name", "message"),
    [("absent.npz", "There is no checkpoint file"), ("x.txt", "expected .safetensors, .pth")],
)
def test_other_files_are_refused(name, message, tmp_path):
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(InputError, match=message):
        load_state_dict(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<!DOCTYPE html><html>Sign in</html>", "is a web page"),
        ("version https://git-lfs.github.com/spec/v1\nsize 9\n", "is a pointer of Git LFS"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_a_download_brought_instead_is_named(content, message, suffix, tmp_path):
    (tmp_path / f"x{suffix}").write_text(content)
    with pytest.raises(InputError, match=message):
        load_state_dict(tmp_path / f"x{suffix}")


def test_an_empty_file_of_arrays_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz")
    with pytest.raises(InputError, match="contains no arrays"):
        load_state_dict(tmp_path / "x.npz")
