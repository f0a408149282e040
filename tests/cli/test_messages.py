"""Messages with names and paths: Rich takes `[words]` as markup, unless it is told not to."""

import ast
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from rich.console import Console
from typer.testing import CliRunner

import jaxpose
from jaxpose.cli.main import app
from jaxpose.convert.reading import RELEASE
from jaxpose.train.log import RunLog

PACKAGE = Path(jaxpose.__file__).parent


def inserted_without_format(node: ast.expr) -> bool:
    """True if an f-string inserts a value as it is: a name, a path, a reason."""
    return any(
        isinstance(part, ast.FormattedValue) and part.format_spec is None
        for inner in ast.walk(node)
        if isinstance(inner, ast.JoinedStr)
        for part in inner.values
    )


def prints(file: Path) -> list[ast.Call]:
    """Calls of a method `print` with an argument that is no object, such as a table."""
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    calls = [call for call in calls if isinstance(call.func, ast.Attribute) and call.args]
    calls = [call for call in calls if call.func.attr == "print"]
    return [call for call in calls if not isinstance(call.args[0], ast.Call)]


def test_inserted_names_are_no_markup():
    found = [
        f"{file.relative_to(PACKAGE)}:{call.lineno}"
        for file in sorted(PACKAGE.rglob("*.py"))
        for call in prints(file)
        if inserted_without_format(call.args[0])
        and not any(keyword.arg == "markup" for keyword in call.keywords)
    ]
    assert not found, f"markup=False is missing: {found}"


def test_brackets_in_a_path_are_printed(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxpose.cli.convert.release_checkpoint", lambda *_: "table")
    out = tmp_path / "o [x] [red]"
    np.savez(tmp_path / "a.npz", a=np.zeros(1))
    result = CliRunner().invoke(app, ["convert", str(tmp_path / "a.npz"), str(out)])
    assert result.exit_code == 0 and f"Written to {out}: {RELEASE}" in result.output


def test_brackets_in_a_line_of_training_are_printed(capsys):
    log = SimpleNamespace(_console=Console())
    RunLog.say(log, "samples of [red] data")
    assert "samples of [red] data" in capsys.readouterr().out
