"""Stages in parallel threads with bounded queues between them, and timers of stages."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

MOST_BYTES = 2**28
"""Bytes of images that wait in one queue; eight frames of 4K have fewer."""

_END = object()
_LOOK = 0.1  # seconds after which a waiting thread checks if it must stop


@dataclass(frozen=True)
class _Raised:
    error: BaseException


class _Waiting:
    """Queue that is full with `depth` items, or with items of `MOST_BYTES` together."""

    def __init__(self, depth: int, weigh: Callable[[Any], int] | None) -> None:
        self._depth = max(1, depth)
        self._weigh = weigh
        self._items: deque[tuple[Any, int]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._stopped = False

    def put(self, item: Any) -> bool:
        """Waits for room and appends an item; False if the queue was stopped."""
        weight = 0
        if self._weigh is not None and item is not _END and not isinstance(item, _Raised):
            weight = self._weigh(item)
        with self._changed:
            while not self._stopped and self._is_full(weight):
                self._changed.wait(_LOOK)
            if not self._stopped:
                self._items.append((item, weight))
                self._bytes += weight
                self._changed.notify_all()
            return not self._stopped

    def get(self) -> Any:
        """Waits for the next item and takes it out."""
        with self._changed:
            while not self._items:
                self._changed.wait(_LOOK)
            item, weight = self._items.popleft()
            self._bytes -= weight
            self._changed.notify_all()
            return item

    def stop(self) -> None:
        """Ends the waiting of `put`, and lets go of what waits."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()

    def _is_full(self, weight: int) -> bool:
        if not self._items:
            return False
        return len(self._items) >= self._depth or self._bytes + weight > MOST_BYTES


def ahead(
    items: Iterable[T], depth: int = 4, *, weigh: Callable[[T], int] | None = None
) -> Iterator[T]:
    """Iterates over `items` in a thread that is at most `depth` items ahead of the reader.

    An exception there is raised here. When this iterator is closed (a `break`, Ctrl-C) the thread
    ends and closes `items`.

    Args:
      items: the items.
      depth: largest number of items that wait.
      weigh: bytes of an item; those that wait have at most `MOST_BYTES` together, or are one.
    """
    waiting = _Waiting(depth, weigh)

    def work() -> None:
        source = iter(items)
        try:
            for item in source:
                if not waiting.put(item):
                    return
                del item
            waiting.put(_END)
        except BaseException as error:  # the reader raises it again, whatever its type
            waiting.put(_Raised(error))
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=work, name="jaxpose-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item = waiting.get()
            if item is _END:
                return
            if isinstance(item, _Raised):
                raise item.error
            yield item
            del item  # otherwise it would stay in memory until the next item arrives
    finally:
        waiting.stop()
        thread.join()


@dataclass
class Stage:
    """Work of one stage: items, and the seconds that it worked, without waiting."""

    items: int = 0
    seconds: float = 0.0


class StageTimer:
    """Working time of each stage; stages overlap, so their sum exceeds the total.

    Attributes:
      by_name: stages in the order in which they first began.
      compilations: number of compilations of a forward pass in the meantime.
    """

    def __init__(self) -> None:
        self.by_name: dict[str, Stage] = {}
        self.compilations = 0
        self._begun = time.perf_counter()
        self._ended: float | None = None
        self._cpu_begun = time.process_time()
        self._cpu_ended: float | None = None
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, name: str, items: int = 1) -> Iterator[None]:
        """Adds the time inside the `with` block to a stage."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, items, time.perf_counter() - begun)

    @contextmanager
    def compiling(self) -> Iterator[None]:
        """Adds the time inside the `with` block to the stage "compile", and not to `cpu_seconds`.

        No other stage may run at the same time.
        """
        begun = time.process_time()
        try:
            with self("compile"):
                yield
        finally:
            self._cpu_begun += time.process_time() - begun

    def add(self, name: str, items: int, seconds: float) -> None:
        """Adds items and seconds of work to a stage."""
        with self._lock:
            stage = self.by_name.setdefault(name, Stage())
            stage.items += items
            stage.seconds += seconds

    def timed(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Iterates over `items` and adds the time to get each to a stage."""
        source = iter(items)
        try:
            while True:
                begun = time.perf_counter()
                try:
                    item = next(source)
                except StopIteration:
                    return
                self.add(name, 1, time.perf_counter() - begun)
                yield item
                del item
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()

    def end(self) -> None:
        """Stops the clocks of the total."""
        self._ended, self._cpu_ended = time.perf_counter(), time.process_time()

    @property
    def seconds(self) -> float:
        """Seconds from the beginning to the end, or to now."""
        return (self._ended or time.perf_counter()) - self._begun

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of this process from the beginning to the end, or to now, less compiling."""
        return (self._cpu_ended or time.process_time()) - self._cpu_begun

    def __str__(self) -> str:
        """Table of stage, items, ms per item, share of the total time."""
        whole = max(self.seconds, 1e-9)
        lines = [f"{'stage':<16}{'items':>8}{'ms each':>10}{'busy':>8}"]
        for name, stage in self.by_name.items():
            each = 1000 * stage.seconds / max(stage.items, 1)
            lines.append(f"{name:<16}{stage.items:>8}{each:>10.2f}{stage.seconds / whole:>8.0%}")
        return "\n".join([*lines, f"{whole:.2f} s in total; {self.compilations} compilations"])
