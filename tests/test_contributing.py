"""Every "Add a ..." recipe of CONTRIBUTING.md, executed from its first block to its last."""

import importlib
import importlib.util
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jaxpose.cli.main import app

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / ".github" / "CONTRIBUTING.md").read_text()
RECIPES = dict(re.findall(r"^## (Add an? [^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder that files of the page go to; those of `jaxpose` can be imported from there."""
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def write(file: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes a block as the file that its first line names."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    if file.parts[0] == "jaxpose":
        folder = file.parent
        while not importlib.util.find_spec(".".join(folder.parts)):
            folder = folder.parent  # of a new folder the one that it lies in
        package = importlib.import_module(".".join(folder.parts))
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder.resolve())])


def run(line: str) -> None:
    """Runs one command in this process, which has JAX and TensorFlow imported already."""
    program, *arguments = shlex.split(line)
    if program == "jaxpose":
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception!r}"
    elif program == "python":
        runpy.run_path(arguments[0], run_name="__main__")
    else:
        assert program == "pytest", f"this test cannot run {program!r}"
        options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib"]
        assert pytest.main([*arguments, *options]) == pytest.ExitCode.OK, line


# tests/outside trains a task of its own in the quick suite.
TITLES = [
    pytest.param(title, marks=pytest.mark.slow if title == "Add a task" else ())
    for title in RECIPES
]


@pytest.mark.slow
@pytest.mark.parametrize("title", TITLES)
def test_the_recipe_works(title, checkout, monkeypatch):
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```", RECIPES[title], re.M | re.S):
        if language == "sh":
            for line in text.splitlines():
                run(line)
        else:
            name = re.match(r"# (\S+)\n", text)
            assert name, (
                f"the first line of a block names its file, as in `# configs/x.py`:\n{text}"
            )
            write(Path(name[1]), text, monkeypatch)
    for command in ("check", "format --check"):
        ruff = [sys.executable, "-m", "ruff", *command.split(), "--config", ROOT / "pyproject.toml"]
        done = subprocess.run([*ruff, "."], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_recipes_are_found():
    assert {f"Add a {what}" for what in ("backbone", "dataset", "metric", "task")} == set(RECIPES)
