"""Repositories of Hugging Face's hub, `hf:ORG/REPO`, and folders in the form of transformers."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from jaxpose.console import PlainConsole
from jaxpose.convert.reading import INDEX, RELEASE, shards_of
from jaxpose.convert.release import CARD, CONFIG
from jaxpose.download.transfer import Unreachable
from jaxpose.errors import InputError
from jaxpose.file_limits import SETTINGS, read_text
from jaxpose.json_text import parse_json
from jaxpose.models.published.record import forbids_commerce

PREFIX = "hf:"
"""Start of the name of a repository."""

_NAME = r"hf:(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?"
# Types of transformers' models that this package has, and the words for them in messages.
_TYPES = (
    *("vitpose", "sapiens2", "dinov2", "dinov2_with_registers", "dinov3_vit", "siglip", "siglip2"),
    *("siglip_vision_model", "siglip2_vision_model", "sam", "sam_vision_model"),
)
_KNOWN = (
    "VitPose, VitPose++ and Sapiens2, and as backbones (init_from with reset_head) DINOv2, DINOv3, "
    "SigLIP, SigLIP 2 and Segment Anything"
)


def fetch_repository(where: str) -> Path:
    """Fetch the weights and the configuration of a repository; return their folder in the cache.

    The files are those of a jaxpose release or of transformers: `config.json` and
    `model.safetensors`, or shards with `model.safetensors.index.json`. They are fetched by
    `huggingface_hub`, into its cache, with its settings (`HF_HOME`, `HF_TOKEN`, `HF_ENDPOINT`).

    Args:
      where: `hf:ORG/REPO`, or `hf:ORG/REPO@REVISION` with a branch, tag or commit.

    Raises:
      InputError: another form of name, no such repository or revision, a private one, one without
        such files, or files that cannot be stored.
      Unreachable: the hub cannot be reached, and the files are not in the cache.
    """
    found = re.fullmatch(_NAME, where)
    if found is None:
        raise InputError(
            f"{where} is not a repository of Hugging Face: expected hf:ORG/REPO or "
            "hf:ORG/REPO@REVISION, such as hf:usyd-community/vitpose-base-simple."
        )
    repository, revision = found["repository"], found["revision"]
    config = _file(where, repository, revision, CONFIG)
    if config is None:
        raise InputError(f"{where} has no {CONFIG}, so it is not a folder of a model.")
    folder = config.parent
    # Every file is taken from the commit of the first.
    commit = folder.name if folder.parent.name == "snapshots" else revision
    if _file(where, repository, commit, RELEASE) is None:
        if _file(where, repository, commit, INDEX) is None:
            raise InputError(
                f"{where} has no {RELEASE} and no {INDEX}. Weights in other files, such as "
                "pytorch_model.bin, can be downloaded and converted with `jaxpose convert`."
            )
        for shard in shards_of(folder):
            if _file(where, repository, commit, shard) is None:
                raise InputError(f"{where} lists the file {shard} in {INDEX}, and has none.")
    with suppress(InputError):
        _note_licence(where, _file(where, repository, commit, CARD))
    return folder


def is_model_folder(path: Path) -> bool:
    """True for a folder in the form of transformers or timm, which is not a jaxpose release."""
    whole = (path / RELEASE).is_file() or (path / INDEX).is_file()
    config = _config(path) if whole else None
    return config is not None and "format" not in config


def check_model(path: Path) -> None:
    """Check that the model of a folder for which `is_model_folder` is true exists here.

    Raises:
      InputError: it is another model of transformers; the message has its name.
    """
    config = _config(path) or {}
    kind = config.get("model_type")
    if isinstance(kind, str) and kind not in _TYPES:
        names = config.get("architectures")
        name = names[0] if isinstance(names, list) and names else kind
        raise InputError(
            f"{source_of(path)} has the weights of {name} (model type {kind!r} of transformers), "
            f"which is not a model that jaxpose has. Of transformers' models it reads {_KNOWN}."
        )


def source_of(path: Path) -> str:
    """Name of a folder for messages and cards: `hf:ORG/REPO@COMMIT` in the hub's cache."""
    *_, repository, parent, commit = ("", "", "", *path.parts)
    if parent == "snapshots" and repository.startswith("models--"):
        name = repository.removeprefix("models--").replace("--", "/", 1)
        return f"{PREFIX}{name}@{commit[:12]}"
    return path.name or str(path)


def _config(path: Path) -> dict[str, Any] | None:
    try:
        content = parse_json(read_text(path / CONFIG, SETTINGS))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _file(where: str, repository: str, revision: str | None, name: str) -> Path | None:
    """Path of a file of a repository in the cache, fetched if necessary; None if it has none."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(hf_hub_download(repository, name, revision=revision))
    except LocalEntryNotFoundError as error:
        raise Unreachable(
            f"cannot reach Hugging Face's hub for {where}, and {name} is not in the cache.",
            f"Download the repository elsewhere, at least {CONFIG} and the .safetensors files, and "
            "give the path of the folder; HF_ENDPOINT can name a mirror.",
        ) from error
    except EntryNotFoundError:
        return None
    except GatedRepoError as error:
        raise InputError(
            f"{where} asks for consent to its terms: accept them on its page, and log in with "
            "`hf auth login`."
        ) from error
    except RevisionNotFoundError as error:
        raise InputError(f"{where}: the repository has no revision {revision!r}.") from error
    except RepositoryNotFoundError as error:
        raise InputError(
            f"{where}: there is no repository {repository} on Hugging Face, or it is private and "
            "needs `hf auth login`."
        ) from error
    except HFValidationError as error:
        raise InputError(f"{where} is not the name of a repository: {error}") from error
    except HfHubHTTPError as error:
        raise InputError(f"{where} cannot be fetched: {_first_line(error)}") from error
    except OSError as error:
        raise InputError(
            f"{where} cannot be fetched or stored: {error.strerror or _first_line(error)}. HF_HOME "
            "names another folder for its files."
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _note_licence(where: str, card: Path | None) -> None:
    """Print a note if the metadata of a model card state a licence without commercial use."""
    if card is None:
        return
    text = card.read_text(encoding="utf-8", errors="replace")
    found = re.search(r"\A---\n.*?^license:\s*(\S+)", text, re.DOTALL | re.MULTILINE)
    if found and forbids_commerce(found[1]):
        PlainConsole(stderr=True).print(
            f"Note: the licence of {where}, {found[1]}, forbids commercial use.",
            style="yellow",
        )
