"""Conversion of labels to the images and people that `jaxpose prepare` writes as records."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jaxpose.data.canvas import AREA_OF_BOX, ImageAnnotation, InstanceAnnotation, Skip
from jaxpose.errors import InputError, nearest
from jaxpose.labels.labels import Instance, LabelledImage, Labels
from jaxpose.media.image import declared_size, exif_orientation
from jaxpose.paths import is_file
from jaxpose.skeletons import Skeleton
from jaxpose.skeletons.names import normal_name

ALL_OUTSIDE = "all keypoints outside the image"

LEAST_SIDE = 0.05
"""Smallest side of a box that is made of keypoints, relative to the image's longer side."""

LEAST_VIDEOS = 5
"""Folders of images from which on whole ones can be held out."""

_HEADER = 2**20
"""Bytes of an image file that are read for its size."""


def columns(labels: Labels, skeleton: Skeleton) -> tuple[np.ndarray, list[str]]:
    """Places of a skeleton's keypoints in labels, by their names, and remarks.

    Returns:
      int `[K]`, -1 for a keypoint that the labels do not have.

    Raises:
      InputError: the labels have a keypoint that the skeleton does not have, or one twice.
    """
    places = np.full(skeleton.num_keypoints, -1)
    by_normal = {normal_name(name): i for i, name in enumerate(skeleton.keypoints)}
    exact = {name: i for i, name in enumerate(skeleton.keypoints)}
    renamed = []
    for place, name in enumerate(labels.keypoints):
        ours = exact.get(name, by_normal.get(normal_name(name), -1))
        if ours < 0:
            raise InputError(
                f"{labels.source}: skeleton {skeleton.name!r} has no keypoint {name!r}."
                f"{nearest(name, skeleton.keypoints)} Add it to the skeleton, or write the "
                "skeleton from the labels with `jaxpose skeleton from-labels`"
            )
        if places[ours] >= 0:
            raise InputError(
                f"{labels.source}: {labels.keypoints[places[ours]]!r} and {name!r} are both "
                f"{skeleton.keypoints[ours]!r} of skeleton {skeleton.name!r}"
            )
        places[ours] = place
        if name != skeleton.keypoints[ours]:
            renamed.append(f"{name} as {skeleton.keypoints[ours]}")
    absent = [skeleton.keypoints[i] for i in np.flatnonzero(places < 0)]
    notes = [f"keypoints are stored under other names: {', '.join(renamed)}"] if renamed else []
    if absent:
        notes.append(f"no image has labels of {', '.join(absent)}")
    return places, notes


def annotated_splits(
    labels: Labels,
    skeleton: Skeleton,
    *,
    split: str = "train",
    held_out: float = 0.0,
    by_video: bool = False,
    whole_image_boxes: bool = False,
    empty: bool = False,
) -> tuple[dict[str, list[ImageAnnotation]], dict[str, list[Skip]], list[str]]:
    """Images with their people by split, the people left out, and remarks.

    Keypoints outside the image count as not labelled.

    Args:
      labels: the labels.
      skeleton: skeleton of the records; the labels' keypoints are found by their names.
      split: split of images whose files state none.
      held_out: fraction of those images that is put into split `val`; images are drawn by their
        names, always the same ones.
      by_video: put whole folders of images into `val`, because frames of one video are alike, if
        there are `LEAST_VIDEOS` of them or more.
      whole_image_boxes: take the whole image as everyone's box.
      empty: also take images without labels.

    Raises:
      InputError: the keypoints do not fit the skeleton, or `held_out` leaves no image.
    """
    places, notes = columns(labels, skeleton)
    splits: dict[str, list[ImageAnnotation]] = {}
    skips: dict[str, list[Skip]] = {}
    chosen = _held_out(labels.images, held_out, by_video)
    absent: list[str] = []
    outside: list[str] = []
    unlabelled = 0
    annotation_id = 0
    for image_id, image in enumerate(labels.images, 1):
        unlabelled += not image.instances
        own = image.split or ("val" if image.name in chosen else split)
        members = splits.setdefault(own, [])
        skipped = skips.setdefault(own, [])
        image_hw = image.image_hw or size_of(image)
        if image.instances and not is_file(image.path):
            absent.append(f"{image.instances[0].where}: {image.name}")
        people = []
        for instance in image.instances:
            annotation_id += 1
            fitted, names = _inside(_fitted(instance, places), image_hw, skeleton)
            if names:
                outside.append(f"{instance.where}: {', '.join(names)}")
            if names and not fitted.visible.any():
                skipped.append(Skip(ALL_OUTSIDE, f"{instance.where}: {image.name}"))
                continue
            people.append(_person(annotation_id, fitted, image_hw, whole_image_boxes))
        if people or (empty and not image.instances):
            key = sum(max(len(one.people), 1) for one in members)
            members.append(
                ImageAnnotation(
                    image.path, image.name, image_id, tuple(people), key, image.image_hw
                )
            )
    first = next(iter(splits))
    skips.setdefault(first, []).extend(labels.skips)
    notes += labels.notes
    if unlabelled and not empty:
        notes.append(f"{unlabelled} images have no labels and are left out")
    if absent:
        notes.append(f"{len(absent)} listed images are absent; the first: {absent[0]}")
    if outside:
        notes.append(
            f"{len(outside)} people have keypoints outside the image, which count as not labelled; "
            f"the first: {outside[0]}"
        )
    return splits, skips, notes


