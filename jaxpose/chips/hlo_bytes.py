"""Bytes that the instructions of a compiled program move to and from the chip's main memory.

An instruction reads each of its operands once and writes its results once: real kernels can read
an array several times, so the count is a lower bound. Arrays inside the chip (a TPU's VMEM) cost
nothing; their copies do. A fusion reads only the part of an operand that it slices or gathers,
and a slice that is updated in place is written alone.
"""

from collections.abc import Iterable

from jaxpose.chips.hlo_async import passed_on, piece
from jaxpose.chips.hlo_text import Array, Computation, Instruction, Program

_FREE = frozenset(
    (
        *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all"),
        *("partition-id", "replica-id", "opt-barrier", "add-dependency", "domain"),
        *("while", "conditional", "call"),  # their bodies count
        *("async-start", "async-update", "async-done"),
    )
)
# Custom calls that only mark or name an array.
_FREE_TARGETS = frozenset(
    (
        *("AllocateBuffer", "AssumeGatherIndicesInBound", "ConcatBitcast"),
        *("Sharding", "SPMDFullToShardShape", "SPMDShardToFullShape"),
    )
)
_PARTIAL = frozenset(("slice", "dynamic-slice", "gather"))


class ByteCounter:
    """Counts bytes of the instructions of one program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._used_bytes: dict[tuple[str, int], int] = {}
        self._users: dict[int, dict[str, list[Instruction]]] = {}

    def moved(self, instruction: Instruction, inside: Computation) -> int:
        """Bytes that an instruction outside of fusions reads from and writes to main memory."""
        if self.is_free(instruction):
            return 0
        arrays = self._operands(instruction, inside)
        if instruction.opcode == "fusion":
            return self._fusion(instruction, arrays)
        return sum(self._read(instruction, arrays)) + self._written(instruction, arrays)

    def users(self, inside: Computation) -> dict[str, list[Instruction]]:
        """Instructions of a computation by the name of each of their operands."""
        key = id(inside)
        if key not in self._users:
            users: dict[str, list[Instruction]] = {}
            for one in inside.values():
                for operand in dict.fromkeys(one.operands):
                    users.setdefault(operand, []).append(one)
            self._users[key] = users
        return self._users[key]

    def is_free(self, instruction: Instruction) -> bool:
        """True for an instruction that starts no work."""
        opcode = instruction.opcode
        return (
            opcode in _FREE
            or opcode.endswith("-done")
            or (opcode == "custom-call" and instruction.target in _FREE_TARGETS)
        )

    def _operands(self, instruction: Instruction, inside: Computation) -> list[tuple[Array, ...]]:
        return [inside[name].outputs if name in inside else () for name in instruction.operands]

    def _read(self, instruction: Instruction, arrays: list[tuple[Array, ...]]) -> Iterable[int]:
        """Bytes read of each operand by an instruction that is no fusion."""
        for number, array in enumerate(arrays):
            size = _bytes(array)
            if number == 0 and instruction.opcode.removesuffix("-start") in _PARTIAL:
                size = min(size, _plain(results(instruction))) if size else 0
            elif number == 0 and instruction.opcode in ("dynamic-update-slice", "scatter"):
                # A scatter reads what it adds to: as much as its updates, the last operand.
                added = instruction.opcode == "scatter"
                size = min(size, _plain(arrays[-1])) if added and size else 0
            yield size

    def _written(self, instruction: Instruction, arrays: list[tuple[Array, ...]]) -> int:
        opcode, outputs = instruction.opcode, instruction.outputs
        if opcode in ("dynamic-update-slice", "scatter"):
            update = arrays[1] if opcode == "dynamic-update-slice" else arrays[-1]
            return _plain(update) if outputs[0].main else 0
        if instruction.target.startswith(("__cublas", "__cudnn")):
            return _bytes(outputs[:1])  # the others are room to work in
        return _bytes(results(instruction))

    def _fusion(self, instruction: Instruction, arrays: list[tuple[Array, ...]]) -> int:
        name = instruction.calls["calls"]
        part = piece(self.program, instruction)
        if part == "done":
            return 0
        if part == "start":  # its first results are its operands
            return sum(map(_bytes, arrays)) + _bytes(instruction.outputs[len(arrays) :])
        unread, unwritten = passed_on(self.program, instruction) if part else (set(), set())
        read = sum(
            min(_bytes(array), self._used(name, number))
            for number, array in enumerate(arrays)
            if _bytes(array) and number not in unread
        )
        roots = self._roots(name)
        if len(roots) != len(instruction.outputs):
            return read + _bytes(instruction.outputs)
        written = sum(
            self._root_bytes(root, name, array)
            for number, (root, array) in enumerate(zip(roots, instruction.outputs, strict=True))
            if array.main and number not in unwritten
        )
        return read + written

    def _roots(self, name: str) -> list[Instruction]:
        """Instructions that make the results of a fused computation."""
        inside, root = self.program.computations[name], self.program.root(name)
        if root.opcode != "tuple":
            return [root]
        return [inside[operand] for operand in root.operands]

    def _root_bytes(self, root: Instruction, name: str, array: Array) -> int:
        inside = self.program.computations[name]
        root = _through_bitcasts(root, inside)
        if root.opcode == "fusion":
            inner = self._roots(root.calls["calls"])
            if len(inner) == 1:
                return self._root_bytes(inner[0], root.calls["calls"], array)
        if root.opcode in ("dynamic-update-slice", "scatter"):
            number = 1 if root.opcode == "dynamic-update-slice" else -1
            return min(array.bytes, _plain(inside[root.operands[number]].outputs))
        return array.bytes

    def _used(self, name: str, number: int) -> int:
        """Bytes of parameter `number` that a fused computation uses."""
        key = name, number
        if key not in self._used_bytes:
            inside = self.program.computations[name]
            parameter = next(
                one
                for one in inside.values()
                if one.opcode == "parameter" and one.rest.startswith(f"({number})")
            )
            self._used_bytes[key] = self._used_of(parameter, name)
        return self._used_bytes[key]

    def _used_of(self, value: Instruction, name: str) -> int:
        whole = _plain(value.outputs)
        if value.root:
            return whole
        total = 0
        for user in self.users(self.program.computations[name]).get(value.name, ()):
            places = [i for i, operand in enumerate(user.operands) if operand == value.name]
            if user.opcode in _PARTIAL and places == [0]:
                total += _plain(user.outputs)
            elif user.opcode == "scatter" and places == [0]:
                update = self.program.computations[name][user.operands[-1]]
                total += _plain(update.outputs)
            elif user.opcode == "dynamic-update-slice" and places == [0]:
                continue  # updated in place
            elif user.opcode == "bitcast":
                total += self._used_of(user, name)
            elif user.opcode == "fusion":
                total += sum(self._used(user.calls["calls"], place) for place in places)
            else:
                return whole
        return min(whole, total)


def results(instruction: Instruction) -> tuple[Array, ...]:
    """Results of an instruction; an asynchronous start lists operands or marks beside them."""
    opcode, outputs, count = instruction.opcode, instruction.outputs, len(instruction.operands)
    if opcode == "copy-start":
        return outputs[:1]
    if opcode == "slice-start":
        return outputs[1:2]
    if opcode in ("all-gather-start", "collective-permute-start"):
        return outputs[count : 2 * count] or outputs
    return outputs


def _through_bitcasts(instruction: Instruction, inside: Computation) -> Instruction:
    while instruction.opcode == "bitcast" and instruction.operands[0] in inside:
        instruction = inside[instruction.operands[0]]
    return instruction


def _bytes(arrays: Iterable[Array]) -> int:
    """Bytes of the arrays in main memory."""
    return sum(array.bytes for array in arrays if array.main)


def _plain(arrays: Iterable[Array]) -> int:
    """Bytes of arrays wherever they are."""
    return sum(array.bytes for array in arrays)
