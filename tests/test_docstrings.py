"""The public faces say what they take and give: shapes of arrays, and when they refuse."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "jaxpose"
ROOMS = (
    *("skeletons", "geometry", "download", "motion", "multiview", "media", "measure", "results"),
    *("config", "tracking", "detect", "pipeline", "demo"),
)
FILES = sorted(path for room in ROOMS for path in (PACKAGE / room).glob("*.py"))

Function = ast.FunctionDef | ast.AsyncFunctionDef


def public(body: list[ast.stmt], owner: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Name and node of every function, class and method without an underscore before it."""
    for node in body:
        if not isinstance(node, Function | ast.ClassDef):
            continue
        if "overload" in map(ast.unparse, node.decorator_list):
            continue  # described where it is implemented
        special = node.name in ("__call__", "__init__", "__getitem__", "__next__")
        if node.name.startswith("_") and not special:
            continue
        name = f"{owner}.{node.name}" if owner else node.name
        yield name, node
        if isinstance(node, ast.ClassDef):
            yield from public(node.body, name)


def arrays(node: ast.AST) -> bool:
    """Whether a function takes or gives arrays, by its annotations."""
    assert isinstance(node, Function)
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    hints = [hint for hint in (*(a.annotation for a in every), node.returns) if hint is not None]
    return any("ndarray" in ast.unparse(hint) or "jax.Array" in ast.unparse(hint) for hint in hints)


def raises(node: ast.AST) -> bool:
    """Whether a function itself refuses input."""
    return any(
        isinstance(inner, ast.Raise)
        and inner.exc is not None
        and ast.unparse(inner.exc).startswith("InputError(")
        for inner in ast.walk(node)
    )


def faults(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    where = path.relative_to(PACKAGE.parent)
    if not ast.get_docstring(tree) and path.name != "__init__.py":
        yield f"{where}: the module has no docstring"
    for name, node in public(tree.body):
        text = ast.get_docstring(node) or ""
        place = f"{where}:{node.lineno}: {name}"
        plain = isinstance(node, ast.ClassDef) or not name.endswith("__init__")
        if not text and (plain or len(node.args.args) > 2):
            yield f"{place} has no docstring"
        elif isinstance(node, ast.ClassDef):
            continue
        elif arrays(node) and not re.search(r"\[[^\]]*\]", text):
            yield f"{place} takes or gives arrays, and names no shape"
        elif raises(node) and "InputError" not in text and not name.endswith("__init__"):
            yield f"{place} refuses input, and does not say when"


def test_the_rooms_are_there():
    assert not [room for room in ROOMS if not (PACKAGE / room).is_dir()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_is_public_is_described(path):
    assert not list(faults(path))
