"""A checkpoint of another project, or a run, into a release folder."""

import re
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from jaxpose import skeletons
from jaxpose.codecs import AnyCodec, IntegralRegression, Regression, SimCC
from jaxpose.codecs.heatmap import msra, udp
from jaxpose.codecs.simcc import rtmpose
from jaxpose.config import to_json
from jaxpose.config.trust import outside_paths, record_as_own
from jaxpose.convert.formats import detect
from jaxpose.convert.identify import Identified, identify
from jaxpose.convert.load import load_pretrained, plan_for, recognise, to_variables
from jaxpose.convert.mismatch import Mismatch
from jaxpose.convert.reading import load_state_dict
from jaxpose.convert.release import Card, save_release
from jaxpose.convert.unpublished_variants import SIBLINGS
from jaxpose.detect.detector import Detector
from jaxpose.detect.weights import is_detector, recognise_detector
from jaxpose.errors import InputError
from jaxpose.metrics.report import Report
from jaxpose.models.build import PoseModel, count_parameters
from jaxpose.models.published.catalogue import CATALOGUE, find
from jaxpose.models.published.entry import Published
from jaxpose.models.published.vitpose import VITPOSE_PLUS_DATASETS
from jaxpose.models.rtmcc import RTMCCHead
from jaxpose.models.vit import ViT
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.topdown.estimator import TopDownEstimator
from jaxpose.train.run_dir import Run

# What so many keypoints are, unless told otherwise.
_USUAL = {
    skeleton.num_keypoints: skeleton
    for skeleton in (
        skeletons.COCO17,
        skeletons.COCO_WHOLEBODY133,
        skeletons.MPII16,
        skeletons.HAND21,
        skeletons.FACE68,
        skeletons.FACE98,
    )
}
# Data sets of ViTPose++ that a number of keypoints tells; 17 are COCO's.
_EXPERTS = {14: "AIC", 16: "MPII", 133: "COCO-WholeBody"}


@dataclass(frozen=True)
class ConvertOptions:
    """How to convert.

    Attributes:
      model: name in the catalogue or of one of its siblings; None tries all.
      keypoints: number of keypoints; None reads it off the head.
      input_size: `HEIGHTxWIDTH` of the images it was trained on; None reads it off the arrays where
        they tell, or else takes what is published.
      skeleton: which keypoints these are; None takes the usual ones of that number.
      ema: as in `load_state_dict`.
      reset_head: keep only the backbone.
      overwrite: replace a release that is there.
      report: file for the full list of what does not fit.
    """

    model: str | None = None
    keypoints: int | None = None
    input_size: str | None = None
    skeleton: str | None = None
    ema: bool | None = None
    reset_head: bool = False
    overwrite: bool = False
    report: Path | None = None


def release_checkpoint(source: Path, out: Path, options: ConvertOptions) -> Table:
    """Writes the release folder `out` from the checkpoint `source`, and tells what it holds.

    Raises:
      InputError: as `convert`.
    """
    state_dict = load_state_dict(source, ema=options.ema)
    if is_detector(state_dict):
        return _release_detector(source, state_dict, out, options)
    try:
        fits = _fits(state_dict, options)
        variables = _variables(state_dict, fits[0], options)
    except Mismatch as error:
        if options.report is None:
            raise InputError(f"{error}\n--report FILE writes the full list.") from error
        options.report.write_text(error.full + "\n")
        raise InputError(f"{error}\nThe full list is in {options.report}.") from error
    fit = fits[0] = with_expert(fits[0])
    skeleton = _skeleton(fit.num_keypoints, options.skeleton)
    entry = fit.entry
    save_release(
        out,
        variables,
        {
            "name": entry.name,
            "estimator": _estimator(fit, skeleton, variables),
            "num_keypoints": fit.num_keypoints,
        },
        Card(
            entry.name,
            f"{source.name} ({detect(state_dict).name})",
            f"RGB, {fit.input_hw[1]} x {fit.input_hw[0]} pixels (width x height), one person's box",
            skeleton.keypoints if skeleton else (f"{fit.num_keypoints}, not named",),
            published=""
            if options.reset_head
            else ", ".join(filter(None, (entry.score, entry.source))),
        ),
        overwrite=options.overwrite,
    )
    return _table(state_dict, fits, variables, skeleton, options)


def _fits(state_dict: Mapping[str, np.ndarray], options: ConvertOptions) -> list[Identified]:
    entries = [_named(options.model)] if options.model else [*CATALOGUE, *SIBLINGS]
    size = _parse_size(options.input_size) if options.input_size else None
    if not options.reset_head:
        return identify(state_dict, entries, options.keypoints, size)
    if not options.model:
        raise InputError("--reset-head needs --model: a backbone alone does not tell which.")
    (entry,) = entries
    count = options.keypoints or entry.num_keypoints
    size = size or entry.input_hw
    return [Identified(entry, entry.make(count, size), count, size)]


def with_expert(fit: Identified) -> Identified:
    """A ViT with experts, set to the data set that has so many keypoints; else to the first."""
    backbone = fit.model.backbone
    if not (isinstance(backbone, ViT) and backbone.experts == len(VITPOSE_PLUS_DATASETS)):
        return fit
    dataset = VITPOSE_PLUS_DATASETS.index(_EXPERTS.get(fit.num_keypoints, "COCO"))
    return replace(fit, model=fit.model.clone(backbone=backbone.clone(dataset=dataset)))


def _named(name: str) -> Published:
    return next((entry for entry in SIBLINGS if entry.name == name), None) or find(name)


