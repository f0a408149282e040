"""Computing in float64 for the length of a block: `with enable_x64(True):`.

JAX 0.7 has this switch in `jax.experimental` only.
"""

import jax

try:
    enable_x64 = jax.enable_x64
except AttributeError:
    from jax.experimental import enable_x64

__all__ = ["enable_x64"]
