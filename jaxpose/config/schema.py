"""Files of earlier versions: a `config.json` of any schema, brought to the schema of today.

Three things can change between versions, and each is one entry in a table:

- A class moved or has another name: a line in `jaxpose.deprecations`, which serves imports, too.
- The keys of a class changed: a function in `KEY_CHANGES`.
- The keys around the experiment or the estimator changed: code where that file is read
  (`convert.release` for releases).

To change the keys of a class:

1. If `SCHEMA` is that of the last release, raise it by 1.
2. Add `KEY_CHANGES[SCHEMA - 1]["path.of.the.Class"] = function`. The path is that of today; where
   several old classes became one, it is the one that the older files contain. The function takes
   the JSON form of an object of that class, `{"class": path, key: value, ...}`, and returns the new
   form. Objects inside of it have their new form already. It may return another class, and must
   not change the dict that it was given.

       def _metric_object(old: JSON) -> JSON:
           metric = {"class": "jaxpose.metrics.oks.CocoAP"}
           return {k: v for k, v in old.items() if k != "metric"} | {"metrics": [metric]}

3. A key that only got a default needs no entry: what a file does not contain is left out.

`tests/frozen` holds files of every released schema.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from jaxpose.config.migrations_evaluation import migrate_evaluation
from jaxpose.deprecations import moved
from jaxpose.errors import InputError

SCHEMA = 2
"""Schema of the files that this version writes. Version 0.1.0 wrote 1 (without saying so)."""

JSON = dict[str, Any]

KEY_CHANGES: dict[int, dict[str, Callable[[JSON], Any]]] = {
    # From schema 1 (version 0.1.0) to 2:
    1: {
        "jaxpose.tasks.topdown.experiment.Evaluation": migrate_evaluation,
        "jaxpose.tasks.lifting.experiment.LiftingEvaluation": migrate_evaluation,
    },
}


def schema_of(record: Mapping[str, Any], where: object) -> int:
    """The schema of a `config.json`'s content.

    Args:
      record: the content.
      where: the file, for messages.

    Raises:
      InputError: no number, or newer than this version.
    """
    # Releases of version 0.1.0 have a format, "jaxpose 1"; its runs have nothing.
    schema = record.get("schema", 1)
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise InputError(f"{where} is damaged: its schema is {schema!r}, not a number from 1 on.")
    if schema > SCHEMA:
        raise InputError(
            f"{where} was written by a newer version of jaxpose: it has schema {schema}, and this "
            f"version reads schemas up to {SCHEMA}. Update jaxpose (`pip install -U jaxpose`)."
        )
    return schema


def migrate(value: Any, schema: int) -> Any:
    """The JSON form of today of a value that was written with `schema`; `value` is not changed."""
    for step in range(schema, SCHEMA):
        value = _with_objects(value, partial(_new_keys, changes=KEY_CHANGES[step]))
    # Of the newest schema, too: a class that moves does not raise it.
    return _with_objects(value, lambda old: old | {"class": moved(old["class"])})


def _new_keys(old: JSON, changes: Mapping[str, Callable[[JSON], Any]]) -> Any:
    change = changes.get(old["class"]) or changes.get(moved(old["class"]))
    return change(old) if change else old


def _with_objects(value: Any, change: Callable[[JSON], Any]) -> Any:
    """`value` with `change` applied to each object in it, from the inside to the outside."""
    if isinstance(value, list):
        return [_with_objects(v, change) for v in value]
    if not isinstance(value, dict):
        return value
    value = {k: _with_objects(v, change) for k, v in value.items()}
    return change(value) if isinstance(value.get("class"), str) else value
