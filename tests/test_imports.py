"""The architecture, enforced: who imports whom, what stays light, how large a file may be."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "jaxpose"

# Rooms by floor, from the ground: a room imports itself and the floors below its own. A new room
# has to be entered here, which gives it its place.
FLOORS: tuple[frozenset[str], ...] = tuple(
    frozenset(floor.split())
    for floor in (
        "errors deprecations json_text console",
        "locks file_limits counts",
        "xml_text hdf5",
        "requirements jax_versions paths skeletons geometry",
        "download losses codecs",
        "models",
        "config motion multiview viz metrics",
        "media measure convert",
        "results data",
        "tracking detect labels bodies objects",
        "train export",
        "tasks scaling",
        "chips",
        "hub bench",
        "pipeline",
        "demo",
        "cli",
        "__main__ __init__",
    )
)
FLOOR_OF = {room: number for number, floor in enumerate(FLOORS) for room in floor}

# `convert` finds tables by the classes of modules, and a recipe holds a module.
MODULES = {"models", "convert", "config"}
TENSORFLOW = {"tensorflow", "tensorflow_datasets", "tfds"}
TOP_LEVEL = {
    *("pyproject.toml", "README.md", "LICENSE"),
    *("jaxpose", "configs", "data_prep", "tests", "colab"),
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    """`codecs` for jaxpose/codecs/heatmap.py, `geometry` for jaxpose/geometry.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of every import of a file, except those only for type checkers."""
    package = ["jaxpose", *path.relative_to(PACKAGE).parts[:-1]]

    def walk(node: ast.AST) -> Iterator[tuple[int, str]]:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from walk(other)
            return
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{origin}.{alias.name}"
        for child in ast.iter_child_nodes(node):
            yield from walk(child)

    yield from walk(ast.parse(path.read_text(), str(path)))


def violations(path: Path) -> Iterator[str]:
    """What a file imports that its room may not."""
    here = room(path)
    for line, name in imports(path):
        parts = name.split(".")
        where = f"{path.relative_to(ROOT)}:{line}"
        if parts[0] in TENSORFLOW and here not in {"data", "export", "cli"}:
            yield f"{where}: only jaxpose.data and export may import TensorFlow"
        elif parts[0] in {"torch", "torchvision"}:
            yield f"{where}: nothing imports torch"
        elif parts[0] in {"configs", "data_prep", "tests"}:
            yield f"{where}: nobody imports {parts[0]}"
        elif name.startswith(("flax.linen", "flax.nnx")) and here not in MODULES:
            yield f"{where}: only jaxpose.models knows modules; others see functions and pytrees"
        elif name.startswith("flax.training"):
            yield f"{where}: flax.training is superseded"
        elif parts[0] != "jaxpose" or len(parts) == 1 or parts[1] in {here, "__version__"}:
            continue
        elif FLOOR_OF[parts[1]] >= FLOOR_OF[here]:
            yield f"{where}: {here} may not import {parts[1]}"


def test_every_room_has_its_place():
    unknown = {room(path) for path in modules()} - set(FLOOR_OF)
    assert not unknown, f"enter {sorted(unknown)} in FLOORS of this test"
    assert len(FLOOR_OF) == sum(map(len, FLOORS)), "a room stands on two floors"


def test_nothing_imports_the_command_line():
    users = {
        room(path)
        for path in modules()
        for _, name in imports(path)
        if name.startswith("jaxpose.cli")
    }
    assert users == {"cli", "__main__"}


def test_training_knows_no_task():
    """`train` gets the task from the experiment: a new task edits no file of it."""
    for path in (PACKAGE / "train").glob("*.py"):
        assert not [name for _, name in imports(path) if name.startswith("jaxpose.tasks")], path


def test_imports_point_down():
    found = [message for path in modules() for message in violations(path)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("place", "source", "message"),
    [
        ("codecs/x.py", "from jaxpose.models.vit import ViT", "codecs may not import models"),
        ("models/x.py", "from jaxpose import data", "models may not import data"),
        ("models/x.py", "from .. import data", "models may not import data"),
        ("models/x.py", "from . import vit", None),
        ("geometry/x.py", "import jaxpose.data.source", "geometry may not import data"),
        ("media/x.py", "def f():\n    import tensorflow as tf", "only jaxpose.data and export may"),
        ("data/x.py", "import tensorflow as tf", None),
        ("models/x.py", "import torch", "nothing imports torch"),
        ("train/x.py", "from flax import linen", "only jaxpose.models knows modules"),
        ("train/x.py", "from flax.traverse_util import flatten_dict", None),
        ("models/x.py", "from flax.training import train_state", "superseded"),
        ("cli/x.py", "from jaxpose.train.loop import train", None),
        ("cli/x.py", "import configs.vit", "nobody imports configs"),
        (
            "errors.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import jaxpose.data",
            None,
        ),
    ],
)
def test_the_walk_itself(place, source, message, monkeypatch):
    path = PACKAGE / place
    monkeypatch.setattr(Path, "read_text", lambda self: source)
    found = list(violations(path))
    if message is None:
        assert found == []
    else:
        assert len(found) == 1 and message in found[0]


# A name could be looked up in these, once they are filled.
_TABLES = (ast.Dict, ast.List, ast.DictComp, ast.ListComp)
_TABLE_CALLS = {"dict", "list", "defaultdict", "OrderedDict", "WeakValueDictionary"}
_FILL = {"append", "extend", "insert", "setdefault", "update"}


def filled_tables(path: Path) -> Iterator[str]:
    """Module-level dictionaries and lists of a file that its code fills after their definition."""
    tree = ast.parse(path.read_text())
    tables: dict[str, int] = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        value = node.value
        called = value.func if isinstance(value, ast.Call) else value
        name = ast.unparse(called).split(".")[-1] if called is not value else ""
        if isinstance(value, _TABLES) or name in _TABLE_CALLS:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            tables |= {target.id: node.lineno for target in targets if isinstance(target, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner, fills = node.func.value, node.func.attr in _FILL
        elif isinstance(node, ast.Subscript):
            owner, fills = node.value, isinstance(node.ctx, ast.Store)
        else:
            continue
        if fills and isinstance(owner, ast.Name) and owner.id in tables:
            yield f"{path.relative_to(ROOT)}:{node.lineno}: fills {owner.id}"


def test_there_is_no_registry():
    """No table is filled by decorators or calls: what a name means never depends on imports.

    The other half, that a recipe holds its model and names none, is in test_recipes.py.
    """
    # Sources of recipes by their digest, for an import hook: no name depends on it.
    hooks = {"jaxpose/config/recipe_source.py"}
    paths = [path for path in modules() if str(path.relative_to(ROOT)) not in hooks]
    found = [message for path in paths for message in filled_tables(path)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "filled"),
    [
        ("MODELS = {}\ndef register(f):\n    MODELS[f.__name__] = f\n    return f", True),
        ("MODELS: dict = dict()\ndef register(f):\n    MODELS.setdefault(f.__name__, f)", True),
        ("import collections\nM = collections.defaultdict(list)\nM['a'] = 1", True),
        (
            "HEADS = []\nclass Base:\n    def __init_subclass__(cls):\n        HEADS.append(cls)",
            True,
        ),
        ("MODELS = {'a': 1}\ndef find(name):\n    return MODELS[name]", False),
        ("def count(words):\n    found = {}\n    found['a'] = 1\n    return found", False),
    ],
)
def test_a_filled_table_is_found(source, filled, monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda self: source)
    assert bool(list(filled_tables(PACKAGE / "models/x.py"))) == filled


def test_files_are_short():
    files = [*modules(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "configs").rglob("*.py")]
    files += (ROOT / "data_prep").rglob("*.py")
    long = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in files}
    long = {name: lines for name, lines in long.items() if lines > 500}
    assert not long, f"does each of these hold one idea? {long}"


def test_no_room_for_odds_and_ends():
    words = {"utils", "util", "common", "helpers", "helper", "misc"}
    found = [str(p.relative_to(ROOT)) for p in modules() if words & {p.stem, *p.parts[-2:-1]}]
    assert not found, "a function lives in the room whose words it uses"


def test_top_level_is_as_designed():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    top = {line.split("/")[0] for line in listed.stdout.splitlines()}
    extra = {name for name in top - TOP_LEVEL if not name.startswith(".")}
    assert not extra, f"nothing else belongs at the root: {sorted(extra)}"


_PROBE = """
import sys
before = set(sys.modules)
import jaxpose
dir(jaxpose)
loaded = {name.split(".")[0] for name in set(sys.modules) - before}
print(*sorted(loaded - set(sys.stdlib_module_names)))
"""


def test_import_is_light():
    """`import jaxpose` loads no other package, not even JAX: completion and `--help` are quick."""
    run = subprocess.run(
        [sys.executable, "-c", _PROBE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["jaxpose"]
