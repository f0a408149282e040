"""StableHLO exporter: JAX's own format, for CPU, CUDA and TPU in one file."""

from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.export
import numpy as np

from jaxpose.errors import InputError, not_read
from jaxpose.export.fold import folded
from jaxpose.export.program import Program

SUFFIX = ".stablehlo"
PLATFORMS = ("cpu", "cuda", "tpu")


def write(program: Program, path: Path) -> None:
    """Writes one file with the weights in it."""
    exported = jax.export.export(jax.jit(named(program)), platforms=PLATFORMS)(*program.arguments())
    path.write_bytes(exported.serialize())


def named(program: Program, *, portable: bool = False) -> Callable[..., dict[str, jax.Array]]:
    """Folded program with its outputs by name; `portable` as in `folded`."""

    def function(*arrays: jax.Array) -> dict[str, jax.Array]:
        results = folded(program.ordered, portable=portable)(*arrays)
        return {value.name: x for value, x in zip(program.outputs, results, strict=True)}

    return function


def start(path: Path, names: Sequence[str]) -> Callable[..., dict[str, np.ndarray]]:
    """Loads the file on JAX's default device: arrays in the order of `names` -> named arrays.

    Raises:
      InputError: there is no such file, or `jaxpose export` did not write it.
    """
    try:
        exported = jax.export.deserialize(bytearray(path.read_bytes()))
    except OSError as error:
        raise not_read(path, error) from error
    except Exception as error:  # a damaged flatbuffer raises errors of any type
        raise InputError(
            f"{path} is not StableHLO as `jaxpose export` writes it, or is damaged ({error})"
        ) from error
    call = jax.jit(exported.call)

    def run(*arrays: np.ndarray) -> dict[str, np.ndarray]:
        return {name: np.asarray(x) for name, x in call(*arrays).items()}

    return run