def size_of(image: LabelledImage) -> tuple[int, int] | None:
    """Height and width of an upright image from its header; None if the file is absent."""
    if not is_file(image.path):
        return None
    try:
        with image.path.open("rb") as file:
            size = declared_size(file.read(_HEADER))
        turned = exif_orientation(image.path) > 4
    except (OSError, InputError):
        return None
    return size[::-1] if size and turned else size


def _fitted(instance: Instance, places: np.ndarray) -> Instance:
    absent = places < 0
    return replace(
        instance,
        keypoints=np.where(absent[:, None], np.nan, instance.keypoints[places]),
        visible=np.where(absent, 0, instance.visible[places]),
    )


def _inside(
    instance: Instance, image_hw: tuple[int, int] | None, skeleton: Skeleton
) -> tuple[Instance, list[str]]:
    """Instance without the keypoints outside its image, and their names."""
    if image_hw is None:
        return instance, []
    # An edge of the image is at -0.5 for centres of pixels at whole numbers, and at 0 for tools
    # with corners there, so a pixel is allowed on each side.
    low, high = -1.0, np.array([image_hw[1], image_hw[0]], np.float64)
    points = np.nan_to_num(instance.keypoints)
    out = ((points < low) | (points > high)).any(axis=1) & (instance.visible > 0)
    if not out.any():
        return instance, []
    kept = replace(
        instance,
        keypoints=np.where(out[:, None], np.nan, instance.keypoints),
        visible=np.where(out, 0, instance.visible),
    )
    return kept, [skeleton.keypoints[i] for i in np.flatnonzero(out)]


def _person(
    annotation_id: int, instance: Instance, image_hw: tuple[int, int] | None, whole_image: bool
) -> InstanceAnnotation:
    least = LEAST_SIDE * max(image_hw) if image_hw else 1.0
    box = instance.extent(least) if instance.box_xywh is None else instance.box_xywh
    area = None
    if whole_image and image_hw:
        # The size of the individual, the unit of OKS, stays that of its own box.
        area = AREA_OF_BOX * float(box[2] * box[3])
        box = np.array([0, 0, image_hw[1], image_hw[0]], np.float64)
    points = np.nan_to_num(instance.keypoints)
    return InstanceAnnotation(annotation_id, points, instance.visible, box, area)


def _held_out(images: Sequence[LabelledImage], fraction: float, by_video: bool = False) -> set[str]:
    if not fraction:
        return set()
    names = [image.name for image in images if image.instances and not image.split]
    count = round(len(names) * fraction)
    if not 0 < count < len(names):
        raise InputError(
            f"--held-out {fraction:g} of {len(names)} labelled images leaves one split empty; "
            "choose another fraction, or label more images"
        )
    videos: dict[str, list[str]] = {}
    for name in names:
        videos.setdefault(name.rpartition("/")[0], []).append(name)
    if not by_video or len(videos) < LEAST_VIDEOS:
        return set(sorted(names, key=_digest)[:count])
    chosen: set[str] = set()
    for video in sorted(videos, key=_digest)[:-1]:
        # The next video is taken if the count is closer with it than without.
        if abs(len(chosen) + len(videos[video]) - count) < abs(len(chosen) - count):
            chosen.update(videos[video])
    return chosen or set(videos[min(videos, key=lambda video: len(videos[video]))])


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
