"""State dicts from files. Only formats that hold nothing but arrays are read."""

import zipfile
from pathlib import Path

import numpy as np

from jaxpose.errors import InputError

_EXPORT = (
    "python -c \"import torch, safetensors.torch as s; d = torch.load('{name}', weights_only=True, "
    "map_location='cpu'); d = d.get('state_dict', d); s.save_file({{k: v.clone() for k, v in "
    "d.items()}}, '{stem}.safetensors')\""
)


def load_state_dict(path: str | Path, ema: bool | None = None) -> dict[str, np.ndarray]:
    """`{key: array}` from a `.safetensors` or `.npz` file.

    Pickles are never opened: they can run code. 16-bit floats come back as float32.

    Raises:
      InputError: if there is no such file, it is of another kind, or it is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no checkpoint file {path}.")
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        state_dict = _read_safetensors(path)
    elif suffix == ".npz":
        state_dict = _read_npz(path)
    elif suffix in (".pth", ".pt", ".bin", ".ckpt", ".pkl"):
        raise InputError(
            f"{path} is a pickle, which can run code when it is opened. Where PyTorch is "
            f"installed, write it as safetensors:\n"
            f"  {_EXPORT.format(name=path.name, stem=path.stem)}"
        )
    else:
        raise InputError(
            f"{path} is no checkpoint this can read: expected .safetensors or .npz, not "
            f"{suffix or 'a name without a suffix'}."
        )
    if not state_dict:
        raise InputError(f"{path} holds no arrays.")
    return state_dict


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return {key: _float32(array) for key, array in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path} is no intact safetensors file ({error}). Fetch or write it again."
        ) from error


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: _float32(file[key]) for key in file.files}
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise InputError(
            f"{path} is no intact npz file ({error}). Fetch or write it again."
        ) from error
    except ValueError as error:  # numpy's refusal of pickled objects
        raise InputError(
            f"{path} holds something else than plain arrays ({error}). Save one array per "
            f"parameter with numpy.savez."
        ) from error


def _float32(array: np.ndarray) -> np.ndarray:
    """16-bit floats widened, everything else as it is."""
    narrow = array.dtype.name in ("float16", "bfloat16")
    return array.astype(np.float32) if narrow else array
