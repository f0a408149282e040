"""Several processes that train one model: their start, and communication between them.

A single process is the trivial case, in which nothing here has a cost.
"""

import itertools
import json
import os
from collections import deque
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec

from jaxpose.config import differences
from jaxpose.errors import InputError
from jaxpose.train.mesh import AXES, batch_sharded, replicated

# Environment variables with the number of tasks that a launcher has started.
_TASKS = ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")


def connect(
    coordinator: str | None = None, processes: int | None = None, process: int | None = None
) -> None:
    """Joins the other processes of the run; must run before any other use of a device.

    Without arguments: `JAX_COORDINATOR_ADDRESS`, `JAX_NUM_PROCESSES` and `JAX_PROCESS_ID`, or the
    environment variables of SLURM, Open MPI or a TPU pod, or a single process.

    Args:
      coordinator: `host:port` of process 0, or `auto` to let JAX find it, as on TPU VMs.
      processes: number of processes.
      process: number of this process, from 0.

    Raises:
      InputError: some of the three are missing, or the others cannot be reached.
    """
    coordinator = coordinator or os.environ.get("JAX_COORDINATOR_ADDRESS")
    processes = _number(processes, "JAX_NUM_PROCESSES")
    process = _number(process, "JAX_PROCESS_ID")
    if coordinator is None:
        if processes is not None or process is not None:
            raise InputError(
                "--processes and --process need --coordinator HOST:PORT, the address of process 0."
            )
        if not _in_cluster():
            return
    elif coordinator == "auto":
        coordinator = None
    elif processes is None or process is None or not 0 <= process < processes:
        raise InputError(
            f"With --coordinator give --processes and --process, from 0 to one less than "
            f"--processes; they are {processes} and {process}."
        )
    try:
        jax.distributed.initialize(coordinator, processes, process)
    except (RuntimeError, ValueError, TypeError) as error:
        first = str(error).strip().splitlines()[0]
        raise InputError(
            f"The processes of the run did not find each other ({first}). Start each with the "
            "same --coordinator and --processes, and let the address be reached from every host."
        ) from error


def _number(given: int | None, variable: str) -> int | None:
    text = os.environ.get(variable)
    if given is not None or text is None:
        return given
    if not text.isdigit():
        raise InputError(f"{variable} must be a number, and is {text!r}.")
    return int(text)


def _in_cluster() -> bool:
    several = any(os.environ.get(name, "1") not in ("", "1") for name in _TASKS)
    return several or "," in os.environ.get("TPU_WORKER_HOSTNAMES", "")


def is_first() -> bool:
    """True for the process that prints and writes."""
    return jax.process_index() == 0


def barrier(name: str) -> None:
    """Waits for all processes."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def require_same(record: Mapping[str, Any]) -> None:
    """Checks that all processes have the same `record` (JSON types).

    Raises:
      InputError: in every process; lists the first differences from process 0.
    """
    if jax.process_count() == 1:
        return
    texts = [json.loads(text) for text in _texts(json.dumps(record, sort_keys=True))]
    for i, other in enumerate(texts):
        changed = list(differences(texts[0], other))
        if changed:
            raise InputError(
                f"Process {i} was started with another configuration or other data than process "
                "0:\n  " + "\n  ".join(changed[:8])
            )


def _texts(text: str) -> list[str]:
    """Gathers the `text` of each process."""
    data = np.frombuffer(text.encode(), np.uint8)
    sizes = multihost_utils.process_allgather(np.asarray([len(data)], np.int32)).reshape(-1)
    padded = np.zeros(int(max(sizes)), np.uint8)
    padded[: len(data)] = data
    rows = multihost_utils.process_allgather(padded)
    return [bytes(np.asarray(row[:size])).decode() for row, size in zip(rows, sizes, strict=True)]


def gather(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Gathers the rows of all processes, of any dtype; each has the same number of rows."""
    if jax.process_count() == 1:
        return dict(columns)
    found = {}
    for name, values in columns.items():
        # As bytes, because JAX would convert 64 bits to 32.
        data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        rows = np.asarray(multihost_utils.process_allgather(data))
        found[name] = rows.reshape(-1).view(values.dtype).reshape(-1, *values.shape[1:])
    return found


def batch_shard(batch_size: int, mesh: jax.sharding.Mesh) -> tuple[int, int]:
    """Part of a batch that this process feeds, and the number of parts: (index, count).

    Processes whose devices hold the same samples, as along `tensor`, feed the same part.

    Raises:
      InputError: this process's devices are not contiguous in the mesh.
    """
    sharding = batch_sharded(mesh)
    slices = sharding.addressable_devices_indices_map((batch_size,)).values()
    rows = sorted({index[0].indices(batch_size)[:2] for index in slices if index})
    first, last = rows[0][0], rows[-1][1]
    if any(a[1] != b[0] for a, b in itertools.pairwise(rows)) or first % (last - first):
        raise InputError(
            f"The mesh {dict(mesh.shape)} splits a batch so that the part of one process is not in "
            "one piece. Let data * fsdp be a multiple of the number of processes."
        )
    return first // (last - first), batch_size // (last - first)


class StepSync:
    """Agreement between processes at every step: on the step's number, and on a request to stop.

    Each process posts its step and the signal it received; one step later all read the same result,
    so that all processes stop after the same step if one of them must stop. Posting is a reduction
    of two numbers on the devices, queued behind the step: no process waits for it.
    """

    def __init__(self, mesh: jax.sharding.Mesh) -> None:
        self._sharding = NamedSharding(mesh, PartitionSpec(AXES))
        self._extremes = jax.jit(
            lambda x: (x.min(axis=0), x.max(axis=0)), out_shardings=replicated(mesh)
        )
        self._posted: deque[Any] = deque()

    def post(self, step: int, signal: int | None) -> None:
        """Posts that this process begins to wait for `step`, and the signal it received."""
        own = np.asarray([[step, signal or 0]], np.int32)
        if jax.process_count() > 1:
            rows = np.repeat(own, jax.local_device_count(), axis=0)
            told = jax.make_array_from_process_local_data(self._sharding, rows)
            self._posted.append(self._extremes(told))
        else:
            self._posted.append((own[0], own[0]))

    def poll(self) -> int | None:
        """Signal that any process received by the step before the last posted one.

        Raises:
          InputError: the processes are not at the same step.
        """
        if jax.process_count() > 1 and len(self._posted) < 2:
            return None
        low, high = jax.device_get(self._posted.popleft())
        if low[0] != high[0]:
            raise InputError(
                f"The processes are at different steps: one is at {low[0]}, another at "
                f"{high[0]}. Nothing was saved since; run the same command again in all of them."
            )
        return int(high[1]) or None
