"""PyTorch files: tensors come out as they went in, and nothing else ever happens."""

import decimal
import enum
import functools
import http
import importlib
import io
import logging
import operator
import os
import pickle
import random
import re
import subprocess
import types
import typing
import uuid
import zipfile
import zoneinfo

import ml_dtypes
import numpy as np
import pytest
from torch_file import Writer, call, write

from jaxpose.convert import load_state_dict
from jaxpose.errors import InputError


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "a.weight": rng.standard_normal((2, 3)).astype(np.float32),
        "a.half": rng.standard_normal(4).astype(np.float16),
        "a.brain": rng.standard_normal(4).astype(ml_dtypes.bfloat16),
        "a.double": rng.standard_normal(4),
        "mask": np.array([True, False]),
        "count": np.array(3, np.int64),
    }


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".ckpt"])
def test_every_dtype_and_byte_order(suffix, order, arrays, tmp_path):
    read = load_state_dict(write(tmp_path / f"x{suffix}", arrays, order=order))
    assert list(read) == list(arrays)
    for key, array in arrays.items():
        expected = array.astype(np.float32) if array.dtype.kind in "fV" else array
        np.testing.assert_array_equal(read[key], expected)
        assert read[key].dtype == expected.dtype and read[key].dtype.isnative


def test_views_of_a_storage(tmp_path):
    writer = Writer()
    numbers = np.arange(12, dtype=np.float32)
    views = {
        "transposed": (0, (4, 3), (1, 4)),
        "middle": (5, (3,), (2,)),
        "expanded": (7, (2, 2), (0, 0)),
        "nothing": (0, (0, 3), (3, 1)),
    }
    tensors = {name: writer.tensor(numbers, view) for name, view in views.items()}
    read = load_state_dict(writer.write(tmp_path / "x.pth", tensors))
    np.testing.assert_array_equal(read["transposed"], numbers.reshape(3, 4).T)
    np.testing.assert_array_equal(read["middle"], [5, 7, 9])
    np.testing.assert_array_equal(read["expanded"], np.full((2, 2), 7))
    assert read["nothing"].shape == (0, 3)


def test_what_stands_beside_the_weights_is_not_made(arrays, tmp_path):
    def wrap(tensors):
        return {
            "meta": call("mmengine.config", "Config", {"lr": 1}),
            "message_hub": call("numpy.core.multiarray", "_reconstruct", (0,), b"b"),
            "args": call("argparse", "Namespace"),
            "when": call("datetime", "datetime", b"12345"),
            "state_dict": tensors,
        }

    read = load_state_dict(write(tmp_path / "x.pth", arrays, wrap))
    np.testing.assert_array_equal(read["a.weight"], arrays["a.weight"])


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, f"{os.name}.system"),
        (exec, "builtins.exec"),
        (eval, "builtins.eval"),
        (io.open, "io.open"),
        (subprocess.run, "subprocess.run"),
        (importlib.import_module, "importlib.import_module"),
        (__import__, "builtins.__import__"),
    ],
)
def test_code_is_refused_and_not_run(function, name, zipped, tmp_path):
    trace = tmp_path / "trace"

    class Malicious:
        def __reduce__(self):
            command = f"touch {trace}" if function is os.system else f"open({str(trace)!r}, 'w')"
            return function, (command,)

    path, content = tmp_path / "x.pth", pickle.dumps({"state_dict": {"a": Malicious()}})
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x/data.pkl", content)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"x\.pth is refused: it contains code: .*{name}") as info:
        load_state_dict(path)
    assert len(str(info.value).splitlines()) == 1
    assert not trace.exists()
    # The pickle is not a blank: Python's own unpickler runs it.
    if function is os.system:
        pickle.loads(content)
        assert trace.exists()


def test_settings_of_an_unknown_package_are_left_out_with_a_note(arrays, tmp_path, capsys):
    def wrap(tensors):
        return {"state_dict": tensors, "config": call("my_lab.settings", "Config", {"lr": 1})}

    assert set(load_state_dict(write(tmp_path / "x.pth", arrays, wrap))) == set(arrays)
    said = capsys.readouterr().err
    assert "beside the weights are left out and were not created: my_lab.settings.Config" in said


class Mode(enum.Enum):
    """Settings of a training."""

    FAST = 1


class Settings:
    """A user's own settings, with a class inside."""

    class Inner:
        """Nested in `Settings`."""

    def __init__(self, value):
        self.value = value

    def method(self):
        return self.value


