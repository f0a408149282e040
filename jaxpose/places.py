"""Where runs, data and reports lie: folders of this machine, or of a bucket such as `gs://b/run`.

Buckets are read and written through etils.epath, as Orbax and TFDS do.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from etils import epath


def place(text: str | os.PathLike[str]) -> Path:
    """The path that `text` names: epath's for `gs://...`, `s3://...`, else pathlib's.

    Both have what is asked of a path here, so the type says pathlib's.
    """
    return cast(Path, epath.Path(text)) if in_bucket(text) else Path(text)


def in_bucket(path: str | os.PathLike[str]) -> bool:
    """Whether the path is one of a bucket, where files appear whole and are not locked."""
    return "://" in os.fspath(path)


def write_whole(file: Path, text: str) -> None:
    """Write a file that a kill must not cut short: it appears whole or not at all."""
    if in_bucket(file):
        file.write_text(text)
        return
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(text)
    partial.replace(file)


@contextmanager
def through_disk(file: Path) -> Iterator[Path]:
    """A path of this machine to write what becomes `file`, for libraries that know no buckets."""
    if not in_bucket(file):
        yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / file.name
        yield local
        file.write_bytes(local.read_bytes())
