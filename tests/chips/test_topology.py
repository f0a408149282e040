"""Slices of chips by name, their compilers, and messages where one is absent or refuses."""

import importlib.util
import re

import jax
import jax.numpy as jnp
import pytest

from jaxpose.bench.peaks import datasheet
from jaxpose.chips import topology
from jaxpose.chips.gpu_target import target_config
from jaxpose.chips.table import CHIPS, chip
from jaxpose.chips.topology import parse_slice
from jaxpose.errors import InputError

needs_libtpu = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed (jaxpose[tpu])"
)
needs_plugin = pytest.mark.skipif(
    topology._version("jax-cuda12-plugin") != jax.__version__,
    reason="JAX's CUDA plugin of JAX's version is not installed (jaxpose[chips-gpu])",
)


def test_names_of_slices():
    assert parse_slice("v5e:4x4").count == 16
    assert parse_slice("V5P:4x4x8").shape == (4, 4, 8)
    assert str(parse_slice(" h100:8 ")) == "h100:8" and parse_slice("h100:8").count == 8


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("v5e:3x5", ["no topology '3x5' of v5e", "2 axes", "v5e:4x4"]),
        ("v5p:4x4", ["no topology", "3 axes", "v5p:2x2x1"]),
        ("h100", ["topology is missing after h100", "1 axis", "h100:8"]),
        ("h1000:8", ["no chip 'h1000'", "Did you mean 'h100'?", "v6e"]),
        ("v5e:axb", ["no topology 'axb'"]),
    ],
)
def test_a_slice_that_does_not_exist(text, words):
    with pytest.raises(InputError) as found:
        parse_slice(text)
    assert all(word in str(found.value) for word in words), found.value


def test_an_absent_compiler_names_its_packages(monkeypatch):
    monkeypatch.setattr(topology.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=re.escape('pip install "jaxpose[tpu]"')):
        parse_slice("v5e:2x2").devices()
    monkeypatch.setattr(topology, "_version", lambda package: "")
    with pytest.raises(InputError, match=re.escape('pip install "jaxpose[chips-gpu]"')):
        parse_slice("h100:1").devices()
    monkeypatch.setattr(topology, "_version", lambda package: "0.4.1")
    with pytest.raises(InputError, match=r"is of JAX 0\.4\.1.*pip install"):
        parse_slice("h100:1").devices()


def test_a_compiler_of_another_jax_names_the_right_one(monkeypatch):
    monkeypatch.setattr(topology.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(topology, "_version", lambda package: "0.0.4")
    monkeypatch.setattr(topology, "_libtpu_of_jax", lambda: "libtpu==0.0.42.*")
    with pytest.raises(InputError, match=r'libtpu 0\.0\.4 is not the one .*"libtpu==0\.0\.42\.\*"'):
        parse_slice("v5e:2x2").devices()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("ABORTED: Internal error when accessing libtpu multi-process lockfile.", "has locked it"),
        ("Unexpected PJRT_Api version", "cannot be used with JAX"),
        ("INVALID_ARGUMENT: Topology layout is not divisible", "refuses v5e:2x2"),
    ],
)
def test_errors_of_a_compiler_become_sentences(error, words, monkeypatch):
    def refuse(*arguments, **options):
        raise RuntimeError(error)

    monkeypatch.setattr(topology.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(topology.topologies, "get_topology_desc", refuse)
    with pytest.raises(InputError, match=words):
        parse_slice("v5e:2x2").devices()


def test_figures_of_chips_agree_with_those_of_the_benchmarks():
    kinds = {"v4": "TPU v4", "v5e": "TPU v5 lite", "v5p": "TPU v5", "v6e": "TPU v6 lite"}
    for one in CHIPS:
        peak = datasheet(kinds.get(one.name) or one.gpu.description)
        assert peak is not None and peak.flops == one.flops, one.name
        assert one.source.startswith("https://") and one.topologies
        # Bytes that a chip could read while it does one multiply-add, and the reverse, are sane.
        assert 50 < one.flops / one.bandwidth < 700, one.name


def test_the_text_for_a_gpu_has_its_figures():
    text = target_config(chip("h100"))
    assert "core_count: 132" in text and "major: 9 minor: 0" in text
    assert text.count("{") == text.count("}")
    assert f"device_memory_size: {80 * 2**30}" in text


def compiled(wanted):
    device = jax.sharding.SingleDeviceSharding(wanted.devices()[0])
    x = jax.ShapeDtypeStruct((256, 256), jnp.bfloat16, sharding=device)
    lowered = jax.jit(lambda x: (x @ x).sum()).lower(x)
    return lowered.compile(compiler_options=wanted.compiler_options or None)


@needs_libtpu
@pytest.mark.parametrize("text", ["v5e:1x1", "v5e:2x2", "v4:2x2x1", "v5p:2x2x1", "v6e:2x4"])
def test_every_tpu_compiles(text):
    wanted = parse_slice(text)
    assert len(wanted.devices()) == wanted.count
    assert "convolution" in compiled(wanted).as_text()


@needs_libtpu
def test_every_known_topology_of_tpus_is_one():
    for one in CHIPS:
        for sizes in one.topologies if one.kind == "tpu" else ():
            wanted = parse_slice(f"{one.name}:{sizes}")
            assert len(wanted.devices()) == wanted.count, wanted


@needs_plugin
@pytest.mark.parametrize("one", [c for c in CHIPS if c.kind == "gpu"], ids=lambda c: c.name)
def test_every_gpu_compiles(one):
    wanted = parse_slice(f"{one.name}:2")
    assert len(wanted.devices()) == 2
    assert "__cublas" in compiled(wanted).as_text()
