"""Posed bodies per second on CPU: `bodies.pose_body` beside PyTorch.

    taskset -c 0,1 python -m tests.benchmarks.bodies_vs_torch [--batch 64] [--calls 20]

A body of SMPL's size with random arrays (6,890 vertices, 24 joints, 10 shape numbers, 207 shapes of
pose), float32, axis-angle in and vertices out, forward alone and with the gradient of a sum of
vertices by pose and shape. PyTorch does the same with the usual products of matrices
(`LinearBlendSkinning` here), as many threads. A repetition is several calls in a row, and those of
the two alternate; the largest difference of the vertices is printed. Without PyTorch only JAX is
measured.
"""

import argparse
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from jaxpose.bodies.joints import NAMES
from jaxpose.bodies.model import Body, pose_body
from tests.benchmarks.alternate import measure

try:
    import torch
except ImportError:
    torch = None

VERTICES, JOINTS, SHAPES = 6890, 24, 10
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)


def random_body() -> Body:
    rng = np.random.default_rng(0)
    weights = rng.random((VERTICES, JOINTS)) ** 8
    regressor = rng.random((JOINTS, VERTICES))
    return Body(
        *NAMES[JOINTS],
        PARENTS,
        template=np.float32(rng.normal(0, 400, (VERTICES, 3))),
        shapes=np.float32(rng.normal(0, 10, (VERTICES, 3, SHAPES))),
        pose_shapes=np.float32(rng.normal(0, 2, (9 * (JOINTS - 1), VERTICES, 3))),
        regressor=np.float32(regressor / regressor.sum(axis=1, keepdims=True)),
        weights=np.float32(weights / weights.sum(axis=1, keepdims=True)),
    )


class LinearBlendSkinning:
    """The same formulas in PyTorch."""

    def __init__(self, body: Body) -> None:
        self.template, self.regressor, self.weights = (
            torch.from_numpy(np.asarray(a)) for a in (body.template, body.regressor, body.weights)
        )
        self.shapes = torch.from_numpy(body.shapes.reshape(-1, SHAPES))
        self.pose_shapes = torch.from_numpy(body.pose_shapes.reshape(len(body.pose_shapes), -1))

    def __call__(self, shape: Any, vectors: Any) -> Any:
        count = len(shape)
        R = _rotations(vectors.reshape(-1, 3)).reshape(count, JOINTS, 3, 3)
        rest = self.template + (shape @ self.shapes.T).reshape(count, VERTICES, 3)
        joints = torch.einsum("jv,bvc->bjc", self.regressor, rest)
        bend = (R[:, 1:] - torch.eye(3)).reshape(count, -1)
        rest = rest + (bend @ self.pose_shapes).reshape(count, VERTICES, 3)
        local = torch.zeros(count, JOINTS, 4, 4)
        local[:, :, :3, :3] = R
        local[:, 0, :3, 3] = joints[:, 0]
        local[:, 1:, :3, 3] = joints[:, 1:] - joints[:, list(PARENTS[1:])]
        local[:, :, 3, 3] = 1
        chain = [local[:, 0]]
        for joint in range(1, JOINTS):
            chain.append(chain[PARENTS[joint]] @ local[:, joint])
        world = torch.stack(chain, dim=1)
        moved = world[:, :, :3, 3] - torch.einsum("bjac,bjc->bja", world[:, :, :3, :3], joints)
        world = torch.cat([world[:, :, :3, :3], moved[..., None]], dim=-1).reshape(
            count, JOINTS, 12
        )
        blend = torch.matmul(self.weights, world).reshape(count, VERTICES, 3, 4)
        return (blend[..., :3] @ rest[..., None])[..., 0] + blend[..., 3]


def _rotations(vectors: Any) -> Any:
    angle = torch.linalg.norm(vectors + 1e-8, dim=1, keepdim=True)
    x, y, z = (vectors / angle).T
    zero = torch.zeros_like(x)
    K = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).reshape(-1, 3, 3)
    angle = angle[..., None]
    return torch.eye(3) + torch.sin(angle) * K + (1 - torch.cos(angle)) * (K @ K)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()

    rng = np.random.default_rng(1)
    shape = np.float32(rng.standard_normal((options.batch, SHAPES)))
    vectors = np.float32(0.5 * rng.standard_normal((options.batch, JOINTS, 3)))
    body = random_body()
    held = jax.tree.map(jnp.asarray, body)

    def total(shape: jax.Array, vectors: jax.Array) -> jax.Array:
        return pose_body(held, shape, vectors).vertices.sum()

    slopes = jax.jit(jax.grad(total, (0, 1)))
    given = jnp.asarray(shape), jnp.asarray(vectors)
    rivals = {
        "jaxpose": lambda: jax.block_until_ready(pose_body(held, *given).vertices),
        "jaxpose, gradient": lambda: jax.block_until_ready(slopes(*given)),
    }
    if torch is not None:
        skinning, theirs = (
            LinearBlendSkinning(body),
            (torch.from_numpy(a) for a in (shape, vectors)),
        )
        a, b = theirs
        with torch.no_grad():
            away = np.abs(skinning(a, b).numpy() - np.asarray(rivals["jaxpose"]())).max()
        print(f"largest difference {away:.2g} mm of {np.ptp(body.template):.0f}")

        def forward() -> Any:
            with torch.no_grad():
                return skinning(a, b)

        def gradient() -> Any:
            x, y = a.clone().requires_grad_(), b.clone().requires_grad_()
            return torch.autograd.grad(skinning(x, y).sum(), (x, y))

        rivals |= {"PyTorch": forward, "PyTorch, gradient": gradient}

    def in_a_row(run: Callable[[], Any]) -> Callable[[], None]:
        def calls() -> None:
            for _ in range(options.calls):
                run()

        return calls

    several = {name: in_a_row(run) for name, run in rivals.items()}
    bodies = options.batch * options.calls
    figures = measure(several, bodies, options.repeats)
    table = Table(title=f"bodies per second, batches of {options.batch}")
    for title in ("", "median", "slowest", "fastest", "CPU ms a body"):
        table.add_column(title, justify="right" if title else "left")
    for name, row in figures.items():
        rates = (f"{row[key]:,.0f}" for key in ("median", "slowest", "fastest"))
        table.add_row(name, *rates, f"{1000 * row['cpu_seconds'] / bodies:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
