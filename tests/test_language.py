"""Language rules for docstrings, error messages, help texts and pages (STYLE: plain English).

The first line of a docstring is verb or noun first, and never a question. Words that a reader who
learnt English as a second language may not know in this sense, or that are not the field's words,
are listed in `BANNED` with the words to use instead.
"""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]

QUESTION = re.compile(r"(What|Which|Who|Whom|Whose|Where|How|Whether|When|Why)\b")
# Patterns, and the words to use instead.
BANNED = {
    r"films?": "video",
    r"photos?": "image",
    r"pictures?": "image",
    r"in(to)? space": "in 3D, to 3D",
    r"foretells?|foretold": "predict",
    r"outlives?": "expire",
    r"hears?|heard": "read, receive",
    r"tells?|told": "return, report, distinguish, detect",
    r"answers?|answered": "return, predict",
    r"knows?|knew": "contain, support, recognise",
    r"looks?|looked|looking": "check, read, face",
    r"speaks?|spoken": "print, report",
    r"whoever|whomever|whatever it is": "name the subject",
    r"nobody|nobody's|somebody|anybody": "no process, no person, a person",
    r"by heart": "memorise",
    r"(the|whole|this|that|four) roads?": "method, path, part",
    r"of (its|their|his|her|one's|your) own": "own, separate, custom",
    r"hand(s|ed)? over": "pass, upload",
    r"(is|are) said of": "predicted for",
    r"an?other than": "different from",
    r"(images|samples|frames|steps|crops|strides|people|windows) a second": "per second",
}
# Uses that are correct.
ALLOWED = (r"known", r"unknown", r"look-?ups?", r"look_at", r"looks? up")


class Text(NamedTuple):
    """A piece of prose, with its place."""

    place: str
    prose: str
    is_docstring: bool


def strings(node: ast.AST) -> Iterator[str]:
    """Literal parts of the strings below a node."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield inner.value


def called(node: ast.Call) -> str:
    return ast.unparse(node.func).rpartition(".")[2]


def of_python(path: Path) -> Iterator[Text]:
    """Docstrings, messages of `InputError`, and `help=` texts of a file."""
    where = path.relative_to(ROOT).as_posix()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            name = getattr(node, "name", "module")
            if text:
                yield Text(f"{where}: {name}", text, True)
        elif isinstance(node, ast.Call):
            parts = [*node.args] if called(node) == "InputError" else []
            parts += [keyword.value for keyword in node.keywords if keyword.arg == "help"]
            for part in parts:
                yield Text(f"{where}:{part.lineno}", " ".join(strings(part)), False)


def of_page(path: Path) -> Text:
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
    return Text(path.relative_to(ROOT).as_posix(), text, False)


def of_notebook(path: Path) -> Text:
    cells = json.loads(path.read_text())["cells"]
    prose = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return Text(path.relative_to(ROOT).as_posix(), prose, False)


def texts() -> list[Text]:
    """All prose of the package, its recipes, pages and notebooks."""
    folders = ("jaxpose", "configs", "data_prep")
    files = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    pages = [ROOT / "README.md", *sorted((ROOT / ".github" / "docs").rglob("*.md"))]
    books = sorted((ROOT / "colab").glob("*.ipynb"))
    every = [text for path in files for text in of_python(path)]
    return every + [of_page(path) for path in pages] + [of_notebook(path) for path in books]


def plain(prose: str) -> str:
    """Prose without code: names in backticks, targets of links, arguments, joined names."""
    prose = re.sub(r"\]\([^)]*\)", "]", prose)
    prose = re.sub(r"`[^`]*`", " ", prose)
    prose = re.sub(r"^ *[\w, *]+: ", " ", prose, flags=re.M)  # names of arguments
    return re.sub(r"\S*[_/.=\-<>]+\w\S*", " ", prose)


def banned(prose: str) -> list[str]:
    """The banned words in prose, each with the word to use."""
    cleaned = re.sub("|".join(rf"\b(?:{word})\b" for word in ALLOWED), " ", plain(prose))
    return [
        f"{found[0]!r} (use: {instead})"
        for word, instead in BANNED.items()
        for found in re.finditer(rf"\b(?:{word})\b", cleaned, re.I)
    ]


def faults(text: Text) -> list[str]:
    found = banned(text.prose)
    if text.is_docstring and (word := QUESTION.match(text.prose)):
        found.append(f"begins with {word[0]!r}: begin with a verb or a noun")
    return [f"{text.place}: {fault}" for fault in found]


TEXTS = texts()


def test_every_text_is_plain():
    wrong = [fault for text in TEXTS for fault in faults(text)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("prose", "words"),
    [
        ("Reads a film.", ["film"]),
        ("Joints in space.", ["in space"]),
        ("`photo` is an argument; crop_photo a function.", []),
        ("Args:\n  photo: an image.", []),
        ("A look-up of a known name.", []),
        ("It knows, and nobody tells.", ["tells", "knows", "nobody"]),
    ],
)
def test_banned_words_are_found(prose, words):
    assert [fault.split("'")[1] for fault in banned(prose)] == words


@pytest.mark.parametrize(("first", "wrong"), [("Whether it is.", 1), ("Reads what is there.", 0)])
def test_questions_are_found(first, wrong):
    assert len(faults(Text("a.py: f", first, True))) == wrong
    assert not faults(Text("a.md", first, False))
