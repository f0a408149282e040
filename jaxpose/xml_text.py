"""Parsing of XML from files that may be damaged or hostile: without document types and entities."""

import xml.parsers.expat
from collections.abc import Callable
from pathlib import Path

from jaxpose.errors import InputError
from jaxpose.file_limits import ANNOTATIONS, check_bytes

MAX_DEPTH = 100
"""Largest number of elements around an element."""


def parse_xml(
    path: Path,
    start: Callable[[str, dict[str, str], int], None],
    end: Callable[[str], object],
    text: Callable[[str], object] = lambda text: None,
    limit: int = ANNOTATIONS,
) -> None:
    """Parse a file element by element.

    A document type is refused: its entities can expand to gigabytes, and name other files.

    Args:
      path: the file.
      start: called with the tag, the attributes and the line of each element that opens.
      end: called with the tag of each element that closes.
      text: called with pieces of text.
      limit: most bytes of the file.

    Raises:
      InputError: it is not XML, has a document type, is nested too deeply or is too large.
      OSError: it cannot be read.
    """
    check_bytes(path, limit)
    parser = xml.parsers.expat.ParserCreate()
    depth = 0

    def declared(*_: object) -> None:
        raise InputError(
            f"{path} declares a document type, whose entities can expand to gigabytes or name "
            "other files. Remove the line <!DOCTYPE ...>, if the file is yours"
        )

    def opened(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise InputError(f"{path}, line {parser.CurrentLineNumber}: nested too deeply.")
        start(tag, attributes, parser.CurrentLineNumber)

    def closed(tag: str) -> None:
        nonlocal depth
        depth -= 1
        end(tag)

    parser.StartDoctypeDeclHandler = declared
    parser.StartElementHandler = opened
    parser.EndElementHandler = closed
    parser.CharacterDataHandler = text
    parser.buffer_text = True
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
    except (xml.parsers.expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, InputError):
            raise
        # ValueError and LookupError: an encoding that Python does not support.
        raise InputError(
            f"{path} is not an intact XML file ({error}). Download or export it again."
        ) from error
