"""Changes of a recipe's code, and the classes whose behaviour they can affect.

The names in the source decide: a definition uses every definition whose name occurs in it, as a
name, an attribute or a string. That finds too many uses rather than too few.
"""

import ast
from collections.abc import Iterable, Mapping

from jaxpose.config.recipe_source import RecipeSource, statements

_STATEMENTS = "other statements"
"""Key of the top-level statements that define no name; they can affect everything."""

# Names by which code could reach the metrics or loggers of an experiment.
_INDIRECT = {"metrics", "loggers", "evaluation", "evaluations", "more_evaluations"}


def changes_only_for(
    old: RecipeSource, new: RecipeSource, some: Iterable[type], others: Iterable[type]
) -> list[str]:
    """Names of the changed definitions, if only the classes `some` use them; empty if not.

    Imports are named only if nothing else changed.

    Args:
      old, new: two versions of a recipe.
      some: classes whose code may change, such as metrics.
      others: classes whose code must not change.
    """
    versions = [_definitions(source) for source in (old, new)]
    changed = {
        name
        for place in versions[0].keys() | versions[1].keys()
        if versions[0].get(place) != versions[1].get(place)
        for name in [place[1]]
    }
    uses: dict[str, set[str]] = {}
    for version in versions:
        for (_, name), texts in version.items():
            for statement in texts:
                uses.setdefault(name, set()).update(_identifiers(ast.parse(statement)))
    fixed = _reached(uses, {_STATEMENTS, *(cls.__name__ for cls in others)})
    free = _reached(uses, {cls.__name__ for cls in some})
    if "*" in uses or fixed & _INDIRECT or fixed & changed or changed - free:
        return []
    imports = {
        name
        for version in versions
        for (_, name), texts in version.items()
        if all(text.startswith(("import ", "from ")) for text in texts)
    }
    return sorted(changed - imports or changed)


def _definitions(source: RecipeSource) -> dict[tuple[str, str], list[str]]:
    """Top-level statements by file and each name that they define, without `get_config`."""
    found: dict[tuple[str, str], list[str]] = {}
    for file, content in source.files.items():
        for node in statements(content, file):
            for inner in ast.walk(node):
                if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                    inner.body = inner.body or [ast.Pass()]
            for name, statement in _named(node):
                found.setdefault((file, name), []).append(ast.unparse(statement))
    return found


def _named(node: ast.stmt) -> list[tuple[str, ast.stmt]]:
    """Names that a statement defines, each with the statement, or with its part of an import."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [(node.name, node)]
    if isinstance(node, ast.Import):
        return [
            (alias.asname or alias.name.partition(".")[0], ast.Import([alias]))
            for alias in node.names
        ]
    if isinstance(node, ast.ImportFrom):
        return [
            (alias.asname or alias.name, ast.ImportFrom(node.module, [alias], node.level))
            for alias in node.names
        ]
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    if targets and all(isinstance(target, ast.Name) for target in targets):
        return [(target.id, node) for target in targets if isinstance(target, ast.Name)]
    return [(_STATEMENTS, node)]


def _identifiers(tree: ast.AST) -> set[str]:
    """All names, attributes, imported names and strings in a statement."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.alias):
            found.update(node.name.split("."))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found


def _reached(uses: Mapping[str, set[str]], roots: set[str]) -> set[str]:
    """The names that the definitions `roots` use, directly or through others, and the roots."""
    reached: set[str] = set()
    todo = list(roots)
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo += uses.get(name, ())
    return reached
