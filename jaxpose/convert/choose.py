"""Choice of one model where several published ones take the same arrays."""

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from jaxpose.convert.identify import Identified
from jaxpose.errors import InputError
from jaxpose.models.published.catalogue import UNPUBLISHED
from jaxpose.models.published.record import PublishedPose
from jaxpose.skeletons import BUILT_IN, Skeleton

# Names of datasets in MMPose's metadata and their built-in skeletons, where the name differs from
# the skeleton's name without its number.
_DATASETS = {
    "lapa": "face106",
    "jd106": "face106",
    "300w": "face68",
    "cocowholebodyface": "face68",
    "wflw": "face98",
    "onehand10k": "hand21",
    "cocowholebodyhand": "hand21",
    "freihand": "hand21",
    "rhd2d": "rhd21",
    "apt36k": "ap10k17",
}


@dataclass(frozen=True)
class Clues:
    """Facts about a checkpoint in addition to its arrays.

    Attributes:
      file_name: file name of the checkpoint.
      dataset: dataset in its metadata; empty for none.
      skeleton: skeleton of its keypoints that the user named; None if the user named none.
    """

    file_name: str = ""
    dataset: str = ""
    skeleton: Skeleton | None = None


def skeleton_of_dataset(dataset: str, num_keypoints: int) -> Skeleton | None:
    """Built-in skeleton of a dataset, by the name in MMPose's metadata; None for none."""
    wanted = _plain(dataset)
    names = {_plain(name): name for name in BUILT_IN}
    names |= {_plain(n).removesuffix(str(s.num_keypoints)): n for n, s in BUILT_IN.items()}
    name = _DATASETS.get(wanted) or names.get(wanted)
    if name is None or BUILT_IN[name].num_keypoints != num_keypoints:
        return None
    return BUILT_IN[name]


def choose(fits: Sequence[Identified], clues: Clues) -> list[Identified]:
    """Return the fits that agree with the clues, best first; all of them are used in the same way.

    Models that were published with these keypoints and this size come before others. Several are
    narrowed down by these clues, in this order: the file's published name, records that are taken
    without it (not `only_by_name`), the user's skeleton, the dataset in the metadata, the size in
    the file's name, the datasets in the file's name.

    Args:
      fits: fits from `identify`, at least one.
      clues: facts in addition to the arrays.

    Raises:
      InputError: several are left that differ in model, codec or skeleton; the message lists them.
    """
    found = _published_like(fits)
    name = PurePath(clues.file_name).stem
    skeleton = clues.skeleton or skeleton_of_dataset(clues.dataset, found[0].num_keypoints)
    for clue in (
        lambda fit: _is_file_of(fit, clues.file_name),
        lambda fit: not fit.entry.only_by_name,
        lambda fit: clues.skeleton is not None and fit.entry.skeleton == clues.skeleton,
        lambda fit: _plain(clues.dataset) in map(_plain, fit.entry.trained_on),
        lambda fit: skeleton is not None and fit.entry.skeleton == skeleton,
        lambda fit: fit.input_hw in _sizes(name),
    ):
        found = _narrowed(found, clue)
    most = max(_datasets_named(fit, name) for fit in found)
    found = _narrowed(found, lambda fit: _datasets_named(fit, name) == most)
    # Whole images need no boxes; a model for crops is named.
    found = _narrowed(found, _takes_images)
    first = found[0]
    if any(_differ(first, fit, skeleton) for fit in found[1:]):
        raise InputError(_refusal(found))
    return found


def named_by_file(fit: Identified, file_name: str) -> bool:
    """True if a file's name is the model's, or contains one of its training sets."""
    stem = PurePath(file_name).stem
    return _is_file_of(fit, file_name) or _datasets_named(fit, stem) > 0


def _published_like(fits: Sequence[Identified]) -> list[Identified]:
    """Fits that were published with these keypoints and this size, if there are any."""
    found = _narrowed(fits, lambda fit: fit.entry not in UNPUBLISHED)
    found = _narrowed(found, lambda fit: fit.entry.num_keypoints == fit.num_keypoints)
    if found[0].size_read:
        found = _narrowed(found, lambda fit: fit.entry.input_hw == fit.input_hw)
    return found


def _takes_images(fit: Identified) -> bool:
    return isinstance(fit.entry, PublishedPose) and fit.entry.takes == "images"


def _narrowed(fits: Sequence[Identified], keep: Callable[[Identified], bool]) -> list[Identified]:
    """Fits for which `keep` is true; all of them if it is true for none."""
    return [fit for fit in fits if keep(fit)] or list(fits)


def _is_file_of(fit: Identified, file_name: str) -> bool:
    weights = fit.entry.weights
    published = weights is not None and weights.file_name == file_name
    # Some sites give every file the same name.
    return (published and bool(weights and weights.sha256)) or (
        PurePath(file_name).stem == fit.entry.name
    )


def _sizes(name: str) -> set[tuple[int, int]]:
    return {(int(h), int(w)) for h, w in re.findall(r"(?<!\d)(\d{2,4})x(\d{2,4})(?!\d)", name)}


def _datasets_named(fit: Identified, name: str) -> int:
    """Number of the record's training sets in a file's name, without those of pretraining."""
    parts = re.split(r"[^a-z0-9]+", re.sub(r"_pt-[^_]*", "", name.lower()))
    words = {*parts, *(a + b for a, b in itertools.pairwise(parts))}
    return sum(_plain(dataset) in words for dataset in fit.entry.trained_on)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _differ(a: Identified, b: Identified, skeleton: Skeleton | None) -> bool:
    """True if two fits would be used differently; skeletons are compared only if none is known."""
    if a.model != b.model or _codec(a) != _codec(b):
        return True
    return skeleton is None and published_skeleton(a) != published_skeleton(b)


def published_skeleton(fit: Identified) -> Skeleton | None:
    """Skeleton of the record, if the checkpoint has as many keypoints; otherwise None."""
    skeleton = fit.entry.skeleton
    return skeleton if skeleton and skeleton.num_keypoints == fit.num_keypoints else None


def _codec(fit: Identified) -> Any:
    entry = fit.entry
    if isinstance(entry, PublishedPose):
        return entry.codec and entry.codec(fit.input_hw or entry.input_hw)
    return entry.codec


def _refusal(fits: Sequence[Identified]) -> str:
    width = max(len(fit.entry.name) for fit in fits)
    lines = []
    for fit in fits:
        entry = fit.entry
        facts = [f"{fit.num_keypoints} keypoints"]
        facts += [entry.skeleton.name] if entry.skeleton else []
        facts += [f"{fit.input_hw[0]}x{fit.input_hw[1]}"] if fit.input_hw else []
        facts += [f"trained on {', '.join(entry.trained_on)}"] if entry.trained_on else []
        lines.append(f"  {entry.name:{width}}  {', '.join(facts)}")
    sizes = {fit.input_hw for fit in fits}
    return (
        "The arrays fit several published models, which differ in their use:\n"
        + "\n".join(lines)
        + "\nName the right one with `jaxpose convert FILE OUT --model NAME`"
        + (", or the size of its images with --input-size HEIGHTxWIDTH." if len(sizes) > 1 else ".")
    )
