"""Reference outputs of other projects' models, and how close a port has to come.

`golden/models/NAME.npz` (written by `golden/extract.py`) and `golden/backbones/NAME.npz` (by
`golden/extract_backbones.py`) describe a state dict and hold what the published
code computed from it. The state dict itself is not stored: each array follows from its
name, its shape and a seed, so that hundreds of megabytes fit into a few kilobytes.
"""

import hashlib
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent / "golden"

# float64 in PyTorch differs from the stored float32 outputs by up to 2e-5 of their spread.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Output:
    """A part of one output of the published code, in the source's layout.

    Attributes:
      shape: of the whole output.
      stride: the flattened output is stored at 0, stride, 2 * stride, ...
      values: float32, what is stored.
      mean: of the whole output.
      std: standard deviation of the whole output.
    """

    shape: tuple[int, ...]
    stride: int
    values: np.ndarray
    mean: float
    std: float

    def distance(self, actual: np.ndarray) -> float:
        """max|a - b| / std(b) of the stored values, or the whole output's drift where it is more.

        The drift is the difference of the means and of the standard deviations, also in standard
        deviations: values that are not stored count there.
        """
        actual = np.asarray(actual, np.float64)
        if actual.shape != self.shape or not np.isfinite(actual).all():
            return float("inf")
        nearest = np.abs(actual.ravel()[:: self.stride] - self.values).max()
        drift = max(abs(actual.mean() - self.mean), abs(actual.std() - self.std))
        return float(max(nearest, drift) / self.std)


@dataclass(frozen=True)
class Golden:
    """One reference: what to load, what to feed, what must come out.

    Attributes:
      description: the source's settings, the listing of the state dict, summaries of features.
      state_dict: the filled arrays under the source's names.
      images: `[B, H, W, 3]` float32 (a lifter's input keeps the source's layout).
      outputs: by name, in the source's layout.
    """

    description: dict
    state_dict: dict[str, np.ndarray]
    images: np.ndarray
    outputs: dict[str, Output]


def models() -> list[str]:
    """Names of all references."""
    return sorted(path.stem for path in (FOLDER / "models").glob("*.npz"))


def load(name: str, folder: str = "models") -> Golden:
    """The reference `name`, with its state dict filled anew."""
    with np.load(FOLDER / folder / f"{name}.npz") as file:
        arrays = dict(file)
    description = json.loads(arrays.pop("description").tobytes())
    seed, scaled = description["seed"], description.get("scaled", {})
    state_dict = {}
    for key, shape in description["state_dict"].items():
        array = arrays.get(f"state/{key}")
        if array is None:
            array = tensor(key, shape, seed)
            array = array * np.float32(scaled[key]) if key in scaled else array
        state_dict[key] = array
    image = noise(description["input_shape"], seed)
    return Golden(
        description=description,
        state_dict=state_dict,
        images=image.transpose(0, 2, 3, 1) if image.ndim == 4 and image.shape[1] == 3 else image,
        outputs={
            key: Output(
                shape=tuple(stored["shape"]),
                stride=stored["stride"],
                values=arrays[f"output/{key}"],
                mean=stored["mean"],
                std=stored["std"],
            )
            for key, stored in description["stored"].items()
        },
    )


def describe(name: str) -> dict:
    """The description of the reference `name` alone."""
    with np.load(FOLDER / "models" / f"{name}.npz") as file:
        return json.loads(file["description"].tobytes())


def empty_state_dict(name: str) -> dict[str, np.ndarray]:
    """The state dict of the reference `name` as zeros that take no memory."""
    listing = describe(name)["state_dict"]
    return {key: np.broadcast_to(np.float32(0), shape) for key, shape in listing.items()}


def distance(actual: np.ndarray, expected: np.ndarray | Output) -> float:
    """max|a - b| / std(b); infinite if the shape is another or a value is not finite."""
    if isinstance(expected, Output):
        return expected.distance(actual)
    actual = np.asarray(actual)
    if actual.shape != expected.shape or not np.isfinite(actual).all():
        return float("inf")
    return float(np.abs(actual - expected).max() / expected.std())


def feature_distance(features: np.ndarray, summary: dict) -> float:
    """How far NCHW `features` are from a golden summary, in its standard deviations."""
    if list(features.shape) != summary["shape"]:
        return float("inf")
    first = np.abs(features.ravel()[:6] - summary["first"]).max()
    mean = abs(features.mean() - summary["mean"])
    spread = abs(features.std(ddof=1) - summary["std"])
    return float(max(first, mean, spread) / summary["std"])


REAL_WEIGHTS = "JAXPOSE_REAL_WEIGHTS"


def real_weights(name: str, sha256: str) -> Path:
    """A file of published weights under the folder that `JAXPOSE_REAL_WEIGHTS` names.

    They are not part of this repository; the test is skipped where they are absent. `name` may end
    in folders, `models/posenet.json`.
    """
    folder = os.environ.get(REAL_WEIGHTS, "")
    for path in sorted(Path(folder).rglob(Path(name).name)) if folder else ():
        if path.match(name) and hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
            return path
    pytest.skip(f"{name} is not under the folder that {REAL_WEIGHTS} names ({folder or 'none'})")


# The recipe by which the references were filled: changing a bit of it makes every one wrong.


def tensor(name: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """float32 array (int64 for counters) that stands for the PyTorch tensor `name` of `shape`."""
    shape = tuple(shape)
    rng = _generator(f"{seed}:{name}")
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if name.endswith("running_var"):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if len(shape) <= 1:
        if name.endswith("weight"):  # the scale of a normalisation layer
            return rng.uniform(0.8, 1.2, shape).astype(np.float32)
        return (0.05 * rng.standard_normal(shape)).astype(np.float32)
    return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:], dtype=int))).astype(np.float32)


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """float32 normal noise that stands for a normalised image `[N, C, H, W]`."""
    return _generator(f"{seed}:image").standard_normal(tuple(shape)).astype(np.float32)


def _generator(key: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(key.encode())))
