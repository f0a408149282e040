"""Names of models: their list, and the download of a name's weights."""

import hashlib
import re
import tempfile
from pathlib import Path

import jaxpose
from jaxpose.console import PlainConsole
from jaxpose.convert.reading import OPENVINO, PYTORCH, RELEASE, files_of, weight_files
from jaxpose.download.fetch import checksum, fetch, is_fetched, known_checksum
from jaxpose.download.transfer import Unreachable
from jaxpose.errors import InputError, nearest, reason
from jaxpose.hub.addresses import address_for, by_hand
from jaxpose.hub.convert_options import ConvertOptions
from jaxpose.hub.from_checkpoint import release_checkpoint
from jaxpose.hub.hugging_face import PREFIX, check_model, fetch_repository, is_model_folder
from jaxpose.hub.shipped import shipped_folder, shipped_kind, shipped_names
from jaxpose.models.published.catalogue import OLD_NAMES, UNPUBLISHED, is_named, records
from jaxpose.models.published.not_runnable import not_runnable
from jaxpose.models.published.record import Keypointed, Kind, Published
from jaxpose.paths import CACHE_VARIABLE, cache_folder

HOLISTIC = "holistic"
"""Name of the pipeline of body, face and hands (`pipeline.Holistic`), which has several models."""

_NAME = r"[\w.-]+"

USES: dict[Kind, str] = {
    "pose": "a model for keypoints in images. Pass it with --from.",
    "detector": "a detector. Pass it with --detector, and a model for keypoints with --from.",
    "lifter": "a lifter, which takes keypoints and not images. Pass it with --lift, and a model "
    "for images with --from.",
    "backbone": "a backbone with ImageNet weights, which finds no keypoints. Train a model with "
    "this backbone and start from these weights: init_from=NAME, reset_head=true.",
    "action": "a classifier of actions, which takes keypoints over time and not images. Pass it "
    "with --actions, and a model for images with --from.",
    "mesh": "a model of bodies or hands as meshes. Pass it with --mesh, and a model for keypoints "
    "with --from.",
}
"""Ends of sentences `NAME is ...`: what a model of each kind is, and where it is to be given."""


def list_models(pattern: str | None = None, kind: Kind | None = None) -> list[str]:
    """List the names of the models in the package and of the published ones, for `jaxpose.load`.

    Args:
      pattern: part of a name, or a shell pattern such as `rtmpose-*` for whole names, in upper or
        lower case; None takes all.
      kind: "pose", "detector", "lifter", "backbone", "action" or "mesh"; None takes all.

    Raises:
      InputError: `kind` is a different value.
    """
    kinds = ("pose", "detector", "lifter", "backbone", "action", "mesh")
    if kind not in (None, *kinds):
        raise InputError(f"kind is {kind!r}; choose one of {', '.join(map(repr, kinds))}, or None.")
    inside = [name for name in shipped_names() if pattern is None or is_named(name, pattern)]
    return [
        *(name for name in inside if kind in (None, shipped_kind(name))),
        *(record.name for record in records(pattern, kind)),
    ]


def resolve(where: str | Path) -> str | Path:
    """Return the folder of a name's model; return a path or an address unchanged.

    The weights of a published name are downloaded from their address, checked, converted once and
    kept in the cache. Names of models in the package lead to their release folders, and
    `hf:ORG/REPO` to the folder of a repository in the cache of `huggingface_hub`. If a file or
    folder of a name exists, it is used instead, with a note on standard error.

    Raises:
      InputError: `where` is empty, or a word that is neither a path nor a name; a folder of a
        published name has no model; the model cannot run yet; the address of the weights is not
        known; or as for `fetch`, `fetch_repository` and `release_checkpoint`.
      Unreachable: the weights are not in the cache, and their host cannot be reached.
    """
    name = str(where)
    if not name:
        raise InputError(
            "The name of the model is empty: give a published name, a path or an https:// address."
        )
    if name.startswith(PREFIX):
        return fetch_repository(name)
    record = find_record(name)
    if not re.fullmatch(_NAME, name):  # a path with folders, an address, a bucket
        return where
    inside = shipped_folder(name)
    if Path(name).exists():
        if (record is not None or inside is not None) and not _has_model(Path(name)):
            raise InputError(
                f"{name} is a folder here without a run or a release, and a published model, too. "
                "Rename the folder to use the published model."
            )
        if record is not None or inside is not None:
            print_note(
                f"{name} is a published model, too; the file or folder of that name is used."
            )
        return where
    if record is not None:
        return _fetched(record)
    if inside is not None:
        return inside
    if Path(name).suffix in (*PYTORCH, OPENVINO, ".safetensors", ".npz", ".json", ".tflite", ".pb"):
        return where  # a missing file, which the function that reads it reports
    raise InputError(f"{_unknown(name)} `jaxpose models` lists the published models.")


def weights_in(folder: Path) -> str:
    """Sentence about the files of weights in a folder that is no model; empty if it has none."""
    suffixes = (*PYTORCH, OPENVINO, ".safetensors", ".npz", ".tflite", ".pb")
    names = sorted(path.name for path in folder.glob("*") if path.suffix.lower() in suffixes)
    if not names:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (
        f" It has files of weights ({', '.join(names[:3])}{more}): give the path of one of them. "
        "Other files beside it, such as a config.py, are not read."
    )


