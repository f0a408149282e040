"""Programs that XLA compiled, kept from one command to the next."""

import hashlib
import os
import platform
import sys
from pathlib import Path

from jaxpose.paths import cache_folder

VARIABLE = "JAX_COMPILATION_CACHE_DIR"
"""JAX's own variable; set, it names the folder. `JAX_ENABLE_COMPILATION_CACHE=0` keeps nothing."""


def keep_compiled() -> None:
    """Let JAX keep compiled programs in `compiled` of the cache folder, unless it is told a folder.

    Programs for CPUs use the instructions of the processor that they were compiled on, so machines
    that share a home have a folder for each kind of processor.
    """
    if os.environ.get(VARIABLE) is not None:
        return
    folder = str(cache_folder() / "compiled" / _processor())
    os.environ[VARIABLE] = folder  # for JAX, which reads it when it is imported, and subprocesses
    if "jax" in sys.modules:
        import jax

        jax.config.update("jax_compilation_cache_dir", folder)


def _processor() -> str:
    """A short name for the machine's kind of processor."""
    kind = f"{platform.machine()} {platform.processor()}"
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text(errors="replace").splitlines()
        wanted = ("model name", "flags", "Features", "CPU part")
        kind += next((line for line in lines if line.startswith(wanted[0])), "")
        kind += " ".join(sorted({line for line in lines if line.startswith(wanted[1:])}))
    return f"{platform.machine() or 'cpu'}-{hashlib.sha256(kind.encode()).hexdigest()[:12]}"
