"""Rows of the table for weights: each kind of file, and the wrappers of checkpoints."""

import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.config.scripts import load_script
from jaxpose.convert.reading import load_state_dict
from jaxpose.convert.release import load_config
from tests.hostile.reader import Files, Reader, files_of
from tests.torch_file import Writer

CONVERT = Path(__file__).resolve().parents[1] / "convert"
ARRAYS = {
    "a.weight": np.random.default_rng(0).random((3, 4), np.float32),
    "a.bias": np.arange(4, dtype=np.float16),
}


def _same(found: dict[str, np.ndarray]) -> bool:
    """True for `ARRAYS`, as float32."""
    return sorted(found) == sorted(ARRAYS) and all(
        (found[name] == array).all() and found[name].dtype == np.float32
        for name, array in ARRAYS.items()
    )


def _npz() -> list[Files]:
    plain, packed = io.BytesIO(), io.BytesIO()
    np.savez(plain, **ARRAYS)
    np.savez_compressed(packed, **ARRAYS)
    return [{"w.npz": plain.getvalue()}, {"w.npz": packed.getvalue()}]


def _safetensors() -> list[Files]:
    from safetensors.numpy import save

    return [{"w.safetensors": save(ARRAYS)}]


def _shards() -> list[Files]:
    from safetensors.numpy import save

    names = {"a.weight": "model-1.safetensors", "a.bias": "model-2.safetensors"}
    files = {file: save({key: ARRAYS[key]}) for key, file in names.items()}
    index = {"model.safetensors.index.json": json.dumps({"weight_map": names}).encode()}
    return [index | files, files | index]


def _wrapped(wrap: Callable[[dict[str, Any], Any], Any]) -> Files:
    """A PyTorch file; `wrap(tensors, number)` is its content."""
    with tempfile.TemporaryDirectory() as folder:
        writer = Writer()
        tensors = {key: writer.tensor(array) for key, array in ARRAYS.items()}
        number = writer.tensor(np.array(3, np.int64))
        path = writer.write(Path(folder) / "w.pth", wrap(tensors, number))
        return {"w.pth": path.read_bytes()}


def _under(prefix: str, tensors: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}.{key}": value for key, value in tensors.items()}


def _pth() -> list[Files]:
    wrappers: list[Callable[[dict[str, Any], Any], Any]] = [
        lambda tensors, number: tensors,
        lambda tensors, number: {"state_dict": tensors, "epoch": 3},
        lambda tensors, number: {"model": tensors, "optimizer": {"state": {}}},
        lambda tensors, number: _under("module", tensors) | {"n_averaged": number},
        lambda tensors, number: {"state_dict": _under("model", tensors), "global_step": 3},
        lambda tensors, number: {"model": {}, "ema": {"module": tensors, "updates": 3}},
        lambda tensors, number: {"state_dict": _under("module.model", tensors)},
    ]
    return [_wrapped(wrap) for wrap in wrappers]


def _release() -> list[Files]:
    config = {"format": "jaxpose", "schema": 2, "name": "x", "estimator": {"class": "a.B", "x": 1}}
    return [
        {
            "config.json": json.dumps(config).encode(),
            "model.safetensors": next(iter(_safetensors()[0].values())),
        }
    ]


def _written(script: str, name: str, write: Callable[[Any, Path], Any]) -> list[Files]:
    """Files that a test's own writer writes, `name` first, and then each other one first."""
    with tempfile.TemporaryDirectory() as folder:
        write(load_script(CONVERT / script), Path(folder))
        files = files_of(Path(folder))
    return [{first: files[first]} | files for first in sorted(files, key=lambda n: n != name)]


def _openvino() -> list[Files]:
    return _written("test_openvino.py", "x.xml", lambda script, folder: script.write(folder))


def _tfjs() -> list[Files]:
    kernel = np.ones((3, 2), np.float32).tobytes()
    return _written(
        "test_tfjs.py",
        "model.json",
        lambda script, folder: script.write(folder, [script.entry()], kernel),
    )


def _tflite() -> list[Files]:
    file = load_script(CONVERT / "tflite_file.py")
    kernel = np.arange(24, dtype=np.float32).reshape(2, 2, 2, 3)
    tensors = [
        {"name": "image", "array": None},
        {"name": "out", "array": None},
        {"name": "model/conv2d_3/Conv2D", "array": kernel},
        {"name": "model/re_lu/Relu6;model/conv2d_3/Conv2D", "array": np.ones(2, np.float32)},
    ]
    return [{"x.tflite": file.model(tensors, [(3, [0, 2, 3], [1])])}]


def _frozen_graph() -> list[Files]:
    return [{"x.pb": load_script(CONVERT / "test_frozen_graph.py").graph()}]


WEIGHT_READERS: tuple[Reader, ...] = (
    Reader("npz weights", lambda folder: load_state_dict(folder / "w.npz"), _npz, _same),
    Reader(
        "safetensors", lambda folder: load_state_dict(folder / "w.safetensors"), _safetensors, _same
    ),
    Reader("sharded weights", load_state_dict, _shards, _same),
    Reader("PyTorch weights", lambda folder: load_state_dict(folder / "w.pth"), _pth, _same),
    Reader(
        "OpenVINO",
        lambda folder: load_state_dict(folder / "x.xml"),
        _openvino,
        lambda found: len(found) == 4,
    ),
    Reader(
        "TensorFlow.js",
        lambda folder: load_state_dict(folder / "model.json"),
        _tfjs,
        lambda found: found["kernel"].tolist() == [[1, 1]] * 3,
    ),
    Reader(
        "TFLite",
        lambda folder: load_state_dict(folder / "x.tflite"),
        _tflite,
        lambda found: list(found) == ["conv2d_3/kernel", "conv2d_3/bias"],
    ),
    Reader(
        "frozen graph",
        lambda folder: load_state_dict(folder / "x.pb"),
        _frozen_graph,
        lambda found: found["b"].tolist() == [1, -2, 3],
    ),
    Reader("release configuration", load_config, _release, lambda config: config["name"] == "x"),
)
