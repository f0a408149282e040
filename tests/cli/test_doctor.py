"""What `jaxpose doctor` finds, on this machine and on made-up ones."""

import subprocess
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from rich.console import Console

from jaxpose.cli import doctor as module
from jaxpose.cli.doctor import Finding
from jaxpose.requirements import Need


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


def test_a_package_that_is_absent_or_too_old(monkeypatch):
    absent = module.package(Need(Requirement("no-such-package-at-all>=1.2")))
    assert (absent.level, absent.advice) == ("missing", "pip install 'no-such-package-at-all>=1.2'")
    old = module.package(Need(Requirement("jax>=0.10"), "jax", "0.9.12"))
    assert (old.level, old.value) == ("missing", "0.9.12")
    assert module.package(Need(Requirement("jax>=0.9.2"), "jax", "0.9.12")).level == "good"
    other = module.package(Need(Requirement("tensorflow-cpu>=2"), "tensorflow", "2.20.0"))
    assert other == Finding("tensorflow", "2.20.0")


def test_one_command_installs_what_is_missing(monkeypatch):
    for section in ("devices", "matmul_rates", "tensorflow", "videos"):
        monkeypatch.setattr(module, section, lambda: iter(()))
    absent = [Need(Requirement("rich>=99"), "rich", "13.9"), Need(Requirement("etils[epath]"))]
    monkeypatch.setattr(module.requirements, "needs", lambda *extras: absent)
    console = Console(record=True, width=160)
    assert module.doctor(console) == 1
    assert "pip install 'rich>=99' 'etils[epath]'" in console.export_text().splitlines()[-1]


def test_prepared_datasets_are_optional(monkeypatch):
    def needs(*extras):
        wanted = [Need(Requirement("jax"), "jax", "1")]
        return wanted + ([Need(Requirement("tensorflow-cpu>=2.20"))] if extras else [])

    monkeypatch.setattr(module.requirements, "needs", needs)
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    (finding,) = module.tensorflow()
    assert finding.level == "note" and "tensorflow-cpu" in finding.value
    assert "pip install 'tensorflow-cpu>=2.20'" in finding.advice


def test_accelerators_that_jax_does_not_see(tmp_path, monkeypatch):
    assert list(module.unused_accelerators(tmp_path)) == []
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidia0").touch()
    monkeypatch.setattr(module.requirements, "installed", lambda name: "")
    (finding,) = module.unused_accelerators(tmp_path)
    assert finding.what == "NVIDIA GPU" and "jaxpose[cuda12]" in finding.advice
    monkeypatch.setattr(module.requirements, "installed", lambda name: "0.7.2")
    (finding,) = module.unused_accelerators(tmp_path)
    assert "update the driver" in finding.advice


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
