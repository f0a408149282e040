"""List of all published models, detectors and lifters, by name."""

from fnmatch import fnmatchcase

from jaxpose.errors import InputError, nearest
from jaxpose.models.published import families
from jaxpose.models.published.record import (
    Family,
    Keypointed,
    Kind,
    Published,
    PublishedAction,
    PublishedBackbone,
    PublishedDetector,
    PublishedLifter,
    PublishedMesh,
    PublishedPose,
)

FAMILIES: tuple[Family, ...] = tuple(
    value for value in vars(families).values() if isinstance(value, Family)
)
_EVERY = tuple(record for family in FAMILIES for record in family.published)

CATALOGUE = tuple(record for record in _EVERY if isinstance(record, PublishedPose))
DETECTORS = tuple(record for record in _EVERY if isinstance(record, PublishedDetector))
BACKBONES = tuple(record for record in _EVERY if isinstance(record, PublishedBackbone))
ACTION_MODELS = tuple(record for record in _EVERY if isinstance(record, PublishedAction))
MESH_MODELS = tuple(record for record in _EVERY if isinstance(record, PublishedMesh))
LIFTERS = tuple(record for record in _EVERY if isinstance(record, PublishedLifter))
OLD_NAMES = {"rtmpose-t-wholebody": "dwpose-t", "rtmpose-s-wholebody": "dwpose-s"}
"""Names of version 0.1.0 that still work, and the names of today."""

UNPUBLISHED: tuple[Keypointed, ...] = tuple(
    record for family in FAMILIES for record in family.unpublished
)
"""Models without published weights, which `jaxpose convert` tries after all others."""


def records(pattern: str | None = None, kind: Kind | None = None) -> list[Published]:
    """Return the published records, in the order of the families.

    Args:
      pattern: part of a name, or a shell pattern such as `rtmpose-*` for whole names, in upper or
        lower case; None takes all.
      kind: "pose", "detector", "lifter", "backbone", "action" or "mesh"; None takes all.
    """
    found = [record for record in _EVERY if kind in (None, record.kind)]
    if pattern is None:
        return found
    return [record for record in found if is_named(record.name, pattern)]


def is_named(name: str, pattern: str) -> bool:
    """True if a name contains `pattern`, or matches it as a shell pattern; in any case."""
    if not set(pattern) & set("*?["):
        pattern = f"*{pattern}*"
    return fnmatchcase(name, pattern.lower())


def find(name: str) -> Published:
    """Find the record called `name`, published or not; names of older versions work.

    Raises:
      InputError: there is none; the message has the nearest name.
    """
    every: tuple[Published, ...] = (*_EVERY, *UNPUBLISHED)
    for record in every:
        if record.name == OLD_NAMES.get(name, name):
            return record
    names = [record.name for record in every]
    raise InputError(f"There is no published model {name!r}.{nearest(name, names)}")
