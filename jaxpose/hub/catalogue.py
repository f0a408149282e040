"""List of the published models' names, and download of a name's weights."""

import re
from dataclasses import replace
from pathlib import Path

from rich.console import Console

import jaxpose
from jaxpose.convert.reading import PYTORCH, RELEASE
from jaxpose.download.address import address_of
from jaxpose.download.fetch import checksum, fetch
from jaxpose.errors import InputError, nearest
from jaxpose.hub.from_checkpoint import ConvertOptions, release_checkpoint
from jaxpose.models.published.catalogue import UNPUBLISHED, records
from jaxpose.models.published.record import Kind, Published
from jaxpose.paths import cache_folder


def list_models(pattern: str | None = None, kind: Kind | None = None) -> list[str]:
    """List the names of the published models, for `jaxpose.load` and similar functions.

    Args:
      pattern: part of a name, or a shell pattern such as `rtmpose-*` for whole names; None takes
        all.
      kind: "pose", "detector" or "lifter"; None takes all.

    Raises:
      InputError: `kind` is a different value.
    """
    kinds = ("pose", "detector", "lifter")
    if kind not in (None, *kinds):
        raise InputError(f"kind is {kind!r}; choose one of {', '.join(map(repr, kinds))}, or None.")
    return [record.name for record in records(pattern, kind)]


def resolve(where: str | Path) -> str | Path:
    """Return the release folder of a published name; return a path or an address unchanged.

    The weights of a name are downloaded from their address, checked, converted once and kept in
    the cache. If a file or folder of that name exists, it is taken instead, with a note on standard
    error.

    Raises:
      InputError: `where` is a word that is neither a path nor a published name; the address of the
        weights is not known; or as for `fetch` and `release_checkpoint`.
    """
    name = str(where)
    if not re.fullmatch(r"[\w.-]+", name):  # a path with folders, an address, a bucket
        return where
    record = next((r for r in records(name) if r.name == name), None)
    if Path(name).exists():
        if record is not None:
            _note(f"{name} is a published model, too; the file or folder of that name is taken.")
        return where
    if record is not None:
        return _fetched(record)
    if Path(name).suffix in (*PYTORCH, ".safetensors", ".npz"):
        return where  # a missing file, which the function that reads it reports
    unpublished = any(record.name == name for record in UNPUBLISHED)
    reason = (
        f"No weights of {name} are published."
        if unpublished
        else f"There is no file or folder {name}, and no published model of that name."
        f"{nearest(name, list_models())}"
    )
    raise InputError(f"{reason} `jaxpose models` lists the published models.")


def released(file: Path, model: str | None = None) -> Path:
    """Convert a checkpoint to a release, once for each content, and return its folder.

    Args:
      file: the checkpoint.
      model: name of its published model; None finds the model by the arrays.

    Raises:
      InputError: the file does not exist, or as for `release_checkpoint`.
    """
    if not file.is_file():
        raise InputError(f"There is no checkpoint file {file}.")
    name = "-".join(filter(None, (checksum(file)[:16], model, jaxpose.__version__)))
    folder = cache_folder() / "releases" / name
    if not (folder / RELEASE).is_file():
        table = release_checkpoint(file, folder, ConvertOptions(model=model))
        console = Console(stderr=True, soft_wrap=True)
        console.print(table)
        console.print(f"Converted once; kept in {folder}", highlight=False, markup=False)
    return folder


def _fetched(record: Published) -> Path:
    weights = record.weights
    if weights is None:
        raise InputError(
            f"The address of {record.name}'s weights is not known. Download them from their "
            f"authors ({record.source or 'see the paper'}) and convert them: `jaxpose convert FILE "
            f"OUT --model {record.name}`, or give the https:// address of the file."
        )
    address = address_of(weights.address)
    assert address is not None
    if not address.sha256:
        address = replace(address, sha256=weights.sha256)
    return released(fetch(address), record.name)


def _note(text: str) -> None:
    Console(stderr=True, soft_wrap=True).print(f"Note: {text}", highlight=False, markup=False)
