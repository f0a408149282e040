"""Events that JAX reports about its compiler, received for the length of a block.

JAX 0.7 has no public function that removes a listener. So one listener of each kind is registered
for good, at the first use, and passes events on to the blocks that are open.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
