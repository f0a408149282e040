"""Threads with bounded queues: order, exceptions, and an end that leaves nothing running."""

import threading
import time

import pytest

from jaxpose.media import prefetch
from jaxpose.media.prefetch import StageTimer, ahead


def running() -> int:
    return sum(thread.name == "jaxpose-ahead" for thread in threading.enumerate())


def test_items_come_in_order_and_not_too_far_ahead():
    made = []

    def items():
        for i in range(50):
            made.append(i)
            yield i

    stream = ahead(items(), 3)
    assert next(stream) == 0
    time.sleep(0.05)
    assert len(made) <= 6  # the one taken, three waiting, one that finds no room, one begun
    assert list(stream) == list(range(1, 50))
    assert running() == 0


def test_an_exception_comes_through():
    def items():
        yield 1
        raise KeyError("broken")

    stream = ahead(ahead(items()))
    assert next(stream) == 1
    with pytest.raises(KeyError, match="broken"):
        next(stream)
    assert running() == 0


def test_closing_ends_every_thread_and_closes_the_source():
    closed = []

    def items():
        try:
            yield from iter(int, 1)  # without end
        finally:
            closed.append(True)

    inner = ahead(items(), 2)
    stream = ahead(inner, 2)
    assert [next(stream) for _ in range(5)] == [0] * 5
    stream.close()
    inner.close()
    assert closed == [True] and running() == 0


def test_stages_are_timed():
    stages = StageTimer()
    with stages("detect", 4):
        time.sleep(0.02)
    assert list(stages.timed("decode", iter(range(3)))) == [0, 1, 2]
    stages.end()
    whole = stages.seconds
    time.sleep(0.01)
    assert stages.seconds == whole >= stages.by_name["detect"].seconds >= 0.02
    assert stages.by_name["decode"].items == 3
    lines = str(stages).splitlines()
    assert lines[1].split()[:2] == ["detect", "4"]
    assert lines[-1].endswith("0 compilations")


def busy(seconds):
    """Compute for this CPU time."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_cpu_time_is_without_compiling():
    stages = StageTimer()
    with stages.compiling():
        busy(0.1)
    busy(0.02)
    stages.end()
    busy(0.1)
    assert 0.02 <= stages.cpu_seconds < 0.1
    assert stages.by_name["compile"].seconds > 0.05


def test_large_items_wait_alone(monkeypatch):
    monkeypatch.setattr(prefetch, "MOST_BYTES", 100)
    for weight, most in ((60, 1), (30, 3), (1000, 1), (1, 8)):
        made = []
        stream = ahead((made.append(i) or i for i in range(20)), 8, weigh=lambda _, w=weight: w)
        assert next(stream) == 0
        time.sleep(0.05)
        assert len(made) <= most + 2  # the one taken, one that finds no room
        assert list(stream) == list(range(1, 20))
    assert running() == 0
