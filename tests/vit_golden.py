"""References of large vision transformers, read from the folder beside the checkout."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from reference import noise, tensor


class ViTGolden(NamedTuple):
    """State dict, images `[B, H, W, 3]`, outputs, and which channels of each are stored."""

    description: dict
    state_dict: dict[str, np.ndarray]
    images: np.ndarray
    outputs: dict[str, np.ndarray]

    @property
    def input_hw(self) -> tuple[int, int]:
        return self.images.shape[1], self.images.shape[2]

    def stored(self, key: str, output: np.ndarray) -> np.ndarray:
        """The part of a whole output that the reference has."""
        words = self.description.get("stored", {}).get(key, "").split()
        if not words:
            return output
        step, axis = int(words[1].removesuffix("th")), int(words[-1])
        return output[(slice(None),) * axis + (slice(None, None, step),)]


def load_vit(shared: Path, name: str) -> ViTGolden:
    folder = shared / "golden"
    description = json.loads((folder / f"{name}.json").read_text())
    seed, computed = description["seed"], description.get("not_from_recipe", {})
    state_dict = {
        key: constant(key, shape[0]) if key in computed else tensor(key, shape, seed)
        for key, shape in description["state_dict"].items()
    }
    with np.load(folder / f"{name}.npz") as file:
        outputs = dict(file)
    shape = description.get("image_shape", description["input_shape"])
    return ViTGolden(description, state_dict, noise(shape, seed).transpose(0, 2, 3, 1), outputs)


def constant(key: str, size: int) -> np.ndarray:
    """The value of an array that the source's code computes: periods, or the keys' mask."""
    if key.endswith("periods"):
        return (100 ** (np.arange(size) / size)).astype(np.float32)
    mask = np.ones(size, np.float32)
    mask[size // 3 : 2 * size // 3] = 0
    return mask
