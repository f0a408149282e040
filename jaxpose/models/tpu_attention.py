"""Self-attention over short sequences as a TPU kernel: logits stay inside the chip.

XLA writes the logits `[B, H, N, N]` and their softmax to the chip's memory, forward and backward:
for crops more bytes than all else in a transformer's block. Here one step takes one image with all
of its heads, and `[N, N]` of one head at a time is in fast memory, so that no running softmax is
needed. The backward pass computes the softmax again.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

_FAST_MEMORY = 32 * 2**20
"""Bytes that the compiler may use for a step; its default, 16 MiB, holds no large crops."""


def fits(tokens: int, width: int) -> bool:
    """Return whether the kernels take sequences `[tokens, width]` in bfloat16."""
    # The backward pass has 7 such arrays, each also for the next step, and `[N, N]` in float32.
    needed = 2 * 7 * tokens * width * 2 + 6 * tokens * tokens * 4
    return tokens % 16 == 0 and width % 128 == 0 and needed <= 3 * _FAST_MEMORY // 4


def attention(qkv: jax.Array, heads: int, interpret: bool = False) -> jax.Array:
    """Multi-head attention without mask.

    Args:
      qkv: queries, keys and values, bfloat16 `[B, N, 3 D]`, the heads of each side by side.
      heads: static; number of heads, a divisor of D.
      interpret: static; compute by JAX on any platform, for tests.

    Returns:
      The result, `[B, N, D]`; products are summed in float32, and the softmax is in float32.
    """
    batch, tokens, width = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    return _run(_write_result, [qkv], width, heads, 4 * batch * tokens * tokens * width, interpret)


def attention_gradient(
    qkv: jax.Array, gradient: jax.Array, heads: int, interpret: bool = False
) -> jax.Array:
    """Gradient by `qkv` of `attention`, `[B, N, 3 D]`, from that by its result, `[B, N, D]`."""
    batch, tokens, width = gradient.shape
    flops = 10 * batch * tokens * tokens * width
    return _run(_write_gradient, [qkv, gradient], 3 * width, heads, flops, interpret)


def _run(kernel, arrays, width, heads, flops, interpret):
    batch, tokens, _ = arrays[0].shape
    out = jax.ShapeDtypeStruct((batch, tokens, width), arrays[0].dtype)

    def one_image(array):
        return pl.BlockSpec((1, *array.shape[1:]), lambda b: (b, 0, 0))

    return pl.pallas_call(
        partial(kernel, heads=heads),
        grid=(batch,),
        in_specs=[one_image(array) for array in arrays],
        out_specs=one_image(out),
        out_shape=out,
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("parallel",), vmem_limit_bytes=_FAST_MEMORY
        ),
        cost_estimate=pl.CostEstimate(
            flops=flops,
            bytes_accessed=sum(array.size * array.dtype.itemsize for array in (*arrays, out)),
            transcendentals=batch * heads * tokens * tokens,
        ),
        interpret=interpret,
        name=kernel.__name__.removeprefix("_write_").join(("attention_", "")),
    )(*arrays)


def _write_result(qkv: jax.Array, result: jax.Array, *, heads: int) -> None:
    """Kernel: attention of one image, `[1, N, 3 D]` -> `[1, N, D]`."""
    head = result.shape[2] // heads
    for h in range(heads):
        q, k, v = _parts(qkv, h, heads)
        logits = _product(q, k, 1, 1)
        weights = jnp.exp(logits - jnp.max(logits, axis=1, keepdims=True))
        total = jnp.sum(weights, axis=1, keepdims=True)
        found = _product(weights.astype(v.dtype), v, 1, 0) / total
        result[0, :, h * head : (h + 1) * head] = found.astype(result.dtype)


def _write_gradient(qkv: jax.Array, gradient: jax.Array, result: jax.Array, *, heads: int) -> None:
    """Kernel: gradient by queries, keys and values of one image, `[1, N, 3 D]`.

    Arrays are `[keys, queries]`, so that only one product needs a transposed left side.
    """
    width = gradient.shape[2]
    head = width // heads
    for h in range(heads):
        first = h * head
        q, k, v = _parts(qkv, h, heads)
        g = gradient[0, :, first : first + head]
        logits = _product(k, q, 1, 1)
        weights = jnp.exp(logits - jnp.max(logits, axis=0, keepdims=True))
        weights = weights / jnp.sum(weights, axis=0, keepdims=True)
        by_weights = _product(v, g, 1, 1)
        mean = jnp.sum(weights * by_weights, axis=0, keepdims=True)
        by_logits = (weights * (by_weights - mean)).astype(q.dtype)
        by_q = _product(by_logits, k, 0, 0) * (head**-0.5)
        by_k = _product(by_logits, q, 1, 0)
        by_v = _product(weights.astype(g.dtype), g, 1, 0)
        for i, found in enumerate((by_q, by_k, by_v)):
            start = i * width + first
            result[0, :, start : start + head] = found.astype(result.dtype)


def _parts(qkv: jax.Array, h: int, heads: int) -> list[jax.Array]:
    """Scaled queries, keys and values of one head, each `[N, D / heads]`."""
    width = qkv.shape[2] // 3
    head = width // heads
    starts = (i * width + h * head for i in range(3))
    q, k, v = (qkv[0, :, start : start + head] for start in starts)
    return [q * jnp.asarray(head**-0.5, q.dtype), k, v]


def _product(left: jax.Array, right: jax.Array, of_left: int, of_right: int) -> jax.Array:
    """Float32 product of two matrices, summed over an axis of each."""
    axes = (((of_left,), (of_right,)), ((), ()))
    return jax.lax.dot_general(left, right, axes, preferred_element_type=jnp.float32)
