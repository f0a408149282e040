"""Attention as a TPU computes it, in Pallas' interpreter; `test_tpu_programs.py` compiles it."""

from functools import partial

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.pallas import tpu as pltpu

from jaxpose.models import activation, attention, tpu_attention, vit_block
from jaxpose.models.split import (
    Split,
    current_split,
    for_device_of,
    for_tpu,
    recomputes,
    split_over,
)
from jaxpose.models.vit import ViT


def random(*shape, dtype="float32", seed=0):
    return jax.random.normal(jax.random.key(seed), shape, dtype)


def written_out(qkv):
    """Attention as in the paper (arXiv:1706.03762, eq. 1), in float32: a second implementation."""
    q, k, v = jnp.moveaxis(qkv.astype(jnp.float32), 2, 0)
    weights = jax.nn.softmax(jnp.einsum("bnhd,bmhd->bhnm", q, k) / np.sqrt(q.shape[-1]), -1)
    return jnp.einsum("bhnm,bmhd->bnhd", weights, v)


@pytest.fixture
def interpreted(monkeypatch):
    """The kernels by the interpreter."""
    for name in ("attention", "attention_gradient"):
        kernel = partial(getattr(tpu_attention, name), interpret=True)
        monkeypatch.setattr(tpu_attention, name, kernel)


def with_heads(qkv, split=None):
    return attention._by_kernel_of_heads(qkv, split)


def value_and_gradient(function, qkv, weights):
    value, back = jax.vjp(function, qkv)
    return value, back(weights.astype(value.dtype))[0]


@pytest.mark.parametrize(
    ("dtype", "tolerance", "head_dim"), [("float32", 2e-5, 80), ("bfloat16", 0.03, 64)]
)
def test_kernel_and_its_gradient(interpreted, dtype, tolerance, head_dim):
    qkv = random(2, 48, 3, 2, head_dim, dtype=dtype)
    weights = random(2, 48, 2, head_dim, seed=1)
    found = value_and_gradient(with_heads, qkv, weights)
    expected = value_and_gradient(written_out, qkv, weights)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(np.float32(a), np.float32(b), atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [130, 256])  # padded to two blocks, and two whole ones
def test_flash_attention_and_its_gradient(tokens):
    qkv, weights = random(1, tokens, 3, 1, 24), random(1, tokens, 1, 24, seed=1)
    with pltpu.force_tpu_interpret_mode():
        found = value_and_gradient(attention.flash, qkv, weights)
    expected = value_and_gradient(written_out, qkv, weights)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_softmax_of_large_logits_is_finite(interpreted):
    found = with_heads(40 * random(1, 16, 3, 1, 64))
    assert bool(jnp.isfinite(found).all())


@pytest.mark.slow
@pytest.mark.parametrize("heads", [4, 3])  # three heads are not divided over two devices
def test_each_device_computes_its_images_and_heads(interpreted, heads):
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:4]).reshape(2, 2), ("data", "tensor"))
    qkv, weights = random(4, 16, 3, heads, 32), random(4, 16, heads, 32, seed=1)
    split = Split(mesh, ("data",), ("tensor",))
    run = jax.jit(partial(value_and_gradient, partial(with_heads, split=split)))
    for a, b in zip(run(qkv, weights), value_and_gradient(written_out, qkv, weights), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_sizes_for_the_kernel():
    assert tpu_attention.fits(192, 1280)  # crops of 256x192
    assert not tpu_attention.fits(197, 768)  # with a class token: rows of 16 in fast memory
    assert not tpu_attention.fits(192, 96)
    assert not tpu_attention.fits(4096, 768)


def test_programs_for_cpus_have_no_kernel():
    mesh = jax.sharding.Mesh(np.array(jax.devices("cpu")[:1]), ("data",))
    assert not for_tpu() and not recomputes()
    with split_over(Split(mesh, ("data",))):
        assert not for_tpu() and not recomputes()
    traced = str(jax.make_jaxpr(attention.self_attention)(random(2, 16, 3, 2, 64)))
    assert "pallas_call" not in traced


def test_a_program_for_one_of_several_devices_is_traced_for_it():
    device = jax.devices()[3]
    array, seen = jax.device_put(jnp.ones(2), device), []

    def program(x):
        seen.append(current_split())
        return x

    jax.jit(for_device_of({"w": array, "n": np.ones(2)}, program))(array)
    assert seen[0].mesh.devices.tolist() == [device]
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:2]), ("data",))
    both = jax.device_put(array, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec()))
    assert for_device_of(both, program) is program
    # A trace around it decides where there is no array yet.
    jax.eval_shape(lambda x: for_device_of(x, program)(x), array)
    assert seen[1] is None


@pytest.mark.slow
def test_program_for_tpus_computes_the_same_model(monkeypatch):
    """With the default in the kernel's place: projections and recomputation."""
    model = ViT(input_hw=(64, 64), dim=32, depth=2, heads=2, unroll=1, drop_path=0.4)
    params = drawn.variables(model, model.input_hw)["params"]
    images = random(2, 64, 64, 3)

    def run():
        def loss(params):
            rngs = {"dropout": jax.random.key(2)}
            return jnp.sin(model.apply({"params": params}, images, train=True, rngs=rngs)).sum()

        return jax.jit(jax.value_and_grad(loss))(params)

    expected = run()
    monkeypatch.setattr(attention, "for_tpu", lambda: True)
    for module in (activation, attention, vit_block):
        monkeypatch.setattr(module, "recomputes", lambda: True)
    found = run()
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5 * float(jnp.abs(b).max()), rtol=1e-5)
