"""Machine, versions and load that benchmark figures were measured with."""

import os
import platform
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

import jaxpose
from jaxpose.data.records import usable_cores

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


def surroundings() -> dict[str, Any]:
    """Machine, versions, command and load, as JSON types."""
    devices = jax.devices()
    return {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "machine": {
            "processor": processor(),
            "cores": usable_cores(),
            "devices": f"{len(devices)} x {devices[0].platform} ({devices[0].device_kind})",
        },
        "versions": {
            "python": platform.python_version(),
            "jaxpose": jaxpose.__version__,
            **{name: metadata.version(name) for name in _PACKAGES},
        },
        # Mean number of processes that ran or waited for a core in the last 1, 5 and 15 minutes.
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
    }


def processor() -> str:
    """Name of the CPU, or its architecture where the system gives no name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def resident_megabytes() -> float | None:
    """Resident memory of this process in MB (Linux; None elsewhere)."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024
