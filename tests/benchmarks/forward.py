"""Compile time and speed of the forward pass of published models.

    python -m tests.benchmarks.forward [NAME ...] [--batch 8] [--rounds 7]
    python -m tests.benchmarks.forward rtmo-s --batch 1 --onnxruntime

Names are those of `jaxpose models`; by default every architecture once. For each, prints the
seconds that tracing and compiling take without any cache, and images a second: the median of the
rounds, slowest and fastest beside it. Weights are random numbers, which cost what others do.

With --onnxruntime, the same network is exported to ONNX, its outputs are compared, and both run in
turns, with the CPU time of an image.
"""

import argparse
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from jaxpose.bench import dummy_inputs
from jaxpose.bench.timing import timed
from jaxpose.export import onnx
from jaxpose.export.program import Program, Value, named_outputs, outputs_like
from jaxpose.models import abstract_variables
from jaxpose.models.published.catalogue import find
from jaxpose.models.published.record import Published
from tests.benchmarks.alternate import measure as in_turns

ARCHITECTURES = (
    *("vitpose-s", "vitpose-b", "vitpose-l", "vitpose-s-simple", "vitpose-plus-s"),
    *("transpose-r-a3", "transpose-r-a4", "hrnet-w32", "hrnet-w48", "hrnetv2-w18-wflw"),
    *("litehrnet-18", "litehrnet-30", "litehrnet-naive-18", "hourglass-52", "openpose"),
    *("simple-baseline-r50", "simple-baseline-r101", "simple-baseline-r152"),
    *("simple-baseline-r50-v1d", "simcc-r50", "deeppose-r50", "rle-r50", "integral-r50-256x256"),
    *("mobilenetv2", "rtmpose-t", "rtmpose-s", "rtmpose-m", "rtmpose-l", "rtmpose-x-384x288"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--onnxruntime", action="store_true", help="beside onnxruntime, in turns")
    options = parser.parse_args()
    if options.onnxruntime:
        beside_onnxruntime(options.names or ["rtmo-s"], options.batch, options.rounds)
        return
    jax.config.update("jax_enable_compilation_cache", False)
    table = Table(title=f"forward, batch {options.batch}, float32, {jax.devices()[0].device_kind}")
    for title in ("Model", "Input", "Trace, s", "Compile, s", "Images/s", "Slowest to fastest"):
        table.add_column(title, justify="left" if title == "Model" else "right")
    for name in track(options.names or ARCHITECTURES, "Measuring", console=Console(stderr=True)):
        table.add_row(*measure(find(name), options.batch, options.rounds))
    Console().print(table)


def measure(entry: Published, batch: int, rounds: int) -> tuple[str, ...]:
    """The row of one model."""
    model = entry.model()
    variables = dummy_inputs.values(abstract_variables(model, entry.input_hw))
    images = jax.random.normal(jax.random.key(0), (batch, *entry.input_hw, 3))
    begun = time.perf_counter()
    lowered = jax.jit(lambda v, x: model.apply(v, x)).lower(variables, images)
    traced = time.perf_counter()
    forward = lowered.compile()
    compiled = time.perf_counter()
    timing = timed(lambda: jax.block_until_ready(forward(variables, images)), rounds=rounds)
    rate = timing.rate(batch)
    return (
        entry.name,
        f"{entry.input_hw[0]}x{entry.input_hw[1]}",
        f"{traced - begun:.1f}",
        f"{compiled - traced:.1f}",
        f"{rate.median:.1f}",
        f"{rate.lowest:.1f} to {rate.highest:.1f}",
    )


def beside_onnxruntime(names: list[str], batch: int, rounds: int) -> None:
    """Print images a second and CPU time of the same networks in JAX and in onnxruntime."""
    table = Table(title=f"forward, batch {batch}, float32")
    for title in ("Model", "Runtime", "Images/s", "Slowest to fastest", "CPU ms an image"):
        table.add_column(title, justify="right" if title.startswith(("I", "S", "C")) else "left")
    for name in names:
        entry = find(name)
        model = entry.model()
        variables = dummy_inputs.values(abstract_variables(model, entry.input_hw))

        def outputs(images: jax.Array, model=model, variables=variables) -> dict[str, jax.Array]:
            made = model.apply(variables, images)
            # Without RTMO's classifier, which decoding applies to the chosen people.
            return named_outputs(getattr(made, "levels", made))

        shape = (batch, *entry.input_hw, 3)
        example = jax.ShapeDtypeStruct(shape, np.float32)
        program = Program(
            outputs,
            (Value("images", shape, "float32", "normalised RGB"),),
            outputs_like(outputs, example, "outputs of the head"),
            "model",
        ).fixed(batch)
        images = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        compiled = jax.jit(program.ordered).lower(images).compile()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            onnx.write(program, path)
            session = onnx.start(path, ["images"])
            found = session(images)
            for value, expected in zip(program.outputs, compiled(images), strict=True):
                scale = max(float(np.abs(expected).max()), 1e-6)
                np.testing.assert_allclose(found[value.name], expected, atol=1e-3 * scale)
            rivals = {
                "jaxpose": lambda run=compiled, x=images: jax.block_until_ready(run(x)),
                "onnxruntime": lambda run=session, x=images: run(x),
            }
            for runtime, rate in in_turns(rivals, batch, rounds).items():
                table.add_row(
                    *(name, runtime, f"{rate['median']:.2f}"),
                    f"{rate['slowest']:.2f} to {rate['fastest']:.2f}",
                    f"{1e3 * rate['cpu_seconds'] / batch:.0f}",
                )
    Console().print(table)


if __name__ == "__main__":
    main()
