"""Parsing of JSON from files that may be damaged or hostile."""

import json
from typing import Any

MAX_DEPTH = 100
"""Largest number of lists and objects around a value in a configuration."""


def parse_json(text: str | bytes, depth: int | None = None, *, unique: bool = False) -> Any:
    """Parse JSON; content that is nested too deeply is an error like any other.

    Args:
      text: the document.
      depth: largest number of lists and objects around a value; None is that of Python's parser,
        about 1,000.
      unique: refuse an object with the same key twice, of which Python's parser keeps the last.
        Objects are then parsed in Python, which is slower.

    Raises:
      json.JSONDecodeError: it is not JSON, nested too deeply, or has a number of thousands of
        digits or, if `unique`, a key twice.
      UnicodeDecodeError: the bytes are not text.
    """
    try:
        document = json.loads(text, object_pairs_hook=_unique if unique else None)
    except RecursionError:
        # Python's parser recurses, so it would end the program with a traceback.
        raise _too_deep(text) from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except _Twice as error:
        words = _decoded(text)
        place = max(0, words.rfind(f'"{error}"'))
        raise json.JSONDecodeError(f"the key {str(error)!r} occurs twice", words, place) from None
    except ValueError as error:  # a whole number of thousands of digits
        raise json.JSONDecodeError(str(error).partition(";")[0], _decoded(text), 0) from None
    if depth is not None:
        layer = [document]
        for _ in range(depth + 1):
            layer = [
                inner
                for value in layer
                if isinstance(value, dict | list)
                for inner in (value.values() if isinstance(value, dict) else value)
            ]
        if layer:
            raise _too_deep(text)
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Twice(key)
        found[key] = value
    return found


class _Twice(Exception):
    """Error with a key that an object has twice."""


def _too_deep(text: str | bytes) -> json.JSONDecodeError:
    return json.JSONDecodeError("nested too deeply", _decoded(text), 0)


def _decoded(text: str | bytes) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text
