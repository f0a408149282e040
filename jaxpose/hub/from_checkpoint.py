"""Conversion of another project's checkpoint, or of a run, to a release folder."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.table import Table

from jaxpose import skeletons
from jaxpose.codecs.codec import ImageCodec, border_of
from jaxpose.config import to_json
from jaxpose.config.trust import outside_paths, record_as_own
from jaxpose.console import PlainConsole
from jaxpose.convert.actions import is_action_model, recognise_action
from jaxpose.convert.choose import (
    Clues,
    choose,
    named_by_file,
    published_skeleton,
    skeleton_of_dataset,
)
from jaxpose.convert.formats import detect
from jaxpose.convert.identify import Identified, identify
from jaxpose.convert.load import load_pretrained, to_variables
from jaxpose.convert.mismatch import Mismatch
from jaxpose.convert.reading import Weights, dataset_of, input_hw_of, read_weights
from jaxpose.convert.release import Card, save_release
from jaxpose.counts import Counts
from jaxpose.detect.detector import Detector
from jaxpose.detect.weights import is_detector, recognise_detector
from jaxpose.download.fetch import known_checksum
from jaxpose.errors import InputError
from jaxpose.hub.backbone import release_backbone
from jaxpose.hub.convert_options import ConvertOptions, count_arrays, parse_size
from jaxpose.hub.hugging_face import source_of
from jaxpose.hub.meshes import release_mesh_model
from jaxpose.metrics.report import Report
from jaxpose.models.build import count_parameters
from jaxpose.models.lifting.lifter import Lifter
from jaxpose.models.published.catalogue import CATALOGUE, LIFTERS, UNPUBLISHED, find
from jaxpose.models.published.record import (
    Keypointed,
    PublishedAction,
    PublishedBackbone,
    PublishedDetector,
    PublishedLifter,
    PublishedMesh,
    PublishedPose,
)
from jaxpose.paths import atomic_write
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.actions.estimator import ActionEstimator
from jaxpose.tasks.bottomup.estimator import BottomUpEstimator
from jaxpose.tasks.detection.experiment import DetectionExperiment
from jaxpose.tasks.lifting.estimator import LiftingEstimator
from jaxpose.tasks.topdown.estimator import TopDownEstimator
from jaxpose.train.run_dir import Run


def release_checkpoint(
    source: Path, out: Path, options: ConvertOptions
) -> tuple[Table, list[Counts]]:
    """Write the release folder `out` from the checkpoint `source`.

    `source` is a file, or a folder in the form of transformers.

    Returns:
      A table of the release's content, and the counts of the checkpoint's arrays.

    Raises:
      InputError: as for `load_state_dict`, `identify`, `choose` and `save_release`; options do not
        fit the checkpoint.
    """
    weights = read_weights(source, ema=options.ema)
    state_dict = weights.arrays
    if is_detector(state_dict):
        return _release_detector(source, weights, out, options)
    known = detect(state_dict)
    if known.only_backbone and known.infer is not None and not options.model:
        return release_backbone(source, weights, out, options)
    if known.purpose == "meshes":
        return release_mesh_model(source, weights, out, options)
    if is_action_model(state_dict):
        return _release_action_model(source, weights, out, options)
    dataset = dataset_of(source)
    clue = dataset or known.dataset
    named = skeletons.load(options.skeleton) if options.skeleton else None
    try:
        fits = _fits(state_dict, options, input_hw_of(source))
        if not options.model:
            fits = choose(fits, Clues(source.name, clue, named))
        variables = _variables(state_dict, fits[0], options)
    except Mismatch as error:
        if options.report is None:
            raise InputError(f"{error}\n--report FILE writes the full list.") from error
        atomic_write(options.report, error.full + "\n")
        raise InputError(f"{error}\nThe full list is in {options.report}.") from error
    fit = fits[0]
    entry = fit.entry
    skeleton = _skeleton(fit, named, dataset)
    estimator = _estimator(fit, skeleton)
    config = {
        "name": entry.name,
        "estimator": None if estimator is None else to_json(estimator),
        "num_keypoints": fit.num_keypoints,
    }
    limit = entry.limit if isinstance(entry, PublishedLifter) else ""
    card = Card(
        entry.name,
        f"{source_of(source)} ({detect(state_dict).name})",
        _input(fit),
        skeleton.keypoints if skeleton else (f"{fit.num_keypoints}, not named",),
        licence=detect(state_dict).licence or licence_of(source, entry, options),
        published=""
        if options.reset_head
        else ", ".join(filter(None, (entry.score, entry.source))),
        takes="tracks" if isinstance(entry, PublishedLifter) else entry.takes,
        limit=limit,
    )
    if limit:
        config["limit"] = limit
    save_release(out, variables, config, card, overwrite=options.overwrite, half=options.half)
    stated = bool(options.model or named or clue) or named_by_file(fit, source.name)
    counts = count_arrays(weights, fit.model, options.reset_head)
    return _table(counts, state_dict, fits, variables, skeleton, dataset, options, stated), [counts]


def _fits(
    state_dict: Mapping[str, np.ndarray],
    options: ConvertOptions,
    stated_hw: tuple[int, int] | None,
) -> list[Identified]:
    """Models that take the arrays; `stated_hw` is the image size that the file states."""
    entries = [_named(options.model)] if options.model else [*CATALOGUE, *LIFTERS, *UNPUBLISHED]
    size = parse_size(options.input_size) if options.input_size else stated_hw
    if not options.reset_head:
        return identify(state_dict, entries, options.keypoints, size)
    if not options.model:
        raise InputError("--reset-head needs --model: several models have the same backbone.")
    (entry,) = entries
    if isinstance(entry, PublishedLifter):
        raise InputError("--reset-head is for models that take images; leave it out for a lifter.")
    count = options.keypoints or entry.num_keypoints
    size = size or entry.input_hw
    return [Identified(entry, entry.variant(count, size), count, size)]


def _named(name: str) -> Keypointed:
    record = find(name)
    if isinstance(record, PublishedDetector):
        raise InputError(f"{name} is a detector, but these weights are not those of a detector.")
    if isinstance(record, PublishedBackbone):
        raise InputError(
            f"{name} is a backbone without keypoints. Name a model with this backbone, such as "
            f"{name}-pose, and initialise its head (--reset-head)."
        )
    if isinstance(record, PublishedAction):
        raise InputError(f"{name} classifies actions, but these weights find keypoints.")
    if isinstance(record, PublishedMesh):
        raise InputError(f"{name} gives meshes, but these weights find keypoints.")
    assert isinstance(record, Keypointed)
    return record


def licence_of(source: Path, entry: Keypointed | PublishedAction, options: ConvertOptions) -> str:
    """Licence of the record if the file is the published one; otherwise the source's applies."""
    weights = entry.weights
    if weights is None or not entry.licence or source.is_dir():
        return Card.licence
    if weights.sha256:
        published = known_checksum(source).startswith(weights.sha256)
    else:
        published = options.model == entry.name and source.name == weights.file_name
    return entry.licence if published else Card.licence


