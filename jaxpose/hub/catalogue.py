"""List of the published models' names, and download of a name's weights."""

import re
from dataclasses import replace
from pathlib import Path

from rich.console import Console

import jaxpose
from jaxpose.convert.reading import PYTORCH, RELEASE
from jaxpose.download.address import address_of
from jaxpose.download.fetch import content_checksum, fetch
from jaxpose.download.transfer import Unreachable
from jaxpose.errors import InputError, nearest
from jaxpose.hub.from_checkpoint import ConvertOptions, release_checkpoint
from jaxpose.models.published.catalogue import UNPUBLISHED, records
from jaxpose.models.published.record import Kind, Published
from jaxpose.paths import cache_folder

_NAME = r"[\w.-]+"

USES: dict[Kind, str] = {
    "pose": "a model for keypoints in images. Pass it with --from.",
    "detector": "a detector. Pass it with --detector, and a model for keypoints with --from.",
    "lifter": "a lifter, which takes keypoints and not images. Pass it with --lift, and a model "
    "for images with --from.",
}
"""Ends of sentences `NAME is ...`: what a model of each kind is, and where it is to be given."""


def list_models(pattern: str | None = None, kind: Kind | None = None) -> list[str]:
    """List the names of the published models, for `jaxpose.load` and similar functions.

    Args:
      pattern: part of a name, or a shell pattern such as `rtmpose-*` for whole names, in upper or
        lower case; None takes all.
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
    the cache. If a file or folder of that name exists, it is used instead, with a note on standard
    error.

    Raises:
      InputError: `where` is empty, or a word that is neither a path nor a published name; a folder
        of a published name has no model; the address of the weights is not known; or as for `fetch`
        and `release_checkpoint`.
    """
    name = str(where)
    if not name:
        raise InputError(
            "The name of the model is empty: give a published name, a path or an https:// address."
        )
    record = _record(name)
    if not re.fullmatch(_NAME, name):  # a path with folders, an address, a bucket
        return where
    if Path(name).exists():
        if record is not None and not _has_model(Path(name)):
            raise InputError(
                f"{name} is a folder here without a run or a release, and a published model, too. "
                "Rename the folder to use the published model."
            )
        if record is not None:
            _note(f"{name} is a published model, too; the file or folder of that name is used.")
        return where
    if record is not None:
        return _fetched(record)
    if Path(name).suffix in (*PYTORCH, ".safetensors", ".npz", ".json"):
        return where  # a missing file, which the function that reads it reports
    unpublished = any(record.name == name for record in UNPUBLISHED)
    reason = (
        f"No weights of {name} are published."
        if unpublished
        else f"There is no file or folder {name}, and no published model of that name."
        f"{nearest(name, list_models())}"
    )
    raise InputError(f"{reason} `jaxpose models` lists the published models.")


def check_kind(where: str | Path, *kinds: Kind) -> None:
    """Check that a published name is of one of `kinds`, before anything is downloaded.

    Paths and addresses are not checked.

    Raises:
      InputError: it is of another kind; the message says what it is for.
    """
    record = _record(str(where))
    if record is None or Path(record.name).exists() or record.kind in kinds:
        return
    raise InputError(f"{record.name} is {USES[record.kind]}")


def _record(name: str) -> Published | None:
    if not re.fullmatch(_NAME, name):
        return None
    return next((record for record in records() if record.name == name), None)


def _has_model(path: Path) -> bool:
    return path.is_file() or (path / RELEASE).is_file() or (path / "checkpoints").is_dir()


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
    name = "-".join(filter(None, (content_checksum(file)[:16], model, jaxpose.__version__)))
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
    try:
        file = fetch(address)
    except Unreachable as error:
        raise InputError(
            f"{error} The weights of {record.name} can also be converted from the file: `jaxpose "
            f"convert FILE OUT --model {record.name}`; then give OUT in place of {record.name}."
        ) from error
    return released(file, record.name)


def _note(text: str) -> None:
    Console(stderr=True, soft_wrap=True).print(f"Note: {text}", highlight=False, markup=False)
