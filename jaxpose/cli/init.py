"""`jaxpose init`: from labelled images to a project that trains."""

import shlex
from dataclasses import replace
from pathlib import Path

import jax

from jaxpose import skeletons
from jaxpose.cli.doctor import device_memory, host_memory
from jaxpose.cli.init_command import Init
from jaxpose.console import PlainConsole
from jaxpose.counts import print_counts
from jaxpose.data.canvas import Canvas
from jaxpose.errors import InputError
from jaxpose.labels.choose import read_labels
from jaxpose.labels.coco import coco_file, read_coco
from jaxpose.labels.frames import with_frames
from jaxpose.labels.labels import Labels
from jaxpose.labels.records import annotated_splits
from jaxpose.labels.sizes import Sizes, sizes_of
from jaxpose.labels.skeleton import write_skeleton
from jaxpose.paths import atomic_write
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.bottomup.few_images import few_images
from jaxpose.tasks.topdown.few_labels import WEIGHTS, few_labels, same_keypoints

# Enlargement of stored images beyond the input, for augmentation: of crops, and of whole images.
_MARGIN, _IMAGE_MARGIN = 1.5, 1.25
# Largest number of individuals that a model of several can find: at least this many.
_MAX_PEOPLE = 20


def make_project(options: Init) -> int:
    """Writes skeleton, records and recipe; prints the next commands; returns the exit status.

    Raises:
      InputError: the folder has records or a recipe, or the labels cannot be read or split.
    """
    from jaxpose.data.builder import write_dataset

    out = options.out
    data = out / "data"
    for path in (data, out / "recipe.py"):
        if path.exists() and not options.overwrite:
            raise InputError(f"{path} exists; choose another folder, or add --overwrite.")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is no folder.")
    labels = with_frames(_read(options), out / "frames")
    memory = device_memory(jax.local_devices()[0]) or host_memory()
    whole_image = None if options.box == "auto" else options.box == "image"
    sizes = sizes_of(labels, memory, whole_image, jax.device_count())
    file = out / "skeleton.toml"
    if options.skeleton is None and not file.exists():
        write_skeleton(labels, file)
    said = options.skeleton or file.as_posix()
    skeleton = skeletons.load(said)
    has_val = any(image.split == "val" for image in labels.images)
    splits, skipped, notes = annotated_splits(
        labels if has_val else _without_train(labels),
        skeleton,
        held_out=0.0 if has_val else options.held_out,
        by_video=True,
        whole_image_boxes=sizes.whole_image,
    )
    summary = write_dataset(
        data,
        name="labels",
        splits=splits,
        skipped=skipped,
        skeleton=skeleton,
        canvas=Canvas(canvas_hw(sizes), _MARGIN, sizes.padding),
        layout="images" if sizes.several else "people",
        sources={f"labels_{number}": path for number, path in enumerate(labels.files)},
        processes=options.processes,
        overwrite=options.overwrite,
        notes=[f"tool: {labels.tool}", *notes],
    )
    atomic_write(out / "recipe.py", recipe(labels, said, data, sizes))
    console = PlainConsole()
    summary.print(console)
    status = print_counts(summary.counts, console)
    for line in _report(options, skeleton, sizes):
        console.print(line)
    return status


def _read(options: Init) -> Labels:
    annotations = coco_file(options.source) if options.source.exists() else None
    if annotations is not None:
        return read_coco(annotations, options.images, outside=options.outside)
    return read_labels(
        options.source, options.images, outside=options.outside, predicted=options.predicted
    )


def _without_train(labels: Labels) -> Labels:
    """Labels whose split `train` is no split, so that a part of it can be held out."""
    images = (replace(i, split="") if i.split == "train" else i for i in labels.images)
    return replace(labels, images=tuple(images))


def canvas_hw(sizes: Sizes) -> tuple[int, int]:
    """Height and width of the stored images: the input with a margin for augmentation."""
    height, width = sizes.input_hw
    margin = _IMAGE_MARGIN if sizes.several else _MARGIN
    return round(height * margin), round(width * margin)


def recipe(labels: Labels, skeleton: str, data: Path, sizes: Sizes) -> str:
    """Text of the recipe."""
    box = "image" if sizes.whole_image else "labels"
    stored = "layout images" if sizes.several else f"box {box}"
    alike = "layout" if sizes.several else "box"
    canvas = "x".join(map(str, canvas_hw(sizes)))
    values: dict[str, object] = {
        "skeleton": skeleton,
        "data": [data.as_posix()],
        "input_hw": sizes.input_hw,
        "batch_size": sizes.batch_size,
        "steps": sizes.steps,
    }
    if sizes.several:
        module, function = few_images.__module__, few_images.__name__
        values["max_people"] = max(_MAX_PEOPLE, 2 * sizes.most)
        values["rotation_degrees"] = sizes.rotation_degrees
    else:
        module, function = few_labels.__module__, few_labels.__name__
        values["padding"], values["sigma"] = sizes.padding, sizes.sigma
    settings = "\n".join(f"        {name}={value!r}," for name, value in values.items())
    return f'''"""Recipe for {labels.instances:,} labelled individuals, which `jaxpose init` wrote.

Prepare more labels with the same skeleton, {alike} and canvas, and add their folder to `data`:

    jaxpose prepare labels IN --skeleton {skeleton} --{stored} --canvas {canvas} --out MORE
"""

from {module} import {function}


def get_config():
    return {function}(
{settings}
    )
'''


def _report(options: Init, skeleton: Skeleton, sizes: Sizes) -> list[str]:
    """Lines about the project, and the next commands."""
    out = options.out.as_posix()
    pairs = ", ".join(f"{left} and {right}" for left, right in skeleton.pairs)
    rows = same_keypoints(skeleton)
    same = [name for name, row in zip(skeleton.keypoints, rows, strict=True) if row >= 0]
    height, width = sizes.input_hw
    box = "the whole image" if sizes.whole_image else "that of each individual"
    where = "--boxes full" if sizes.whole_image else "--boxes boxes.json"
    unit, begun = "", f"Keypoints that begin as its own: {', '.join(same) or 'none'}"
    if sizes.several:
        box = f"none, the model finds the individuals of whole images, up to {sizes.most} here"
        where = f"--individuals {sizes.most} --colors people"
        unit, begun = " images", "The head begins with random numbers"
    lines = [
        f"skeleton: {skeleton.num_keypoints} keypoints. Left and right: {pairs or 'none'}. Check "
        "them before training: images are mirrored",
        f"box: {box}. Input: {height} x {width} pixels. Batch: {sizes.batch_size}{unit}",
        f"weights: {WEIGHTS}. {begun}",
        "Next:",
    ]
    predict = f"predict video.mp4 --from {{out}}/model {where} --out tracked"
    steps = (
        "data check {out}/data --out {out}/check.png",
        "train {out}/recipe.py --workdir {out}/run",
        "eval {out}/run",
        "convert {out}/run {out}/model",
        predict,
    )
    return [*lines, *(f"  jaxpose {step.format(out=shlex.quote(out))}" for step in steps)]
