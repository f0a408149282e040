"""Skeleton files made from labels, and from the categories of COCO annotations."""

from pathlib import Path
from typing import Any

from jaxpose.data.coco_json import read_json
from jaxpose.errors import InputError
from jaxpose.labels.labels import Labels
from jaxpose.paths import atomic_write
from jaxpose.skeletons import Skeleton
from jaxpose.skeletons.from_names import skeleton_from_names, to_toml


def skeleton_of(labels: Labels, name: str) -> Skeleton:
    """Skeleton with the names, limbs and pairs of labels.

    Raises:
      InputError: the names are not those of a skeleton; the message names the file.
    """
    try:
        return skeleton_from_names(
            name, labels.keypoints, labels.limbs, labels.pairs, f"labels of {labels.tool}"
        )
    except InputError as error:
        raise InputError(f"{labels.source}: {error}") from None


def coco_skeleton(path: Path, name: str, category: str | None = None) -> Skeleton:
    """Skeleton of a category of COCO annotations: its `keypoints` and its `skeleton` of limbs.

    Args:
      path: the JSON file.
      name: name of the skeleton.
      category: name of the category; needed if several have different keypoints.

    Raises:
      InputError: the file has no such category, or several different ones.
    """
    content = read_json(path)
    entries = content.get("categories") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{path} is not COCO JSON: it has no list `categories`.")
    named = [entry for entry in entries if entry.get("keypoints")]
    if category is not None:
        named = [entry for entry in named if entry.get("name") == category]
    if not named:
        which = "no category" if category is None else f"no category {category!r}"
        raise InputError(f"{path}: {which} has keypoints.")
    found = [(_names(path, entry), _limbs(path, entry)) for entry in named]
    for entry, other in zip(named, found, strict=True):
        if other[0] != found[0][0]:
            raise InputError(
                f"{path}: mixed skeletons: the categories {named[0].get('name')!r} and "
                f"{entry.get('name')!r} have different keypoints. Keep one of them in the file; "
                "`jaxpose skeleton from-coco --category` chooses one for a skeleton file"
            )
    names, limbs = found[0]
    try:
        return skeleton_from_names(name, names, limbs, None, "categories of COCO annotations")
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _names(path: Path, entry: dict[str, Any]) -> list[str]:
    names = entry["keypoints"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path}: the keypoints of category {entry.get('name')!r} are no names.")
    return names


def _limbs(path: Path, entry: dict[str, Any]) -> list[tuple[str, str]]:
    """Limbs, of which COCO states the places of the keypoints from 1."""
    names, limbs = entry["keypoints"], entry.get("skeleton") or []
    found = []
    for limb in limbs if isinstance(limbs, list) else [limbs]:
        whole = isinstance(limb, list) and all(type(place) is int for place in limb)
        if not whole or len(limb) != 2 or not all(1 <= place <= len(names) for place in limb):
            raise InputError(
                f"{path}: the skeleton of category {entry.get('name')!r} has the limb "
                f"{str(limb)[:40]}; a limb is two places from 1 to {len(names)}."
            )
        found.append((names[limb[0] - 1], names[limb[1] - 1]))
    return found


def write_skeleton(source: Labels | Skeleton, out: Path) -> Skeleton:
    """Write a .toml file, of labels with its name as the skeleton's; return the skeleton.

    Raises:
      InputError: the file exists, has another suffix, or the names are not those of a skeleton.
    """
    if out.suffix != ".toml":
        raise InputError(f"{out}: a skeleton file that is written ends in .toml.")
    if out.exists():
        raise InputError(f"{out} exists; choose another file.")
    skeleton = source if isinstance(source, Skeleton) else skeleton_of(source, out.stem)
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(out, to_toml(skeleton))
    return skeleton
