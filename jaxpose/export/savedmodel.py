"""TensorFlow SavedModel, by jax2tf: StableHLO inside of a TensorFlow function."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxpose.export.fold import folded
from jaxpose.export.program import Program
from jaxpose.export.stablehlo import PLATFORMS

SUFFIX = ".savedmodel"


def write(program: Program, path: Path) -> None:
    """A folder with the signature `serving_default`; runs where TensorFlow has XLA."""
    tf, module, signature = as_tensorflow(program, portable=False)
    tf.saved_model.save(module, str(path), signatures=signature)


def start(path: Path) -> Callable[..., dict[str, np.ndarray]]:
    """The folder in TensorFlow: arrays in the order of the inputs -> named arrays."""
    tf = tensorflow()
    loaded = tf.saved_model.load(str(path))

    def run(*arrays: np.ndarray) -> dict[str, np.ndarray]:
        return {name: x.numpy() for name, x in loaded.run(*arrays).items()}

    return run


def as_tensorflow(program: Program, *, portable: bool) -> tuple[Any, Any, Any]:
    """TensorFlow, a module whose `run` is the program, and its concrete function."""
    tf = tensorflow()
    from jax.experimental import jax2tf

    def function(*arrays: jax.Array) -> dict[str, jax.Array]:
        results = folded(program.ordered, portable=portable)(*arrays)
        return {value.name: x for value, x in zip(program.outputs, results, strict=True)}

    shapes = ["(" + ", ".join(map(str, value.shape)) + ")" for value in program.inputs]
    converted = jax2tf.convert(
        function,
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
    module = tf.Module()
    module.run = tf.function(converted, autograph=False, input_signature=specs)
    return tf, module, module.run.get_concrete_function()


def tensorflow() -> Any:
    """TensorFlow, quiet and without the accelerator, which is JAX's."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    for kind in ("GPU", "TPU"):
        tf.config.set_visible_devices([], kind)
    return tf
