"""Devices that a program is traced for, and how its batch is divided over them.

Models choose kernels by them: XLA cannot divide a kernel over devices, and one for TPUs serves no
other platform.
"""

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Split:
    """Division of a program's arrays over a mesh.

    Attributes:
      mesh: the devices.
      batch: axes of the mesh that divide the batch.
      features: axes of the mesh that divide features, such as heads.
    """

    mesh: jax.sharding.Mesh
    batch: tuple[str, ...] = ()
    features: tuple[str, ...] = ()

    @property
    def platform(self) -> str:
        """Platform of the devices, such as "tpu"."""
        return str(self.mesh.devices.flat[0].platform)

    def parts(self, axes: tuple[str, ...]) -> int:
        """Number of parts that these axes of the mesh divide an array into."""
        return math.prod(self.mesh.shape[axis] for axis in axes)


_split: ContextVar[Split | None] = ContextVar("_split", default=None)


@contextmanager
def split_over(split: Split) -> Iterator[None]:
    """Trace programs for the devices of `split` within this context."""
    token = _split.set(split)
    try:
        yield
    finally:
        _split.reset(token)


def for_device_of(arrays: Any, function: Callable[P, R]) -> Callable[P, R]:
    """Wrap `function` so that it is traced for the device of `arrays`, if they are on one alone.

    A program runs where its arguments are. On a machine with several TPUs, the trace of a program
    for one of them would otherwise not show that it may have kernels.

    Args:
      arrays: a tree with arrays that will be arguments of the program; others are ignored.
      function: a function to be compiled by `jax.jit`.
    """
    placed = [leaf for leaf in jax.tree.leaves(arrays) if isinstance(leaf, jax.Array)]
    concrete = [leaf for leaf in placed if not isinstance(leaf, jax.core.Tracer)]
    devices = set().union(*(leaf.devices() for leaf in concrete))
    if len(devices) != 1:
        return function
    split = Split(jax.sharding.Mesh(np.array(list(devices)), ("data",)))

    @functools.wraps(function)
    def traced(*args: P.args, **kwargs: P.kwargs) -> R:
        with split_over(split):
            return function(*args, **kwargs)

    return traced


def current_split() -> Split | None:
    """Division that the program is traced for; None outside of `split_over`."""
    return _split.get()


def for_tpu() -> bool:
    """Return whether the program that is traced may have kernels for TPUs.

    Outside of `split_over` it may where this process has one TPU: in a program that XLA divides
    over several, it refuses a kernel. A program for one of several devices is to be wrapped by
    `for_device_of`.
    """
    split = _split.get()
    if split is not None:
        return split.platform == "tpu"
    return jax.default_backend() == "tpu" and jax.device_count() == 1


def recomputes() -> bool:
    """Return whether the program that is traced should compute cheap values again when needed.

    TPUs and GPUs take longer to write and read an array for the backward pass than to compute its
    elements from another one that is kept anyway.
    """
    split = _split.get()
    return (jax.default_backend() if split is None else split.platform) != "cpu"
