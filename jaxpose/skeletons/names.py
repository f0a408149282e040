"""Comparison of a file's keypoint names with those of a skeleton.

Tools write the same point as `left_eye`, `Left Eye`, `eye_L`, `L.eye` or `leftEye`. All of these
have one normal form, in which the side comes first and is spelt out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jaxpose.skeletons.skeleton import Skeleton

_SIDES = {"l": "left", "left": "left", "r": "right", "right": "right"}
_SYNONYMS = {"snout": "nose", "nose_tip": "nose", "tip_of_nose": "nose", "muzzle": "nose"}


def normal_name(name: str) -> str:
    """Normal form of a keypoint's name: lower case, words joined by `_`, a side first.

    `Eye L`, `leftEye`, `eye.left` and `LEFT-EYE` all become `left_eye`. A word `l` or `r` is a side
    only if it is the first or the last word.
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    words = re.findall(r"[^\W_]+", spaced.lower())
    for place in (0, len(words) - 1):
        if len(words) > 1 and words[place] in _SIDES:
            return "_".join([_SIDES[words.pop(place)], *words])
    return "_".join(words) or name.strip()


def plain_name(name: str) -> str:
    """Normal form of a name whose side may be joined to it, with `nose` for a snout.

    `leftear` becomes `left_ear`, as `ear_L` does.
    """
    normal = re.sub(r"^(left|right)(?=[a-z])", r"\1_", normal_name(name))
    return _SYNONYMS.get(normal, normal)


@dataclass(frozen=True)
class NameComparison:
    """Differences between a file's keypoint names and a skeleton's, place by place.

    Attributes:
      moved: `(place, name, expected)` of names that the skeleton has at another place, or whose
        side is the opposite of the expected one: the order or the sides are wrong.
      renamed: `(name, expected)` of the other names with another normal form.
    """

    moved: tuple[tuple[int, str, str], ...]
    renamed: tuple[tuple[str, str], ...]


def compare_names(names: Sequence[str], skeleton: Skeleton) -> NameComparison:
    """Compare a file's keypoint names, as many as the skeleton has, with the skeleton's."""
    expected = [normal_name(name) for name in skeleton.keypoints]
    moved, renamed = [], []
    for place, name in enumerate(names):
        given, ours = normal_name(name), skeleton.keypoints[place]
        if given == expected[place]:
            continue
        if given in expected or _opposite(given, expected[place]):
            moved.append((place, name, ours))
        else:
            renamed.append((name, ours))
    return NameComparison(tuple(moved), tuple(renamed))


def _opposite(name: str, expected: str) -> bool:
    """True if both normal forms begin with a side, and the sides differ."""
    sides = {name.partition("_")[0], expected.partition("_")[0]}
    return sides == {"left", "right"}
