"""Reference outputs of other projects' models, and how close a port has to come.

`golden/NAME.json` holds a state dict's names and shapes and `golden/recipe.py` fills them;
`golden/NAME.npz` is what the published code computed from it, in PyTorch's layout.
"""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

# float64 in PyTorch differs from the stored float32 outputs by up to 2e-5 of their spread.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Golden:
    """One reference: what to load, what to feed, what must come out.

    Attributes:
      description: the JSON file.
      state_dict: the filled arrays under the source's names.
      images: `[B, H, W, 3]` float32 (a lifter's input keeps the source's layout).
      outputs: by name, in the source's layout.
    """

    description: dict
    state_dict: dict[str, np.ndarray]
    images: np.ndarray
    outputs: dict[str, np.ndarray]


def load(shared: Path, name: str) -> Golden:
    """The reference `name` from `shared/golden`."""
    folder = shared / "golden"
    description = json.loads((folder / f"{name}.json").read_text())
    recipe = _recipe(folder)
    seed = description["seed"]
    image = recipe.image(description["input_shape"], seed)
    return Golden(
        description=description,
        state_dict=recipe.weights(description["state_dict"], seed),
        images=image.transpose(0, 2, 3, 1) if image.ndim == 4 and image.shape[1] == 3 else image,
        outputs=dict(np.load(folder / f"{name}.npz")),
    )


def distance(actual: np.ndarray, expected: np.ndarray) -> float:
    """max|a - b| / std(b); infinite if shapes differ, so that it can be compared directly."""
    if actual.shape != expected.shape:
        return float("inf")
    return float(np.abs(np.asarray(actual) - expected).max() / expected.std())


def feature_distance(features: np.ndarray, summary: dict) -> float:
    """How far NCHW `features` are from a golden summary, in its standard deviations."""
    if list(features.shape) != summary["shape"]:
        return float("inf")
    first = np.abs(features.ravel()[:6] - summary["first"]).max()
    mean = abs(features.mean() - summary["mean"])
    spread = abs(features.std(ddof=1) - summary["std"])
    return float(max(first, mean, spread) / summary["std"])


def _recipe(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("recipe", folder / "recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
