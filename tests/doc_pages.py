"""The code blocks of README and `.github/docs`, as steps in the order of the page."""

import ast
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / ".github" / "docs").glob("*.md"))]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
_SEPARATORS = ("&&", "||", ";", "&")
_FILE = re.compile(r"# ([\w/-]+\.\w+)\n")
_VARIABLE = re.compile(r"[A-Z_]+=")


@dataclass(frozen=True)
class Step:
    """One command, one block of Python, or one file that the page shows.

    Attributes:
      page: name of the page.
      line: where the step stands in it, from 1; for a command, where its block begins.
      kind: "command", "python" or "file".
      text: the command without its variables, the code, or the file's content.
      variables: environment variables that stand before a command.
      name: of the file.
    """

    page: str
    line: int
    kind: str
    text: str
    variables: tuple[tuple[str, str], ...] = ()
    name: str = ""

    def __str__(self) -> str:
        return f"{self.page}, line {self.line}: {self.text}"

    @property
    def arguments(self) -> list[str] | None:
        """Arguments of `jaxpose` in a command; None for another program."""
        program, *rest = shlex.split(self.text)
        return rest if Path(program).name == "jaxpose" else None


def steps(page: Path) -> list[Step]:
    """The steps of a page in order.

    Commands are those of `sh` blocks, and the lines after `$` in blocks that also show the output.
    A block of Python or TOML whose first line is a comment with the name of a file is that file.
    """
    content, found = page.read_text(), []
    for block in _BLOCK.finditer(content):
        language, body = block.groups()
        line = content[: block.start()].count("\n") + 2
        if language == "sh":
            found += _commands(page.name, line, body)
        elif not language:
            lines = [row[2:] for row in body.splitlines() if row.startswith("$ ")]
            found += _commands(page.name, line, "\n".join(lines))
        elif name := _FILE.match(body):
            found.append(Step(page.name, line, "file", body, name=name[1]))
        elif language == "python":
            found.append(Step(page.name, line, "python", body))
    return found


def strings(code: str) -> list[str]:
    """The string constants of Python code."""
    nodes = ast.walk(ast.parse(code))
    return [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def _commands(page: str, line: int, text: str) -> list[Step]:
    found = []
    for row in text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        for word in [*shlex.split(row, comments=True), ";"]:
            if word not in _SEPARATORS:
                words.append(word)
            elif words:
                count = next((i for i, w in enumerate(words) if not _VARIABLE.match(w)), 0)
                variables = tuple((w.partition("=")[0], w.partition("=")[2]) for w in words[:count])
                command = shlex.join(words[count:])
                found.append(Step(page, line, "command", command, variables))
                words = []
    return found
