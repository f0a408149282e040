"""Table of the export formats, and reader of exports."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from jaxpose.errors import InputError, nearest
from jaxpose.export import onnx, savedmodel, stablehlo, tflite
from jaxpose.file_limits import SETTINGS, read_text
from jaxpose.json_text import parse_json

FORMATS: dict[str, ModuleType] = {
    "stablehlo": stablehlo,
    "savedmodel": savedmodel,
    "tflite": tflite,
    "onnx": onnx,
}


def chosen(names: str) -> list[str]:
    """Formats in a comma-separated list, each once.

    Raises:
      InputError: one is unknown, or there is none.
    """
    formats = list(dict.fromkeys(name.strip().lower() for name in names.split(",") if name.strip()))
    for name in formats:
        if name not in FORMATS:
            raise InputError(
                f"there is no format {name!r}.{nearest(name, FORMATS)} Choose from "
                f"{', '.join(FORMATS)}."
            )
    if not formats:
        raise InputError(f"name a format: {', '.join(FORMATS)}")
    return formats


def card_of(path: Path) -> Path:
    """Path of the JSON file (the card) beside an export."""
    return path.with_name(path.name + ".json")


@dataclass(frozen=True)
class Exported:
    """Export loaded in its own runtime.

    Attributes:
      card: its description: inputs, outputs, keypoints, normalisation, options of the export.
    """

    card: Mapping[str, Any]
    run: Callable[..., dict[str, np.ndarray]]

    def __call__(self, *arrays: Any) -> dict[str, np.ndarray]:
        """Runs the export on arrays in the order of the card's inputs; returns arrays by name.

        Raises:
          InputError: number, shape or type of the arrays is not the card's.
        """
        wanted = self.card["inputs"]
        if len(arrays) != len(wanted):
            names = ", ".join(value["name"] for value in wanted)
            raise InputError(f"this export takes {len(wanted)} array(s): {names}")
        given = [np.asarray(array) for array in arrays]
        for array, value in zip(given, wanted, strict=True):
            _check(array, value, self.card["format"] == "tflite")
        return self.run(*given)


def load(path: str | Path) -> Exported:
    """Loads an export of `jaxpose export` in the format's own runtime.

    Raises:
      InputError: the file or its card is absent or damaged, or the runtime is not installed.
    """
    path = Path(path)
    card = card_of(path)
    name = next((n for n, module in FORMATS.items() if path.suffix == module.SUFFIX), None)
    if name is None:
        endings = ", ".join(module.SUFFIX for module in FORMATS.values())
        raise InputError(f"{path} is not an export of jaxpose: their names end in {endings}")
    if not path.exists():
        raise InputError(f"{path} does not exist; `jaxpose export` writes it")
    try:
        facts = parse_json(read_text(card, SETTINGS))
    except (OSError, ValueError) as error:
        raise InputError(f"{card} cannot be read: {error}; it belongs to {path.name}") from error
    return Exported(facts, FORMATS[name].start(path, [value["name"] for value in facts["inputs"]]))


def _check(array: np.ndarray, value: Mapping[str, Any], in_turns: bool) -> None:
    name, shape, dtype = value["name"], value["shape"], value["dtype"]
    if array.dtype != dtype:
        raise InputError(f"{name} is {dtype}, not {array.dtype}")
    fits = array.ndim == len(shape) and all(
        isinstance(size, str)
        or found == size
        or (axis == 0 and in_turns and found > 0 and found % size == 0)
        for axis, (found, size) in enumerate(zip(array.shape, shape, strict=True))
    )
    if not fits or 0 in array.shape:
        sizes = ", ".join(map(str, shape))
        raise InputError(f"{name} is [{sizes}], not {list(array.shape)}")
