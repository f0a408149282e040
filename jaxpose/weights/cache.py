"""The folder of this machine in which fetched weights stay."""

import os
import sys
from pathlib import Path

FOLDER = "JAXPOSE_CACHE"
"""Environment variable that names another folder."""


def cache_folder() -> Path:
    """Where fetched weights stay; it need not exist.

    `JAXPOSE_CACHE`, or else `jaxpose` where the system keeps what can be fetched again:
    `XDG_CACHE_HOME` or `~/.cache`, on macOS `~/Library/Caches`, on Windows `%LOCALAPPDATA%`.
    """
    if chosen := os.environ.get(FOLDER):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "jaxpose"
