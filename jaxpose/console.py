"""Console for people: text is printed as it is, whatever its brackets and control characters.

Paths, names and messages come from users and strangers. Rich would read `[final]` in them as a
style, and a terminal an escape sequence as a command. Here neither is read.
"""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text


def printable(text: str) -> str:
    """Text with control characters and undecodable bytes escaped, but for new lines and tabs.

    A file name that is not UTF-8 has such bytes; they become `\\udcff`, as Python writes them.
    """
    if text.isprintable():
        return text
    return "".join(
        letter
        if letter.isprintable() or letter in "\n\t"
        else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


class PlainConsole(Console):
    """Rich's console without markup, emoji codes and highlighting; lines are never broken.

    Tables are laid out for the terminal's width, as ever. A notebook gets the same text: Rich would
    show a block of HTML for each line there, also of a console that writes to a file.
    """

    def __init__(self, *, stderr: bool = False, **options: Any) -> None:
        off = dict.fromkeys(("markup", "highlight", "emoji", "force_jupyter"), False)
        super().__init__(stderr=stderr, **{**off, **options})

    def print(self, *objects: Any, soft_wrap: bool | None = None, **options: Any) -> None:
        """Print texts, each line as it is, or a table."""
        if soft_wrap is None:
            soft_wrap = all(isinstance(one, str | Text) for one in objects)
        super().print(*objects, soft_wrap=soft_wrap, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Text of a string, also of a table's cell, with control characters escaped."""
        return super().render_str(printable(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Segments with control characters escaped, for text that is given as `Text`."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)
