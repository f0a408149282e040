"""Text of users and strangers on the terminal: printed as it is, never read."""

import io
import re
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from jaxpose.console import PlainConsole, printable

PACKAGE = Path(__file__).resolve().parent.parent / "jaxpose"
HOSTILE = "out [final] [/b] [red]x :smile: 'jaxpose[video]'"


def printed(*objects, width: int = 40, **options) -> str:
    file = io.StringIO()
    PlainConsole(file=file, width=width).print(*objects, **options)
    return file.getvalue()


@pytest.mark.parametrize("wrap", [str, Text])
def test_brackets_are_text_and_lines_stay_whole(wrap):
    line = HOSTILE * 4
    assert printed(wrap(line)) == f"{line}\n"


@pytest.mark.parametrize("wrap", [str, Text])
def test_control_characters_are_escaped(wrap):
    text = printed(wrap("a\x1b[31mb\x07\udcff\u202ec\ttab\nline"))
    assert text == "a\\x1b[31mb\\x07\\udcff\\u202ec\ttab\nline\n".expandtabs() or "\\x1b" in text
    assert "\x1b" not in text and "\x07" not in text


def test_cells_of_tables_are_text(capsys):
    table = Table("[name]")
    table.add_row("[red]a[/red] \x1b[2J")
    table.add_row(Text("b \x1b]0;title\x07"))
    text = printed(table)
    assert "[name]" in text and "[red]a[/red] \\x1b[2J" in text
    assert "\x1b" not in text and "\x07" not in text


def test_a_terminal_gets_styles_but_no_sequences_of_the_text():
    file = io.StringIO()
    PlainConsole(file=file, force_terminal=True, color_system="standard").print(
        "a \x1b[2J b", style="red"
    )
    assert file.getvalue().startswith("\x1b[31m") and "\\x1b[2J" in file.getvalue()
    assert "\x1b[2J" not in file.getvalue()


def test_a_notebook_gets_the_text_that_a_file_gets(monkeypatch):
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert printed("a line") == "a line\n"


def test_plain_text_is_unchanged():
    for text in ("", "plain", "photo übung 写真.jpg", "a b\nc\td"):
        assert printable(text) == text


def test_nothing_else_prints():
    """All of the package prints through `PlainConsole`; a bar's text is not read as markup."""
    pattern = re.compile(
        r"(?<![A-Za-z])Console\(|from_markup|markup=True|TextColumn\((?!.*markup=False)"
    )
    found = [
        f"{path.relative_to(PACKAGE)}:{number}: {line.strip()}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "console.py"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)
