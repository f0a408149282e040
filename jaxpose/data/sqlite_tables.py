"""Reading of tables of an SQLite database that may be damaged or hostile."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from jaxpose.errors import InputError
from jaxpose.file_limits import ANNOTATIONS, check_bytes
from jaxpose.media.image import missing

MOST_BYTES = 2**20
"""Bytes of one value."""


def read_sqlite(
    path: Path, tables: Mapping[str, tuple[str, ...]]
) -> dict[str, list[tuple[Any, ...]]]:
    """Rows of tables, each with the values of the named columns; the file is opened to read only.

    Values are int, float, str, bytes or None. Views and virtual tables, which run expressions or
    code, are not read.

    Args:
      path: the database.
      tables: names of the columns by table; case does not matter.

    Raises:
      InputError: the file is missing, is no intact database, or lacks a table or column.
    """
    if not path.is_file():
        raise InputError(f"{missing(path) if not path.exists() else f'{path} is not a file'}.")
    check_bytes(path, ANNOTATIONS)
    try:
        # Immutable: no lock and no journal is looked for beside the file.
        address = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as database:
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
            database.execute("PRAGMA trusted_schema = OFF")
            _check_tables(path, database, tables)
            return {
                table: database.execute(
                    f"SELECT {', '.join(map(_quoted, columns))} FROM {_quoted(table)}"
                ).fetchall()
                for table, columns in tables.items()
            }
    except (sqlite3.Error, sqlite3.Warning, UnicodeDecodeError, OverflowError) as error:
        raise InputError(f"{path} cannot be read as an SQLite database: {error}.") from error


def _check_tables(
    path: Path, database: sqlite3.Connection, tables: Mapping[str, tuple[str, ...]]
) -> None:
    schema = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
    stored = {
        str(name).lower()
        for name, statement in schema
        if not str(statement).lstrip().upper().startswith("CREATE VIRTUAL")
    }
    for table, columns in tables.items():
        if table.lower() not in stored:
            names = ", ".join(sorted(stored)[:9]) or "none"
            raise InputError(f"{path} has no table {table!r}. It has: {names}.")
        # Generated columns have 2 or 3 as their last value.
        rows = database.execute(f"PRAGMA table_xinfo({_quoted(table)})").fetchall()
        plain = {str(row[1]).lower() for row in rows if row[6] == 0}
        if absent := [column for column in columns if column.lower() not in plain]:
            raise InputError(f"{path}: table {table!r} has no column {', '.join(absent)}.")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
