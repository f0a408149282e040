"""TensorFlow SavedModel exporter, by jax2tf: StableHLO inside a TensorFlow function."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.export.program import Program
from jaxpose.export.stablehlo import PLATFORMS, named
from jaxpose.requirements import imported

SUFFIX = ".savedmodel"


def write(program: Program, path: Path) -> None:
    """Writes a folder with the signature `serving_default`; runs where TensorFlow has XLA."""
    save(program, path, portable=False)


def start(path: Path, names: Sequence[str]) -> Callable[..., dict[str, np.ndarray]]:
    """Loads the folder in TensorFlow: arrays in the order of `names` -> named arrays."""
    tf = tensorflow()
    loaded = tf.saved_model.load(str(path))
    serve = loaded.signatures["serving_default"]

    def run(*arrays: np.ndarray) -> dict[str, np.ndarray]:
        tensors = dict(zip(names, map(tf.constant, arrays), strict=True))
        return {name: x.numpy() for name, x in serve(**tensors).items()}

    return run


def save(program: Program, path: Path, *, portable: bool) -> None:
    """Writes the folder; with `portable` in the form that the TFLite converter needs.

    Raises:
      InputError: the weights are 2 GiB or more.
    """
    program.check_size("a SavedModel or TFLite file")
    tf = tensorflow()
    from jax.experimental import jax2tf

    shapes = ["(" + ", ".join(map(str, value.shape)) + ")" for value in program.inputs]
    converted = jax2tf.convert(
        named(program, portable=portable),
        polymorphic_shapes=shapes,
        with_gradient=False,
        native_serialization_platforms=["cpu"] if portable else list(PLATFORMS),
    )
    specs = [
        tf.TensorSpec(
            [None if isinstance(size, str) else size for size in value.shape],
            value.dtype,
            name=value.name,
        )
        for value in program.inputs
    ]
    # Only a signature: another function would be traced again and store the weights twice.
    serve = tf.function(converted, autograph=False, input_signature=specs).get_concrete_function()
    tf.saved_model.save(tf.Module(), str(path), signatures=serve)


def tensorflow() -> Any:
    """Imports TensorFlow without its log output and without the accelerator, which JAX uses.

    Raises:
      InputError: no TensorFlow is installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    tf = imported("tensorflow", purpose="this format", extra="tensorflow")
    for kind in ("GPU", "TPU"):
        tf.config.set_visible_devices([], kind)
    return tf
