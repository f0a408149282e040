"""ONNX graph under construction: nodes, constants and shapes that may depend on the inputs."""

import ast
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

OPSET = 18


class Graph:
    """Nodes in order, constants stored once each, and symbolic sizes as small integer tensors."""

    def __init__(self) -> None:
        """Creates an empty graph."""
        from onnx import helper

        self._make = helper.make_node
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        self._sizes: dict[str, str] = {}
        self._kept: dict[tuple[Any, ...], str] = {}
        self._read: set[str] = set()  # by bodies of loops
        self._count = 0

    def name(self) -> str:
        """New name that no other tensor has."""
        self._count += 1
        return f"t{self._count}"

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node; returns the name of its output."""
        return self.add_several(kind, 1, *inputs, **attributes)[0]

    def add_several(self, kind: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        """Adds a node with `count` outputs; returns their names."""
        outputs = [self.name() for _ in range(count)]
        self.nodes.append(self._make(kind, list(inputs), outputs, **attributes))
        return outputs

    def constant(self, values: Any) -> str:
        """Adds an array as a constant; returns its name."""
        array = np.asarray(values)
        content = hashlib.blake2b(array.tobytes(), digest_size=16).hexdigest()
        key = array.dtype.str, array.shape, content
        if key not in self._kept:
            self._kept[key] = self.name()
            self.constants[self._kept[key]] = array
        return self._kept[key]

    @contextmanager
    def body(self) -> Iterator[list[Any]]:
        """Collects the nodes that are added meanwhile in a list: the body of a loop."""
        outer, sizes = self.nodes, dict(self._sizes)
        self.nodes = []
        try:
            yield self.nodes
        finally:
            # Sizes that the body computed are not known outside it.
            self.nodes, self._sizes = outer, sizes

    def loop(
        self,
        begin: str,
        state: Sequence[str],
        inside: Sequence[str],
        results: Sequence[str],
        types: Sequence[Any],
        body: list[Any],
    ) -> list[str]:
        """Adds a loop that runs while a condition holds; returns the names of the last state.

        Args:
          begin: the condition before the first pass.
          state: values before the first pass.
          inside: their names in the body.
          results: the condition and the values after a pass, in the body.
          types: objects with the shape and dtype of each value.
          body: nodes from `body()`.
        """
        from onnx import helper

        def value(name: str, kind: Any) -> Any:
            # onnxruntime needs the number of axes.
            shape = [size if isinstance(size, int) else None for size in kind.shape]
            dtype = helper.np_dtype_to_tensor_dtype(np.dtype(kind.dtype))
            return helper.make_tensor_value_info(name, dtype, shape)

        count, again = (np.zeros((), dtype) for dtype in (np.int64, bool))
        passed = [value(self.name(), count), value(self.name(), again)]
        graph = helper.make_graph(
            body,
            self.name(),
            [*passed, *(value(name, kind) for name, kind in zip(inside, types, strict=True))],
            [value(name, kind) for name, kind in zip(results, (again, *types), strict=True)],
        )
        self._read |= {name for node in body for name in node.input}
        return self.add_several("Loop", len(state), "", begin, *state, body=graph)

    def used(self) -> Iterator[tuple[str, np.ndarray]]:
        """Constants that at least one node reads."""
        read = self._read | {name for node in self.nodes for name in node.input}
        return ((name, array) for name, array in self.constants.items() if name in read)

    def enter(self, name: str, shape: Sequence[Any]) -> None:
        """Reads symbolic sizes from the shape of an input."""
        for axis, size in enumerate(shape):
            if not isinstance(size, int) and str(size) not in self._sizes:
                whole = self.add("Shape", name)
                self._sizes[str(size)] = self.add("Slice", whole, *self._range(axis, axis + 1))

    def size(self, size: Any) -> str:
        """Size as int64 `[1]`, computed from the sizes of the inputs."""
        if isinstance(size, int | np.integer):
            return self.constant(np.asarray([size], np.int64))
        text = str(size)
        if text not in self._sizes:
            self._sizes[text] = self._expression(ast.parse(text, mode="eval").body)
        return self._sizes[text]

    def shape(self, sizes: Sequence[Any], *, infer: bool = False) -> str:
        """Shape as int64 `[rank]`; with `infer` one unknown size may be left to the runtime."""
        symbolic = [size for size in sizes if not isinstance(size, int | np.integer)]
        if not symbolic or (infer and len(symbolic) == 1 and 0 not in sizes):
            known = [size if isinstance(size, int | np.integer) else -1 for size in sizes]
            return self.constant(np.asarray(known, np.int64))
        return self.add("Concat", *(self.size(size) for size in sizes), axis=0)

    def _expression(self, node: ast.expr) -> str:
        """Computes a size such as `2*b` or `h*w + -1`, as JAX writes it."""
        kinds: dict[type, str] = {ast.Add: "Add", ast.Sub: "Sub", ast.Mult: "Mul"}
        if isinstance(node, ast.Constant):
            return self.size(node.value)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return self.add("Neg", self._expression(node.operand))
        if isinstance(node, ast.Name) and node.id in self._sizes:
            return self._sizes[node.id]
        if isinstance(node, ast.BinOp) and type(node.op) in kinds:
            sides = self._expression(node.left), self._expression(node.right)
            return self.add(kinds[type(node.op)], *sides)
        raise NotImplementedError(f"the size {ast.unparse(node)}")

    def _range(self, start: int, stop: int) -> tuple[str, str]:
        return self.size(start), self.size(stop)
