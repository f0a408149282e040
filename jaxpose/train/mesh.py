"""Device mesh and shardings of arrays on it."""

import dataclasses

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxpose.errors import InputError, nearest
from jaxpose.models.split import Split
from jaxpose.train.experiment import Mesh

AXES = ("data", "fsdp", "tensor")


def make_mesh(shape: Mesh, devices: list[jax.Device] | None = None) -> jax.sharding.Mesh:
    """Creates a mesh with axes `data`, `fsdp`, `tensor` over `devices`; None takes all.

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
    """Sharding in which every device holds the whole array."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharded(mesh: jax.sharding.Mesh) -> NamedSharding:
    """Sharding whose leading axis is split over `data` and `fsdp`."""
    return NamedSharding(mesh, PartitionSpec(("data", "fsdp")))


def model_split(mesh: jax.sharding.Mesh) -> Split:
    """Division of a model's activations over the mesh, for `models.split.split_over`."""
    return Split(mesh, batch=("data", "fsdp"), features=("tensor",))


def mesh_of(array: jax.Array) -> jax.sharding.Mesh:
    """Mesh that an array lies on."""
    assert isinstance(array.sharding, NamedSharding)
    mesh = array.sharding.mesh
    assert isinstance(mesh, jax.sharding.Mesh)
    return mesh


def check_batch(batch_size: int, mesh: jax.sharding.Mesh, key: str, accumulate: int = 1) -> None:
    """Checks that the mesh, and gradient accumulation, can split a batch evenly.

    Raises:
      InputError: names the configuration key and the nearest sizes that fit.
    """
    devices = mesh.shape["data"] * mesh.shape["fsdp"]
    parts = devices * accumulate
    if batch_size % parts:
        times = f" in {accumulate} parts (accumulate)" if accumulate > 1 else ""
        raise InputError(
            f"{key} = {batch_size} does not split over {devices} devices{times}; use "
            f"{batch_size // parts * parts or parts} or {-(-batch_size // parts) * parts}."
        )


def parse_mesh(text: str, shape: Mesh) -> Mesh:
    """Copy of `shape` with the sizes given in `data=2,fsdp=4`; the others become 1.

    Raises:
      InputError: another axis, or a size that is not a number.
    """
    sizes, given = dict.fromkeys(AXES, 1), set[str]()
    for part in text.split(","):
        axis, _, size = (word.strip() for word in part.partition("="))
        if axis in given:
            raise InputError(f"--mesh {text!r} has {axis} twice.")
        given.add(axis)
        if axis not in AXES or not size.removeprefix("-").isdigit():
            raise InputError(
                f"--mesh {text!r} is not of the form data=2,fsdp=4,tensor=1 (one may be -1)."
                f"{'' if axis in AXES else nearest(axis, AXES)}"
            )
        sizes[axis] = int(size)
    return dataclasses.replace(shape, **sizes)  # type: ignore[arg-type]  # sizes only
