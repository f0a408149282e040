"""Reading of state dicts from files. No code in a file is ever run."""

import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.convert.pickles import Tensor
from jaxpose.convert.pth import Checkpoint
from jaxpose.download import local
from jaxpose.errors import InputError

PYTORCH = (".pth", ".pt", ".bin", ".ckpt", ".pkl", ".tar")
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
# Prefixes that data-parallel training, compilation and Lightning modules add to every key.
_WRAPPERS = ("module.", "_orig_mod.", "model.")


def load_state_dict(path: str | Path, *, ema: bool | None = None) -> dict[str, np.ndarray]:
    """Read the weights of a file or a release folder as `{key: array}`.

    Reads `.safetensors`, `.npz` and PyTorch's files (`.pth`, `.pt`, `.bin`, `.ckpt`). Of PyTorch's
    files it reads only the tensors: other objects in a pickle are neither imported nor run. Floats
    of 16 bits become float32. The weights may be inside wrappers such as `state_dict` and `model`,
    and a prefix `module.`, `_orig_mod.` or `model.` that all keys have is removed.

    Args:
      path: the file, or a folder with `model.safetensors`, or with its shards and
        `model.safetensors.index.json`, as `save_release` and transformers write; or the `https://`
        address of a file or of a release folder (`jaxpose.download`).
      ema: True takes the moving average of the weights, False the weights themselves, from files
        that contain both. None takes the ones that the file's project evaluates with, which is the
        average (timm, DeiT, MMEngine).

    Raises:
      InputError: the file does not exist, has an unknown type, is damaged, or contains code; it
        does not contain the weights that `ema` selects; or as `download.local`.
    """
    path = local(path)
    sharded = not (path / RELEASE).is_file() and (path / INDEX).is_file()
    if path.is_dir():
        path = path / (INDEX if sharded else RELEASE)
    if not path.is_file():
        raise InputError(f"There is no checkpoint file {path}.")
    _refuse_text(path)
    suffix = path.suffix.lower()
    if sharded:
        state_dict = _read_shards(path.parent)
    elif suffix == ".safetensors":
        state_dict = _read_safetensors(path)
    elif suffix == ".npz":
        state_dict = _read_npz(path)
    elif suffix in PYTORCH:
        return _read_pytorch(path, ema)
    else:
        raise InputError(
            f"{path} is not a supported checkpoint: expected .safetensors, .pth, .pt, .bin, .ckpt "
            f"or .npz, not {suffix or 'a name without a suffix'}."
        )
    if not state_dict:
        raise InputError(f"{path} contains no arrays.")
    if ema is not None:
        raise InputError(f"{path} contains only one set of weights: leave ema out.")
    return _unwrapped(state_dict)


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
        names = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
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
        if not file.is_file():
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


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: _float32(file[key]) for key in file.files}
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise InputError(
            f"{path} is not an intact npz file ({error}). Download or write it again."
        ) from error
    except ValueError as error:  # numpy's refusal of pickled objects
        raise InputError(
            f"{path} contains objects other than plain arrays ({error}). Save one array per "
            f"parameter with numpy.savez."
        ) from error


def _read_pytorch(path: Path, ema: bool | None) -> dict[str, np.ndarray]:
    with Checkpoint(path) as checkpoint:
        tensors = _choose(checkpoint.content, path, ema)
        odd = [key for key, value in tensors.items() if not isinstance(value, Tensor | int | float)]
        if odd:
            more = f" and {len(odd) - 5} more" if len(odd) > 5 else ""
            raise InputError(
                f"{path} contains objects other than plain tensors under "
                f"{', '.join(odd[:5])}{more}. Save only the model's state_dict."
            )
        return {
            key: _float32(checkpoint.array(key, value))
            if isinstance(value, Tensor)
            else np.asarray(value)
            for key, value in _unwrapped(tensors).items()
        }


def _choose(content: Any, path: Path, ema: bool | None) -> dict[str, Any]:
    """Return the weights inside the wrappers of a training file."""
    if not isinstance(content, Mapping) or not content:
        raise InputError(
            f"{path} contains no weights: expected a state_dict, or a file with one. If it is a "
            "whole pickled model, save model.state_dict() instead."
        )
    if _is_state_dict(content):
        if ema is not None:
            raise InputError(f"{path} contains only one set of weights: leave ema out.")
        return dict(content)
    found = {key: value for key, value in content.items() if _is_state_dict(value)}
    averaged = next((key for key in _AVERAGED if key in found), None)
    plain = next((key for key in _PLAIN if key in found), None)
    if plain and not averaged and _MMENGINE in found:
        averaged, plain = plain, _MMENGINE
        found[plain] = {key: v for key, v in found[plain].items() if key != "steps"}
    elif ema is not None and not (averaged and plain):
        raise InputError(
            f"{path} does not contain both weights and their moving average, but "
            f"{', '.join(map(str, found)) or 'neither'}: leave ema out."
        )
    chosen = (plain or averaged) if ema is False else (averaged or plain)
    if chosen is None:
        raise InputError(
            f"{path} contains no weights under {', '.join(_PLAIN)} or {', '.join(_AVERAGED)}. Its "
            f"entries: {', '.join(map(str, list(content)[:12]))}."
        )
    return dict(found[chosen])


def _is_state_dict(value: Any) -> bool:
    """True if `value` maps names to tensors."""
    return (
        isinstance(value, Mapping)
        and any(isinstance(v, Tensor) for v in value.values())
        and all(isinstance(key, str) for key in value)
    )


def _unwrapped(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Remove the prefixes that wrappers of the model added to all keys."""
    for prefix in _WRAPPERS:
        if state_dict and all(key.startswith(prefix) for key in state_dict):
            return _unwrapped({key.removeprefix(prefix): v for key, v in state_dict.items()})
    return dict(state_dict)


def _float32(array: np.ndarray) -> np.ndarray:
    """Convert floats of 16 and 64 bits to float32; return other arrays unchanged."""
    other = array.dtype.name in ("float16", "bfloat16", "float64")
    return array.astype(np.float32) if other else array
