"""Compiled programs, read from their text (HLO), with the source line of each instruction."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

_BITS = {"pred": 8, "token": 0, "opaque": 0, "s2": 2, "u2": 2, "s4": 4, "u4": 4, "s8": 8, "u8": 8}
_BITS |= {"s16": 16, "u16": 16, "f16": 16, "bf16": 16, "s32": 32, "u32": 32, "f32": 32}
_BITS |= {"s64": 64, "u64": 64, "f64": 64, "c64": 64, "c128": 128}

_ARRAY = re.compile(r"\b([a-z]\w*)\[([^\[\]]*)\](?:\{([^{}]*)\})?")
_TILE = re.compile(r"T\(([\d,]+)\)")
_SPACE = re.compile(r"S\((\d+)\)")
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$")
_INSTRUCTION = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = ")
_OPCODE = re.compile(r"\s*([a-z][\w\-]*)\(")
_OPERAND = re.compile(r"%([\w.\-]+)")
_CALLED = re.compile(r"\b(condition|body|to_apply|calls)=%?([\w.\-]+)")
_BRANCHES = re.compile(
    r"(?:branch_computations=\{([^}]*)\}|(?:true|false)_computation=(%?[\w.\-]+))"
)
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_OP_NAME = re.compile(r'op_name="([^"]*)"')
_TARGET = re.compile(r'custom_call_target="([^"]*)"')
_FRAME = re.compile(r"stack_frame_id=(\d+)")
_SOURCE = re.compile(r'source_file="([^"]*)"(?: source_line=(\d+))?')
_TABLE_ROW = re.compile(r"^(\d+) (.*)$")
_DEVICES = re.compile(r"\b(?:num_partitions|replica_count)=(\d+)")
_PARENTHESIS = re.compile(r"[()]")
_NUMBER = re.compile(r"(\w+)=(\d+)")


class Array(NamedTuple):
    """Array of a program.

    Attributes:
      kind: XLA's name of the data type, such as `bf16`.
      shape: its sizes.
      bytes: its size in memory, with the padding of a TPU's tiles.
      main: True for the chip's main memory (HBM), False for memory inside the chip.
    """

    kind: str
    shape: tuple[int, ...]
    bytes: int
    main: bool = True

    @property
    def size(self) -> int:
        """Number of values, without padding."""
        return math.prod(self.shape)


class Place(NamedTuple):
    """Line of a source file."""

    file: str
    line: int

    def __str__(self) -> str:
        parts = Path(self.file).parts
        if "jaxpose" in parts:  # the innermost folder of that name is the package
            start = len(parts) - 1 - parts[::-1].index("jaxpose")
            return f"{'/'.join(parts[start:])}:{self.line}"
        return f"{'/'.join(parts[-2:])}:{self.line}"


@dataclass(frozen=True)
class Instruction:
    """One instruction; `rest` is its text after the operands: attributes and metadata."""

    name: str
    opcode: str
    outputs: tuple[Array, ...]
    operands: tuple[str, ...]
    rest: str
    root: bool = False

    @cached_property
    def calls(self) -> dict[str, str]:
        """Names of called computations by role: condition, body, to_apply, calls."""
        return dict(_CALLED.findall(self.rest))

    @property
    def branches(self) -> list[str]:
        """Names of the computations of which a conditional runs one."""
        found = [a or b for a, b in _BRANCHES.findall(self.rest)]
        return [name.strip().lstrip("%") for part in found for name in part.split(",")]

    @property
    def op_name(self) -> str:
        """JAX's name of the operation with the scopes that it is in; empty if unknown."""
        found = _OP_NAME.search(self.rest)
        return found[1] if found else ""

    @property
    def target(self) -> str:
        """Target of a custom call; empty for another instruction."""
        found = _TARGET.search(self.rest)
        return found[1] if found else ""


Computation = dict[str, Instruction]
"""Instructions of a computation by name, in their order; operands come before their users."""


@dataclass(frozen=True)
class Program:
    """Program for one device.

    Attributes:
      computations: its computations by name.
      entry: name of the one that runs.
      devices: number of devices that run the program together.
      frames: source line and number of the caller's frame, by the number of a stack frame.
    """

    computations: dict[str, Computation]
    entry: str
    devices: int = 1
    frames: dict[int, tuple[Place, int]] = field(default_factory=dict)

    def root(self, computation: str) -> Instruction:
        """Instruction whose value is the result of a computation."""
        instructions = list(self.computations[computation].values())
        return next((one for one in instructions if one.root), instructions[-1])

    def places(self, instruction: Instruction) -> Iterator[Place]:
        """Yields the source lines of an instruction, the innermost call first."""
        found = _SOURCE.search(instruction.rest)
        if found:
            yield Place(found[1], int(found[2] or 0))
        frame = _FRAME.search(instruction.rest)
        number = int(frame[1]) if frame else 0
        while number in self.frames:
            place, number = self.frames[number]
            yield place

    def rounds(self, loop: Instruction, inside: Computation) -> int | None:
        """Number of rounds of a while loop; None if the program does not state it.

        XLA writes the number where it has found it. Otherwise the loop must compare a counter,
        which starts from a constant and grows by one, with a constant.
        """
        stated = _TRIPS.search(loop.rest)
        if stated:
            return int(stated[1])
        body, condition = self.computations[loop.calls["body"]], loop.calls["condition"]
        test = self.root(condition)
        if test.opcode != "compare":
            return None
        counter, limit = (self.computations[condition].get(name) for name in test.operands)
        if counter is None or limit is None or "direction=LT" not in test.rest:
            return None
        index = re.search(r"index=(\d+)", counter.rest)
        start = inside.get(loop.operands[0])
        step = self.root(loop.calls["body"])
        if index is None or start is None or start.opcode != "tuple" or step.opcode != "tuple":
            return None
        first = inside.get(start.operands[int(index[1])])
        after = body.get(step.operands[int(index[1])])
        if first is not None and first.opcode == "copy":
            first = inside.get(first.operands[0])
        values = [_constant(limit), _constant(first)]
        grows = after is not None and after.opcode == "add"
        steps = [_constant(body.get(name)) for name in after.operands] if grows and after else []
        if None in values or 1 not in steps:
            return None
        return max(0, values[0] - values[1])  # type: ignore[operator]


