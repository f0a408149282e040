"""`jaxpose init`: from labelled images to a project that trains."""

import shlex
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
from jaxpose.tasks.topdown.few_labels import WEIGHTS, same_keypoints

_MARGIN = 1.5


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
        labels,
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


def canvas_hw(sizes: Sizes) -> tuple[int, int]:
    """Height and width of the stored images: the input with a margin for augmentation."""
    height, width = sizes.input_hw
    return round(height * _MARGIN), round(width * _MARGIN)


def recipe(labels: Labels, skeleton: str, data: Path, sizes: Sizes) -> str:
    """Text of the recipe."""
    box = "image" if sizes.whole_image else "labels"
    canvas = "x".join(map(str, canvas_hw(sizes)))
    return f'''"""Recipe for {labels.instances:,} labelled individuals, which `jaxpose init` wrote.

Prepare more labels with the same skeleton, box and canvas, and add their folder to `data`:

    jaxpose prepare labels IN --skeleton {skeleton} --box {box} --canvas {canvas} --out MORE
"""

from jaxpose.tasks.topdown.few_labels import few_labels


def get_config():
    return few_labels(
        skeleton={skeleton!r},
        data=[{data.as_posix()!r}],
        input_hw={sizes.input_hw},
        padding={sizes.padding},
        sigma={sizes.sigma},
        batch_size={sizes.batch_size},
        steps={sizes.steps},
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
    boxes = "full" if sizes.whole_image else "boxes.json"
    lines = [
        f"skeleton: {skeleton.num_keypoints} keypoints. Left and right: {pairs or 'none'}. Check "
        "them before training: images are mirrored",
        f"box: {box}. Input: {height} x {width} pixels. Batch: {sizes.batch_size}",
        f"weights: {WEIGHTS}. Keypoints that begin as its own: {', '.join(same) or 'none'}",
        "Next:",
    ]
    predict = f"predict video.mp4 --from {{out}}/model --boxes {boxes} --out tracked"
    steps = (
        "data check {out}/data --out {out}/check.png",
        "train {out}/recipe.py --workdir {out}/run",
        "eval {out}/run",
        "convert {out}/run {out}/model",
        predict,
    )
    return [*lines, *(f"  jaxpose {step.format(out=shlex.quote(out))}" for step in steps)]
