"""Parsing of JSON from files that may be damaged or hostile."""

import json
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """Parse JSON; content that is nested too deeply is an error like any other.

    Raises:
      json.JSONDecodeError: it is not JSON, or nested too deeply (about 1,000 levels).
      UnicodeDecodeError: the bytes are not text.
    """
    try:
        return json.loads(text)
    except RecursionError:
        # Python's parser recurses, so it would end the program with a traceback.
        document = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        raise json.JSONDecodeError("nested too deeply", document, 0) from None
