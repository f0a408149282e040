"""Monitors of the training loop: stop requests and compilations."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

from jaxpose import jax_versions


class StopRequest:
    """Turns SIGINT (Ctrl-C) and SIGTERM (preemption) into a flag that the loop reads.

    A second Ctrl-C interrupts at once. Use as a context manager, in the main thread.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, object] = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number

    def __enter__(self) -> "StopRequest":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


class CompileCounter:
    """Counts XLA compilations outside `expected()`: after the first step there must be none.

    Use as a context manager; it counts until the block ends.
    """

    EVENT = "/jax/core/compile/backend_compile_duration"

    def __init__(self) -> None:
        self.unexpected = 0
        self._expected = True
        self._block = ExitStack()

    def _note(self, event: str) -> None:
        if event == self.EVENT and not self._expected:
            self.unexpected += 1

    def start(self) -> None:
        """Starts counting: a compilation after this call is a bug."""
        self._expected = False

    @contextmanager
    def expected(self) -> Iterator[None]:
        """Excludes the compilations in this block (evaluating, saving)."""
        before, self._expected = self._expected, True
        yield
        self._expected = before

    def __enter__(self) -> "CompileCounter":
        self._block.enter_context(jax_versions.durations(self._note))
        return self

    def __exit__(self, *exception: object) -> None:
        self._block.close()