def _codec(fit: Identified) -> Any:
    """Codec of a pose model for the size of the checkpoint's images; None if there is none."""
    entry = fit.entry
    assert isinstance(entry, PublishedPose)
    return entry.codec and entry.codec(fit.input_hw or entry.input_hw)


def _input(fit: Identified) -> str:
    if fit.input_hw is None:
        frames = fit.model.backbone.frames
        return f"one person's {fit.num_keypoints} keypoints, frames: {frames}"
    height, width = fit.input_hw
    whole = isinstance(fit.entry, PublishedPose) and fit.entry.takes == "images"
    part = "one person's box"
    if whole:
        grey = (codec := _codec(fit)) is not None and border_of(codec)
        part = f"a whole image with {'grey' if grey else 'black'} margins"
    return f"RGB, {width} x {height} pixels (width x height), {part}"


def _variables(
    state_dict: Mapping[str, np.ndarray], fit: Identified, options: ConvertOptions
) -> dict[str, Any]:
    if options.reset_head:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            variables = load_pretrained(fit.model, state_dict, reset_head=True)
        for warning in caught:
            PlainConsole(stderr=True).print(f"Note: {warning.message}")
        return variables
    return to_variables(state_dict, fit.model, fit.input_hw)


def _release_detector(
    source: Path, weights: Weights, out: Path, options: ConvertOptions
) -> tuple[Table, list[Counts]]:
    """Write the release of a detector; return a table of its content, and the counts."""
    state_dict = weights.arrays
    if options.keypoints or options.skeleton or options.reset_head:
        raise InputError(
            f"{source} is a detector, which has no keypoints and is not trained here: leave "
            "--keypoints, --skeleton and --reset-head out."
        )
    entry, model, variables = recognise_detector(state_dict, options.model)
    stated = input_hw_of(source) or entry.input_hw
    size = parse_size(options.input_size) if options.input_size else stated
    detector = Detector.of(model)(model, variables, size, name=entry.name)
    name = detect(state_dict).name
    detector.save(
        out,
        source=f"{source_of(source)} ({name})",
        finds=entry.finds,
        overwrite=options.overwrite,
        half=options.half,
    )
    table = Table(show_header=False)
    table.add_row("format", name)
    table.add_row("detector", entry.name)
    table.add_row("parameters", f"{count_parameters(variables) / 1e6:.2f} M")
    table.add_row("input", f"{size[1]} x {size[0]} pixels")
    return table, [count_arrays(weights, model)]


