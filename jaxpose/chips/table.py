"""Figures of accelerator chips, from their makers' public pages."""

from dataclasses import dataclass, field
from typing import Literal

from jaxpose.errors import InputError, nearest

_GIB = 2**30
_TPU = "https://cloud.google.com/tpu/docs/"
_NVIDIA = "https://www.nvidia.com/en-us/data-center/"


@dataclass(frozen=True)
class Gpu:
    """Figures of a GPU that XLA's compiler needs beyond those of a `Chip`.

    Attributes:
      capability: major and minor compute capability.
      processors: number of streaming multiprocessors.
      lanes: float32 lanes of each.
      threads: threads that each holds.
      shared: bytes of shared memory of each.
      cache: bytes of the second-level cache.
      clock: highest clock in GHz.
      description: name by which CUDA calls the device.
    """

    capability: tuple[int, int]
    processors: int
    lanes: int
    threads: int
    shared: int
    cache: int
    clock: float
    description: str


@dataclass(frozen=True)
class Chip:
    """Figures of one chip. A TPU with two cores is one chip; so is a module of two dies.

    Attributes:
      name: as in `--chips`.
      kind: what JAX is asked for.
      flops: peak dense FLOP/s in bfloat16.
      hbm: bytes of main memory.
      bandwidth: bytes per second to and from main memory.
      links: bytes per second that a chip sends to its neighbours, one direction, all links.
      source: page with these figures.
      topologies: slices that the maker offers, such as `4x4`; for GPUs numbers in one machine.
      gpu: further figures of a GPU.
    """

    name: str
    kind: Literal["tpu", "gpu"]
    flops: float
    hbm: int
    bandwidth: float
    links: float
    source: str
    topologies: tuple[str, ...] = field(default=(), repr=False)
    gpu: Gpu | None = None


_SQUARES = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
_CUBES = (
    *("2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8", "8x8x16"),
    *("8x16x16", "16x16x16"),
)
_MACHINE = ("1", "2", "4", "8")

# NVIDIA's pages list FLOP/s with sparsity, which is twice the dense figure, from A100 on.
CHIPS = (
    Chip("v4", "tpu", 275e12, 32 * _GIB, 1200e9, 300e9, _TPU + "v4", _CUBES),
    Chip("v5e", "tpu", 197e12, 16 * _GIB, 819e9, 200e9, _TPU + "v5e", _SQUARES),
    Chip("v5p", "tpu", 459e12, 95 * _GIB, 2765e9, 600e9, _TPU + "v5p", _CUBES),
    Chip("v6e", "tpu", 918e12, 32 * _GIB, 1600e9, 400e9, _TPU + "v6e", _SQUARES),
    Chip(
        *("a100", "gpu", 312e12, 80 * _GIB, 2039e9, 300e9, _NVIDIA + "a100/", _MACHINE),
        Gpu((8, 0), 108, 64, 2048, 167936, 40 << 20, 1.41, "NVIDIA A100-SXM4-80GB"),
    ),
    Chip(
        *("h100", "gpu", 989e12, 80 * _GIB, 3350e9, 450e9, _NVIDIA + "h100/", _MACHINE),
        Gpu((9, 0), 132, 128, 2048, 233472, 50 << 20, 1.98, "NVIDIA H100 80GB HBM3"),
    ),
    Chip(
        *("h200", "gpu", 989e12, int(141e9), 4800e9, 450e9, _NVIDIA + "h200/", _MACHINE),
        Gpu((9, 0), 132, 128, 2048, 233472, 50 << 20, 1.98, "NVIDIA H200"),
    ),
    Chip(
        *("b200", "gpu", 2250e12, int(180e9), 8000e9, 900e9, _NVIDIA + "hgx/", _MACHINE),
        Gpu((10, 0), 148, 128, 2048, 233472, 126 << 20, 1.965, "NVIDIA B200"),
    ),
    # 64 GB/s of PCIe 4.0 x16 and 32 GB/s of PCIe 3.0 x16, both directions together.
    Chip(
        *("l4", "gpu", 121e12, 24 * _GIB, 300e9, 32e9, _NVIDIA + "l4/", _MACHINE),
        Gpu((8, 9), 58, 128, 1536, 102400, 48 << 20, 2.04, "NVIDIA L4"),
    ),
    # In float16: its tensor cores have no bfloat16, which XLA computes in float32 there.
    Chip(
        *("t4", "gpu", 65e12, 16 * _GIB, 320e9, 16e9, _NVIDIA + "tesla-t4/", _MACHINE),
        Gpu((7, 5), 40, 64, 1024, 65536, 4 << 20, 1.59, "Tesla T4"),
    ),
)
"""All chips, TPUs first."""


def chip(name: str) -> Chip:
    """Find a chip by its name.

    Raises:
      InputError: no chip has the name; lists the names.
    """
    by_name = {one.name: one for one in CHIPS}
    if name.lower() not in by_name:
        raise InputError(
            f"There is no chip {name!r} in jaxpose's table.{nearest(name, by_name)} The chips are "
            f"{', '.join(by_name)}."
        )
    return by_name[name.lower()]
