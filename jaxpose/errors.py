"""Exception for input that a person can correct."""

import errno
import re
import sysconfig
import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class InputError(ValueError):
    """Error in the user's input: a path, a key, a file, an annotation.

    The message says what was wrong, where, and what to do. The command line prints it without a
    traceback and exits with status 2.
    """


_ADVICE = {
    errno.ENOSPC: "make room and run it again",
    errno.EDQUOT: "make room and run it again",
    errno.EACCES: "choose another place or change the rights",
    errno.EROFS: "choose another place",
}


def reason(error: OSError) -> str:
    """Reason of a failed read or write in words, with what to do if that is known."""
    words = error.strerror or str(error) or type(error).__name__
    advice = _ADVICE.get(error.errno or 0)
    return f"{words}; {advice}" if advice else words


def not_read(path: str | Path, error: OSError) -> InputError:
    """Error for a file that cannot be read, or does not exist."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path} does not exist.")
    return InputError(f"{path} cannot be read: {reason(error)}.")


def not_written(path: str | Path, error: OSError) -> InputError:
    """Error for a file that cannot be written."""
    return InputError(f"{path} cannot be written: {reason(error)}.")


def nearest(word: str, choices: Iterable[str]) -> str:
    """Suggestion ` Did you mean 'x'?` with the choice closest to `word`, or the empty string.

    Upper and lower case are the same, except between choices that differ in nothing else.
    """
    by_lower = {choice.lower(): choice for choice in choices}
    found = get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.5)
    return f" Did you mean {by_lower[found[0]]!r}?" if found else ""


def nearest_argument(error: TypeError, choices: Iterable[str]) -> str:
    """Suggestion of `nearest` for the argument that a class or function does not have."""
    found = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    return nearest(found[1], choices) if found else ""


_INSTALLED = (
    str(Path(__file__).resolve().parent),
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
)


def place_of(error: BaseException) -> str:
    """Innermost place in the user's own code that an error came from, such as `my.py, line 3`.

    Empty if all code is that of Python, jaxpose and other installed packages.
    """
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(("<", *_INSTALLED)):
            return f"{frame.filename}, line {frame.lineno}"
    return ""


def in_one_line(error: BaseException) -> str:
    """Class and text of an error with its place in the user's own code, for a message."""
    text = " ".join(str(error).split())[:500].rstrip(".")
    place = place_of(error)
    words = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"{words} ({place})" if place else words
