"""Conversion of a `config.json` of any schema to the current schema.

Three things can change between versions:

- A class moved or has a new name: add a line to `jaxpose.deprecations`, which is also used for
  imports.
- The keys of a class changed: add a function to `KEY_CHANGES`.
- The keys around the experiment or the estimator changed: add code to the module that reads the
  file (`convert.release` for releases).

To change the keys of a class:

1. If `SCHEMA` is that of the last release, raise it by 1.
2. Add `KEY_CHANGES[SCHEMA - 1]["path.of.the.Class"] = function`. The path is the current one; where
   several old classes became one, it is the path in the older files. The function takes the JSON
   form of an object of that class, `{"class": path, key: value, ...}`, and returns the new form.
   Objects inside of it already have their new form. The function may return a different class, and
   must not change its argument.

       def _metric_object(old: JSON) -> JSON:
           metric = {"class": "jaxpose.metrics.oks.CocoAP"}
           return {k: v for k, v in old.items() if k != "metric"} | {"metrics": [metric]}

3. A new key with a default needs no entry: a file without the key gets the default.

`tests/frozen` contains files of every released schema.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from jaxpose.config.migrations_evaluation import migrate_evaluation
from jaxpose.deprecations import moved
from jaxpose.errors import InputError

SCHEMA = 2
"""Schema of the files that this version writes. Files of 0.1.0 have schema 1, without the entry."""

JSON = dict[str, Any]

KEY_CHANGES: dict[int, dict[str, Callable[[JSON], Any]]] = {
    # From schema 1 (version 0.1.0) to 2:
    1: {
        "jaxpose.tasks.topdown.experiment.Evaluation": migrate_evaluation,
        "jaxpose.tasks.lifting.experiment.LiftingEvaluation": migrate_evaluation,
    },
}


def schema_of(record: Mapping[str, Any], where: object) -> int:
    """Read the schema from a `config.json`'s content.

    Args:
      record: the content.
      where: the file, for messages.

    Raises:
      InputError: it is not a number, or it is newer than this version.
    """
    # Releases of version 0.1.0 have `"format": "jaxpose 1"`; its runs have no such entry.
    schema = record.get("schema", 1)
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise InputError(
            f"{where} is damaged: its schema is {schema!r}, not a number of 1 or more."
        )
    if schema > SCHEMA:
        raise InputError(
            f"{where} was written by a newer version of jaxpose: it has schema {schema}, but this "
            f"version reads schemas up to {SCHEMA}. Update jaxpose (`pip install -U jaxpose`)."
        )
    return schema


def migrate(value: Any, schema: int) -> Any:
    """Convert a value that was written with `schema` to the current JSON form.

    `value` is not changed.
    """
    for step in range(schema, SCHEMA):
        value = _with_objects(value, partial(_new_keys, changes=KEY_CHANGES[step]))
    # Also for the current schema: a class may move without a new schema.
    return _with_objects(value, lambda old: old | {"class": moved(old["class"])})


def _new_keys(old: JSON, changes: Mapping[str, Callable[[JSON], Any]]) -> Any:
    change = changes.get(old["class"]) or changes.get(moved(old["class"]))
    return change(old) if change else old


def _with_objects(value: Any, change: Callable[[JSON], Any]) -> Any:
    """Apply `change` to each object in `value`, inner objects first."""
    if isinstance(value, list):
        return [_with_objects(v, change) for v in value]
    if not isinstance(value, dict):
        return value
    value = {k: _with_objects(v, change) for k, v in value.items()}
    return change(value) if isinstance(value.get("class"), str) else value
