"""Self-attention without mask, in the form that suits each platform."""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from jaxpose.models.patches import kernel_init
from jaxpose.models.split import Split, current_split, for_tpu, recomputes

Implementation = Literal["xla", "cudnn"]
LONG = 1024
"""Number of tokens from which flash attention is used on TPUs."""
_BLOCKS = (
    *("block_q", "block_k_major", "block_k", "block_q_major_dkv", "block_k_major_dkv"),
    *("block_k_dkv", "block_q_dkv", "block_k_major_dq", "block_k_dq", "block_q_dq"),
)


class HeadDense(nn.Module):
    """Linear layer from tokens to heads or back, with the parameters of `nn.DenseGeneral`.

    In a program for TPUs it is a product of matrices with a whole last axis. With an axis of heads
    the result has another layout than the attention kernel reads, and is copied.

    Attributes:
      features: axes of the result after `[B, N]`.
      contracted: number of last axes of the input that are summed over.
      bias: add a learnt bias.
      dtype: compute dtype.
    """

    features: tuple[int, ...]
    contracted: int
    bias: bool
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, N, contracted axes]` -> `[B, N, features]`."""
        rows, summed = x.shape[: -self.contracted], x.shape[-self.contracted :]
        width, outputs = math.prod(summed), math.prod(self.features)

        def init(key: jax.Array) -> jax.Array:
            return kernel_init(key, (width, outputs), jnp.float32).reshape(*summed, *self.features)

        x, kernel = x.astype(self.dtype), self.param("kernel", init).astype(self.dtype)
        split = current_split()
        divided = split is not None and split.parts(split.features) > 1
        # Joining axes of which one is divided over devices would move the kernel.
        if for_tpu() and not divided:
            # Without the barrier XLA divides the kernel's gradient, and copies its operands for it.
            kernel = jax.lax.optimization_barrier(kernel.reshape(width, outputs))
            y = jnp.matmul(x.reshape(*rows, width), kernel)
        else:
            y = jnp.tensordot(x, kernel, self.contracted)
        if self.bias:
            zeros = nn.initializers.zeros_init()
            bias = self.param("bias", zeros, self.features, jnp.float32).astype(self.dtype)
            y = y + bias.reshape((1,) * len(rows) + y.shape[len(rows) :])
        return y.reshape(*rows, *self.features)


def self_attention(qkv: jax.Array, implementation: Implementation = "xla") -> jax.Array:
    """Multi-head attention of all tokens to all tokens, with the softmax in float32.

    On a TPU in bfloat16 a kernel writes no logits to memory: `tpu_attention` for sequences as short
    as those of a crop, JAX's flash attention for those of thousands of tokens (see
    `split.for_tpu`). XLA's attention keeps no logits for the backward pass on TPUs and GPUs (see
    `split.recomputes`).

    Args:
      qkv: queries, keys and values, `[B, N, 3, heads, head_dim]`; logits are products divided by
        the root of `head_dim`.
      implementation: "xla", or "cudnn" (fused; NVIDIA and bfloat16 only).

    Returns:
      `[B, N, heads, head_dim]`.
    """
    general: Callable[[jax.Array], jax.Array] = partial(_by_jax, implementation=implementation)
    if implementation == "xla" and recomputes():
        general = jax.checkpoint(general)
    if implementation != "xla" or not for_tpu() or qkv.dtype != jnp.bfloat16:
        return general(qkv)
    if _kernel_takes(qkv):
        on_tpu = partial(_by_kernel_of_heads, split=current_split())
    elif qkv.shape[1] >= LONG and _divides(qkv):
        on_tpu = partial(_by_flash, split=current_split())
    else:
        return general(qkv)
    result: jax.Array = jax.lax.platform_dependent(qkv, tpu=on_tpu, default=general)
    return result


def _by_jax(qkv: jax.Array, implementation: Implementation) -> jax.Array:
    q, k, v = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]
    # Scaling the queries is cheaper than scaling the [N, N] logits, forward and backward.
    q = q * jnp.asarray(q.shape[-1] ** -0.5, q.dtype)
    return jax.nn.dot_product_attention(q, k, v, scale=1.0, implementation=implementation)


def _kernel_takes(qkv: jax.Array) -> bool:
    # Imported here because importing Pallas takes half a second.
    from jaxpose.models.tpu_attention import fits

    tokens, _, heads, head_dim = qkv.shape[1:]
    split = current_split()
    if split is not None:
        heads //= split.parts(_axes(split, heads)[1])
    return _divides(qkv) and fits(tokens, heads * head_dim)


def _divides(qkv: jax.Array) -> bool:
    """Return whether the devices that divide the batch all get the same number of images."""
    split = current_split()
    return split is None or qkv.shape[0] % split.parts(_axes(split, qkv.shape[3])[0]) == 0


def _axes(split: Split | None, heads: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Axes of the mesh that divide the batch, and those that divide heads."""
    if split is None:
        return (), ()
    return split.batch, () if heads % split.parts(split.features) else split.features


def _by_kernel_of_heads(qkv: jax.Array, split: Split | None) -> jax.Array:
    batch, tokens, _, heads, head_dim = qkv.shape
    if split is None or split.parts(_axes(split, heads)[1]) == 1:
        # An axis of heads that is kept for the backward pass would be padded, and copied.
        qkv = qkv.reshape(batch, tokens, -1)
    return by_kernel(qkv, heads, split).reshape(batch, tokens, heads, head_dim)


def _by_flash(qkv: jax.Array, split: Split | None) -> jax.Array:
    """Attention of long sequences on a TPU, on each device's images and heads."""
    return _on_each(flash, split, qkv.shape[3], ("qkv", "result"), True)(qkv)


def flash(qkv: jax.Array) -> jax.Array:
    """JAX's flash attention for TPUs (Dao et al. 2022, arXiv:2205.14135).

    `[B, N, 3, heads, head_dim]` -> `[B, N, heads, head_dim]`. Sequences are padded to whole blocks,
    the largest ones that add a tenth at most.
    """
    from jax.experimental.pallas.ops.tpu import flash_attention as tpu

    batch, tokens, _, _, head_dim = qkv.shape
    sides = {side: -(-tokens // side) * side for side in (512, 256, 128)}
    block = next((side for side, padded in sides.items() if padded <= 1.1 * tokens), 128)
    padded = sides[block]
    q, k, v = jnp.pad(qkv, ((0, 0), (0, padded - tokens), (0, 0), (0, 0), (0, 0))).transpose(
        2, 0, 3, 1, 4
    )
    own = jnp.broadcast_to(jnp.arange(padded) < tokens, (batch, padded)).astype(jnp.int32)
    sizes = tpu.BlockSizes(**dict.fromkeys(_BLOCKS, block), block_b=1)
    result: jax.Array = tpu.flash_attention(
        *(q, k, v),
        segment_ids=tpu.SegmentIds(q=own, kv=own),
        sm_scale=head_dim**-0.5,
        block_sizes=sizes,
    )
    return result.transpose(0, 2, 1, 3)[:, :tokens]


@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def by_kernel(qkv: jax.Array, heads: int, split: Split | None) -> jax.Array:
    """Attention by `tpu_attention`, forward and backward, on each device's images and heads.

    Args:
      qkv: `[B, N, 3, heads, head_dim]`, or `[B, N, 3 D]` if devices do not divide heads.
      heads: static.
      split: static; division over devices, None for one device.

    Returns:
      `[B, N, heads, head_dim]` or `[B, N, D]`.
    """

    def run(qkv: jax.Array) -> jax.Array:
        from jaxpose.models.tpu_attention import attention

        batch, tokens, *parts = qkv.shape
        result = attention(qkv.reshape(batch, tokens, -1), _heads(parts, heads))
        return result.reshape(batch, tokens, *parts[1:]) if len(parts) == 3 else result

    return _on_each(run, split, heads, ("qkv", "result"), qkv.ndim == 5)(qkv)


def _forward(qkv: jax.Array, heads: int, split: Split | None) -> tuple[jax.Array, jax.Array]:
    return by_kernel(qkv, heads, split), qkv


def _backward(
    heads: int, split: Split | None, qkv: jax.Array, gradient: jax.Array
) -> tuple[jax.Array]:
    def run(qkv: jax.Array, gradient: jax.Array) -> jax.Array:
        from jaxpose.models.tpu_attention import attention_gradient

        batch, tokens, *parts = qkv.shape
        flat, of_result = (x.reshape(batch, tokens, -1) for x in (qkv, gradient))
        return attention_gradient(flat, of_result, _heads(parts, heads)).reshape(qkv.shape)

    each = _on_each(run, split, heads, ("qkv", "result", "qkv"), qkv.ndim == 5)
    return (each(qkv, gradient),)


by_kernel.defvjp(_forward, _backward)


def _heads(parts: list[int], heads: int) -> int:
    """Number of heads on a device, whose array has these axes after `[B, N]`."""
    return parts[1] if len(parts) == 3 else heads


def _on_each(
    run: Callable[..., jax.Array],
    split: Split | None,
    heads: int,
    kinds: tuple[str, ...],
    with_heads: bool,
) -> Callable[..., jax.Array]:
    """Wrap `run` to take and return each device's part of arrays of these kinds, result last."""
    if split is None or split.mesh.size == 1:
        return run
    by_batch, by_heads = (axes or None for axes in _axes(split, heads))
    specs = {"qkv": PartitionSpec(by_batch), "result": PartitionSpec(by_batch)}
    if with_heads:
        specs = {
            "qkv": PartitionSpec(by_batch, None, None, by_heads),
            "result": PartitionSpec(by_batch, None, by_heads),
        }
    *inputs, output = (specs[kind] for kind in kinds)
    return jax.shard_map(
        run, mesh=split.mesh, in_specs=tuple(inputs), out_specs=output, check_vma=False
    )
