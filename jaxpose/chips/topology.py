"""Devices of a slice of chips that this machine does not have, for their own compilers.

`libtpu`, the compiler of TPUs, and XLA's CUDA plugin compile without a chip and without a driver.
"""

import importlib.metadata
import importlib.util
import math
import os
import re
from dataclasses import dataclass
from typing import Any

import jax
from jax.experimental import topologies

from jaxpose.chips.gpu_target import target_config
from jaxpose.chips.table import Chip, chip
from jaxpose.errors import InputError

# libtpu asks neither Google's metadata server nor other hosts, writes no log, and does not take the
# lock by which only one process of a machine can use its TPUs: none is used here.
_LIBTPU = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_MIN_LOG_LEVEL": "3",
    "TPU_STDERR_LOG_LEVEL": "3",
    "TPU_LOG_DIR": "disabled",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}
_GPU_OPTIONS: dict[str, Any] = {
    # Both would measure kernels, for which there is no GPU.
    "xla_gpu_autotune_level": 0,
    "xla_gpu_enable_triton_gemm": False,
}


@dataclass(frozen=True)
class Slice:
    """Chips of one kind that are connected, as `--chips` names them.

    Attributes:
      chip: figures of one chip.
      shape: number of chips along each axis of the network.
    """

    chip: Chip
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of chips."""
        return math.prod(self.shape)

    @property
    def compiler_options(self) -> dict[str, Any]:
        """Options for `Lowered.compile`."""
        return _GPU_OPTIONS if self.chip.kind == "gpu" else {}

    def __str__(self) -> str:
        return f"{self.chip.name}:{'x'.join(map(str, self.shape))}"

    def devices(self) -> list[jax.Device]:
        """Devices to compile for; programs for them cannot run.

        Raises:
          InputError: the compiler is not installed, is for another version of JAX, or refuses the
            slice.
        """
        return _tpus(self) if self.chip.kind == "tpu" else _gpus(self)


def parse_slice(text: str) -> Slice:
    """Slice of a text such as `v5e:4x4` or `h100:8`.

    Raises:
      InputError: a chip that is not in the table, or a topology that its maker does not offer.
    """
    name, _, sizes = text.strip().partition(":")
    found = chip(name)
    axes = 1 if found.kind == "gpu" else len(found.topologies[0].split("x"))
    if not re.fullmatch(r"\d+(x\d+)*", sizes) or sizes not in found.topologies:
        wrong = f"there is no topology {sizes!r} of" if sizes else "the topology is missing after"
        raise InputError(
            f"--chips {text!r}: {wrong} {found.name}, which has "
            f"{axes} {'axis' if axes == 1 else 'axes'}. The known ones are "
            f"{', '.join(f'{found.name}:{one}' for one in found.topologies)}."
        )
    return Slice(found, tuple(int(size) for size in sizes.split("x")))


def _tpus(wanted: Slice) -> list[jax.Device]:
    if importlib.util.find_spec("libtpu") is None:
        raise InputError(
            f"Compiling for {wanted} needs libtpu, the compiler of TPUs, which runs on any Linux "
            'machine with an x86-64 processor: pip install "jaxpose[tpu]"'
        )
    version, needed = _version("libtpu"), _libtpu_of_jax()
    of_jax = needed.removeprefix("libtpu==").removesuffix("*")
    # Another one may fail in the middle of a program, or make another program than on the chip.
    if version and of_jax != needed and not f"{version}.".startswith(of_jax):
        raise InputError(
            f'libtpu {version} is not the one of JAX {jax.__version__}: pip install "{needed}"'
        )
    os.environ.update({name: value for name, value in _LIBTPU.items() if name not in os.environ})
    options: dict[str, Any] = {}
    if wanted.chip.name == "v4":  # its two cores are one device, as on a real chip
        options["chip_config_name"] = "megacore"
    if wanted.count == 1:  # libtpu expects the chips of a whole host otherwise
        options["chips_per_host_bounds"] = [1, 1, 1]
    try:
        return list(topologies.get_topology_desc(str(wanted), "tpu", **options).devices)
    except Exception as error:
        raise InputError(_explained(wanted, error, "libtpu")) from error


def _gpus(wanted: Slice) -> list[jax.Device]:
    plugin = next((p for p in ("jax-cuda12-plugin", "jax-cuda13-plugin") if _version(p)), "")
    if not plugin:
        raise InputError(
            f"Compiling for {wanted} needs JAX's CUDA plugin of JAX's own version "
            f"({jax.__version__}), without a GPU and without CUDA: pip install "
            '"jaxpose[chips-gpu]"'
        )
    if _version(plugin) != jax.__version__:
        raise InputError(
            f"{plugin} is of JAX {_version(plugin)}, but JAX is {jax.__version__}: pip install "
            f"--no-deps {plugin}=={jax.__version__} "
            f"{plugin.replace('plugin', 'pjrt')}=={jax.__version__}"
        )
    try:
        return list(
            topologies.get_topology_desc(
                "",
                "cuda",
                target_config=target_config(wanted.chip),
                topology=f"{wanted.count}x1x1",
            ).devices
        )
    except Exception as error:
        raise InputError(_explained(wanted, error, plugin)) from error


def _explained(wanted: Slice, error: Exception, package: str) -> str:
    """Sentence for an error of a compiler that cannot be loaded or refuses a slice."""
    text = " ".join(str(error).split())
    if "lockfile" in text or "already in use" in text:
        return (
            "Another process uses libtpu and has locked it. Wait until it has ended, or set "
            "ALLOW_MULTIPLE_LIBTPU_LOAD=1 for both processes if no TPU is in this machine."
        )
    version = _version(package) or "unknown"
    if re.search(r"PJRT|version|symbol|not found", text):
        needed = _libtpu_of_jax() if package == "libtpu" else f"{package}=={jax.__version__}"
        return (
            f"{package} {version} cannot be used with JAX {jax.__version__}: pip install "
            f'"{needed}". It says: {text[:300]}'
        )
    return f"{package} {version} refuses {wanted}: {text[:300]}"


def _libtpu_of_jax() -> str:
    """The requirement `libtpu==...` of the installed JAX."""
    lines = importlib.metadata.requires("jax") or []
    return next((line.split(";")[0] for line in lines if line.startswith("libtpu==")), "libtpu")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
