"""`jaxpose labels` and `jaxpose skeleton`: files for labelling tools, and skeleton files."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from jaxpose.cli.labels_command import FromCoco, FromLabels, LabelsOptions
from jaxpose.console import PlainConsole
from jaxpose.counts import Counts, print_counts
from jaxpose.data.records import INFO_FILE
from jaxpose.errors import InputError
from jaxpose.labels.choose import read_labels
from jaxpose.labels.exporting import labels_of_people, labels_of_records, write_labels
from jaxpose.labels.labels import Labels
from jaxpose.labels.records import columns
from jaxpose.labels.skeleton import coco_skeleton, skeleton_of, write_skeleton
from jaxpose.results.readers import read_results
from jaxpose.skeletons import Skeleton


def convert_labels(options: LabelsOptions) -> int:
    """Writes `options.source` as files of a tool; prints the counts, and returns the exit status.

    Raises:
      InputError: nothing to read, or labels that do not fit the tool.
    """
    labels, skeleton = _read(options)
    labels = write_labels(options.to, labels, skeleton, options.out, options.frames)
    console = PlainConsole()
    for note in labels.notes:
        console.print(f"note: {note}")
    faults = Counter(skip.reason for skip in labels.skips if skip.fault)
    excluded = Counter(skip.reason for skip in labels.skips if not skip.fault)
    for reason in faults + excluded:
        first = next(skip.who for skip in labels.skips if skip.reason == reason)
        console.print(f"left out: {reason}, first {first}")
    console.print(f"{options.out}: {len(labels.images):,} images for {options.to}")
    return print_counts([Counts("people", labels.instances, faults, excluded)], console)


def _read(options: LabelsOptions) -> tuple[Labels, Skeleton]:
    source, images = options.source, options.images
    if (source / INFO_FILE).is_file():
        if images is None:
            raise InputError(
                f"{source} has crops, and only the names of the images: give their folder with "
                "--images"
            )
        return labels_of_records(source, options.split, images)
    if source.suffix == ".jsonl" or (source.suffix == ".json" and _is_predicted(source)):
        return labels_of_people(source, read_results(source), images, options.min_score)
    labels = read_labels(source, images, outside=options.outside, predicted=options.predicted)
    skeleton = skeleton_of(labels, "labels")
    return _arranged(labels, skeleton), skeleton


def _is_predicted(path: Path) -> bool:
    """True for a JSON file of `jaxpose predict`, which begins with its version."""
    with path.open("rb") as file:
        return b'"jaxpose"' in file.read(200)


def _arranged(labels: Labels, skeleton: Skeleton) -> Labels:
    """The labels with keypoints in the order and with the names of a skeleton."""
    places, _ = columns(labels, skeleton)
    assert np.all(places >= 0)
    images = tuple(
        replace(
            image,
            instances=tuple(
                replace(
                    one,
                    keypoints=one.keypoints[places],
                    visible=one.visible[places],
                    scores=None if one.scores is None else one.scores[places],
                )
                for one in image.instances
            ),
        )
        for image in labels.images
    )
    return replace(labels, keypoints=skeleton.keypoints, images=images)


def skeleton_from_coco(options: FromCoco) -> None:
    """Writes the skeleton of a COCO file's category."""
    skeleton = coco_skeleton(options.annotations, options.out.stem, options.category)
    _report(write_skeleton(skeleton, options.out), options.out)


def skeleton_from_labels(options: FromLabels) -> None:
    """Writes the skeleton of labels."""
    labels = read_labels(options.source, options.images, outside=options.outside)
    _report(write_skeleton(labels, options.out), options.out)


def _report(skeleton: Skeleton, out: Path) -> None:
    console = PlainConsole()
    alone = [name for name in skeleton.keypoints if skeleton.side(name) == "centre"]
    pairs = ", ".join(f"{left} and {right}" for left, right in skeleton.pairs)
    console.print(
        f"{out}: {skeleton.num_keypoints} keypoints, {len(skeleton.limbs)} limbs. Left and right: "
        f"{pairs or 'none'}. Without a side: {', '.join(alone) or 'none'}. Correct the pairs in "
        "the file if a mirrored image needs others"
    )
