"""Stages that work at the same time: threads with bounded queues between them, and their times."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Any, TypeVar

T = TypeVar("T")

_END = object()
_LOOK = 0.1  # seconds after which a waiting thread looks whether it is still wanted


@dataclass(frozen=True)
class _Raised:
    error: BaseException


def ahead(items: Iterable[T], depth: int = 4) -> Iterator[T]:
    """The same items in the same order, made in a thread that is at most `depth` items ahead.

    An exception there is raised here. When this iterator is closed (a `break`, Ctrl-C) the thread
    ends and closes `items`.
    """
    queue: Queue[Any] = Queue(max(1, depth))
    stop = threading.Event()

    def put(item: Any) -> None:
        while not stop.is_set():
            try:
                queue.put(item, timeout=_LOOK)
                return
            except Full:
                continue

    def work() -> None:
        source = iter(items)
        try:
            for item in source:
                put(item)
                if stop.is_set():
                    return
            put(_END)
        except BaseException as error:  # the reader has to learn of it, whatever it is
            put(_Raised(error))
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=work, name="jaxpose-ahead", daemon=True)
    thread.start()
    try:
        while True:
            try:
                item = queue.get(timeout=_LOOK)
            except Empty:
                continue
            if item is _END:
                return
            if isinstance(item, _Raised):
                raise item.error
            yield item
            del item  # or it would be held until the next one is there
    finally:
        stop.set()
        thread.join()


@dataclass
class Stage:
    """What a stage has done: items, and the seconds that it worked rather than waited."""

    items: int = 0
    seconds: float = 0.0


class StageTimer:
    """How long each stage has been at work; stages overlap, so that they add up to more than all.

    Attributes:
      by_name: in the order in which they first began.
      compilations: how often a forward pass was compiled meanwhile.
    """

    def __init__(self) -> None:
        self.by_name: dict[str, Stage] = {}
        self.compilations = 0
        self._begun = time.perf_counter()
        self._ended: float | None = None
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, name: str, items: int = 1) -> Iterator[None]:
        """Counts the time inside the `with` for a stage."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, items, time.perf_counter() - begun)

    def add(self, name: str, items: int, seconds: float) -> None:
        """Counts so many items and seconds of work for a stage."""
        with self._lock:
            stage = self.by_name.setdefault(name, Stage())
            stage.items += items
            stage.seconds += seconds

    def timed(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """The same items; the time that each takes to come counts for a stage."""
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
        """Stops the clock of the whole."""
        self._ended = time.perf_counter()

    @property
    def seconds(self) -> float:
        """From the beginning to the end, or to now."""
        return (self._ended or time.perf_counter()) - self._begun

    def __str__(self) -> str:
        """A table: stage, items, ms per item, share of the whole time."""
        whole = max(self.seconds, 1e-9)
        lines = [f"{'stage':<16}{'items':>8}{'ms each':>10}{'busy':>8}"]
        for name, stage in self.by_name.items():
            each = 1000 * stage.seconds / max(stage.items, 1)
            lines.append(f"{name:<16}{stage.items:>8}{each:>10.2f}{stage.seconds / whole:>8.0%}")
        return "\n".join([*lines, f"{whole:.2f} s in all; {self.compilations} compilations"])