def _parse_size(text: str) -> tuple[int, int]:
    if not (match := re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)):
        raise InputError(
            f"--input-size is {text!r}: give the height and the width in pixels, as in 256x192."
        )
    return int(match[1]), int(match[2])


def _variables(
    state_dict: Mapping[str, np.ndarray], fit: Identified, options: ConvertOptions
) -> dict[str, Any]:
    if options.reset_head:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            variables = load_pretrained(fit.model, state_dict, reset_head=True)
        for warning in caught:
            Console(stderr=True).print(f"Note: {warning.message}", highlight=False)
        return variables
    return to_variables(state_dict, fit.model, fit.input_hw)


def _release_detector(
    source: Path, state_dict: Mapping[str, np.ndarray], out: Path, options: ConvertOptions
) -> Table:
    """Publishes the weights of a detector."""
    if options.keypoints or options.skeleton or options.reset_head:
        raise InputError(
            f"{source} is a detector, which has no keypoints and is not trained here: leave "
            "--keypoints, --skeleton and --reset-head out."
        )
    entry, model, variables = recognise_detector(state_dict, options.model)
    size = _parse_size(options.input_size) if options.input_size else entry.input_hw
    detector = Detector(model, variables, size, name=entry.name)
    name = detect(state_dict).name
    detector.save(out, source=f"{source.name} ({name})", overwrite=options.overwrite)
    table = Table(show_header=False)
    table.add_row("format", name)
    table.add_row("detector", entry.name)
    table.add_row("parameters", f"{count_parameters(variables) / 1e6:.2f} M")
    table.add_row("input", f"{size[1]} x {size[0]} pixels")
    return table


def release_run(run: Run, out: Path, overwrite: bool) -> None:
    """Writes the release folder `out` from a run: its best checkpoint and the figures it reached.

    Raises:
      InputError: as `save_release`.
    """
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
            licence="to be stated by whoever publishes it",
            metrics=metrics,
            takes=estimator.takes,
        ),
        overwrite=overwrite,
        recipe=recipe,
    )
    record_as_own(config, recipe, out)


def _estimator(
    fit: Identified, skeleton: Skeleton | None, variables: dict[str, Any]
) -> dict[str, Any] | None:
    """The JSON form of the estimator; None where codec or skeleton are not known."""
    codec = codec_of(fit.model, fit.input_hw, variables)
    if codec is None or skeleton is None:
        return None
    return to_json(TopDownEstimator(fit.model, codec, skeleton))


def codec_of(model: PoseModel, input_hw: tuple[int, int], variables: Mapping) -> AnyCodec | None:
    """The codec that the published model of this kind was trained with; None if not known.

    ViTPose uses UDP heatmaps, convolution networks Simple Baselines' (MMPose's plain recipes).
    """
    images = jax.ShapeDtypeStruct((1, *input_hw, 3), jnp.float32)
    outputs = jax.eval_shape(model.apply, variables, images)
    shapes = [leaf.shape for leaf in jax.tree.leaves(outputs)]
    ranks = [len(shape) for shape in shapes]
    if ranks == [4]:
        make = udp if isinstance(model.backbone, ViT) else msra
        return make(input_hw, shapes[0][1:3])
    if ranks == [3, 3]:
        if isinstance(model.head, RTMCCHead):
            return rtmpose(input_hw)
        return SimCC(input_hw, shapes[0][2] / input_hw[1])
    if ranks == [3, 4]:
        return IntegralRegression(input_hw, shapes[1][1:3])
    return Regression(input_hw) if ranks == [3] else None


def _skeleton(num_keypoints: int, name: str | None) -> Skeleton | None:
    if name is None:
        return _USUAL.get(num_keypoints)
    skeleton = skeletons.load(name)
    if skeleton.num_keypoints != num_keypoints:
        raise InputError(
            f"The model has {num_keypoints} keypoints, {skeleton.name} {skeleton.num_keypoints}."
        )
    return skeleton


def _table(
    state_dict: Mapping[str, np.ndarray],
    fits: list[Identified],
    variables: dict[str, Any],
    skeleton: Skeleton | None,
    options: ConvertOptions,
) -> Table:
    fit, *others = fits
    source, renamed = recognise(state_dict)
    table = Table(show_header=False)
    table.add_row("format", source.name)
    table.add_row("model", fit.entry.name)
    if others:
        table.add_row("same shapes", ", ".join(other.entry.name for other in others))
    table.add_row("parameters", f"{count_parameters(variables) / 1e6:.2f} M")
    what = f"{fit.num_keypoints}, {skeleton.name if skeleton else 'not named: use --skeleton'}"
    table.add_row("keypoints", what)
    if isinstance(fit.model.backbone, ViT) and fit.model.backbone.experts:
        chosen = VITPOSE_PLUS_DATASETS[fit.model.backbone.dataset]
        table.add_row("expert", f"that of {chosen}, by the number of keypoints")
    table.add_row("input", f"{fit.input_hw[1]} x {fit.input_hw[0]} pixels")
    if options.reset_head:
        table.add_row("arrays", "backbone's; the head is fresh")
        return table
    dropped = plan_for(source, renamed, fit.model).dropped
    table.add_row("arrays", f"{len(state_dict) - len(dropped)} used, {len(dropped)} dropped")
    for reason, count in Counter(reason for _, reason in dropped).items():
        table.add_row("", f"{count} dropped: {reason or 'of no use to the model'}")
    return table
