"""Matrix multiplication rate of a device, the upper limit that steps are compared with."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.bench.timing import Spread, timed


class Ceiling(NamedTuple):
    """Rate of `size` x `size` matrix products in FLOP/s; a multiply-add counts as two."""

    size: int
    dtype: str
    flops: Spread


def matmul_rate(
    dtype: str, *, rounds: int = 5, seconds: float = 0.1, size: int | None = None
) -> Ceiling:
    """Measures the rate of square matrix products on the first device.

    Operands are random: with ones or zeros a chip draws less power and runs faster than it can in
    training.

    Args:
      dtype: data type of operands and product.
      rounds, seconds: as in `timed`.
      size: rows and columns of the matrices; None takes 1024 on a CPU and 8192 elsewhere.
    """
    device = jax.devices()[0]
    size = size or (1024 if device.platform == "cpu" else 8192)
    values = np.random.default_rng(0).standard_normal((size, size), np.float32)
    operand = jax.device_put(jnp.asarray(values, dtype), device)
    multiply = jax.jit(lambda a, b: a @ b)

    def several() -> None:
        # Several products in one call, so that the host's overhead is negligible on a fast device.
        jax.block_until_ready([multiply(operand, operand) for _ in range(4)])

    timing = timed(several, rounds=rounds, seconds=seconds)
    return Ceiling(size, dtype, timing.rate(4 * 2 * size**3))
