"""Forward and forward+backward img/s of ViT-B and HRNet-W32 on CPU: this package beside PyTorch.

    taskset -c 0,1 python -m tests.benchmarks.cpu_vs_torch [--repeats 7] [--models ViT-B]
        [--passes forward+backward] [--json FILE]

Batch 8 of 256x192, float32, the same networks (parameter counts are compared), two threads each.
Repetitions alternate between the two, so that a busy machine slows both. Given are the median,
slowest and fastest img/s by the clock, and the CPU-seconds of a repetition, which depend less on
what else the machine does. Without PyTorch only jaxpose's figures are given.

References from a like machine with PyTorch: ViTPose-B 4.2 and 1.3 img/s, HRNet-W32 9.4 and 2.6.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from jaxpose.bench.machine import processor
from jaxpose.data.records import usable_cores
from jaxpose.models import PoseModel, count_parameters, hrnet_pose, init_variables, vitpose
from tests.benchmarks.alternate import measure

try:
    import torch

    from tests.benchmarks.torch_models import HRNetPose, ViTPose
except ImportError:
    torch = None

PASSES = ["forward", "forward+backward"]
INPUT_HW, HEATMAP_HW, KEYPOINTS = (256, 192), (64, 48), 17


def of_jaxpose(
    model: PoseModel, batch: int, wanted: list[str]
) -> tuple[dict[str, Callable], int, dict[str, float]]:
    """The passes, compiled; the number of parameters; compile seconds of each pass."""
    variables = init_variables(model, jax.random.key(0), INPUT_HW)
    images = jax.random.normal(jax.random.key(1), (batch, *INPUT_HW, 3))
    targets = jnp.zeros((batch, *HEATMAP_HW, KEYPOINTS))

    def forward(variables, images):
        return model.apply(variables, images)

    def loss(params, images):
        outputs, updated = model.apply(
            {**variables, "params": params}, images, train=True, mutable=["batch_stats"]
        )
        return jnp.square(outputs - targets).mean(), updated

    def backward(params, images):
        return jax.value_and_grad(loss, has_aux=True)(params, images)

    passes, seconds = {}, {}
    for name, function, argument in (
        ("forward", forward, variables),
        ("forward+backward", backward, variables["params"]),
    ):
        if name not in wanted:
            continue
        started = time.perf_counter()
        compiled = jax.jit(function).lower(argument, images).compile()
        seconds[name] = time.perf_counter() - started
        passes[name] = lambda c=compiled, a=argument: jax.block_until_ready(c(a, images))
    return passes, count_parameters(variables), seconds


def of_torch(model, batch: int) -> tuple[dict[str, Callable], int]:
    """The two passes and the number of parameters."""
    images = torch.randn(batch, 3, *INPUT_HW)
    targets = torch.zeros(batch, KEYPOINTS, *HEATMAP_HW)

    def forward() -> None:
        model.eval()
        with torch.inference_mode():
            model(images)

    def backward() -> None:
        model.train()
        model.zero_grad(set_to_none=True)
        torch.square(model(images) - targets).mean().backward()

    parameters = sum(p.numel() for p in model.parameters())
    return {"forward": forward, "forward+backward": backward}, parameters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--models", nargs="+", default=["ViT-B", "HRNet-W32"])
    parser.add_argument("--passes", nargs="+", default=PASSES, choices=PASSES)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    cores = usable_cores()
    networks = {
        "ViT-B": (lambda: vitpose("B", drop_path=0.0), lambda: ViTPose()),
        "HRNet-W32": (lambda: hrnet_pose("W32"), lambda: HRNetPose()),
    }
    if torch is not None:
        torch.set_num_threads(cores)
    report: dict = {
        "machine": f"{processor()}, {cores} cores",
        "load_at_start": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "versions": {"jax": jax.__version__, "torch": torch and torch.__version__},
        "batch": options.batch,
        "repeats": options.repeats,
        "results": [],
    }
    columns = ("model", "pass", "library", "img/s", "slowest to fastest", "CPU-s", "compile s")
    table = Table(*columns, title=f"Batch {options.batch}, 256x192, float32, {cores} cores")
    for name in options.models:
        ours, theirs = networks[name]
        our_passes, our_count, compile_seconds = of_jaxpose(ours(), options.batch, options.passes)
        their_passes: dict[str, Callable] = {}
        if torch is not None:
            their_passes, their_count = of_torch(theirs(), options.batch)
            np.testing.assert_equal(our_count, their_count, f"{name}: not the same network")
        for kind, run in our_passes.items():
            rivals = {"jaxpose": run}
            if kind in their_passes:
                rivals["torch"] = their_passes[kind]
            measured = measure(rivals, options.batch, options.repeats)
            for library, figures in measured.items():
                compiled = compile_seconds[kind] if library == "jaxpose" else None
                table.add_row(
                    name,
                    kind,
                    library,
                    f"{figures['median']:.2f}",
                    f"{figures['slowest']:.2f} to {figures['fastest']:.2f}",
                    f"{figures['cpu_seconds']:.2f}",
                    f"{compiled:.1f}" if compiled else "",
                )
                report["results"].append(
                    {"model": name, "pass": kind, "library": library, **figures}
                    | ({"compile_seconds": compiled} if compiled else {})
                )
            if "torch" in measured:
                ratio = measured["jaxpose"]["median"] / measured["torch"]["median"]
                table.add_row(name, kind, "jaxpose / torch", f"{ratio:.2f}", end_section=True)
    console = Console(width=100)
    console.print(table)
    console.print(f"load {report['load_at_start']:.1f} at the start, {os.getloadavg()[0]:.1f} now")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
