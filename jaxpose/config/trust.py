"""Which code a configuration may run that is not part of jaxpose.

A `config.json` can name classes of a recipe, whose source lies beside it, and of installed
packages. To build them is to run code. Nobody else's file may do that unasked, so such classes are
found only for what this user wrote on this machine, or if the caller says that they trust it.

Training, and whatever else writes such a file, records a digest of it in the cache folder: of the
configuration and of the source. A run or a release whose digest is recorded may run; wherever it
was copied on this machine, it is still word for word what ran here. All else came from elsewhere:
a download, an archive, a bucket that another machine wrote, or a file that was edited. Where the
cache folder was lost, as in a new container, all runs are from elsewhere.
"""

import functools
import hashlib
import importlib
import json
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from jaxpose.config.recipe_source import PREFIX, RecipeSource
from jaxpose.errors import InputError
from jaxpose.paths import cache_folder

Classes = Callable[[str], type | None]
"""From a class path outside of jaxpose to the class; None if there is none.

Raises InputError where the path may not or cannot be looked up.
"""


def seal(config: Any, source: RecipeSource | None) -> str:
    """Digest of a configuration (JSON types) and of the source that it goes with."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"))
    digest = source.digest if source else ""
    return hashlib.sha256(f"{digest}\n{text}".encode()).hexdigest()


def record_as_own(config: Any, source: RecipeSource | None, where: object) -> None:
    """Remember that this user wrote this configuration and source on this machine.

    Nothing is recorded where the cache folder cannot be written; loading then asks for trust.
    """
    if not any(True for path in outside_paths(config)):
        return
    folder = _folder()
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = seal(config, source)
        partial = folder / f".{name}.{os.getpid()}"
        partial.write_text(f"{where}\n")
        partial.chmod(0o600)
        partial.replace(folder / name)


def is_own(config: Any, source: RecipeSource | None) -> bool:
    """Whether `record_as_own` was called with this configuration and source, by this user."""
    try:
        found = (_folder() / seal(config, source)).stat()
    except OSError:
        return False
    if not hasattr(os, "getuid"):
        return True
    others_write = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return found.st_uid == os.getuid() and not others_write


def classes_for(
    config: Any,
    source: Callable[[], RecipeSource | None],
    where: str | Path,
    trust_recipe: bool,
) -> Classes:
    """Finds classes outside of jaxpose for one configuration, if it may.

    Args:
      config: the configuration, as it stands in the file.
      source: reads the source that is stored with it; called if a class of it is asked for.
      where: the run or release, for messages.
      trust_recipe: the caller trusts whoever wrote it.
    """
    read = functools.cache(source)

    def find(path: str) -> type | None:
        if not trust_recipe and not is_own(config, read()):
            code = f"the code in {Path(where) / 'recipe'}" if read() else "code of that package"
            raise InputError(
                f"{where} needs code that is not part of jaxpose ({path}), and it was not written "
                f"on this machine by you, or was changed since. Loading it would run {code}. If "
                "you trust who wrote it, read the code and add --trust-recipe (in Python: "
                "trust_recipe=True)."
            )
        return find_class(path, read(), where)

    return find


def find_class(path: str, source: RecipeSource | None, where: object) -> type | None:
    """The class at `path`, of a recipe or of an installed package; runs their code.

    Raises:
      InputError: the module is not there, or cannot be imported.
    """
    module_name, _, name = path.removeprefix(PREFIX).rpartition(".")
    if path.startswith(PREFIX):
        if source is None or not source.has_module(module_name):
            raise InputError(
                f"{where} needs {path}, and the source of its recipe does not contain a module "
                f"{module_name!r}. Copy the whole folder again, with the folder 'recipe'."
            )
        load = functools.partial(source.module, module_name)
    else:
        load = functools.partial(importlib.import_module, module_name)
    try:
        cls = getattr(load(), name, None)
    except Exception as error:
        advice = (
            "Install what the recipe imports"
            if path.startswith(PREFIX)
            else "Install the package that it is from, in the version that was used in training"
        )
        raise InputError(
            f"{where} needs {path}, which cannot be imported: {type(error).__name__}: {error}. "
            f"{advice}."
        ) from error
    return cls if isinstance(cls, type) else None


def outside_paths(config: Any) -> list[str]:
    """Paths of all classes in a configuration that are not part of jaxpose."""
    if isinstance(config, list):
        return [path for value in config for path in outside_paths(value)]
    if not isinstance(config, dict):
        return []
    path = config.get("class")
    own = [path] if isinstance(path, str) and not path.startswith("jaxpose.") else []
    return own + [path for value in config.values() for path in outside_paths(value)]


def _folder() -> Path:
    return cache_folder() / "trusted-runs"
