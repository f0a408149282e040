"""Permission to run code that a configuration names and that is not part of jaxpose.

A `config.json` can name classes of a recipe, whose source is in the same folder, and of installed
packages. Building objects of these classes runs code. A file from another person must not run code
without permission. So these classes are found only for files that this user wrote on this machine,
or if the caller passes `trust_recipe=True`.

Every function that writes such a file records a digest of the configuration and of the source in
the cache folder. A run or a release with a recorded digest may run its code, also from a copy on
this machine, because its content is unchanged. Files without a recorded digest are from elsewhere:
a download, an archive, a bucket that another machine wrote, or a file that was edited. Without the
cache folder, as in a new container, all runs count as files from elsewhere.
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
from jaxpose.paths import cache_folder, whole_file

Classes = Callable[[str], type | None]
"""Function from a class path outside of jaxpose to the class; None if there is none.

It raises InputError if the class may not or cannot be imported.
"""


def seal(config: Any, source: RecipeSource | None) -> str:
    """Digest of a configuration (JSON types) and of the recipe's source."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"))
    digest = source.digest if source else ""
    return hashlib.sha256(f"{digest}\n{text}".encode()).hexdigest()


def record_as_own(config: Any, source: RecipeSource | None, where: object) -> None:
    """Record that this user wrote this configuration and source on this machine.

    If the cache folder cannot be written, nothing is recorded, and loading needs `trust_recipe`.
    """
    if not any(True for path in outside_paths(config)):
        return
    folder = _folder()
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = seal(config, source)
        with whole_file(folder / name) as partial:
            partial.write_text(f"{where}\n")
            partial.chmod(0o600)


def is_own(config: Any, source: RecipeSource | None) -> bool:
    """True if this user called `record_as_own` with this configuration and source."""
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
    """Make the function that finds classes outside of jaxpose for one configuration.

    The function raises InputError if the configuration may not run code.

    Args:
      config: the configuration, unchanged from the file.
      source: function that reads the source that is stored with it; called only if needed.
      where: the run or release, for messages.
      trust_recipe: True if the caller trusts the author of the code.
    """
    read = functools.cache(source)

    def find(path: str) -> type | None:
        if not trust_recipe and not is_own(config, read()):
            code = f"the code in {Path(where) / 'recipe'}" if read() else "code of that package"
            raise InputError(
                f"{where} needs code that is not part of jaxpose ({path}), and it was not written "
                f"on this machine by you, or was changed since. Loading it would run {code}. If "
                "you trust its author, read the code and add --trust-recipe (in Python: "
                "trust_recipe=True). The digests of what you wrote are kept in the cache folder "
                f"(JAXPOSE_CACHE), now {cache_folder()}: with another cache folder, your own files "
                "count as files from elsewhere."
            )
        return find_class(path, read(), where)

    return find


def find_class(path: str, source: RecipeSource | None, where: object) -> type | None:
    """Import the class at `path` from a recipe or an installed package; this runs their code.

    Raises:
      InputError: the module does not exist, or cannot be imported.
    """
    module_name, _, name = path.removeprefix(PREFIX).rpartition(".")
    if path.startswith(PREFIX):
        if source is None or not source.has_module(module_name):
            raise InputError(
                f"{where} needs {path}, but the source of its recipe does not contain a module "
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
