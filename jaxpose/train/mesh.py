"""The device mesh and where arrays live on it."""

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxpose.config import Mesh
from jaxpose.errors import InputError

AXES = ("data", "fsdp", "tensor")


def make_mesh(shape: Mesh, devices: list[jax.Device] | None = None) -> jax.sharding.Mesh:
    """A mesh with axes `data`, `fsdp`, `tensor` over all devices (one device: a mesh of one).

    Raises:
      InputError: the sizes do not multiply to the number of devices.
    """
    devices = jax.devices() if devices is None else devices
    sizes = [shape.data, shape.fsdp, shape.tensor]
    free = [i for i, size in enumerate(sizes) if size == -1]
    known = int(np.prod([size for size in sizes if size != -1]))
    if len(free) == 1 and known > 0 and len(devices) % known == 0:
        sizes[free[0]] = len(devices) // known
    if min(sizes) < 1 or int(np.prod(sizes)) != len(devices):
        raise InputError(
            f"mesh {dict(zip(AXES, (shape.data, shape.fsdp, shape.tensor), strict=True))} does "
            f"not fit {len(devices)} device(s): the sizes must multiply to that number, and one "
            "of them may be -1."
        )
    return jax.sharding.Mesh(np.asarray(devices).reshape(sizes), AXES)


def replicated(mesh: jax.sharding.Mesh) -> NamedSharding:
    """Every device holds the whole array."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharded(mesh: jax.sharding.Mesh) -> NamedSharding:
    """The leading axis is split over `data` and `fsdp`."""
    return NamedSharding(mesh, PartitionSpec(("data", "fsdp")))


def check_batch(batch_size: int, mesh: jax.sharding.Mesh, key: str) -> None:
    """Refuse a batch that the mesh cannot split evenly.

    Raises:
      InputError: names the configuration key and the nearest sizes that fit.
    """
    parts = mesh.shape["data"] * mesh.shape["fsdp"]
    if batch_size % parts:
        raise InputError(
            f"{key} = {batch_size} does not split over {parts} devices; use "
            f"{batch_size // parts * parts or parts} or {-(-batch_size // parts) * parts}."
        )
