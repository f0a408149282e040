"""What is exported: a pure function of named arrays, with the weights inside."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, Literal

import jax
import jax.export
import numpy as np

from jaxpose.errors import InputError

Level = Literal["model", "crops", "photo"]
LEVELS: tuple[Level, ...] = ("model", "crops", "photo")

_MOST_BYTES = 2 << 30


@dataclass(frozen=True)
class Value:
    """An input or an output.

    Attributes:
      name: of the array in every format.
      shape: sizes; a letter is any size, the same wherever it stands.
      dtype: NumPy's word.
      meaning: what it holds, with unit and frame.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str
    meaning: str


@dataclass(frozen=True)
class Program:
    """A function to export, and what a card says of it.

    Attributes:
      function: arrays in the order of `inputs` -> arrays by name.
      inputs, outputs: with `B` crops or windows, or `P` people.
      level: how much is in it.
      facts: what else the card says, as JSON.
      pixels: which outputs are keypoints in pixels.
      weight_bytes: of the weights inside.
      samples: from a count, inputs to compare the exports on: arrays in the order of `inputs`.
    """

    function: Callable[..., dict[str, jax.Array]]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    level: Level
    facts: dict[str, Any] = field(default_factory=dict)
    pixels: tuple[str, ...] = ()
    weight_bytes: int = 0
    samples: Callable[[int], tuple[np.ndarray, ...]] | None = None

    def ordered(self, *arrays: jax.Array) -> tuple[jax.Array, ...]:
        """The outputs in their order."""
        results = self.function(*arrays)
        return tuple(results[value.name] for value in self.outputs)

    def arguments(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """The inputs, letters as symbolic sizes of one scope."""
        letters = {size for value in self.inputs for size in value.shape if isinstance(size, str)}
        sizes = {letter: jax.export.symbolic_shape(letter)[0] for letter in letters}
        return tuple(
            jax.ShapeDtypeStruct(
                tuple(sizes[size] if isinstance(size, str) else size for size in value.shape),
                value.dtype,
            )
            for value in self.inputs
        )

    def fixed(self, batch: int) -> "Program":
        """The same for so many crops, windows or people only."""

        def of(value: Value) -> Value:
            shape = tuple(batch if size in ("B", "P") else size for size in value.shape)
            return Value(value.name, shape, value.dtype, value.meaning)

        return replace(
            self, inputs=tuple(map(of, self.inputs)), outputs=tuple(map(of, self.outputs))
        )

    def check_size(self, name: str) -> None:
        """Whether a format that is one protobuf or flatbuffer has room for the weights.

        Raises:
          InputError: they are 2 GiB or more.
        """
        if self.weight_bytes >= _MOST_BYTES:
            raise InputError(
                f"{name} holds 2 GiB, and the weights are {self.weight_bytes / 2**30:.1f} GiB: "
                "export stablehlo"
            )


def needed(package: str) -> ModuleType:
    """An optional package.

    Raises:
      InputError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise InputError(
            f'this format needs {package.split(".")[0]}: pip install "jaxpose[export]" ({error})'
        ) from error


def tree_bytes(variables: Any) -> int:
    """Bytes of all arrays of a tree."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(variables))


def named_outputs(outputs: Any) -> dict[str, jax.Array]:
    """The arrays of a model's outputs by name: `output`, or `output_0`, `output_1` and so on."""
    leaves = jax.tree.leaves(outputs)
    if len(leaves) == 1:
        return {"output": leaves[0]}
    return {f"output_{i}": leaf for i, leaf in enumerate(leaves)}


def outputs_like(
    function: Callable, example: jax.ShapeDtypeStruct, meaning: str
) -> tuple[Value, ...]:
    """Descriptions of the outputs of `function`, whose first axis is a batch of any size."""
    return tuple(
        Value(name, ("B", *shape.shape[1:]), shape.dtype.name, meaning)
        for name, shape in jax.eval_shape(function, example).items()
    )
