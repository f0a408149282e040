"""Functions whose place or form differs between the versions of JAX that jaxpose supports.

`events` and `durations` receive what JAX reports about its compiler, for the length of a block.
JAX 0.7 has no public function that removes a listener. So one listener of each kind is registered
for good, at the first use, and passes events on to the blocks that are open. `bind` and
`inner_jaxprs` are for programs that go through the operations of a trace.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import jax.extend.core as jex
import jax.monitoring

Listener = Callable[[str], None]
"""Function of an event's name."""


@contextmanager
def events(listener: Listener) -> Iterator[None]:
    """Calls `listener` with the name of each event without a duration, until the block ends."""
    with _member(_of_events(), listener):
        yield


@contextmanager
def durations(listener: Listener) -> Iterator[None]:
    """Calls `listener` with the name of each event that has a duration, until the block ends."""
    with _member(_of_durations(), listener):
        yield


@contextmanager
def _member(listeners: list[Listener], listener: Listener) -> Iterator[None]:
    listeners.append(listener)
    try:
        yield
    finally:
        listeners.remove(listener)


@functools.cache
def _of_events() -> list[Listener]:
    """The blocks' listeners, once one that calls them all is registered."""
    listeners: list[Listener] = []

    def call(event: str, **labels: str | int) -> None:
        for listener in tuple(listeners):
            listener(event)

    jax.monitoring.register_event_listener(call)
    return listeners


@functools.cache
def _of_durations() -> list[Listener]:
    listeners: list[Listener] = []

    def call(event: str, duration_secs: float, **labels: str | int) -> None:
        for listener in tuple(listeners):
            listener(event)

    jax.monitoring.register_event_duration_secs_listener(call)
    return listeners


def bind(equation: Any, operands: Sequence[Any]) -> list[Any]:
    """Results of the operation of an equation on other operands; equations are of a jaxpr."""
    primitive = equation.primitive
    parameters: Any = primitive.get_bind_params(equation.params)
    functions: Sequence[Any] = ()
    if isinstance(parameters, tuple):  # before JAX 0.10, functions in it have a place of their own
        functions, parameters = parameters
    results = primitive.bind(*functions, *operands, **parameters)
    return list(results) if primitive.multiple_results else [results]


def inner_jaxprs(parameters: Mapping[str, Any]) -> Iterator[jex.Jaxpr]:
    """Jaxprs among the parameters of an equation: bodies of loops, branches, called functions.

    Of the branches of `jax.lax.platform_dependent` only the default is given: others, such as the
    kernels of a TPU, are other ways to compute the same.
    """
    if platforms := parameters.get("branches_platforms"):
        parameters = {"branches": parameters["branches"][platforms.index(None)]}
    for value in parameters.values():
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, jex.ClosedJaxpr):
                yield part.jaxpr
            elif isinstance(part, jex.Jaxpr):
                yield part
