"""Facts about every model that has a name, for lists: published models and those in the package."""

from dataclasses import dataclass
from typing import Any

from jaxpose.convert.release import load_config
from jaxpose.download.fetch import is_fetched, place_of
from jaxpose.hub.addresses import address_for
from jaxpose.hub.shipped import shipped_folder, shipped_kind, shipped_names
from jaxpose.models.published.catalogue import is_named, records
from jaxpose.models.published.record import (
    Kind,
    Published,
    PublishedAction,
    PublishedBackbone,
    PublishedDetector,
    PublishedLifter,
    PublishedMesh,
    PublishedPose,
)

# Task of each skeleton that is not a body's.
_TASKS = {
    "coco_wholebody133": "wholebody",
    "hand21": "hand",
    "rhd21": "hand",
    "hand_region2": "hand",
    "interhand42": "hand",
    "face68": "face",
    "face70": "face",
    "face98": "face",
    "face106": "face",
    "aflw19": "face",
    "cofw29": "face",
    "facemesh468": "face",
    "ap10k17": "animal",
    "quadruped39": "animal",
    "mouse27": "animal",
}


@dataclass(frozen=True, kw_only=True)
class Listed:
    """Model with a name.

    Attributes:
      name: the name.
      kind: "pose", "detector", "lifter", "backbone", "action" or "mesh".
      task: "body", "wholebody", "hand", "face" or "animal", or the kind if it is not "pose".
      takes: size of its images, `256x192` (height and width), or frames of the input of a lifter
        or a classifier of actions.
      skeleton: name of its skeleton; empty for a detector, and where keypoints have no names.
      gives: the skeleton, the body model, or the number of classes or of keypoints.
      parameters: published number of parameters in millions; None where no figure was found.
      gflops: published multiply-adds in billions; None where no figure was found.
      score: published score with its metric; empty where there is none.
      source: source of the figures.
      trained_on: datasets of the last training.
      licence: licence of the weights; empty if not known.
      address: address of the weights; empty if it is not known, and for a model in the package.
      sha256: first digits of the file's SHA-256; empty for none.
      place: path of the file in the cache, fetched or not, or of the folder in the package.
      here: True if the weights are on this machine.
      limit: sentence about a use that the weights do not permit; empty for no limit.
      record: record of a published model; None for a model in the package.
    """

    name: str
    kind: Kind
    task: str
    takes: str
    skeleton: str
    gives: str
    parameters: float | None = None
    gflops: float | None = None
    score: str = ""
    source: str = ""
    trained_on: tuple[str, ...] = ()
    licence: str = ""
    address: str = ""
    sha256: str = ""
    place: str = ""
    here: bool = False
    limit: str = ""
    record: Published | None = None

    @property
    def status(self) -> str:
        """State of the weights: "here", "fetch", "convert" or, for a limit, "no 3D" or "no use"."""
        if self.limit:
            return "no 3D" if self.kind == "lifter" else "no use"
        if self.here:
            return "here"
        return "fetch" if self.address else "convert"

    def to_json(self) -> dict[str, Any]:
        """Facts as JSON types."""
        facts = {key: value for key, value in vars(self).items() if key not in ("record", "gives")}
        normalisation = getattr(self.record, "normalisation", None)
        if normalisation is not None:
            facts["normalisation"] = vars(normalisation)
        if isinstance(self.record, PublishedPose) and self.record.codec is not None:
            facts["codec"] = type(self.record.codec(self.record.input_hw)).__name__
        return facts | {"trained_on": list(self.trained_on), "status": self.status}


def listed(pattern: str | None = None) -> list[Listed]:
    """Return the models in the package and the published ones, in the order of the families.

    Args:
      pattern: as for `jaxpose.list_models`.
    """
    inside = [name for name in shipped_names() if pattern is None or is_named(name, pattern)]
    return [*map(_of_package, inside), *map(_of_record, records(pattern))]


def _of_record(record: Published) -> Listed:
    address = address_for(record)
    skeleton = record.skeleton.name if record.skeleton is not None else ""
    gives, score = skeleton, record.score
    if isinstance(record, PublishedDetector):
        gives = str(record.num_classes)
        scores = (("box AP", record.box_ap), ("person AP", record.person_ap))
        score = ", ".join(f"{metric} {ap}" for metric, ap in scores if ap is not None)
    elif isinstance(record, PublishedBackbone | PublishedAction):
        gives = str(record.num_classes)
    elif isinstance(record, PublishedMesh):
        gives = record.body
    elif not skeleton:
        gives = str(record.num_keypoints) if isinstance(record, PublishedPose) else ""
    takes, limit = _size(record.input_hw), ""
    if isinstance(record, PublishedLifter | PublishedAction):
        takes, limit = str(record.frames), record.limit
    return Listed(
        name=record.name,
        kind=record.kind,
        task=_TASKS.get(skeleton, "body") if record.kind == "pose" else record.kind,
        takes=takes,
        skeleton=skeleton,
        gives=gives,
        parameters=record.parameters,
        gflops=record.gflops,
        score=score,
        source=record.source,
        trained_on=record.trained_on,
        licence=record.licence,
        address="" if address is None else address.url,
        sha256="" if address is None else address.sha256,
        place="" if address is None else str(place_of(address)),
        here=address is not None and is_fetched(address),
        limit=limit,
        record=record,
    )


def _of_package(name: str) -> Listed:
    folder, kind = shipped_folder(name), shipped_kind(name)
    assert folder is not None and kind is not None
    config = load_config(folder)
    estimator = config.get("estimator") or {}
    skeleton = str((estimator.get("skeleton") or {}).get("name", ""))
    input_hw = config.get("input_hw") or (estimator.get("codec") or {}).get("input_hw")
    return Listed(
        name=name,
        kind=kind,
        task=_TASKS.get(skeleton, "body") if kind == "pose" else kind,
        takes=_size(input_hw),
        skeleton=skeleton,
        gives=str(config.get("num_classes", "")) if kind == "detector" else skeleton,
        source="jaxpose",
        licence="Apache-2.0",
        place=str(folder),
        here=True,
    )


def _size(input_hw: Any) -> str:
    return "" if input_hw is None else "{}x{}".format(*input_hw)
