"""Cost of a compiled program on each device, from the compiler's report and the program's text.

XLA's own count (`Compiled.cost_analysis`) takes the body of a loop once. Here it is multiplied by
the loop's number of rounds.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax

from jaxpose.chips.hlo_async import COLLECTIVES, piece
from jaxpose.chips.hlo_bytes import ByteCounter, results
from jaxpose.chips.hlo_flops import flops
from jaxpose.chips.hlo_text import Computation, Instruction, Place, Program, read_program

_NEAR = 4  # instructions between a copy and the work that it is for
_GROUPS = re.compile(
    r"replica_groups=(?:\[\d+,(\d+)\]|\{\{([\d,]*)\}|mesh\[([^\]]*)\]\s*\{([^}]*)\})"
)


class Memory(NamedTuple):
    """Bytes on each device: arguments and results of a step, and temporary memory while it runs."""

    state_and_batch: int
    temporary: int

    @property
    def total(self) -> int:
        return self.state_and_batch + self.temporary


class Traffic(NamedTuple):
    """Collectives of one kind in one step.

    Attributes:
      number: times that one is run.
      sent: bytes that each device sends.
      overlapped: those of `number` between whose start and end other work is scheduled.
    """

    number: int
    sent: int
    overlapped: int = 0


@dataclass(frozen=True)
class Work:
    """One instruction that a device runs as a whole, such as a fusion, in one step.

    Attributes:
      instruction: the instruction.
      times: number of its runs.
      flops: FLOPs of multiplications in all its runs; see `hlo_flops`.
      bytes: bytes to and from main memory in all its runs; see `hlo_bytes`.
      opcodes: opcodes of the instruction, and of those fused into it.
      op_name: JAX's name of the operation, with its scopes.
      place: the innermost source line in jaxpose or a recipe; None if there is none.
    """

    instruction: Instruction
    times: int
    flops: int
    bytes: int
    opcodes: Counter[str]
    op_name: str
    place: Place | None


def memory(compiled: jax.stages.Compiled) -> Memory:
    """Memory that the compiler has reserved on each device."""
    account = compiled.memory_analysis()
    assert account is not None  # XLA gives one on CPU, GPU and TPU
    # Outputs that overwrite donated arguments take no room of their own.
    fresh = account.output_size_in_bytes - account.alias_size_in_bytes
    return Memory(account.argument_size_in_bytes + max(fresh, 0), account.temp_size_in_bytes)


def work(program: Program) -> list[Work]:
    """Instructions that run, each once with the number of its runs; loops are followed.

    The body of a loop whose number of rounds the program does not state counts once (see
    `endless`). All branches of a conditional count.
    """
    counter = ByteCounter(program)
    found = []
    for times, instruction, inside in _executed(program, program.entry, 1):
        if counter.is_free(instruction):
            continue
        fused = list(_fused(program, instruction, inside))
        named = [one for one, _ in fused if one.op_name]
        if not named:  # XLA's own, such as a copy: named after what it is for
            named = _named_near(instruction, inside, counter.users(inside))
        found.append(
            Work(
                instruction,
                times,
                times * sum(flops(one, where) for one, where in fused),
                times * counter.moved(instruction, inside),
                Counter(one.opcode for one, _ in fused),
                named[0].op_name if named else "",
                _place(program, named),
            )
        )
    return found


def loops(program: Program) -> list[tuple[Instruction, int, int | None]]:
    """While loops that run: the instruction, times that it starts, rounds of each start."""
    return [
        (instruction, times, program.rounds(instruction, inside))
        for times, instruction, inside in _executed(program, program.entry, 1)
        if instruction.opcode == "while"
    ]


def traffic(program: Program | str) -> dict[str, Traffic]:
    """Collectives of a program for one device; those in loops count once per round.

    Counted as sent around a ring of `n` devices: of an array of `s` bytes, all-gather and
    all-to-all send `s (n - 1) / n`, all-reduce twice that; a reduce-scatter that ends with `s`
    bytes sends `s (n - 1)`, a permutation `s`. A loop whose number of rounds the program does not
    state counts once. A TPU writes a reduce-scatter as a fusion of an all-reduce and slices.
    """
    if isinstance(program, str):
        program = read_program(program)
    counts: dict[str, int] = defaultdict(int)
    sent: dict[str, float] = defaultdict(float)
    overlapped: dict[str, int] = defaultdict(int)
    for times, top, inside in _executed(program, program.entry, 1):
        part = piece(program, top)
        if part in ("step", "done"):  # counted where it starts
            continue
        for instruction, _ in _fused(program, top, inside):
            kind = instruction.opcode.removesuffix("-start")
            if kind not in COLLECTIVES:
                continue
            size: float = sum(output.bytes for output in results(instruction))
            members = _members(instruction.rest, program.devices)
            sliced = top is not instruction and members * _size(top) == _size(instruction)
            if kind == "all-reduce" and sliced:
                kind, size = "reduce-scatter", size / members
            counts[kind] += times
            sent[kind] += times * size * _share(kind, members)
            if (part or top is instruction) and _works_meanwhile(program, top, inside):
                overlapped[kind] += times
    return {
        kind: Traffic(counts[kind], round(sent[kind]), overlapped[kind])
        for kind in COLLECTIVES
        if counts[kind]
    }


def _size(instruction: Instruction) -> int:
    return sum(output.size for output in instruction.outputs)


def _executed(
    program: Program, name: str, times: int
) -> Iterator[tuple[int, Instruction, Computation]]:
    """Yields what runs when computation `name` runs `times` times; not what fusions contain."""
    inside = program.computations.get(name, {})
    for instruction in inside.values():
        yield times, instruction, inside
        calls, opcode = instruction.calls, instruction.opcode
        if opcode == "while":
            rounds = program.rounds(instruction, inside)
            yield from _executed(program, calls["body"], times * (1 if rounds is None else rounds))
        elif opcode == "call":
            yield from _executed(program, calls["to_apply"], times)
        elif opcode == "async-start" and "calls" in calls:
            yield from _executed(program, calls["calls"], times)
        for branch in instruction.branches:
            yield from _executed(program, branch, times)


def _fused(
    program: Program, instruction: Instruction, inside: Computation
) -> Iterator[tuple[Instruction, Computation]]:
    """Yields an instruction and those fused into it, the last first."""
    yield instruction, inside
    if instruction.opcode == "fusion":
        body = program.computations.get(instruction.calls["calls"], {})
        for inner in reversed(body.values()):
            yield from _fused(program, inner, body)


def _named_near(
    instruction: Instruction, inside: Computation, users: dict[str, list[Instruction]]
) -> list[Instruction]:
    """Nearest user that has a name, or else the nearest operand; empty if there is none."""

    def forwards(one: Instruction) -> list[Instruction]:
        return users.get(one.name, [])

    def backwards(one: Instruction) -> list[Instruction]:
        found = [inside[name] for name in one.operands if name in inside]
        return [other for other in found if other.opcode != "parameter"]

    for step in (forwards, backwards):
        near = [instruction]
        for _ in range(_NEAR):
            near = [other for one in near for other in step(one)]
            named = [one for one in near if one.op_name]
            if named:
                return named[:1]
    return []


def _place(program: Program, instructions: Iterable[Instruction]) -> Place | None:
    for one in instructions:
        for place in program.places(one):
            if "/site-packages/" not in place.file or "/site-packages/jaxpose/" in place.file:
                return place
    return None


def _works_meanwhile(program: Program, start: Instruction, inside: Computation) -> bool:
    """True if a fusion or a multiplication is scheduled before the end of an asynchronous start."""
    if not start.opcode.endswith("-start") and piece(program, start) != "start":
        return False
    names = list(inside)
    parts = {start.name}
    for name in names[names.index(start.name) + 1 :]:
        other = inside[name]
        if other.opcode == "get-tuple-element" and parts.intersection(other.operands):
            parts.add(name)
            continue
        if parts.intersection(other.operands) and piece(program, other) != "step":
            return False
        if other.opcode in ("fusion", "convolution", "dot", "custom-call", "while"):
            return True
    return False


def _members(rest: str, devices: int) -> int:
    """Number of devices in one group of a collective; all devices if no groups are written."""
    groups = _GROUPS.search(rest)
    if groups is None:
        return devices if devices > 1 else 2
    count, first, mesh, axes = groups.groups()
    if mesh is not None:
        sizes = dict(re.findall(r"'(\w+)'=(\d+)", mesh))
        return math.prod(int(sizes.get(axis, 1)) for axis in re.findall(r"'(\w+)'", axes))
    return int(count) if count else len(first.split(","))


def _share(kind: str, members: int) -> float:
    """Bytes that a device sends for each byte of the result."""
    if kind == "collective-permute":
        return 1.0
    if kind == "reduce-scatter":
        return members - 1.0
    return (2.0 if kind == "all-reduce" else 1.0) * (members - 1) / members


def largest(found: Sequence[Work], count: int) -> list[Work]:
    """Works that move the most bytes, the largest first."""
    return sorted(found, key=lambda one: one.bytes, reverse=True)[:count]
