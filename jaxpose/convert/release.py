"""Release folder: weights under this library's names, the model's configuration, a model card."""

import json
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
from jaxpose.file_limits import SETTINGS, read_text
from jaxpose.json_text import MAX_DEPTH, parse_json
from jaxpose.metrics.report import NOTHING
from jaxpose.paths import partial_of, put_folder_in_place

FORMAT = f"jaxpose {SCHEMA}"
"""Entry in addition to `schema`, by which version 0.1.0 refuses formats that it cannot read."""
CONFIG = "config.json"
CARD = "README.md"


@dataclass(frozen=True)
class Card:
    """Content of a model card in addition to the configuration.

    Attributes:
      name: name of the model.
      source: source of the weights.
      licence: licence of the weights; the person who converts them has to find it out.
      input: input of the model, in words.
      keypoints: names of the keypoints, or one phrase about them.
      metrics: figures by name, measured with exactly these weights.
      published: figures that the authors report, with their source.
      takes: attribute of the `Estimator`; "images" for a detector, together with `finds`.
      finds: objects that a detector finds, in words; empty for other models.
      limit: one sentence about a use that the weights do not permit; empty for no limit.
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
    """Content of a release folder: variables, and the content of `config.json`."""

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
    half: bool = False,
) -> None:
    """Write `model.safetensors`, `config.json` and `README.md` into a new `folder`.

    The files are written to a temporary folder, which is then renamed, so an incomplete release
    never exists.

    Args:
      folder: folder to write.
      variables: `{"params": ..., "batch_stats": ...}`.
      config: the model and all settings that are needed to run it, as JSON types.
      card: content of the model card.
      overwrite: replace `folder` if it is a release.
      recipe: source of classes in the configuration that are not part of jaxpose.
      half: store parameters as float16, which halves the file. Reading converts them to float32
        again, so that only the rounding remains. Running statistics stay float32: variances may be
        outside the range of float16, and they are few.

    Raises:
      InputError: `folder` exists and `overwrite` is False, or it cannot be written; with `half`, a
        value is outside the range of float16.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    folder = Path(folder)
    check_free(folder, overwrite)
    arrays = {path: np.ascontiguousarray(leaf) for path, leaf in flatten(variables).items()}
    if half:
        arrays = {path: _halved(path, array) for path, array in arrays.items()}
    partial = partial_of(folder)
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
            put_folder_in_place(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{folder} cannot be written: {why}.") from error


def _halved(path: str, array: np.ndarray) -> np.ndarray:
    """Convert float32 parameters to float16; return other arrays unchanged."""
    if array.dtype != np.float32 or not path.startswith("params/"):
        return array
    largest = float(np.abs(array).max(initial=0))
    if not largest <= float(np.finfo(np.float16).max):
        raise InputError(
            f"{path} has a value of {largest:.3g}, which float16 cannot store. Write the release "
            "without --half."
        )
    return array.astype(np.float16)


def check_free(folder: Path, overwrite: bool) -> None:
    """Check that a release may be written to `folder`.

    Raises:
      InputError: it may not.
    """
    if not folder.exists():
        return
    if not (folder / RELEASE).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not a release and is not replaced. Choose another folder.")
    if not overwrite:
        raise InputError(f"{folder} exists. Choose another folder, or replace it with --overwrite.")


def load_release(folder: str | Path) -> Release:
    """Read a folder that `save_release` wrote.

    Raises:
      InputError: it is not a release, has a newer schema, or is damaged.
    """
    config = load_config(folder)
    return Release(nest(load_state_dict(folder)), config)


def load_config(folder: str | Path) -> dict[str, Any]:
    """Read a release's `config.json` and convert it to the current schema.

    Raises:
      InputError: as for `load_release`.
    """
    config = read_config(folder)
    schema = schema_of(config, Path(folder) / CONFIG)
    config = {key: value for key, value in config.items() if key not in ("format", "schema")}
    if schema == 1:
        config = with_estimator(config)
    return dict(migrate(config, schema))


def read_config(folder: str | Path) -> dict[str, Any]:
    """Read a release's `config.json` without changes.

    Raises:
      InputError: as for `load_release`.
    """
    folder = Path(folder)
    file = folder / CONFIG
    if not file.is_file() or not (folder / RELEASE).is_file():
        raise InputError(
            f"{folder} is not a release: it needs {RELEASE} and {CONFIG}, which `jaxpose convert` "
            "writes."
        )
    try:
        config = parse_json(read_text(file, SETTINGS), MAX_DEPTH)
        config["format"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{file} is damaged ({error}). Download or write it again.") from error
    return dict(config)


def with_estimator(config: dict[str, Any]) -> dict[str, Any]:
    """Move the parts of a configuration of the first format into an estimator."""
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
    """Write the Markdown text of a model card."""
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
        # COCO's metrics are -1 where the ground truth has no person.
        lines += [
            f"| {name} | {f'{value:.4g}' if value >= 0 else NOTHING} |"
            for name, value in card.metrics.items()
        ]
    else:
        lines += ["Not measured with these weights yet."]
    if card.published:
        lines += ["", f"Published: {card.published}"]
    predict = "IMAGE --from THIS_FOLDER --boxes full"
    train = ["jaxpose train RECIPE --workdir run --set init_from=THIS_FOLDER"]
    if card.takes == "tracks":
        predict = "VIDEO --from POSE_MODEL --lift THIS_FOLDER"
    if card.takes == "noisy tracks":
        predict = "VIDEO --from POSE_MODEL --smooth THIS_FOLDER"
    if card.takes == "clips":
        # No command takes clips of keypoints alone.
        predict = ""
    if card.takes == "bodies":
        predict = "IMAGE --from POSE_MODEL --mesh THIS_FOLDER"
    if card.takes == "surfaces":
        predict = "IMAGE --from POSE_MODEL --surface THIS_FOLDER"
    if card.finds:
        predict, train = "IMAGE --from POSE_MODEL --detector THIS_FOLDER", []
    commands = [f"jaxpose predict {predict} --out out"] if predict else []
    lines += ["", "## Use", "", "```", *commands, *train, "```", ""]
    return "\n".join(lines)
