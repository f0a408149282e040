"""Installed packages that serve, on made-up environments, and the requests to pip."""

import functools
import importlib.metadata
import subprocess
import sys
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from jaxpose import requirements as module
from jaxpose.errors import InputError
from jaxpose.requirements import accelerator, imported, install, needs, plugin

JAXPOSE = """Metadata-Version: 2.4
Name: jaxpose
Version: 0.1.0
Provides-Extra: data
Provides-Extra: tensorflow
Requires-Dist: jax>=0.7.2
Requires-Dist: etils[epath]>=1.9
Requires-Dist: opencv-python-headless>=4.11
Requires-Dist: pywin32; sys_platform == 'win32'
Requires-Dist: tensorflow-datasets; extra == 'data'
Requires-Dist: jaxpose[data]; extra == 'tensorflow'
Requires-Dist: tensorflow-cpu>=2.20; (sys_platform == 'linux') and extra == 'tensorflow'
Requires-Dist: tensorflow-cpu>=2.20; (sys_platform != 'linux') and extra == 'tensorflow'
"""
ETILS = "Requires-Dist: fsspec; extra == 'epath'\nRequires-Dist: zipp; extra == 'epath'\n"


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Function that replaces the installed packages by jaxpose and those given by their version."""

    def put(**versions: str) -> None:
        for name, version in {"jaxpose": "0.1.0", **versions}.items():
            name = name.replace("_", "-")
            text = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n"
            text = {"jaxpose": JAXPOSE, "etils": text + ETILS}.get(name, text)
            folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
            folder.mkdir(exist_ok=True)
            (folder / "METADATA").write_text(text)

    def from_name(name: str) -> Distribution:
        found = Distribution.discover(name=name, path=[str(tmp_path)])
        for distribution in found:
            return distribution
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(Distribution, "from_name", from_name)
    everything = functools.partial(Distribution.discover, path=[str(tmp_path)])
    monkeypatch.setattr(importlib.metadata, "distributions", everything)
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    return put


def unmet(*extras):
    return [str(need) for need in needs(*extras) if not need.met]


BASE = {"jax": "0.7.2", "etils": "1.14.0", "fsspec": "2025.3", "zipp": "4.1"}


def test_a_bare_machine_gets_one_opencv_and_nothing_of_other_platforms(environment):
    environment()
    assert unmet() == ["jax>=0.7.2", "etils[epath]>=1.9", "opencv-python-headless>=4.11"]


@pytest.mark.parametrize("opencv", ["opencv_python", "opencv_contrib_python"])
def test_any_opencv_and_any_tensorflow_serve(environment, opencv):
    environment(**BASE, **{opencv: "5.0.0.93"}, tensorflow="2.20.0", tensorflow_datasets="4.9.10")
    assert unmet("tensorflow") == []
    serving = {need.requirement.name: need.version for need in needs("tensorflow")}
    assert serving["tensorflow"] == "2.20.0" and serving["jax"] == "0.7.2"


def test_extras_add_what_they_name_and_extras_of_others_too(environment):
    environment(jax="0.7.2", etils="1.14.0", opencv_python="5.0.0.93", zipp="4.1")
    assert unmet() == ["fsspec"]
    assert unmet("data") == ["tensorflow-datasets", "fsspec"]
    assert unmet("tensorflow") == ["tensorflow-cpu>=2.20", "fsspec", "tensorflow-datasets"]


def test_an_opencv_that_is_too_old_is_replaced_by_its_own_kind(environment):
    environment(**BASE, opencv_python="4.8.0.1")
    assert unmet() == ["opencv-python>=4.11"]


def test_a_module_without_a_record_of_its_package_serves(environment, monkeypatch):
    environment(**BASE)
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: name == "cv2" or None)
    assert unmet() == []


def test_pip_is_asked_for_what_is_absent_and_kept_from_the_rest(environment, monkeypatch, capsys):
    environment(**BASE, torch="2.11.0+cu128")
    asked = []

    def run(command, **options):
        place = command.index("-c") + 1
        asked.append((command[place + 1 :], Path(command[place]).read_text().splitlines()))
        return subprocess.CompletedProcess(command, len(asked) - 1)

    monkeypatch.setattr(module.subprocess, "run", run)
    monkeypatch.setattr(module, "accelerator", lambda *root: "")
    assert install() == 0
    (packages, kept) = asked[0]
    assert packages == ["opencv-python-headless>=4.11"]
    assert {"jax==0.7.2", "torch==2.11.0+cu128"} <= set(kept)
    assert install() == 1  # pip refuses
    assert "pip could not add opencv-python-headless>=4.11" in capsys.readouterr().err


def test_nothing_is_asked_of_pip_where_nothing_is_absent(environment, monkeypatch):
    environment(**BASE, opencv_contrib_python="4.14.0.94")
    monkeypatch.setattr(module.subprocess, "run", None)
    monkeypatch.setattr(module, "accelerator", lambda *root: "")
    assert install() == 0


def test_an_unknown_extra_and_a_package_that_is_not_installed(environment):
    with pytest.raises(InputError, match="not installed"):
        needs(of="somebody-elses")
    environment()
    with pytest.raises(InputError, match=r"no extra 'dato'\. Did you mean 'data'"):
        needs("dato")


def chip(root: Path, vendor: str, number: str) -> None:
    folder = root / "sys/bus/pci/devices/0000:00:04.0"
    folder.mkdir(parents=True)
    (folder / "vendor").write_text(f"{vendor}\n")
    (folder / "device").write_text(f"{number}\n")


@pytest.mark.parametrize(("driver", "extra"), [("570.86.15", "cuda12"), ("580.65", "cuda13")])
def test_the_driver_decides_between_cuda_12_and_13(tmp_path, driver, extra):
    folder = tmp_path / "proc/driver/nvidia"
    folder.mkdir(parents=True)
    text = f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {driver}  Tue Jan  7 2025\n"
    (folder / "version").write_text(text)
    assert accelerator(tmp_path) == extra


def test_a_tpu_is_one_and_googles_network_card_is_none(tmp_path):
    chip(tmp_path / "tpu", "0x1ae0", "0x0063")
    assert accelerator(tmp_path / "tpu") == "tpu"
    chip(tmp_path / "card", "0x1ae0", "0x0042")
    assert accelerator(tmp_path / "card") == ""


def test_a_plugin_is_added_only_where_there_is_none(tmp_path, environment):
    environment()
    chip(tmp_path, "0x1ae0", "0x0063")
    assert [str(need) for need in plugin(tmp_path)] == ["jax[tpu]"]
    environment(libtpu="0.0.21.1")
    assert plugin(tmp_path) == []


def test_a_missing_package_names_the_use_and_the_command():
    with pytest.raises(InputError, match=r'^reading needs no_such: pip install "jaxpose\[data\]"'):
        imported("no_such.module", purpose="reading", extra="data")


def test_it_imports_nothing_that_could_be_missing():
    code = (
        "import sys; before = set(sys.modules); import jaxpose.requirements\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "known = sys.stdlib_module_names | {'jaxpose', 'packaging'}\n"
        "print({name for name in new if name[0] != '_'} - known)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
