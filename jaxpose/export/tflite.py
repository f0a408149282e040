"""TFLite exporter for LiteRT on phones: TensorFlow converts, with built-in operations only."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from jaxpose.errors import InputError
from jaxpose.export.program import Program, needed
from jaxpose.export.savedmodel import save, tensorflow

SUFFIX = ".tflite"


def write(program: Program, path: Path, *, float16: bool = False) -> None:
    """Writes one file with the weights in it, for the batch size of `program`.

    Args:
      program: a program of fixed shapes (`Program.fixed`), as the converter needs.
      path: path of the file.
      float16: store weights in half the bytes; the arithmetic stays float32 on CPUs.

    Raises:
      InputError: the level is `photo`, or the converter refuses.
    """
    if program.level == "photo":
        raise InputError(
            "TFLite exports take crops, not whole images: use --level crops, or one of stablehlo, "
            "savedmodel and onnx"
        )
    tf = tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        save(program, Path(folder), portable=True)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if float16:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        try:
            with _quiet():
                content = converter.convert()
        except Exception as error:  # several types, none of them public
            raise InputError(
                "TensorFlow cannot convert this model to TFLite; export stablehlo, savedmodel or "
                f"onnx instead ({str(error).strip().splitlines()[0]})"
            ) from error
    path.write_bytes(content)


def start(path: Path, names: Sequence[str]) -> Callable[..., dict[str, np.ndarray]]:
    """Loads the file in LiteRT's interpreter: the input -> named arrays.

    Takes any multiple of the file's batch size and runs it in parts.
    """
    interpreter = needed("ai_edge_litert.interpreter").Interpreter(
        model_path=str(path), num_threads=os.cpu_count()
    )
    run_once = interpreter.get_signature_runner()
    (name,) = names
    size = int(run_once.get_input_details()[name]["shape"][0])

    def run(array: np.ndarray) -> dict[str, np.ndarray]:
        parts = [run_once(**{name: array[i : i + size]}) for i in range(0, len(array), size)]
        return {output: np.concatenate([part[output] for part in parts]) for output in parts[0]}

    return run


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides stderr while the converter's C++ code writes pages of messages to it."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
