"""Training samples/s of Martinez's MLP on CPU: this package beside PyTorch.

    taskset -c 0,1 python -m tests.benchmarks.lifting_vs_torch [--repeats 9] [--json FILE]

Batch 1,024, float32, the same network (parameter counts are compared), batch norm, dropout, MPJPE
and Adam, as many threads each. jaxpose takes the steps of `jaxpose train`: windows are gathered by
index from the data on the device, put on the screen, mirrored, standardised and encoded, and the
gradient's norm is taken. PyTorch gets inputs and targets that are ready, and gathers rows of them.
Repetitions of some steps alternate between the two, so that a busy machine slows both; given are
the median, slowest and fastest. The last rows are what jaxpose's input takes by itself.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from jaxpose.codecs.lifting import LiftingCodec
from jaxpose.data.motion import Clip, motion_of
from jaxpose.data.motion_dataset import MotionDataset
from jaxpose.data.windows import every_frame
from jaxpose.losses import MPJPE
from jaxpose.models import count_parameters, init_variables, martinez
from jaxpose.skeletons import H36M17
from jaxpose.tasks.lifting.experiment import LiftingExperiment
from jaxpose.tasks.lifting.task import LiftingTask, MotionSource
from jaxpose.train.mesh import make_mesh, replicated
from jaxpose.train.optimizers import AdamW
from jaxpose.train.state import new_state
from jaxpose.train.step import compile_step
from tests.benchmarks.alternate import measure

try:
    import torch

    from tests.benchmarks.torch_models import Martinez
except ImportError:
    torch = None

FRAMES, KEYPOINTS, WIDTH, DROPOUT, RATE = 100_000, 17, 1024, 0.5, 1e-3


def experiment_of(batch: int) -> LiftingExperiment:
    """Adam without decay, clipping, warm-up or averaged parameters: what PyTorch's step does."""
    nowhere = MotionDataset("")
    return LiftingExperiment(
        skeleton=H36M17,
        model=martinez(KEYPOINTS, KEYPOINTS, channels=WIDTH, dropout=DROPOUT),
        codec=LiftingCodec(KEYPOINTS),
        loss=MPJPE(),
        train_data=nowhere,
        eval_data=nowhere,
        optimizer=AdamW(
            learning_rate=RATE,
            schedule="cosine",
            warmup_steps=0,
            weight_decay=0.0,
            clip_norm=None,
        ),
        steps=1_000_000,
        batch_size=batch,
    )


def random_motion() -> MotionSource:
    """People of normal noise, seen by a pinhole."""
    rng = np.random.default_rng(0)
    joints = rng.normal(scale=300, size=(FRAMES, KEYPOINTS, 3)) + np.array([0, 0, 4000.0])
    keypoints = 1000 * joints[..., :2] / joints[..., 2:] + 500
    motion = motion_of(
        H36M17, [Clip(joints.astype(np.float32), keypoints, image_wh=(1000, 1000), name="noise")]
    )
    return MotionSource(motion, every_frame(motion.length), None, "")


def of_jaxpose(batch: int, steps: int) -> tuple[dict[str, Callable], int]:
    """`steps` whole steps, and the input's share of them; the number of parameters."""
    source = random_motion()
    experiment = LiftingTask(experiment_of(batch)).fit_to_data(source)
    task, mesh = LiftingTask(experiment), make_mesh(experiment.mesh)
    variables = init_variables(experiment.model, jax.random.key(0), None)
    tx = experiment.optimizer.build(experiment.steps, experiment.model)
    state = jax.device_put(new_state(experiment, variables, tx), replicated(mesh))
    key = jax.device_put(jax.random.key(1), replicated(mesh))
    batches = task.batches(source, mesh, 0)
    step = compile_step(experiment, state, next(batches), key)
    encode = jax.jit(task.encode)

    def train() -> None:
        nonlocal state
        for _ in range(steps):
            state, _ = step(state, next(batches), key)
        jax.block_until_ready(state)

    def gather() -> None:
        for _ in range(steps):
            ready = next(batches)
        jax.block_until_ready(ready)

    def gather_and_encode() -> None:
        for _ in range(steps):
            ready = encode(key, next(batches))
        jax.block_until_ready(ready)

    parts = {
        "jaxpose": train,
        "its gather": gather,
        "its gather and encoding": gather_and_encode,
    }
    return parts, count_parameters(variables)


def of_torch(batch: int, steps: int) -> tuple[Callable, int]:
    """`steps` steps, and the number of parameters."""
    model = Martinez(2 * KEYPOINTS, 3 * KEYPOINTS, WIDTH, DROPOUT)
    inputs = torch.randn(FRAMES, 2 * KEYPOINTS)
    targets = torch.randn(FRAMES, KEYPOINTS, 3)
    adam = torch.optim.Adam(model.parameters(), RATE)
    model.train()

    def train() -> None:
        for _ in range(steps):
            rows = torch.randint(FRAMES, (batch,))
            adam.zero_grad(set_to_none=True)
            outputs = model(inputs[rows]).reshape(batch, KEYPOINTS, 3)
            torch.linalg.vector_norm(outputs - targets[rows], dim=-1).mean().backward()
            adam.step()

    return train, sum(p.numel() for p in model.parameters())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=5, help="of one repetition")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    rivals, count = of_jaxpose(options.batch, options.steps)
    if torch is not None:
        torch.set_num_threads(cores)
        theirs, their_count = of_torch(options.batch, options.steps)
        np.testing.assert_equal(count, their_count, "not the same network")
        rivals = {"torch": theirs, **rivals}
    figures = measure(rivals, options.batch * options.steps, options.repeats)
    table = Table(
        *("", "samples/s", "slowest to fastest", "CPU-s a repetition"),
        title=f"Martinez's MLP, {count / 1e6:.2f} M parameters, a train step of "
        f"{options.batch:,}, float32, {cores} cores",
    )
    for name, row in figures.items():
        table.add_row(
            name,
            f"{row['median']:,.0f}",
            f"{row['slowest']:,.0f} to {row['fastest']:,.0f}",
            f"{row['cpu_seconds']:.2f}",
        )
    if torch is not None:
        ratio = figures["jaxpose"]["median"] / figures["torch"]["median"]
        table.add_row("jaxpose / torch", f"{ratio:.2f}")
    Console(width=100).print(table)
    if options.json:
        report = {
            "machine": f"{platform.processor() or platform.machine()}, {cores} cores",
            "load_at_start": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            "versions": {"jax": jax.__version__, "torch": torch and torch.__version__},
            "batch": options.batch,
            "steps": options.steps,
            "results": figures,
        }
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
