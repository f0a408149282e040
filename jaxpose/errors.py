"""Exception for input that a person can correct."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Error in the user's input: a path, a key, a file, an annotation.

    The message says what was wrong, where, and what to do. The command line prints it without a
    traceback and exits with status 2.
    """


def nearest(word: str, choices: Iterable[str]) -> str:
    """Suggestion ` Did you mean 'x'?` with the choice closest to `word`, or the empty string.

    Upper and lower case are the same, except between choices that differ in nothing else.
    """
    by_lower = {choice.lower(): choice for choice in choices}
    found = get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.5)
    return f" Did you mean {by_lower[found[0]]!r}?" if found else ""
