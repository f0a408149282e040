"""Packages that jaxpose and its extras require, and those of them that this environment lacks.

`python -m jaxpose.requirements EXTRA ...` installs those that are absent and keeps every other
package at its version. After `pip install --no-deps jaxpose` it does what pip cannot: pip has no
way to require any one of several packages, and would add `opencv-python-headless` where
`opencv-python` is installed. Both write the folder `cv2`, and the later one replaces the files of
the earlier one; TensorFlow's builds do the same. It also adds JAX's plugin for a GPU or TPU that
has none.

Imports the standard library and `packaging` only, since nothing else may be installed yet.
"""

import importlib
import importlib.metadata
import importlib.util
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from jaxpose.errors import InputError, nearest

_OPENCV = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
_TENSORFLOW = ("tensorflow-cpu", "tensorflow", "tensorflow-rocm", "tf-nightly", "tf-nightly-cpu")

# Packages of which any serves, with the module that they all provide.
_ALTERNATIVES = {
    **dict.fromkeys(_OPENCV, (_OPENCV, "cv2")),
    **dict.fromkeys(_TENSORFLOW, (_TENSORFLOW, "tensorflow")),
}
# JAX's plugins; one of a kind is enough.
_PLUGINS = {
    "cuda": ("jax-cuda12-plugin", "jax-cuda13-plugin"),
    "tpu": ("libtpu", "libtpu-nightly"),
}
# TPU chips on the PCI bus; Google's other devices (network, storage) carry other numbers.
_GOOGLE = "0x1ae0"
_TPU_CHIPS = ("0x0027", "0x0056", "0x005e", "0x0062", "0x0063", "0x006f", "0x0076")
_CUDA13_DRIVER = 580  # the oldest NVIDIA driver for CUDA 13


@dataclass(frozen=True)
class Need:
    """A required package and what serves as it.

    Attributes:
      requirement: name, extras and versions, without a marker.
      package: the installed package that serves; empty where there is none.
      version: its version; empty where a module is there without a record of its package.
    """

    requirement: Requirement
    package: str = ""
    version: str = ""

    @property
    def met(self) -> bool:
        """True if an installed package serves, in a version that the requirement accepts."""
        if not self.package:
            return False
        specifier = self.requirement.specifier
        return not self.version or specifier.contains(self.version, prereleases=True)

    def __str__(self) -> str:
        return str(self.requirement)


def needs(*extras: str, of: str = "jaxpose") -> list[Need]:
    """Requirements of a distribution and of some of its extras on this platform, each once.

    Raises:
      InputError: the distribution is not installed, or has no such extra.
    """
    try:
        offered = importlib.metadata.metadata(of).get_all("Provides-Extra") or []
    except importlib.metadata.PackageNotFoundError:
        raise InputError(
            f"{of} is imported from a folder but not installed: `pip install --no-deps FOLDER` "
            "with the folder that contains its pyproject.toml."
        ) from None
    for extra in extras:
        if extra not in offered:
            raise InputError(f"{of} has no extra {extra!r}.{nearest(extra, offered)}")
    found: dict[str, Need] = {}
    open_ = [(of, extra) for extra in ("", *extras)]
    for name, extra in open_:  # grows below
        for requirement in _required(name, extra):
            inner = canonicalize_name(requirement.name)
            if inner != of:
                need = _served(requirement)
                if inner not in found or found[inner].met:
                    found[inner] = need
                if not need.met:
                    continue  # pip finds what an absent package requires
            more = [(inner, wanted) for wanted in sorted(requirement.extras)]
            open_ += [pair for pair in more if pair not in open_]
    return list(found.values())


def _required(name: str, extra: str) -> Iterable[Requirement]:
    """Requirements of a distribution, or those that an extra adds to them."""
    try:
        lines = importlib.metadata.requires(name) or ()
    except importlib.metadata.PackageNotFoundError:  # something else serves as it
        return
    for line in lines:
        requirement = Requirement(line)
        marker, requirement.marker = requirement.marker, None
        always = marker is None or marker.evaluate({"extra": ""})
        added = marker is not None and not always and marker.evaluate({"extra": extra})
        if added if extra else always:
            yield requirement


