"""What README and pages say can be typed: commands parse, imports are there, links lead on."""

import ast
import importlib
import re
import shlex
from pathlib import Path

import pytest
import typer

from jaxpose.cli.main import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / ".github" / "docs").glob("*.md"))]
MAX_PICTURE_BYTES = 200 * 1024


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)


def commands(page: Path) -> list[list[str]]:
    """The arguments of each `jaxpose` in the page's shell blocks."""
    lines = "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    parts = [
        part
        for line in words
        for part in re.split(r"\0(?:&&|\|\||;|&)\0", "\0" + "\0".join(line) + "\0")
    ]
    calls = [[word for word in part.split("\0") if word] for part in parts]
    return [call[1:] for call in calls if call and call[0].endswith("jaxpose") and call[1:]]


def parse(arguments: list[str]) -> None:
    """Parses without running, through groups down to the command."""
    name, command, context = "jaxpose", typer.main.get_command(app), None
    while hasattr(command, "resolve_command"):
        context = command.make_context(name, list(arguments), parent=context)
        rest = [*context._protected_args, *context.args]
        name, command, arguments = command.resolve_command(context, rest)
    command.make_context(name, list(arguments), parent=context)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_is_one(page):
    for arguments in commands(page):
        try:
            parse(arguments)
        except Exception as error:
            pytest.fail(f"{page.name}: jaxpose {shlex.join(arguments)}: {error}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_import_is_there(page):
    lines = "".join(blocks(page, "python")).splitlines()
    for line in (line for line in lines if line.startswith("from ")):
        node = ast.parse(line).body[0]
        module = importlib.import_module(node.module)
        missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
        assert not missing, f"{page.name}: {node.module} has no {missing}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_to_a_file(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if "://" not in target:
            file = (page.parent / target).resolve()
            assert file.exists(), f"{page.name}: {target}"
            if file.suffix in {".png", ".jpg", ".gif"}:
                assert file.stat().st_size <= MAX_PICTURE_BYTES, target


def test_every_page_is_linked_and_has_a_picture():
    readme = PAGES[0].read_text()
    for page in PAGES[1:]:
        assert f".github/docs/{page.name}" in readme, page.name
        assert re.search(r"!\[[^\]]+\]\(", page.read_text()), page.name


def test_a_misspelt_option_would_be_found():
    with pytest.raises(Exception, match="No such option: --bokses"):
        parse(["predict", "photo.jpg", "--from", "x", "--out", "y", "--bokses", "full"])
