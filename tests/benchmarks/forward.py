"""Compile time and speed of the forward pass of published models.

    python -m tests.benchmarks.forward [NAME ...] [--batch 8] [--rounds 7]

Names are those of `jaxpose models`; by default every architecture once. For each, prints the
seconds that tracing and compiling take without any cache, and images a second: the median of the
rounds, slowest and fastest beside it. Weights are random numbers, which cost what others do.
"""

import argparse
import time

import jax
from rich.console import Console
from rich.progress import track
from rich.table import Table

from jaxpose.bench import dummy_inputs
from jaxpose.bench.timing import timed
from jaxpose.models import abstract_variables
from jaxpose.models.published.catalogue import find
from jaxpose.models.published.record import Published

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
    options = parser.parse_args()
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


if __name__ == "__main__":
    main()
