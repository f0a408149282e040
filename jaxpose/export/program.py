"""Program to export: a pure function of named arrays, with the weights inside."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, Literal

import jax
import jax.export
import numpy as np

from jaxpose.errors import InputError
from jaxpose.requirements import imported

Level = Literal["model", "crops", "photo"]
LEVELS: tuple[Level, ...] = ("model", "crops", "photo")

_MOST_BYTES = 2 << 30


@dataclass(frozen=True)
class Value:
    """Description of an input or output.

    Attributes:
      name: name of the array in every format.
      shape: sizes; a letter is any size, and equal letters are equal sizes.
      dtype: NumPy's name.
      meaning: content, with unit and frame.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str
    meaning: str


@dataclass(frozen=True)
class Program:
    """Function to export, with its description for the card.

    Attributes:
      function: arrays in the order of `inputs` -> arrays by name.
      inputs, outputs: descriptions, with `B` crops or windows, or `P` people.
      level: stages that the program contains.
      facts: further entries of the card, as JSON types.
      pixels: names of the outputs that are keypoints in pixels.
      weight_bytes: size of the weights inside.
      samples: function from a count to inputs for comparing exports: arrays in the order of
        `inputs`.
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
        """Runs the function; returns the outputs in their order."""
        results = self.function(*arrays)
        return tuple(results[value.name] for value in self.outputs)

    def arguments(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shapes of the inputs, with letters as symbolic sizes of one scope."""
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
        """Program with a fixed number of crops, windows or people."""

        def of(value: Value) -> Value:
            shape = tuple(batch if size in ("B", "P") else size for size in value.shape)
            return Value(value.name, shape, value.dtype, value.meaning)

        return replace(
            self, inputs=tuple(map(of, self.inputs)), outputs=tuple(map(of, self.outputs))
        )

    def check_size(self, name: str) -> None:
        """Checks that the weights fit a format that is one protobuf or flatbuffer.

        Raises:
          InputError: they are 2 GiB or more.
        """
        if self.weight_bytes >= _MOST_BYTES:
            raise InputError(
                f"{name} can hold 2 GiB, but the weights are {self.weight_bytes / 2**30:.1f} GiB: "
                "export stablehlo"
            )


def needed(package: str) -> ModuleType:
    """Imports a package of the extra `export`.

    Raises:
      InputError: it is not installed.
    """
    return imported(package, purpose="this format", extra="export")


def tree_bytes(variables: Any) -> int:
    """Total bytes of all arrays, or shapes of arrays, of a tree."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(variables))


def named_outputs(outputs: Any) -> dict[str, jax.Array]:
    """Names a model's outputs: `output`, or `output_0`, `output_1` and so on."""
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