def _release_action_model(
    source: Path, weights: Weights, out: Path, options: ConvertOptions
) -> tuple[Table, list[Counts]]:
    """Write the release of a classifier of actions; return a table of it, and the counts."""
    if options.keypoints or options.skeleton or options.input_size or options.reset_head:
        raise InputError(
            f"{source} is a classifier of actions, whose keypoints are those of its graph: leave "
            "--keypoints, --skeleton, --input-size and --reset-head out. To train other classes, "
            "start a recipe from these weights with init_from and reset_head."
        )
    entry, model, variables = recognise_action(weights.arrays, options.model)
    count, name = model.head.num_classes, detect(weights.arrays).name
    classes = tuple(str(i) for i in range(count))
    config: dict[str, Any] = {"name": entry.name, "estimator": None, "num_classes": count}
    described = f"clips of {entry.num_keypoints} keypoints, frames: {entry.frames}"
    if entry.codec is not None and entry.skeleton is not None:
        estimator = ActionEstimator(model, entry.codec, entry.skeleton, classes)
        config["estimator"] = to_json(estimator)
        described = estimator.describe_input()
    if entry.limit:
        config["limit"] = entry.limit
    keypoints = entry.skeleton.keypoints if entry.skeleton else (f"{entry.num_keypoints}",)
    card = Card(
        entry.name,
        f"{source_of(source)} ({name})",
        described,
        keypoints,
        licence=licence_of(source, entry, options),
        published=", ".join(filter(None, (entry.score, entry.source))),
        takes="clips",
        limit=entry.limit,
    )
    save_release(out, variables, config, card, overwrite=options.overwrite, half=options.half)
    table = Table(show_header=False)
    table.add_row("format", name)
    table.add_row("model", entry.name)
    table.add_row("parameters", f"{count_parameters(variables) / 1e6:.2f} M")
    table.add_row("classes", f"{count}, with numbers for names")
    if entry.limit:
        table.add_row("limit", entry.limit)
    return table, [count_arrays(weights, model)]


def release_run(run: Run, out: Path, overwrite: bool, half: bool = False) -> None:
    """Write the release folder `out` from a checkpoint of a run and the scores of the run.

    Args:
      run: the run, with the variables of one checkpoint.
      out: folder to write.
      overwrite: replace an existing release.
      half: store the weights as float16.

    Raises:
      InputError: as for `save_release`.
    """
    if isinstance(run.experiment, DetectionExperiment):
        detector = run.experiment.task().detector(run.variables)
        detector.name = run.directory.name
        source = f"trained with jaxpose, checkpoint of step {run.step}"
        detector.save(out, source=source, overwrite=overwrite, half=half)
        return
    file = run.directory / "report.json"
    metrics = Report.from_json(file.read_text()).metrics if file.is_file() else None
    estimator, variables = run.experiment.task().estimator(run.variables)
    config = to_json(estimator)
    recipe = run.recipe if outside_paths(config) else None
    save_release(
        out,
        jax.device_get(variables),
        {"name": run.directory.name, "estimator": config},
        Card(
            run.directory.name,
            f"trained with jaxpose, checkpoint of step {run.step}",
            estimator.describe_input(),
            estimator.skeleton.keypoints,
            licence="to be stated by the person who publishes it",
            metrics=metrics,
            takes=estimator.takes,
        ),
        overwrite=overwrite,
        recipe=recipe,
        half=half,
    )
    record_as_own(config, recipe, out)


