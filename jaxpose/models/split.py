"""Devices that a program is traced for, and how its batch is divided over them.

Models choose kernels by them: XLA cannot divide a kernel over devices, and one for TPUs serves no
other platform.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import jax


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


def current_split() -> Split | None:
    """Division that the program is traced for; None outside of `split_over`."""
    return _split.get()


def for_tpu() -> bool:
    """Return whether the program that is traced may have kernels for TPUs.

    Outside of `split_over` it may where this process has one TPU: in a program that XLA divides
    over several, it refuses a kernel.
    """
    split = _split.get()
    if split is not None:
        return split.platform == "tpu"
    return jax.default_backend() == "tpu" and jax.device_count() == 1
