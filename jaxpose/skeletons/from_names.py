"""Skeletons made from the keypoint names and limbs of a file, and their TOML form."""

import json
import re
from collections.abc import Iterable, Sequence

from jaxpose.skeletons.names import normal_name
from jaxpose.skeletons.skeleton import Skeleton

_SIDES = {"left": "right", "Left": "Right", "LEFT": "RIGHT"}


def pairs_of_names(names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs (left, right) of names such as `leftear` and `rightear`, `ear_L` and `ear_R`."""
    by_normal = {normal_name(name): name for name in names}
    pairs = []
    for name in names:
        normal = normal_name(name)
        partners = [
            by_normal.get(f"right_{normal.removeprefix('left_')}")
            if normal.startswith("left_")
            else None
        ]
        partners += [name.replace(left, right) for left, right in _SIDES.items() if left in name]
        partner = next((one for one in partners if one in names and one != name), None)
        if partner is not None:
            pairs.append((name, partner))
    taken: set[str] = set()
    unique = []
    for pair in pairs:
        if taken.isdisjoint(pair):
            unique.append(pair)
            taken.update(pair)
    return unique


def skeleton_from_names(
    name: str,
    names: Sequence[str],
    limbs: Iterable[tuple[str, str]] = (),
    pairs: Iterable[tuple[str, str]] | None = None,
    source: str = "",
) -> Skeleton:
    """Skeleton of a file's keypoints, with pairs by their names unless they are given.

    `Skeleton` needs a partner for a name that begins with `left_` or `right_`. A name without one
    gets its side at the end: `left_paw` becomes `paw_left`.

    Raises:
      InputError: the names are not those of a skeleton, such as one that occurs twice.
    """
    pairs = pairs_of_names(names) if pairs is None else list(pairs)
    paired = {member for pair in pairs for member in pair}
    new = {
        one: re.sub(r"^(left|right)_(.+)$", r"\2_\1", one) if one not in paired else one
        for one in names
    }
    return Skeleton(
        name,
        tuple(new[one] for one in names),
        pairs=tuple((new[a], new[b]) for a, b in pairs),
        limbs=tuple((new[a], new[b]) for a, b in limbs),
        source=source,
    )


def to_toml(skeleton: Skeleton) -> str:
    """Text of a skeleton's .toml file, which `skeletons.load` reads."""

    def text(value: object) -> str:
        # JSON's strings and lists are TOML's.
        return json.dumps(value, ensure_ascii=False)

    lines = [f"name = {text(skeleton.name)}", "keypoints = ["]
    lines += [f"  {text(name)}," for name in skeleton.keypoints]
    lines.append("]")
    for key in ("pairs", "limbs"):
        entries = getattr(skeleton, key)
        lines.append(f"{key} = [")
        lines += [f"  {text(list(entry))}," for entry in entries]
        lines.append("]")
    for key in ("upper_body", "lower_body"):
        if getattr(skeleton, key):
            lines.append(f"{key} = {text(list(getattr(skeleton, key)))}")
    if skeleton.sigmas is not None:
        lines.append(f"sigmas = {text(list(skeleton.sigmas))}")
    if skeleton.keypoint_colors:
        lines.append(f"keypoint_colors = {text([list(c) for c in skeleton.keypoint_colors])}")
    if skeleton.source:
        lines.append(f"source = {text(skeleton.source)}")
    return "\n".join(lines) + "\n"
