"""Source of a recipe: its file, and the files in the same folder that it imports.

A run stores a copy of its source, so that classes that a recipe defines can be found again. In
Python the modules of a recipe are in a private package whose name is a digest of their content. So
the same source read from two places is one set of modules, with equal classes, and two versions of
a file with the same name are separate modules. In files a class of a recipe is written
`recipe:MODULE.Class`, such as `recipe:my_recipe.MyLoss`.

An import takes a file in the recipe's folder before an installed package of the same name, as for a
script that Python runs. The standard library and jaxpose come before both.
"""

import ast
import builtins
import functools
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import re
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from jaxpose.errors import InputError, not_read
from jaxpose.paths import atomic_write

PREFIX = "recipe:"
FOLDER = "recipe"
"""Folder of the source in a run or a release."""

PACKAGE = "_jaxpose_recipe_"
"""Start of the names of the packages of recipes."""

_NAME = re.compile(r"(?!\.)[^/\\\x00]+(/(?!\.)[^/\\\x00]+)*\.py")
_NOT_BESIDE = sys.stdlib_module_names | {"jaxpose"}


@dataclass(frozen=True)
class RecipeSource:
    """Files of a recipe.

    Attributes:
      main: name of the recipe's file.
      files: content by name relative to the recipe's folder, with `/` between folders.
      folder: folder of the files, for messages and `__file__`.
    """

    main: str
    files: Mapping[str, bytes]
    folder: Path

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the names and the contents."""
        sha = hashlib.sha256()
        for name in sorted(self.files):
            content = self.files[name]
            sha.update(f"{name}\0{len(content)}\0".encode())
            sha.update(content)
        return sha.hexdigest()

    @property
    def package(self) -> str:
        """Name of the package of the modules."""
        return f"{PACKAGE}{self.digest[:24]}"

    def to_json(self) -> dict[str, Any]:
        """Make the entry `recipe` of a `config.json`: names and SHA-256."""
        sums = {name: hashlib.sha256(self.files[name]).hexdigest() for name in sorted(self.files)}
        return {"main": self.main, "files": sums}

    def module(self, name: str | None = None) -> types.ModuleType:
        """Import the module of that dotted name, or the recipe's; the first import runs it."""
        _SOURCES.setdefault(self.package, self)
        if _FINDER not in sys.meta_path:
            sys.meta_path.insert(0, _FINDER)
        return importlib.import_module(f"{self.package}.{name or _dotted(self.main)}")

    def write(self, directory: Path) -> None:
        """Write the files into the folder `recipe` of a run or a release.

        Raises:
          OSError: a file cannot be written.
        """
        for name, content in self.files.items():
            file = directory / FOLDER / name
            file.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(file, content)

    def has_module(self, name: str) -> bool:
        """True if a module of that dotted name is among the files."""
        return _file_of(self.files, name) is not None

    def definitions(self) -> dict[str, dict[str, str]]:
        """Top-level definitions by file and name, without comments, docstrings and layout.

        `get_config` is left out: its result is compared instead.
        """
        return {name: _definitions(self.files[name], name) for name in sorted(self.files)}


def read_recipe(file: Path) -> RecipeSource:
    """Read the source of the recipe at `file`.

    Raises:
      InputError: a file cannot be read or is not Python.
    """
    folder, files = file.parent, dict[str, bytes]()
    todo = [file.name]
    while todo:
        name = todo.pop()
        if name in files:
            continue
        path = folder / name
        try:
            files[name] = path.read_bytes()
        except OSError as error:
            raise not_read(path, error) from error
        for module in _imported(parsed(files[name], path), name):
            todo += [found for found in _candidates(module) if (folder / found).is_file()]
    return RecipeSource(file.name, files, folder)


def stored_recipe(entry: Any, folder: Path, where: object) -> RecipeSource | None:
    """Read the source that a run or a release stores in `folder`; None if it stores none.

    Args:
      entry: `recipe` in its `config.json`.
      folder: folder of the files.
      where: the `config.json`, for messages.

    Raises:
      InputError: the entry is damaged or names files outside of the folder, or a file is missing.
    """
    if entry is None:
        return None
    names = recipe_files(entry, where)
    files = {}
    for name in names:
        try:
            files[name] = (folder / name).read_bytes()
        except OSError as error:
            raise InputError(
                f"{folder / name}, a part of the recipe, cannot be read "
                f"({error.strerror or error}). Copy the whole folder again."
            ) from error
    return RecipeSource(entry["main"], files, folder)


def recipe_files(entry: Any, where: object) -> list[str]:
    """Names of the files that the entry `recipe` of a `config.json` lists.

    Raises:
      InputError: the entry is damaged, or names a file outside of the folder.
    """
    try:
        names = list(entry["files"])
        sound = entry["main"] in names and all(_NAME.fullmatch(name) for name in names)
    except (KeyError, TypeError):
        sound = False
    if not sound:
        raise InputError(f"{where} is damaged: its entry 'recipe' lists no Python files.")
    return names


def joined(sources: Sequence[RecipeSource]) -> RecipeSource | None:
    """Join several sources into one with all their files; the first is the recipe's.

    Raises:
      InputError: two different files have the same name.
    """
    if not sources:
        return None
    files: dict[str, bytes] = {}
    for source in sources:
        for name, content in source.files.items():
            if files.setdefault(name, content) != content:
                raise InputError(
                    f"Two recipes with different files named {name!r} are used in one experiment "
                    f"({source.folder / name} is one). Rename one of them."
                )
    return RecipeSource(sources[0].main, files, sources[0].folder)