def _estimator(
    fit: Identified, skeleton: Skeleton | None
) -> TopDownEstimator | BottomUpEstimator | LiftingEstimator | None:
    """Make the estimator that prediction needs; None where codec or skeleton are not known."""
    entry, model = fit.entry, fit.model
    if skeleton is None or entry.codec is None:
        return None
    if isinstance(entry, PublishedLifter):
        assert isinstance(model, Lifter)
        if fit.num_keypoints != entry.num_keypoints:
            return None  # the codec's root and statistics are for the published joints
        return LiftingEstimator(model, entry.codec, skeleton)
    codec = _codec(fit)
    if entry.takes == "images":
        assert isinstance(codec, ImageCodec)
        return BottomUpEstimator(model, codec, skeleton)
    return TopDownEstimator(model, codec, skeleton, entry.padding)


def _skeleton(fit: Identified, named: Skeleton | None, dataset: str) -> Skeleton | None:
    """Skeleton from the user, or else the metadata, or else the record; None if there is none.

    `dataset` is that of the file's metadata, empty for none. The record's skeleton is not taken for
    a dataset that is not built in, because its keypoints may be different even if their number is
    the same.
    """
    count = fit.num_keypoints
    if named is not None and named.num_keypoints != count:
        raise InputError(f"The model has {count} keypoints, {named.name} {named.num_keypoints}.")
    published = published_skeleton(fit)
    if isinstance(fit.entry, PublishedLifter):
        return named or published
    return named or (skeleton_of_dataset(dataset, count) if dataset else published)


def _table(
    counts: Counts,
    state_dict: Mapping[str, np.ndarray],
    fits: list[Identified],
    variables: dict[str, Any],
    skeleton: Skeleton | None,
    dataset: str,
    options: ConvertOptions,
    stated: bool,
) -> Table:
    """Table of a conversion; `stated` is False if only the arrays decided on the skeleton."""
    fit, *others = fits
    source = detect(state_dict)
    table = Table(show_header=False)
    table.add_row("format", source.name)
    table.add_row("model", fit.entry.name)
    if source.licence:
        table.add_row("licence", f"{source.licence}, that of {source.name}'s weights")
    if others:
        table.add_row("same shapes", ", ".join(other.entry.name for other in others))
    table.add_row("parameters", f"{count_parameters(variables) / 1e6:.2f} M")
    what = f"{fit.num_keypoints}, {skeleton.name if skeleton else 'not named: use --skeleton'}"
    table.add_row("keypoints", what)
    if skeleton and not stated:
        one = "models" if others else "model"
        whose = f"that of the only published {one} with these arrays"
        table.add_row("skeleton", f"{skeleton.name}, {whose}; --skeleton changes it")
    if dataset and not skeleton:
        table.add_row("", f"the checkpoint's dataset, {dataset}, is not built in")
    if fit.input_hw is not None:
        table.add_row("input", f"{fit.input_hw[1]} x {fit.input_hw[0]} pixels")
    if isinstance(fit.entry, PublishedLifter) and fit.entry.limit:
        table.add_row("limit", fit.entry.limit)
    if options.reset_head:
        table.add_row("arrays", "the backbone's; the head is initialised")
        return table
    table.add_row("arrays", f"{counts.done} used, {counts.given - counts.done} dropped")
    for reason, count in counts.left_out.items():
        table.add_row("", f"{count} dropped: {reason}")
    return table