def read_program(text: str) -> Program:
    """Read the text of a compiled program, as `Compiled.as_text()` returns it."""
    computations: dict[str, Computation] = {}
    tables: dict[str, dict[int, str]] = {}
    entry, current, table = "", "", ""
    for line in text.splitlines():
        if line and not line[0].isspace() and line[0] not in "%}":
            row = _TABLE_ROW.match(line)
            if row and table:
                tables[table][int(row[1])] = row[2]
                continue
            if line.isalpha():  # FileNames, FunctionNames, FileLocations, StackFrames
                table = line
                tables[table] = {}
                continue
        head = _COMPUTATION.match(line)
        if head:
            current = head[2]
            computations[current] = {}
            entry = current if head[1] else entry
        elif current:
            instruction = _instruction(line)
            if instruction:
                computations[current][instruction.name] = instruction
    counts = [int(n) for n in _DEVICES.findall(text.partition("\n")[0])]
    return Program(computations, entry, math.prod(counts), _frames(tables))


def arrays(text: str) -> tuple[Array, ...]:
    """Arrays of a shape's text; those of a tuple in order."""
    return tuple(_array(*found) for found in _ARRAY.findall(text))


def _array(kind: str, sizes: str, layout: str) -> Array:
    shape = tuple(int(size.removeprefix("<=")) for size in sizes.split(",") if size)
    order, _, rest = layout.partition(":")
    tile, space = _TILE.search(rest), _SPACE.search(rest)
    count = math.prod(_padded(shape, order, tile[1]) if tile and order else shape)
    bits = _BITS.get(kind, 8)  # the kinds of float8 are many
    return Array(kind, shape, -(-count * bits // 8), space is None or space[1] == "0")


def _padded(shape: tuple[int, ...], order: str, tile: str) -> list[int]:
    """Sizes rounded up to whole tiles; `order` lists the axes, the one that varies fastest first.

    A tile (8, 128) is 128 values of the fastest axis by 8 of the next.
    """
    sizes = list(shape)
    axes = [int(axis) for axis in order.split(",")]
    for axis, length in zip(axes, reversed([int(n) for n in tile.split(",")]), strict=False):
        sizes[axis] = -(-sizes[axis] // length) * length
    return sizes


def _instruction(line: str) -> Instruction | None:
    head = _INSTRUCTION.match(line)
    if head is None:
        return None
    start = head.end()
    # A tuple's shape is in parentheses, and so are the tiles of its layouts.
    end = _closing(line, start) if line[start] == "(" else line.find(" ", start)
    opcode = _OPCODE.match(line, end)
    if opcode is None:
        return None
    last = _closing(line, opcode.end() - 1)
    inner = line[opcode.end() : last - 1]
    constant = opcode[1] in ("constant", "parameter")
    return Instruction(
        name=head[2],
        opcode=opcode[1],
        outputs=arrays(line[start:end]),
        operands=() if constant else tuple(_OPERAND.findall(inner)),
        # A constant's value and a parameter's number stand where others have operands.
        rest=f"({inner}){line[last:]}" if constant else line[last:],
        root=bool(head[1]),
    )


def _closing(line: str, start: int) -> int:
    """Place after the parenthesis that closes the one at `start`."""
    depth = 0
    for found in _PARENTHESIS.finditer(line, start):
        depth += 1 if found[0] == "(" else -1
        if depth == 0:
            return found.end()
    return len(line)


def _frames(tables: dict[str, dict[int, str]]) -> dict[int, tuple[Place, int]]:
    """Source line and caller of each stack frame, by its number; the outermost has caller 0."""
    names = {number: row.strip('"') for number, row in tables.get("FileNames", {}).items()}
    locations = {
        n: dict(_NUMBER.findall(row)) for n, row in tables.get("FileLocations", {}).items()
    }
    frames: dict[int, tuple[Place, int]] = {}
    for number, row in tables.get("StackFrames", {}).items():
        values = dict(_NUMBER.findall(row))
        location = locations.get(int(values["file_location_id"]), {})
        place = Place(
            names.get(int(location.get("file_name_id", 0)), "?"), int(location.get("line", 0))
        )
        # XLA writes the caller's number plus one, so that the outermost frame has 1.
        frames[number] = place, int(values["parent_frame_id"]) - 1
    return frames


def _constant(instruction: Instruction | None) -> int | None:
    """Value of an integer constant."""
    found = re.match(r"\((-?\d+)\)", instruction.rest) if instruction else None
    return int(found[1]) if found and instruction and instruction.opcode == "constant" else None