def check_kind(where: str | Path, *kinds: Kind) -> None:
    """Check that a name is of one of `kinds`, before anything is downloaded.

    Paths and addresses are not checked.

    Raises:
      InputError: it is of another kind; the message says what it is for.
    """
    record = find_record(str(where))
    kind = record.kind if record is not None else shipped_kind(str(where))
    if kind is None or Path(where).exists() or kind in kinds:
        return
    raise InputError(f"{where} is {USES[kind]}")


def is_holistic(where: str | Path | None) -> bool:
    """True for the name of the holistic pipeline, unless a file or folder has this name."""
    return str(where) == HOLISTIC and not Path(HOLISTIC).exists()


def find_record(name: str) -> Published | None:
    """Return the record of a published name, or of its older name; None if there is none."""
    name = OLD_NAMES.get(name, name)
    return next((record for record in records() if record.name == name), None)


def _unknown(name: str) -> str:
    """Sentence about a name without a model."""
    row = next((row for row in not_runnable() if row.name == name), None)
    if row is not None:
        return (
            f"jaxpose cannot run {name} yet. {row.reason} Its weights are at "
            f"{row.weights.address} ({row.licence})."
        )
    if name == HOLISTIC:
        return (
            "holistic is no single model but a pipeline of several: `jaxpose predict --from "
            "holistic`, `jaxpose demo --from holistic` or `jaxpose.Pipeline.load('holistic')`."
        )
    if any(record.name == name for record in UNPUBLISHED):
        return f"No weights of {name} are published."
    known = [*list_models(), *(row.name for row in not_runnable())]
    return (
        f"There is no file or folder {name}, and no published model of that name."
        f"{nearest(name, known)}"
    )


def _has_model(path: Path) -> bool:
    return path.is_file() or (path / RELEASE).is_file() or (path / "checkpoints").is_dir()


def released(source: Path, record: Published | None = None) -> Path:
    """Convert a checkpoint to a release, once for each content, and return its folder.

    A release appears in the cache whole or not at all, also if several processes write it.

    Args:
      source: the checkpoint, a file or a folder in the form of transformers.
      record: its published model, whose keypoints and image size it must have; None finds the
        model by the arrays.

    Raises:
      InputError: the file does not exist, or as for `release_checkpoint`.
    """
    if not source.is_file() and not is_model_folder(source):
        raise InputError(f"There is no checkpoint file {source}.")
    if source.is_dir():
        check_model(source)
    options = ConvertOptions()
    if record is not None:
        count = record.num_keypoints if isinstance(record, Keypointed) else None
        size = record.input_hw and "{}x{}".format(*record.input_hw)
        options = ConvertOptions(model=record.name, keypoints=count, input_size=size)
    name = "-".join(filter(None, (_digest(source)[:16], options.model, jaxpose.__version__)))
    folder = cache_folder() / "releases" / name
    if (folder / RELEASE).is_file():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent) as staging:
            table, _ = release_checkpoint(source, Path(staging, name), options)
            _move(Path(staging, name), folder)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written: {reason(error)}. The environment variable "
            f"{CACHE_VARIABLE} names another folder."
        ) from error
    console = PlainConsole(stderr=True)
    console.print(table)
    console.print(f"Converted once; kept in {folder}")
    return folder


def _digest(source: Path) -> str:
    """Digits for the content of a checkpoint."""
    files = files_of(source) if source.is_file() else tuple(weight_files(source))
    if files == (source,):
        return known_checksum(source)
    return hashlib.sha256("".join(map(checksum, files)).encode()).hexdigest()


def _move(whole: Path, folder: Path) -> None:
    """Rename a release; if another process has written the same one meanwhile, keep that."""
    try:
        whole.rename(folder)
    except OSError:
        if not (folder / RELEASE).is_file():
            raise


def _fetched(record: Published) -> Path:
    address = address_for(record)
    if address is None:
        raise InputError(
            f"The address of {record.name}'s weights is not known. Download them from their "
            f"authors ({record.source or 'see the paper'}) and convert them: `jaxpose convert FILE "
            f"OUT --model {record.name}`, or give the https:// address of the file."
        )
    is_new = not is_fetched(address)
    try:
        file = fetch(address)
    except Unreachable as error:
        raise Unreachable(
            f"The weights of {record.name} are not in the cache: {error.reason}",
            by_hand(address),
        ) from error
    if is_new and not record.commercial:
        print_note(
            f"the licence of {record.name}'s weights, {record.licence}, forbids commercial use."
        )
    if record.kind == "backbone":
        return file  # only a start for training, which reads any checkpoint
    try:
        return released(file, record)
    except InputError as error:
        first, _, arrays = str(error).partition("\n")
        if not arrays:
            raise
        raise InputError(
            f"The file {file} does not have the arrays of {record.name}: it is of another size or "
            f"model. Remove it to fetch it again from {address.url}. (`jaxpose convert` says: "
            f"{first.rstrip(':')})"
        ) from error


def print_note(text: str) -> None:
    """Print a note on standard error."""
    PlainConsole(stderr=True).print(f"Note: {text}")
