"""Models that are part of the package: release folders in `jaxpose/hub/shipped`."""

from pathlib import Path

from jaxpose.convert.reading import RELEASE
from jaxpose.convert.release import load_config
from jaxpose.models.published.record import Kind

POSE = "jaxpose-small"
"""Name of the small pose model in the package."""
FINDER = "jaxpose-finder"
"""Name of the small person detector in the package."""

_FOLDER = Path(__file__).parent / "shipped"


def shipped_names() -> list[str]:
    """Names of the models in the package, sorted."""
    return sorted(file.parent.name for file in _FOLDER.glob(f"*/{RELEASE}"))


def shipped_folder(name: str) -> Path | None:
    """Release folder of a name in the package; None if there is no such name."""
    return _FOLDER / name if name in shipped_names() else None


def shipped_kind(name: str) -> Kind | None:
    """Kind of a model in the package; None if there is no such name."""
    folder = shipped_folder(name)
    if folder is None:
        return None
    config = load_config(folder)
    if "finds" in config:
        return "detector"
    lifts = ".LiftingEstimator" in str((config.get("estimator") or {}).get("class"))
    return "lifter" if lifts else "pose"
