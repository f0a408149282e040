"""A release: weights under our own names, the model they belong to, and a card for people."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.config.recipe_source import RecipeSource
from jaxpose.config.schema import SCHEMA, migrate, schema_of
from jaxpose.convert.reading import RELEASE, load_state_dict
from jaxpose.convert.rules import flatten, nest
from jaxpose.errors import InputError

FORMAT = f"jaxpose {SCHEMA}"
"""Beside `schema` for version 0.1.0, which refuses other formats than its own by this entry."""
CONFIG = "config.json"
CARD = "README.md"


@dataclass(frozen=True)
class Card:
    """Content of a model card beside the configuration.

    Attributes:
      name: the model's.
      source: where the weights come from.
      licence: under which they may be used; whoever converts weights has to look it up.
      input: what the model takes, in words.
      keypoints: names of the keypoints, or one phrase on what they are.
      metrics: figures by name, as measured with these very weights.
      published: what the authors report, with its source.
      takes: as of an `Estimator`; "images" with `finds` for a detector.
      finds: what a detector finds, in words; empty for the others.
      limit: what the weights cannot be used for, in a sentence; empty for nothing.
    """

    name: str
    source: str
    input: str
    keypoints: tuple[str, ...]
    licence: str = "not stated: that of the source applies"
    metrics: Mapping[str, float] | None = None
    published: str = ""
    takes: str = "crops"
    finds: str = ""
    limit: str = ""


@dataclass(frozen=True)
class Release:
    """Variables, and the `config.json` beside them."""

    variables: dict
    config: dict[str, Any]


def save_release(
    folder: str | Path,
    variables: Mapping,
    config: Mapping[str, Any],
    card: Card,
    *,
    overwrite: bool = False,
    recipe: RecipeSource | None = None,
) -> None:
    """Writes `model.safetensors`, `config.json` and `README.md` into a new `folder`.

    The folder appears whole or not at all.

    Args:
      folder: where to.
      variables: `{"params": ..., "batch_stats": ...}`.
      config: JSON types: the model and whatever is needed to run it.
      card: for the model card.
      overwrite: replace `folder` if it is a release.
      recipe: source of classes in the configuration that are not part of jaxpose.

    Raises:
      InputError: if `folder` exists and is not to be overwritten, or cannot be written.
    """
    from safetensors.numpy import save_file

    folder = Path(folder)
    check_free(folder, overwrite)
    arrays = {path: np.ascontiguousarray(leaf) for path, leaf in flatten(variables).items()}
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        try:
            partial.mkdir(parents=True)
            save_file(arrays, partial / RELEASE, {"format": FORMAT})
            content = {"format": FORMAT, "schema": SCHEMA, **config}
            if recipe is not None:
                content["recipe"] = recipe.to_json()
                recipe.write(partial)
            (partial / CONFIG).write_text(json.dumps(content, indent=1) + "\n")
            (partial / CARD).write_text(model_card(card, arrays))
            if folder.exists():
                shutil.rmtree(folder)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror or error}.") from error


def check_free(folder: Path, overwrite: bool) -> None:
    """Checks that a release may be written there.

    Raises:
      InputError: if it may not.
    """
    if not folder.exists():
        return
    if not overwrite:
        raise InputError(f"{folder} exists. Choose another folder, or replace it with --overwrite.")
    if not (folder / RELEASE).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not a release and is left alone. Choose another folder.")


def load_release(folder: str | Path) -> Release:
    """Reads what `save_release` wrote.

    Raises:
      InputError: if it is no release, of a newer schema, or damaged.
    """
    config = load_config(folder)
    return Release(nest(load_state_dict(folder)), config)


def load_config(folder: str | Path) -> dict[str, Any]:
    """The content of a release's `config.json`, in the schema of today.

    Raises:
      InputError: as `load_release`.
    """
    config = read_config(folder)
    schema = schema_of(config, Path(folder) / CONFIG)
    config = {key: value for key, value in config.items() if key not in ("format", "schema")}
    if schema == 1:
        config = with_estimator(config)
    return dict(migrate(config, schema))


def read_config(folder: str | Path) -> dict[str, Any]:
    """The content of a release's `config.json`, as it is in the file.

    Raises:
      InputError: as `load_release`.
    """
    folder = Path(folder)
    file = folder / CONFIG
    if not file.is_file() or not (folder / RELEASE).is_file():
        raise InputError(
            f"{folder} is not a release: it needs {RELEASE} and {CONFIG}, which `jaxpose convert` "
            "writes."
        )
    try:
        config = json.loads(file.read_text())
        config["format"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{file} is damaged ({error}). Fetch or write it again.") from error
    return dict(config)


def with_estimator(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a release of the first format, with its parts put into an estimator."""
    parts = {name: config.pop(name, None) for name in ("model", "codec", "skeleton")}
    if "finds" in config:
        return config
    height_width = config.pop("input_hw", None)
    padding = config.pop("padding", 1.25)
    if not all(parts.values()):
        return config | {"estimator": None}
    lifts = str(parts["codec"].get("class", "")).endswith(".LiftingCodec")
    name = "lifting.estimator.LiftingEstimator" if lifts else "topdown.estimator.TopDownEstimator"
    more = {} if lifts or height_width is None else {"padding": padding}
    return config | {"estimator": {"class": f"jaxpose.tasks.{name}"} | parts | more}


def model_card(card: Card, arrays: Mapping[str, np.ndarray]) -> str:
    """The Markdown text for people."""
    parameters = sum(array.size for path, array in arrays.items() if path.startswith("params/"))
    lines = [
        f"# {card.name}",
        "",
        "For jaxpose, human pose estimation in JAX.",
        "",
        f"- Source of the weights: {card.source}",
        f"- Licence of the weights: {card.licence}",
        f"- Parameters: {parameters / 1e6:.2f} M",
        f"- Input: {card.input}",
        f"- Finds: {card.finds}" if card.finds else f"- Keypoints: {', '.join(card.keypoints)}",
        *([f"- Limit: {card.limit}"] if card.limit else []),
        "",
        "## Metrics",
        "",
    ]
    if card.metrics:
        lines += ["| metric | value |", "|---|---|"]
        # COCO gives -1 where there was nobody to find.
        lines += [
            f"| {name} | {f'{value:.4g}' if value >= 0 else 'undefined'} |"
            for name, value in card.metrics.items()
        ]
    else:
        lines += ["Not measured with these weights yet."]
    if card.published:
        lines += ["", f"Published: {card.published}"]
    predict = "PHOTO --from THIS_FOLDER --boxes full"
    train = ["jaxpose train RECIPE --workdir run --set init_from=THIS_FOLDER"]
    if card.takes == "tracks":
        predict = "VIDEO --from POSE_MODEL --lift THIS_FOLDER"
    if card.finds:
        predict, train = "PHOTO --from POSE_MODEL --detector THIS_FOLDER", []
    lines += ["", "## Use", "", "```", f"jaxpose predict {predict} --out out", *train, "```", ""]
    return "\n".join(lines)
