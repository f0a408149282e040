"""`jaxpose doctor`: devices and versions of this machine, its speed, and what is missing."""

import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

import jaxpose
from jaxpose import requirements
from jaxpose.console import PlainConsole
from jaxpose.requirements import Need

OPTIONAL = {
    "jax-cuda12-plugin": "for NVIDIA GPUs: pip install 'jaxpose[cuda12]'",
    "jax-cuda13-plugin": "for NVIDIA GPUs, driver 580 or newer: pip install 'jaxpose[cuda13]'",
    "libtpu": "for TPUs: pip install 'jaxpose[tpu]'",
    "apache-beam": "prepares very large datasets",
    "pycocotools": "compares scores in the tests",
}
_OPENCV = "reinstall it, or pip install opencv-python-headless, which needs no screen"
_MATMUL_SECONDS = 0.1  # of each of five measurements

# The same use of TensorFlow as in `jaxpose.data`, in a process of its own: it must import and use
# the CPU only, so that the accelerator is left to JAX.
_TRY_TENSORFLOW = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
tf.config.set_visible_devices([], "GPU")
tf.config.set_visible_devices([], "TPU")
tf.constant(1.0) + 1.0
print(sorted({device.device_type for device in tf.config.list_logical_devices()}))
"""

Level = Literal["good", "note", "missing"]


@dataclass(frozen=True)
class Finding:
    """One line of the report; `missing` is for requirements that are absent or broken."""

    what: str
    value: str
    level: Level = "good"
    advice: str = ""


def doctor(console: Console | None = None) -> int:
    """Prints the report; returns 1 if something required is missing, else 0."""
    console = console or PlainConsole()
    findings: list[Finding] = []
    table = Table(
        "", "found", "advice", title=f"jaxpose {jaxpose.__version__}", title_justify="left"
    )
    for section in (versions, devices, matmul_rates, tensorflow, videos):
        table.add_section()
        for finding in section():
            findings.append(finding)
            style = {"good": "green", "note": "yellow", "missing": "bold red"}[finding.level]
            table.add_row(finding.what, Text(finding.value, style), Text(finding.advice))
    console.print(table)
    absent = [finding.what for finding in findings if finding.level == "missing"]
    if absent:
        console.print(Text(f"Missing or broken: {', '.join(absent)}.", "bold red"))
        if unmet := [need for need in requirements.needs() if not need.met]:
            console.print(Text(f"To install them: {requirements.command(unmet)}"))
        return 1
    console.print("Nothing required is missing.", style="green")
    return 0


def versions() -> Iterator[Finding]:
    """Versions of Python, of the required packages and of the optional ones."""
    yield Finding("python", f"{platform.python_version()} ({platform.machine()} {sys.platform})")
    for need in requirements.needs():
        yield package(need)
    for name, purpose in OPTIONAL.items():
        version = requirements.installed(name)
        if version:
            yield Finding(name, version)
        else:
            yield Finding(name, "not installed", "note", f"optional; {purpose}")


def package(need: Need) -> Finding:
    """Checks by its metadata that a required package is installed and new enough."""
    name, advice = need.requirement.name, requirements.command([need])
    if not need.package:
        return Finding(name, "not installed", "missing", advice)
    if not need.met:
        return Finding(name, need.version, "missing", f"another version: {advice}")
    return Finding(need.package, need.version or "installed")


def devices() -> Iterator[Finding]:
    """Devices that JAX computes on, their memory, and accelerators that it does not use."""
    try:
        import jax

        found = jax.devices()
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error) else type(error).__name__
        yield Finding(
            "devices", f"JAX finds none: {first}", "missing", "see JAX's installation page"
        )
        return
    kinds = sorted({(device.platform, device.device_kind) for device in found})
    for platform_name, kind in kinds:
        count = sum(device.device_kind == kind for device in found)
        yield Finding("devices", f"{count} x {platform_name} ({kind})")
    memory = device_memory(found[0])
    if memory is not None:
        yield Finding("device memory", f"{memory / 2**30:.1f} GiB each")
    yield Finding("host", f"{_usable_cores()} cores, {host_memory() / 2**30:.1f} GiB of memory")
    if all(device.platform == "cpu" for device in found):
        yield from unused_accelerators(Path("/"))


def unused_accelerators(root: Path) -> Iterator[Finding]:
    """Accelerators below the file-system `root` that JAX, seeing only the CPU, does not use."""
    extra = requirements.accelerator(root)
    if not extra:
        return
    name = "TPU" if extra == "tpu" else "NVIDIA GPU"
    if requirements.plugin(root):
        advice = f"pip install 'jaxpose[{extra}]'"
    elif extra == "tpu":
        advice = "end other programs that use it"
    else:
        advice = "JAX's plugin is installed: update the driver"
    yield Finding(name, "present, but JAX sees only the CPU", "note", advice)


def device_memory(device: Any) -> int | None:
    """Bytes of a device's memory; None if it states none."""
    try:
        return (device.memory_stats() or {}).get("bytes_limit")
    except Exception:  # each backend raises its own where it keeps no count
        return None