def _served(requirement: Requirement) -> Need:
    """The newest installed package that serves as the required one."""
    name = canonicalize_name(requirement.name)
    serving, module = _ALTERNATIVES.get(name, ((name,), ""))
    versions = {package: version for package in serving if (version := installed(package))}
    if versions:
        package = max(versions, key=lambda package: Version(versions[package]))
        if package != name:  # if it is too old, a newer one of the same replaces it
            requirement.name = package
        return Need(requirement, package, versions[package])
    if module and importlib.util.find_spec(module) is not None:
        return Need(requirement, f"the module {module}")
    return Need(requirement)


def installed(package: str) -> str:
    """Version of an installed package; empty where it is absent."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def accelerator(root: Path = Path("/")) -> str:
    """Extra for the accelerator below the file-system `root`: cuda12, cuda13, tpu or empty."""
    driver = root / "proc/driver/nvidia/version"
    if driver.exists() or (root / "dev/nvidia0").exists():
        number = re.search(r"\b(\d{3})\.\d+", _read(driver))
        return "cuda13" if number and int(number[1]) >= _CUDA13_DRIVER else "cuda12"
    chips = (
        _read(device / "vendor") == _GOOGLE and _read(device / "device") in _TPU_CHIPS
        for device in (root / "sys/bus/pci/devices").glob("*")
    )
    return "tpu" if (root / "dev/accel0").exists() or any(chips) else ""


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def plugin(root: Path = Path("/")) -> list[Need]:
    """JAX with the plugin for the accelerator below `root`, where no such plugin is installed."""
    extra = accelerator(root)
    if not extra or any(map(installed, _PLUGINS[extra.rstrip("0123456789")])):
        return []
    return [Need(Requirement(f"jax[{extra}]"))]


def command(absent: Iterable[Need]) -> str:
    """The pip command, for a shell, that installs what is absent or too old."""
    return shlex.join(["pip", "install", *map(str, absent)])


def imported(module: str, *, purpose: str, extra: str) -> ModuleType:
    """Imports a package that only some uses need.

    Raises:
      InputError: it cannot be imported; the message names the extra that brings it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f'{purpose} needs {module.split(".")[0]}: pip install "jaxpose[{extra}]" ({error})'
        ) from error


def install(*extras: str) -> int:
    """Installs what jaxpose and the extras lack; returns pip's exit status.

    Other installed packages keep their versions: pip gets them as constraints.
    """
    absent = [need for need in needs(*extras) if not need.met] + plugin()
    if not absent:
        print("jaxpose has what it needs.")
        return 0
    changing = {str(canonicalize_name(n.requirement.name)) for n in absent if n.package}
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "installed.txt"
        kept.write_text("".join(f"{line}\n" for line in _pins(leave_out=changing)))
        pip = [sys.executable, "-m", "pip", "install", "-q", "-c", str(kept)]
        status = subprocess.run([*pip, *map(str, absent)], check=False).returncode
    words = ", ".join(map(str, absent))
    if status:
        print(
            f"pip could not add {words} and leave every installed package at its version. "
            f"To let it change them: {command(absent)}",
            file=sys.stderr,
        )
    else:
        print(f"Added: {words}.")
    return status


def _pins(leave_out: set[str]) -> list[str]:
    """`name==version` of the installed packages, without some."""
    pins: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        name = canonicalize_name(distribution.metadata["Name"] or "")
        try:
            version = Version(distribution.version)
        except (InvalidVersion, TypeError):  # no package of an index
            continue
        # The first on the path is the one that is imported.
        if name and name not in leave_out:
            pins.setdefault(name, f"{name}=={version}")
    return sorted(pins.values())


if __name__ == "__main__":
    try:
        sys.exit(install(*sys.argv[1:]))
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
