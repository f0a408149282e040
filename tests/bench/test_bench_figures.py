"""Timing, datasheets, and where figures were measured."""

import itertools
import shlex
import sys

import numpy as np
import pytest

from jaxpose.bench import timing
from jaxpose.bench.machine import surroundings
from jaxpose.bench.matmul import matmul_rate
from jaxpose.bench.peaks import datasheet
from jaxpose.bench.timing import Spread, Timing, timed


def test_a_round_goes_on_until_its_calls_and_seconds_are_done(monkeypatch):
    clock = {"now": 0.0}
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock["now"])
    monkeypatch.setattr(timing.time, "process_time", lambda: clock["now"] / 4)
    durations = itertools.chain([9.0], [0.5] * 4, [1.5, 1.5])

    def work():
        clock["now"] += next(durations)

    # The first call warms up; a round of 2 s takes four of 0.5 s, or two of 1.5 s.
    found = timed(work, rounds=2, seconds=2.0)
    assert found == Timing(clock=(0.5, 1.5), cores=(0.125, 0.375))
    assert found.seconds == Spread(1.0, 0.5, 1.5)
    assert found.rate(3) == Spread(4.0, 2.0, 6.0)
    assert found.core_rate(3) == Spread(16.0, 8.0, 24.0)


@pytest.mark.parametrize(
    ("kind", "tera"),
    [
        ("TPU v2", 22.5),
        ("TPU v3", 61.5),
        ("TPU v4", 275),
        ("TPU v5 lite", 197),
        ("TPU v5p", 459),
        ("TPU v5", 459),
        ("TPU v6 lite", 918),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H200", 989),
        ("NVIDIA B200", 2250),
        ("NVIDIA L4", 121),
        ("Tesla T4", 65),
    ],
)
def test_the_makers_peak_is_found_by_the_name_that_jax_gives(kind, tera):
    peak = datasheet(kind)
    assert peak.flops == tera * 1e12 and peak.source


@pytest.mark.parametrize("kind", ["cpu", "NVIDIA L40S", "TPU7x", "NVIDIA A10"])
def test_a_chip_that_nobody_entered_has_no_peak(kind):
    assert datasheet(kind) is None


def test_the_ceiling_counts_two_operations_for_a_multiply_add(monkeypatch):
    seen = {}

    def counted(work, **options):
        work()
        seen.update(options)
        return Timing((2.0,), (2.0,))

    monkeypatch.setattr("jaxpose.bench.matmul.timed", counted)
    size, dtype, flops = matmul_rate("bfloat16", size=8)
    # Four products of 8 x 8 x 8 multiply-adds in two seconds.
    assert (size, dtype, flops.median) == (8, "bfloat16", 4 * 2 * 8**3 / 2)
    assert seen == {"rounds": 5, "seconds": 0.1}


def test_figures_say_where_they_were_measured():
    around = surroundings()
    assert around["machine"]["cores"] >= 1
    assert around["machine"]["devices"].endswith("(cpu)")
    assert around["versions"]["numpy"] == np.__version__
    assert around["command"].endswith(shlex.join(sys.argv[1:]))