VALUES = {
    "my own enum": Mode.FAST,
    "nested class": Settings.Inner(),
    "method": Settings(1).method,
    "function": pytest.importorskip,
    "partial": functools.partial(Settings, 1),
    "namespace": types.SimpleNamespace(a=1),
    "regular expression": re.compile("a+", re.IGNORECASE),
    "decimal": decimal.Decimal("1.5"),
    "uuid": uuid.UUID(int=1),
    "logger": logging.getLogger("x"),
    "item": operator.itemgetter(1),
    "random": random.Random(1),
    "zone": zoneinfo.ZoneInfo("UTC"),
    "builtin": max,
    "type": int,
    "ellipsis": ...,
    "range": range(3),
    "hint": list[int],
    "optional": typing.Optional[int],  # noqa: UP045  another object than `int | None`
    "status": http.HTTPStatus.OK,
}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_users_own_settings_are_no_code(name, protocol, arrays, tmp_path, capsys):
    settings = Settings(VALUES[name])
    path = write(
        tmp_path / "x.pth",
        arrays,
        lambda tensors: {"state_dict": tensors, "config": settings, "also": [settings.value]},
        protocol=protocol,
    )
    read = load_state_dict(path)
    assert sorted(read) == sorted(arrays)
    assert (read["a.weight"] == arrays["a.weight"]).all()
    said = capsys.readouterr().err
    assert "beside the weights are left out and were not created" in said
    assert f"{__name__}.Settings" in said


def test_a_stand_in_cannot_be_turned_into_a_call(tmp_path):
    """State and attributes that a pickle gives to a stand-in go nowhere, and do not last."""
    content = call("torch.nn", "Module", call("mmengine", "Hook"))
    for _ in range(2):
        with pytest.raises(InputError, match="contains no weights"):
            load_state_dict(Writer().write(tmp_path / "x.pth", content))


@pytest.mark.parametrize("length", [0, 3, 40, 300, 0.5, 0.99])
def test_cut_files_are_named(length, arrays, tmp_path):
    path = write(tmp_path / "x.pth", arrays)
    content = path.read_bytes()
    path.write_bytes(content[: length if isinstance(length, int) else int(length * len(content))])
    with pytest.raises(InputError, match=r"x\.pth is (not an intact|refused)"):
        load_state_dict(path)


def test_a_flipped_bit_is_found(arrays, tmp_path):
    path = write(tmp_path / "x.pth", arrays)
    content = bytearray(path.read_bytes())
    content[content.index(arrays["a.weight"].tobytes()) + 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"not an intact PyTorch file \(Bad CRC"):
        load_state_dict(path)


def test_a_storage_that_is_too_short(arrays, tmp_path):
    with pytest.raises(InputError, match="not an intact PyTorch file"):
        load_state_dict(write(tmp_path / "x.pth", arrays, cut=1))
    writer = Writer()
    tensors = {"a.b": writer.tensor(np.zeros(6, np.float32), (1, (2, 3), (3, 1)))}
    with pytest.raises(InputError, match=r"storage of a\.b \[2, 3\] has 6 numbers.* needs 7"):
        load_state_dict(writer.write(tmp_path / "x.pth", tensors))


def test_other_archives_are_told_apart(tmp_path):
    for names, message in (
        (["word/document.xml"], "not one that torch.save wrote"),
        (["x/data.pkl", "x/constants.pkl"], "TorchScript"),
    ):
        with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
            for name in names:
                archive.writestr(name, b"")
        with pytest.raises(InputError, match=message):
            load_state_dict(tmp_path / "x.pt")
    (tmp_path / "x.pth").write_text("<html>404</html>")
    with pytest.raises(InputError, match="is a web page, not a checkpoint"):
        load_state_dict(tmp_path / "x.pth")


@pytest.mark.parametrize("zipped", [True, False])
def test_files_that_pytorch_wrote(zipped, tmp_path):
    torch = pytest.importorskip("torch")
    base = torch.randn(10)
    tensors = {
        "matrix": torch.randn(3, 4).t(),
        "left": base[:5],
        "right": base[5:],
        "half": torch.randn(3).half(),
        "brain": torch.randn(3).bfloat16(),
        "parameter": torch.nn.Parameter(torch.randn(2)),
        "count": torch.tensor(7),
    }
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    content = {
        "state_dict": {f"module.{name}": tensor for name, tensor in tensors.items()},
        "optimizer": optimizer.state_dict(),
        "score": np.float32(3),
        "history": np.zeros(3),
        "dtype": torch.float32,
        "device": torch.device("cpu"),
    }
    torch.save(content, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    read = load_state_dict(tmp_path / "x.pth")
    assert set(read) == set(tensors)
    for name, tensor in tensors.items():
        wide = tensor.detach().float() if tensor.is_floating_point() else tensor
        np.testing.assert_array_equal(read[name], wide.numpy())
    torch.save(model, tmp_path / "whole.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError):
        load_state_dict(tmp_path / "whole.pth")
