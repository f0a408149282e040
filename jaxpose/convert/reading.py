"""Reading of state dicts from files. No code in a file is ever run."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.console import PlainConsole
from jaxpose.convert.frozen_graph import read_frozen_graph
from jaxpose.convert.npz import read_npz
from jaxpose.convert.openvino import openvino_input_hw, read_openvino
from jaxpose.convert.pickles import Tensor
from jaxpose.convert.pth import Checkpoint
from jaxpose.convert.tfjs import read_tfjs
from jaxpose.convert.tflite import read_tflite
from jaxpose.download import local
from jaxpose.download.shards import shard_names
from jaxpose.errors import InputError
from jaxpose.file_limits import SETTINGS, read_text
from jaxpose.json_text import parse_json
from jaxpose.paths import is_file

PYTORCH = (".pth", ".pt", ".bin", ".ckpt", ".pkl", ".tar")
OPENVINO = ".xml"
RELEASE = "model.safetensors"
"""File of the weights in a release folder."""
INDEX = "model.safetensors.index.json"
"""File that lists the shards of a folder whose weights are in several files."""

# Entries of a training file with the moving average of the weights, and with the weights
# themselves. MMEngine swaps the two when it saves: its `state_dict` is the average, and
# `ema_state_dict` has the weights themselves.
_AVERAGED = ("state_dict_ema", "model_ema", "ema")
_PLAIN = (
    "state_dict",
    "model",
    "model_pos",
    "model_state_dict",
    "model_state",
    "module",
    "net",
    "weights",
)
_MMENGINE = "ema_state_dict"
# Pattern of the dataset's name in the text of an MMPose configuration.
_DATASET_NAME = r"\bdataset_name\s*=\s*['\"]([\w-]+)['\"]"
# Names under which data-parallel training, averaging, compilation and Lightning store the model.
_WRAPPERS = ("module", "_orig_mod", "_forward_module", "model")
# Names under which modules of Lightning store the moving average beside `model`.
_AVERAGED_WRAPPERS = ("ema_model", "model_ema", "averaged_model", "ema")
# Counters that averaging stores beside the weights (torch.optim.swa_utils, MMEngine).
_COUNTERS = frozenset({"n_averaged", "steps", "num_updates", "updates", "decay"})


@dataclass(frozen=True)
class Weights:
    """Weights of a file.

    Attributes:
      arrays: `{key: array}`.
      left_out: number of arrays of the file that are not among them, by reason.
    """

    arrays: dict[str, np.ndarray]
    left_out: Mapping[str, int]


def load_state_dict(path: str | Path, *, ema: bool | None = None) -> dict[str, np.ndarray]:
    """Read the weights of a file or a release folder as `{key: array}`; see `read_weights`."""
    return read_weights(path, ema=ema).arrays


def read_weights(path: str | Path, *, ema: bool | None = None) -> Weights:
    """Read the weights of a file or a release folder.

    Reads `.safetensors`, `.npz`, OpenVINO's models (`.xml` with `.bin` beside it; see
    `convert.openvino`), TensorFlow.js models (`.json` with the weight files beside it; see
    `convert.tfjs`), TFLite files (`.tflite`; see `convert.tflite`), frozen graphs (`.pb`; see
    `convert.frozen_graph`) and PyTorch's files (`.pth`, `.pt`, `.bin`, `.ckpt`). Of PyTorch's files
    it reads only the tensors: other objects in a pickle are neither imported nor run. Floats of 16
    bits become float32. The weights may be inside wrappers such as `state_dict` and `model`, and a
    prefix `module.`, `_orig_mod.` or `model.` is removed. Arrays beside those with the prefix, such
    as a loss's, are left out, and a note on standard error lists them.

    The arrays may need 64 MiB and 16 times the file's size: a small file cannot fill the memory.

    Args:
      path: the file, or a folder with `model.safetensors`, or with its shards and
        `model.safetensors.index.json`, as `save_release` and transformers write; or the `https://`
        address of a file or of a release folder (`jaxpose.download`).
      ema: True takes the moving average of the weights, False the weights themselves, from files
        that contain both. None takes the ones that the file's project evaluates with, which is the
        average (timm, DeiT, MMEngine).

    Raises:
      InputError: the file does not exist, has an unknown type, is damaged, too large when unpacked,
        or contains code; it does not contain the weights that `ema` selects, or contains a moving
        average that cannot be read and `ema` is None; or as `download.local`.
    """
    path = local(path)
    sharded = not (path / RELEASE).is_file() and (path / INDEX).is_file()
    if path.is_dir():
        path = path / (INDEX if sharded else RELEASE)
    if not path.is_file():
        raise InputError(f"There is no checkpoint file {path}.")
    suffix = path.suffix.lower()
    if suffix != OPENVINO:
        _refuse_text(path)
    if suffix == OPENVINO:
        state_dict = read_openvino(path)
    elif sharded:
        state_dict = _read_shards(path.parent)
    elif suffix == ".safetensors":
        state_dict = _read_safetensors(path)
    elif suffix == ".npz":
        state_dict = {key: _float32(array) for key, array in read_npz(path).items()}
    elif suffix == ".json":
        state_dict = read_tfjs(path)
    elif suffix == ".tflite":
        state_dict = read_tflite(path)
    elif suffix == ".pb":
        state_dict = read_frozen_graph(path)
    elif suffix in PYTORCH:
        return _read_pytorch(path, ema)
    else:
        raise InputError(
            f"{path} is not a supported checkpoint: expected .safetensors, .pth, .pt, .bin, .ckpt, "
            f".npz, .xml (OpenVINO), .json (TensorFlow.js), .tflite or .pb (frozen graph), "
            f"not {suffix or 'a name without a suffix'}."
        )
    if not state_dict:
        raise InputError(f"{path} contains no arrays.")
    left_out: Counter[str] = Counter()
    return Weights(_unwrapped(state_dict, path, left_out, ema), left_out)


def dataset_of(path: str | Path) -> str:
    """Name of the dataset in the metadata that MMPose saves with weights; empty for none.

    MMPose 1.x saves it in `dataset_meta`, 0.x in the text of the configuration.

    Raises:
      InputError: as for `load_state_dict`, for PyTorch's files; other files have no such metadata.
    """
    path = local(path)
    if path.suffix.lower() not in PYTORCH or not path.is_file():
        return ""
    with Checkpoint(path) as checkpoint:
        content = checkpoint.content
        meta = content.get("meta") if isinstance(content, Mapping) else None
    if not isinstance(meta, Mapping):
        return ""
    stated = meta.get("dataset_meta")
    if isinstance(stated, Mapping) and isinstance(stated.get("dataset_name"), str):
        return stated["dataset_name"]
    texts = [text for key in ("cfg", "config") if isinstance(text := meta.get(key), str)]
    names = {name for text in texts for name in re.findall(_DATASET_NAME, text)}
    return names.pop() if len(names) == 1 else ""


def files_of(path: Path) -> tuple[Path, ...]:
    """Files that a checkpoint consists of: itself, and the weights beside a graph.

    Raises:
      InputError: a TensorFlow.js model names a file outside its folder.
    """
    suffix = path.suffix.lower()
    beside: list[Path] = []
    if suffix == OPENVINO:
        beside = [path.with_suffix(".bin")]
    elif suffix == ".json":
        beside = [path.parent / name for name in shard_names(path)]
    return (path, *(file for file in beside if file.is_file()))


def input_hw_of(path: str | Path) -> tuple[int, int] | None:
    """Height and width of the images that a file states for its model; None if it states none.

    Raises:
      InputError: as for `load_state_dict`.
    """
    path = local(path)
    if path.suffix.lower() == OPENVINO and path.is_file():
        return openvino_input_hw(path)
    return None


def _refuse_text(path: Path) -> None:
    """Raise InputError if the file is a Git LFS pointer or a web page instead of a checkpoint."""
    with path.open("rb") as file:
        start = file.read(64).lstrip()
    if start.startswith(b"version https://git-lfs"):
        raise InputError(
            f"{path} is a pointer of Git LFS, not the file itself. Download the file with `git lfs "
            "pull`, or from the repository's web page."
        )
    if start.startswith(b"<"):
        raise InputError(
            f"{path} is a web page, not a checkpoint: the site sent a page instead of the file. "
            "Download it again from its direct address, and sign in if the site requires it."
        )


def shards_of(folder: Path) -> list[str]:
    """Names of the files that hold the weights of a folder with an index, sorted.

    Raises:
      InputError: the index is damaged, or names files outside the folder.
    """
    return sorted(set(_weight_map(folder).values()))


def _weight_map(folder: Path) -> dict[str, str]:
    """Name of the file of each array, from the index of a folder."""
    try:
        names = parse_json(read_text(folder / INDEX, SETTINGS))["weight_map"]
        inside = all(Path(name).name == name and name for name in names.values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{folder / INDEX} is damaged ({type(error).__name__}): it has no map from arrays to "
            "files. Download it again."
        ) from error
    if not inside:
        raise InputError(f"{folder / INDEX} names files outside of its folder.")
    return dict(names)


def weight_files(folder: Path) -> list[Path]:
    """Files of the weights of a folder: `model.safetensors`, or the shards of its index.

    Raises:
      InputError: as for `shards_of`; a shard is missing.
    """
    if (folder / RELEASE).is_file():
        return [folder / RELEASE]
    files = [folder / name for name in shards_of(folder)]
    for file in files:
        if not is_file(file):
            raise InputError(
                f"{folder} has no {file.name}, which {INDEX} lists: all shards are needed. "
                "Download it."
            )
    return files


def _read_shards(folder: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for file in weight_files(folder):
        found |= _read_safetensors(file)
    missing = [key for key in _weight_map(folder) if key not in found]
    if missing:
        raise InputError(
            f"{folder}: {INDEX} lists {len(missing)} arrays that no shard has, such as "
            f"{missing[0]}. Download the folder again."
        )
    return found


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return {key: _float32(array) for key, array in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path} is not an intact safetensors file ({error}). Download or write it again."
        ) from error


def _read_pytorch(path: Path, ema: bool | None) -> Weights:
    left_out: Counter[str] = Counter()
    with Checkpoint(path) as checkpoint:
        tensors = _choose(checkpoint.content, path, left_out, ema)
        odd = [key for key, value in tensors.items() if not isinstance(value, Tensor | int | float)]
        if odd:
            more = f" and {len(odd) - 5} more" if len(odd) > 5 else ""
            raise InputError(
                f"{path} contains objects other than plain tensors under "
                f"{', '.join(odd[:5])}{more}. Save only the model's state_dict."
            )
        checkpoint.check_size(tensors)
        arrays = {
            key: _float32(checkpoint.array(key, value))
            if isinstance(value, Tensor)
            else np.asarray(value)
            for key, value in tensors.items()
        }
    return Weights(arrays, left_out)


def _choose(content: Any, path: Path, left_out: Counter[str], ema: bool | None) -> dict[str, Any]:
    """Return the weights inside the wrappers of a training file; count the others."""
    if not isinstance(content, Mapping) or not content:
        raise InputError(
            f"{path} contains no weights: expected a state_dict, or a file with one. If it is a "
            "whole pickled model, save model.state_dict() instead."
        )
    if _is_state_dict(content):
        return _unwrapped(content, path, left_out, ema)
    found = {key: inner for key, value in content.items() if (inner := _weights_in(value))}
    averaged = next((key for key in _AVERAGED if key in found), None)
    plain = next((key for key in _PLAIN if key in found), None)
    unread = next(
        (key for key in _AVERAGED if key not in found and _is_content(content, key)), None
    )
    if unread and averaged is None and ema is not False:
        raise InputError(
            f"{path} has a moving average under {unread!r} that is not plain tensors, so it cannot "
            "be read. Take the weights themselves (--no-ema, ema=False), or save the average's "
            "state_dict."
        )
    if plain and not averaged and _MMENGINE in found:
        averaged, plain = plain, _MMENGINE
    elif ema is not None and not (averaged and plain) and len(found) > 1:
        raise InputError(
            f"{path} does not contain both weights and their moving average, but "
            f"{', '.join(map(str, found)) or 'neither'}: leave ema out."
        )
    both = bool(averaged and plain)
    chosen = (plain or averaged) if ema is False else (averaged or plain)
    if chosen is None:
        raise InputError(
            f"{path} contains no weights under {', '.join(_PLAIN)} or {', '.join(_AVERAGED)}. Its "
            f"entries: {', '.join(map(str, list(content)[:12]))}."
        )
    others = {key: len(inner) for key, inner in found.items() if key != chosen}
    for key, count in others.items():
        left_out[f"in {key!r}"] += count
    if others:
        rest = ", ".join(f"{key!r} ({count})" for key, count in others.items())
        PlainConsole(stderr=True).print(
            f"Note: {path.name}: the weights under {chosen!r} are used; left out, with their "
            f"numbers of arrays: {rest}."
        )
    return _unwrapped(found[chosen], path, left_out, None if both or unread else ema)


def _weights_in(value: Any) -> dict[str, Any]:
    """The state dict that a value is, or contains under one of its usual names; empty for none."""
    if _is_state_dict(value):
        return dict(value)
    if isinstance(value, Mapping):
        for key in _PLAIN:
            if _is_state_dict(value.get(key)):
                return dict(value[key])
    return {}


def _is_content(content: Mapping[Any, Any], key: str) -> bool:
    """True if a training file has an object, rather than a number or nothing, under `key`."""
    return content.get(key) is not None and not isinstance(content[key], int | float | str)


def _is_state_dict(value: Any) -> bool:
    """True if `value` maps names to tensors."""
    return (
        isinstance(value, Mapping)
        and any(isinstance(v, Tensor) for v in value.values())
        and all(isinstance(key, str) for key in value)
    )


def _unwrapped(
    state_dict: Mapping[str, Any], path: Path, left_out: Counter[str], ema: bool | None = None
) -> dict[str, Any]:
    """Remove the prefixes of wrappers; leave out what is beside the model, with a note.

    The arrays that are left out are counted in `left_out`.

    Raises:
      InputError: `ema` is given, and there is no choice.
    """
    weights = {
        key: v
        for key, v in state_dict.items()
        if key not in _COUNTERS or getattr(v, "shape", ()) != ()
    }
    if beside := len(state_dict) - len(weights):
        left_out["counter of averaging"] += beside
    counts = Counter(key.partition(".")[0] for key in weights)
    plain = next((name for name in _WRAPPERS if name in counts), None)
    averaged = next((name for name in _AVERAGED_WRAPPERS if name in counts), None)
    if ema is not None and not (plain and averaged):
        raise InputError(f"{path} contains only one set of weights: leave ema out.")
    chosen = averaged if plain and averaged and ema is not False else plain
    # A model may have a part that is called `model` or `module`; a wrapper has most of the arrays.
    if chosen is None or 2 * counts[chosen] <= max(counts.values()):
        return weights
    inner = {
        key.removeprefix(f"{chosen}."): v
        for key, v in weights.items()
        if key.startswith(f"{chosen}.")
    }
    if not inner:
        return weights
    rest = [f"{name} ({count})" for name, count in counts.items() if name != chosen]
    if rest:
        PlainConsole(stderr=True).print(
            f"Note: {path.name}: the arrays under {chosen!r} are used; left out, with their "
            f"numbers of arrays: {', '.join(rest)}.",
        )
        left_out[f"beside {chosen!r}"] += len(weights) - len(inner)
    return _unwrapped(inner, path, left_out)


def _float32(array: np.ndarray) -> np.ndarray:
    """Convert floats of 16 and 64 bits to float32; return other arrays unchanged."""
    other = array.dtype.name in ("float16", "bfloat16", "float64")
    return array.astype(np.float32) if other else array