def host_memory() -> int:
    """Bytes of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _usable_cores() -> int:
    """Cores this process may use, which in a container are fewer than the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def matmul_rates() -> Iterator[Finding]:
    """Rate of the first device in a large square product, half a second for each type."""
    try:
        from jaxpose.bench.matmul import matmul_rate

        for dtype in ("float32", "bfloat16"):
            size, _, rate = matmul_rate(dtype, seconds=_MATMUL_SECONDS)
            found = f"{rate.median / 1e9:,.0f} GFLOP/s ({size} x {size})"
            yield Finding(f"matmul {dtype}", found)
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error) else type(error).__name__
        yield Finding("matmul", first, "missing", "JAX cannot compute on its first device")


def tensorflow() -> Iterator[Finding]:
    """Checks what only prepared datasets need: TensorFlow, which leaves the accelerator to JAX."""
    wanted = {need.requirement.name: need for need in requirements.needs("tensorflow")}
    usual = {need.requirement.name for need in requirements.needs()}
    absent = [need for name, need in wanted.items() if name not in usual and not need.met]
    if absent:
        names = ", ".join(need.requirement.name for need in absent)
        advice = f"optional; for prepared datasets: {requirements.command(absent)}"
        yield Finding("prepared datasets", f"not installed: {names}", "note", advice)
    if importlib.util.find_spec("tensorflow") is None:
        return
    try:
        process = subprocess.run(
            [sys.executable, "-c", _TRY_TENSORFLOW], capture_output=True, text=True, timeout=180
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        yield Finding("TensorFlow", f"import failed: {error}", "missing")
        return
    if process.returncode != 0:
        lines = process.stderr.strip().splitlines() or [f"exit status {process.returncode}"]
        advice = "reinstall it; reading prepared datasets needs it"
        yield Finding("TensorFlow", f"import failed: {lines[-1]}", "missing", advice)
        return
    seen = process.stdout.strip().splitlines()[-1]
    if seen == "['CPU']":
        yield Finding("TensorFlow", "imports, and leaves accelerators to JAX")
    else:
        yield Finding("TensorFlow", f"takes devices: {seen}", "missing", "use tensorflow-cpu")


def videos() -> Iterator[Finding]:
    """Checks that videos can be read, and written as H.264."""
    try:
        import av
    except ImportError as error:
        yield Finding("PyAV", f"import failed: {error}", "missing", "pip install 'av>=18'")
        return
    writes = "libx264" in av.codecs_available
    yield Finding(
        "videos",
        f"PyAV {av.__version__}, {'writes H.264' if writes else 'no encoder for H.264'}",
        "good" if writes else "note",
        "" if writes else "drawn videos are MPEG-4 part 2, which browsers do not play",
    )
