"""Cost of a compiled step on each device, from the compiler's report and the program text."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import jax

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")

_BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s16": 2, "u16": 2, "f64": 8}
_BYTES |= {"s32": 4, "u32": 4, "f32": 4, "s64": 8, "u64": 8}

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$")
_CALLED = re.compile(
    r"(condition|body|to_apply|calls|true_computation|false_computation)=%?([\w.\-]+)"
)
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_COLLECTIVE = re.compile(rf"= (.*?) ({'|'.join(KINDS)})(-start)?\(")
_ARRAY = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")
_GROUPS = re.compile(r"replica_groups=(?:\[\d+,(\d+)\]|\{\{([\d,]*)\})")


class Memory(NamedTuple):
    """Bytes on each device: arguments and results of a step, and temporary memory while it runs."""

    state_and_batch: int
    temporary: int

    @property
    def total(self) -> int:
        return self.state_and_batch + self.temporary


class Traffic(NamedTuple):
    """Collectives of one kind in one step: their number, and the bytes that each device sends."""

    number: int
    sent: int


def memory(compiled: jax.stages.Compiled) -> Memory:
    """Memory that the compiler has reserved on each device."""
    account = compiled.memory_analysis()
    assert account is not None  # XLA gives one on CPU, GPU and TPU
    # Outputs that overwrite donated arguments take no room of their own.
    fresh = account.output_size_in_bytes - account.alias_size_in_bytes
    return Memory(account.argument_size_in_bytes + max(fresh, 0), account.temp_size_in_bytes)


def traffic(program: str) -> dict[str, Traffic]:
    """Collectives of a program for one device (HLO text); those in loops count once per iteration.

    Counted as sent around a ring of `n` devices: of an array of `s` bytes, all-gather and
    all-to-all send `s (n - 1) / n`, all-reduce twice that; a reduce-scatter that ends with `s`
    bytes sends `s (n - 1)`, a permutation `s`. A loop whose number of iterations the program does
    not state counts once.
    """
    lines, entry = _computations(program)
    counts: dict[str, int] = defaultdict(int)
    sent: dict[str, float] = defaultdict(float)
    for times, line in _executed(lines, entry, 1):
        found = _COLLECTIVE.search(line)
        if found is None:
            continue
        shapes, kind, start = found.groups()
        sizes = [_size(*array) for array in _ARRAY.findall(shapes)]
        # An asynchronous start also lists its operand, before the result.
        size = sizes[-1] if start and len(sizes) > 1 else sum(sizes)
        members = _members(line)
        counts[kind] += times
        sent[kind] += times * size * _share(kind, members)
    return {kind: Traffic(counts[kind], round(sent[kind])) for kind in KINDS if counts[kind]}


def _computations(program: str) -> tuple[dict[str, list[str]], str]:
    """Lines of each computation by its name, and the name of the entry."""
    lines: dict[str, list[str]] = {}
    entry, name = "", ""
    for line in program.splitlines():
        head = _COMPUTATION.match(line)
        if head:
            name = head.group(2)
            lines[name] = []
            entry = name if head.group(1) else entry
        elif name:
            lines[name].append(line)
    return lines, entry


def _executed(lines: dict[str, list[str]], name: str, times: int) -> Iterator[tuple[int, str]]:
    """Yields each line that runs when `name` runs `times` times, with its number of executions."""
    for line in lines.get(name, ()):
        yield times, line
        trips = _TRIPS.search(line)
        rounds = int(trips.group(1)) if trips and " while(" in line else 1
        called = [name for _, name in _CALLED.findall(line)]
        for branches in _BRANCHES.findall(line):
            called += [branch.strip().lstrip("%") for branch in branches.split(",")]
        for inner in called:
            yield from _executed(lines, inner, times * rounds)


def _size(kind: str, shape: str) -> int:
    return _BYTES.get(kind, 1) * math.prod(int(n) for n in shape.split(",") if n)


def _members(line: str) -> int:
    """Number of devices in one group."""
    groups = _GROUPS.search(line)
    if groups is None:
        return 2
    count, first = groups.groups()
    return int(count) if count else len(first.split(","))


def _share(kind: str, members: int) -> float:
    """Bytes that a device sends for each byte of the result."""
    if kind == "collective-permute":
        return 1.0
    if kind == "reduce-scatter":
        return members - 1.0
    return (2.0 if kind == "all-reduce" else 1.0) * (members - 1) / members