def source_of(cls: type) -> RecipeSource | None:
    """Source of the recipe that defines a class; None for other classes."""
    return _SOURCES.get(cls.__module__.partition(".")[0])


def class_path(cls: type) -> str:
    """Path of a class in files.

    Raises:
      InputError: the class cannot be imported by a path.
    """
    package, _, module = cls.__module__.partition(".")
    name = cls.__qualname__
    if cls.__module__ == "__main__" or "." in name:
        where = "in a notebook or a program" if "." not in name else "inside of another definition"
        raise InputError(
            f"{name} is defined {where}, so it cannot be found again when the run is resumed or "
            "loaded. Define it at the top level of the recipe, or of a file that the recipe "
            "imports."
        )
    return f"{PREFIX}{module}.{name}" if package in _SOURCES else f"{cls.__module__}.{name}"


def parsed(content: bytes, path: Path | str) -> ast.Module:
    """Parse the content of a Python file; raises InputError if it is not Python."""
    try:
        return ast.parse(content, str(path))
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        what = error.msg if isinstance(error, SyntaxError) else str(error)
        end = "" if what.endswith((".", "?", "!")) else "."
        raise InputError(f"{path}{line} is not valid Python: {what}{end}") from error


def _imported(tree: ast.Module, name: str) -> Iterator[str]:
    """Yield dotted names of all modules that a file may import from the recipe's folder."""
    above = PurePosixPath(name).parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _is_beside(alias.name))
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = list(above[: len(above) + 1 - node.level])
            elif _is_beside(node.module or ""):
                base = []
            else:
                continue
            base += [node.module] if node.module else []
            yield ".".join(base)
            yield from (".".join([*base, alias.name]) for alias in node.names)


def _is_beside(name: str) -> bool:
    return name.partition(".")[0] not in _NOT_BESIDE


def _candidates(module: str) -> Iterator[str]:
    """Yield the files that an import of `module` runs if they exist."""
    parts = [part for part in module.split(".") if part]
    for i in range(1, len(parts) + 1):
        path = "/".join(parts[:i])
        yield f"{path}.py"
        yield f"{path}/__init__.py"


def _dotted(name: str) -> str:
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _file_of(files: Mapping[str, bytes], module: str) -> str | None:
    """File of a dotted module name; "" for a folder without `__init__.py`, None for no file."""
    path = module.replace(".", "/")
    for name in (f"{path}/__init__.py", f"{path}.py"):
        if name in files:
            return name
    return "" if any(name.startswith(f"{path}/") for name in files) else None


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Importer that finds and runs the modules of recipes."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        package, _, module = fullname.partition(".")
        source = _SOURCES.get(package)
        file = None if source is None else _file_of(source.files, module) if module else ""
        if source is None or file is None:
            return None
        is_package = not file or file.endswith("__init__.py")
        spec = importlib.machinery.ModuleSpec(fullname, self, is_package=is_package)
        if file:
            spec.origin = str(source.folder / file)
            spec.has_location = True
        return spec

    def is_package(self, fullname: str) -> bool:
        spec = self.find_spec(fullname)
        return spec is not None and spec.submodule_search_locations is not None

    def get_source(self, fullname: str) -> str:
        package, _, module = fullname.partition(".")
        source = _SOURCES[package]
        file = _file_of(source.files, module) if module else ""
        return source.files[file].decode() if file else ""

    def exec_module(self, module: types.ModuleType) -> None:
        package = module.__name__.partition(".")[0]
        names = {name.partition("/")[0].removesuffix(".py") for name in _SOURCES[package].files}
        # The statement `import` calls this function in the module and in its functions.
        vars(module)["__builtins__"] = {
            **vars(builtins),
            "__import__": functools.partial(_import, package, frozenset(names) - _NOT_BESIDE),
        }
        file = getattr(module, "__file__", None) or f"<{module.__name__}>"
        exec(compile(self.get_source(module.__name__), file, "exec"), vars(module))


def _import(
    package: str,
    beside: frozenset[str],
    name: str,
    globals: Mapping[str, Any] | None = None,
    locals: Mapping[str, Any] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> Any:
    """`__import__` that searches the recipe's folder first."""
    top = name.partition(".")[0]
    if level or top not in beside:
        return builtins.__import__(name, globals, locals, fromlist or (), level)
    module = builtins.__import__(f"{package}.{name}", globals, locals, fromlist or (), 0)
    return module if fromlist else sys.modules[f"{package}.{top}"]


_SOURCES: dict[str, RecipeSource] = {}
_FINDER = _Finder()


def _definitions(content: bytes, name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in statements(content, name):
        key = getattr(node, "name", None) or _target(node)
        found[key] = found.get(key, "") + ast.dump(node)
    return found


def statements(content: bytes, name: str) -> Iterator[ast.stmt]:
    """Top-level statements without `get_config` and without docstrings; a body can be empty."""
    for node in parsed(content, name).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        if isinstance(node, ast.FunctionDef) and node.name == "get_config":
            continue
        for inner in ast.walk(node):
            if (
                isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
                and ast.get_docstring(inner, clean=False) is not None
            ):
                del inner.body[0]
        yield node


def _target(node: ast.stmt) -> str:
    targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
    names = [t.id for t in targets if isinstance(t, ast.Name)]
    kind = "imports" if isinstance(node, (ast.Import, ast.ImportFrom)) else "other statements"
    return ", ".join(names) or kind
