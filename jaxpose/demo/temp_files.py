"""Temporary files of uploads and results."""

import re
import shutil
import time
from pathlib import Path


def stored(folder: Path) -> int:
    """Bytes of all files below a folder; files that vanish meanwhile do not count."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def without_folders(message: str, folder: Path) -> str:
    """A message for visitors: files below a folder by their names alone."""
    return re.sub(rf"{re.escape(str(folder))}[\\/](\S*[\\/])?", "", message)


def sweep(folder: Path, seconds: float) -> None:
    """Removes files and folders in a folder that are older than `seconds`."""
    for path in folder.iterdir():
        try:
            if time.time() - path.stat().st_mtime <= seconds:
                continue
        except FileNotFoundError:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
