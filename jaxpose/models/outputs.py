"""Context that changes the outputs of modules from outside of the model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import flax.linen as nn
import jax


@contextmanager
def outputs_through(change: Callable[[jax.Array], jax.Array]) -> Iterator[None]:
    """Apply `change` to each array that a module's `__call__` returns within this context."""

    def intercept(
        call: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext
    ) -> Any:
        outputs = call(*args, **kwargs)
        return jax.tree.map(change, outputs) if context.method_name == "__call__" else outputs

    with nn.intercept_methods(intercept):
        yield
