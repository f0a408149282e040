"""What `jaxpose doctor` finds, on this machine and on made-up ones."""

import importlib.metadata
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from jaxpose.cli import doctor as module
from jaxpose.cli.doctor import Finding


def test_this_machine_has_what_is_required(monkeypatch):
    monkeypatch.setattr(module, "_MATMUL_SECONDS", 0.05)
    console = Console(record=True, width=160)
    assert module.doctor(console) == 0
    text = console.export_text()
    for word in ("python", "jax", "orbax-checkpoint", "devices", "matmul bfloat16", "TensorFlow"):
        assert word in text
    assert "leaves accelerators to JAX" in text
    assert "Nothing required is missing" in text


def test_something_missing_gives_status_1(monkeypatch):
    for section in ("versions", "devices", "matmul_rates", "tensorflow", "videos"):
        monkeypatch.setattr(module, section, lambda: iter(()))
    monkeypatch.setattr(
        module, "videos", lambda: iter([Finding("OpenCV", "broken", "missing", "reinstall")])
    )
    console = Console(record=True, width=160)
    assert module.doctor(console) == 1
    assert "Missing or broken: OpenCV" in console.export_text()


def test_requirements_are_those_of_this_platform(monkeypatch):
    monkeypatch.setattr(module, "sys", SimpleNamespace(platform="linux"))
    monkeypatch.setattr(module.platform, "machine", lambda: "aarch64")
    declared = [
        "jax>=0.10",
        "tensorflow-cpu>=2.21; sys_platform == 'linux' and platform_machine == 'x86_64'",
        "tensorflow>=2.21; sys_platform != 'linux' or platform_machine != 'x86_64'",
        "libtpu; extra == 'tpu'",
        "rich",
    ]
    assert list(module.requirements(declared)) == [
        ("jax", "0.10"),
        ("tensorflow", "2.21"),
        ("rich", "0"),
    ]


def test_a_package_that_is_absent_or_too_old(monkeypatch):
    absent = module.package("no-such-package-at-all", "1.2")
    assert (absent.level, absent.advice) == ("missing", "pip install 'no-such-package-at-all>=1.2'")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.9.12")
    assert module.package("jax", "0.10").level == "missing"
    assert module.package("jax", "0.9.2").level == "good"
    assert module.package("jax", "0.9.12").level == "good"


def device(root: Path, vendor: str, number: str) -> None:
    folder = root / "sys/bus/pci/devices/0000:00:04.0"
    folder.mkdir(parents=True)
    (folder / "vendor").write_text(f"{vendor}\n")
    (folder / "device").write_text(f"{number}\n")


def test_accelerators_that_jax_does_not_see(tmp_path):
    assert list(module.unused_accelerators(tmp_path)) == []
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidia0").touch()
    (finding,) = module.unused_accelerators(tmp_path)
    assert "jaxpose[cuda]" in finding.advice
    (tmp_path / "dev" / "nvidia0").unlink()
    device(tmp_path, "0x1ae0", "0x0063")
    (finding,) = module.unused_accelerators(tmp_path)
    assert "jaxpose[tpu]" in finding.advice


def test_googles_network_card_is_no_tpu(tmp_path):
    device(tmp_path, "0x1ae0", "0x0042")
    assert list(module.unused_accelerators(tmp_path)) == []


@pytest.mark.parametrize(
    ("process", "words"),
    [
        (SimpleNamespace(returncode=1, stdout="", stderr="a\nImportError: no x\n"), "no x"),
        (SimpleNamespace(returncode=-11, stdout="", stderr=""), "exit status -11"),
        (SimpleNamespace(returncode=0, stdout="['CPU', 'GPU']\n", stderr=""), "takes devices"),
    ],
)
def test_a_tensorflow_that_does_not_do(monkeypatch, process, words):
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: process)
    (finding,) = module.tensorflow()
    assert finding.level == "missing"
    assert words in finding.value
