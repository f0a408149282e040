"""Griffe extension: an entry `low, high: text` of a docstring becomes one entry for each name."""

import re
from typing import Any

import griffe

SECTION = re.compile(r"^( *)(Args|Attributes):\n((?:\1 +.*(?:\n|\Z)|\n)+)", re.M)
SHARED = re.compile(r"^( +)(\w+(?:, \w+)+):((?: .*)?(?:\n\1 .*)*)", re.M)


class SharedEntries(griffe.Extension):
    """Repeats the text of an entry that describes several names."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrites the docstring before it is parsed."""
        if obj.docstring:
            obj.docstring.value = SECTION.sub(_split_section, obj.docstring.value)


def _split_section(section: re.Match[str]) -> str:
    return SHARED.sub(_split_entry, section[0])


def _split_entry(entry: re.Match[str]) -> str:
    indent, names, text = entry.groups()
    return "\n".join(f"{indent}{name}:{text}" for name in names.split(", "))
