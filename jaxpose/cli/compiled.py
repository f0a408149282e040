"""Programs that XLA compiled, kept from one command to the next."""

import hashlib
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path

from jaxpose.paths import cache_folder

VARIABLE = "JAX_COMPILATION_CACHE_DIR"
"""JAX's own variable; set, it names the folder. `JAX_ENABLE_COMPILATION_CACHE=0` keeps nothing."""

MAX_BYTES = 4 * 2**30
"""Size of the folder above which the oldest programs are removed when a command starts."""


def keep_compiled() -> None:
    """Let JAX keep compiled programs in the cache folder, unless a folder is set already.

    Programs for CPUs use the instructions of the processor that they were compiled on, so machines
    that share a home have a folder for each kind of processor.
    """
    if os.environ.get(VARIABLE) is not None:
        return
    folder = str(cache_folder() / "compiled" / _processor())
    os.environ[VARIABLE] = folder  # for JAX, which reads it when it is imported, and subprocesses
    if "jax" in sys.modules:
        import jax

        jax.config.update("jax_compilation_cache_dir", folder)  # type: ignore[no-untyped-call]
    _drop_oldest(Path(folder), MAX_BYTES)


def _drop_oldest(folder: Path, limit: int) -> None:
    """Remove the oldest files of a folder that has more than `limit` bytes."""
    with suppress(OSError):
        files = [(path.stat(), path) for path in folder.iterdir() if path.is_file()]
        total = sum(stat.st_size for stat, _ in files)
        for stat, path in sorted(files, key=lambda file: file[0].st_mtime):
            if total <= limit:
                break
            path.unlink(missing_ok=True)
            total -= stat.st_size


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
