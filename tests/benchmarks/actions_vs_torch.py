"""Training clips/s of ST-GCN on CPU: this package beside PyTorch.

    taskset -c 0,1 python -m tests.benchmarks.actions_vs_torch [--repeats 5]

NTU's 25 joints, 60 classes, 64 frames of one person, batch 16, float32; the network of the paper
without dropout, with the numbers of parameters compared, SGD with momentum. Both get inputs that
are ready. Repetitions of some steps alternate between the two, so that a busy machine slows both.
"""

import argparse
import os
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from jaxpose.models import count_parameters, init_variables, stgcn
from jaxpose.skeletons.graph import NTU25_GRAPH
from tests.benchmarks.alternate import measure

FRAMES, JOINTS, CLASSES, RATE = 64, 25, 60, 0.01


class Unit(nn.Module):
    """Graph convolution, temporal convolution of nine frames, shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, first: bool) -> None:
        super().__init__()
        self.outputs = outputs
        self.features = nn.Conv2d(inputs, 3 * outputs, 1)
        self.weights = nn.Parameter(torch.ones(3, JOINTS, JOINTS))
        self.norm = nn.BatchNorm2d(outputs)
        self.time = nn.Sequential(
            nn.Conv2d(outputs, outputs, (9, 1), (stride, 1), (4, 0)), nn.BatchNorm2d(outputs)
        )
        same = inputs == outputs and stride == 1
        change = nn.Sequential(nn.Conv2d(inputs, outputs, 1, (stride, 1)), nn.BatchNorm2d(outputs))
        self.shortcut = None if first else nn.Identity() if same else change

    def forward(self, x: torch.Tensor, graph: torch.Tensor) -> torch.Tensor:
        y = self.features(x).unflatten(1, (3, self.outputs))
        y = torch.einsum("nkctv,kvw->nctw", y, graph * self.weights)
        y = self.time(torch.relu(self.norm(y)))
        return torch.relu(y if self.shortcut is None else y + self.shortcut(x))


class Network(nn.Module):
    """ST-GCN of four, three and three units of 64, 128 and 256 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3 * JOINTS)
        widths = [64] * 4 + [128] * 3 + [256] * 3
        self.units = nn.ModuleList(
            Unit(before, width, 2 if before not in (3, width) else 1, before == 3)
            for before, width in zip([3, *widths], widths, strict=False)
        )
        self.classes = nn.Linear(256, CLASSES)
        self.register_buffer("graph", torch.rand(3, JOINTS, JOINTS) / JOINTS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = self.norm(x.flatten(2).transpose(1, 2)).transpose(1, 2)
        x = flat.unflatten(2, (JOINTS, 3)).permute(0, 3, 1, 2)
        for unit in self.units:
            x = unit(x, self.graph)
        return self.classes(x.mean(dim=(2, 3)))


def of_torch(batch: int, steps: int) -> tuple[Callable[[], None], int]:
    """`steps` steps, and the number of parameters."""
    model = Network().train()
    clips, labels = torch.randn(batch, FRAMES, JOINTS, 3), torch.randint(CLASSES, (batch,))
    sgd = torch.optim.SGD(model.parameters(), RATE, momentum=0.9)

    def train() -> None:
        for _ in range(steps):
            sgd.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(model(clips), labels).backward()
            sgd.step()

    return train, sum(p.numel() for p in model.parameters())


def of_jaxpose(batch: int, steps: int) -> tuple[Callable[[], None], int]:
    """`steps` steps, and the number of parameters."""
    model = stgcn(CLASSES, NTU25_GRAPH, people=1, frames=FRAMES)
    variables = init_variables(model, jax.random.key(0), None)
    sgd = optax.sgd(RATE, momentum=0.9)
    rng = np.random.default_rng(0)
    clips = jnp.asarray(rng.normal(size=(batch, FRAMES, 1, JOINTS, 3)), jnp.float32)
    labels = jnp.asarray(rng.integers(CLASSES, size=batch))

    @jax.jit
    def step(variables, moments):
        def loss(params):
            logits, changed = model.apply(
                {**variables, "params": params}, clips, train=True, mutable=["batch_stats"]
            )
            errors = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return errors.mean(), changed

        gradients, changed = jax.grad(loss, has_aux=True)(variables["params"])
        updates, moments = sgd.update(gradients, moments)
        return {"params": optax.apply_updates(variables["params"], updates), **changed}, moments

    moments = sgd.init(variables["params"])

    def train() -> None:
        nonlocal variables, moments
        for _ in range(steps):
            variables, moments = step(variables, moments)
        jax.block_until_ready(variables)

    return train, count_parameters(variables)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=2, help="of one repetition")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads(cores or 1)
    ours, count = of_jaxpose(options.batch, options.steps)
    theirs, their_count = of_torch(options.batch, options.steps)
    np.testing.assert_equal(count, their_count, "not the same network")
    rivals = {"torch": theirs, "jaxpose": ours}
    figures = measure(rivals, options.batch * options.steps, options.repeats)
    title = f"ST-GCN, {count / 1e6:.2f} M parameters, train step of {options.batch}, {cores} cores"
    table = Table("", "clips/s", "slowest to fastest", "CPU-s a repetition", title=title)
    for name, row in figures.items():
        spread = f"{row['slowest']:.1f} to {row['fastest']:.1f}"
        table.add_row(name, f"{row['median']:.1f}", spread, f"{row['cpu_seconds']:.2f}")
    for what, key in (("clips/s", "median"), ("CPU-s", "cpu_seconds")):
        ratio = figures["jaxpose"][key] / figures["torch"][key]
        table.add_row(f"jaxpose / torch, {what}", f"{ratio:.2f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
