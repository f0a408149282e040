"""Ports with one fault, to prove that a comparison sees it."""

import re
from collections.abc import Mapping

import numpy as np
import pytest

# One place for each model in the normal suite; the others repeat its forward pass.
PLACES = (
    "middle",
    pytest.param("first", marks=pytest.mark.slow),
    pytest.param("last", marks=pytest.mark.slow),
)


def with_fault(
    state_dict: Mapping[str, np.ndarray], place: str, unused: str = "$^"
) -> tuple[str, dict[str, np.ndarray]]:
    """The name of one layer's weights, and `state_dict` with noise on them.

    Args:
      state_dict: in the order of the source's layers.
      place: "first", "middle" or "last" of the source's convolutions and dense layers.
      unused: pattern of the beginnings of names without influence on the outputs.
    """
    names = layers(state_dict, unused)
    name = names[{"first": 0, "middle": len(names) // 2, "last": -1}[place]]
    return name, with_noise(state_dict, name)


def layers(state_dict: Mapping[str, np.ndarray], unused: str = "$^") -> list[str]:
    """Names of the weights of convolutions and dense layers, in the source's order."""
    return [
        name
        for name, array in state_dict.items()
        if array.ndim > 1 and name.endswith("weight") and not re.match(unused, name)
    ]


def with_noise(
    state_dict: Mapping[str, np.ndarray], name: str, amount: float = 0.01
) -> dict[str, np.ndarray]:
    """`state_dict` with normal noise of `amount` standard deviations on the array `name`.

    1 % is less than any mistake in a layout, a name or an order of channels makes.
    """
    array = state_dict[name]
    drawn = np.random.default_rng(0).standard_normal(array.shape, np.float32)
    return {**state_dict, name: array + np.float32(amount) * array.std() * drawn}
