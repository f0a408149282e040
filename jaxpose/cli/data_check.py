"""`jaxpose data check`: faults of annotations or prepared records, and a sheet of samples."""

from pathlib import Path
from typing import Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from jaxpose import skeletons
from jaxpose.cli.data_command import Check
from jaxpose.console import PlainConsole
from jaxpose.counts import counted
from jaxpose.data.lint.check import check_annotations, check_source
from jaxpose.data.lint.finding import Finding
from jaxpose.errors import InputError
from jaxpose.media.image import missing
from jaxpose.skeletons import Skeleton

SAMPLES = 8
_STYLE = {"error": "bold red", "warning": "yellow", "info": "dim"}
_EXAMPLES = 600


def data_check(options: Check) -> None:
    """Find annotation faults that spoil training, and show eight samples with their targets.

    Ends with status 1 if there is an error.
    """
    from jaxpose.viz import save_image

    console, path, images = PlainConsole(), options.path, options.images
    if path.suffix.lower() == ".json" or path.is_file():
        findings, batch, keypoints = _annotations(path, images, options.skeleton)
        reason = "give --images to see samples" if images is None else "nobody can be drawn"
    else:
        findings, batch, keypoints = _records(path, options.split, options.limit, console)
        reason = "the dataset is empty"
    console.print(table(findings))
    if batch is None:
        console.print(f"No sheet of samples: {reason}.")
    else:
        save_image(options.out, draw_samples(batch, keypoints))
        console.print(f"{len(batch['image'])} samples with their targets: {options.out}")
    errors = sum(finding.severity == "error" for finding in findings)
    if errors:
        console.print(Text(f"{counted(errors, 'errors')}.", "bold red"))
        raise typer.Exit(1)
    warnings = sum(finding.severity == "warning" for finding in findings)
    more = f"; {counted(warnings, 'warnings')}" if warnings else ""
    console.print(f"No errors{more}.")


def table(findings: list[Finding]) -> Table:
    """The findings for the terminal, one row each."""
    result = Table("", "finding", "count", "what it is", show_lines=True)
    for finding in findings:
        examples = ", ".join(finding.examples)
        if len(examples) > _EXAMPLES:
            examples = f"{examples[:_EXAMPLES].rsplit(', ', 1)[0]}, ..."
        result.add_row(
            Text(finding.severity, _STYLE[finding.severity]),
            Text(finding.code),
            Text(f"{finding.count:,}"),
            Text.assemble(finding.message, ("\n" + examples if examples else "", "dim")),
        )
    return result


def draw_samples(batch: dict[str, np.ndarray], skeleton: Skeleton) -> np.ndarray:
    """A sheet of input crop, keypoints and target heatmaps for each person of `batch`.

    Args:
      batch: `image`, `keypoints`, `visible`, `box_xywh`, `mask` as in a training batch.

    Returns:
      uint8 RGB `[H, W, 3]`.
    """
    from jaxpose import viz
    from jaxpose.codecs.heatmap import Heatmap
    from jaxpose.codecs.sample import Sample
    from jaxpose.tasks.topdown.augment import center_crop

    # A canvas is larger than the input by half, so that a rotated crop lies inside it.
    height, width = (round(side / 6) for side in batch["image"].shape[1:3])
    codec = Heatmap((4 * height, 4 * width), (height, width))
    crops, keypoints, visible, _ = center_crop(batch, input_hw=codec.input_hw, udp=codec.udp)
    heatmaps, _ = codec.encode(Sample(visible, keypoints))
    return viz.sample_sheet(
        np.asarray(crops),
        np.asarray(keypoints),
        np.asarray(visible),
        skeleton,
        heatmaps=np.asarray(heatmaps),
        udp=codec.udp,
        columns=2,
    )


def _annotations(
    path: Path, images: Path | None, skeleton: str
) -> tuple[list[Finding], dict[str, np.ndarray] | None, Skeleton]:
    from jaxpose.data.coco_json import read_json

    keypoints = skeletons.load(skeleton)
    findings = check_annotations(read_json(path), keypoints, images)
    batch = None if images is None else _cut(path, images, keypoints)
    return findings, batch, keypoints


def _cut(path: Path, images: Path, skeleton: Skeleton) -> dict[str, np.ndarray] | None:
    """Eight usable people, spread evenly, cut as `jaxpose prepare` cuts them."""
    from dataclasses import replace

    from jaxpose.data.canvas import Canvas, Skip, Turned, draw
    from jaxpose.data.coco_json import read_people
    from jaxpose.data.records import decode_canvas

    try:
        annotated, _, _ = read_people(path, images, skeleton)
    except InputError:
        # The findings say why.
        return None
    people = [(image, person) for image in annotated for person in image.people]
    canvas = Canvas()
    rows: list[dict[str, Any]] = []
    for stretch in np.array_split(np.arange(len(people)), SAMPLES):
        for place in stretch:
            image, person = people[place]
            drawn, *_ = draw(replace(image, people=(person,)), canvas)
            if not isinstance(drawn, Skip | Turned):
                rows.append(drawn[1] | {"image": decode_canvas(drawn[1]["image"], canvas.hw)})
                break
    if not rows:
        return None
    names = ("image", "keypoints", "visible", "box_xywh")
    batch = {name: np.stack([row[name] for row in rows]) for name in names}
    return batch | {"mask": np.ones(len(rows), bool)}


def _records(
    path: Path, split: str, limit: int, console: Console
) -> tuple[list[Finding], dict[str, np.ndarray] | None, Skeleton]:
    from jaxpose.data.source import Records

    if not path.exists():
        raise InputError(f"{missing(path)}. Give a COCO keypoint JSON or a prepared dataset.")
    source = Records(path=str(path), split=split).open()
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("records", total=min(limit, len(source)))
        findings = check_source(
            source, limit, on_batch=lambda done: progress.update(task, completed=done)
        )
    if not len(source):
        return findings, None, source.skeleton
    chosen = np.unique(np.linspace(0, len(source) - 1, SAMPLES).round().astype(np.int64))
    return findings, source.samples(chosen), source.skeleton
