"""Datasets: sources of samples for configurations, annotations, and batches.

    train_data = data.Records("datasets/coco", "train")
    eval_data = data.SyntheticPeople(count=256, seed=1)

Each name is imported when it is first used, and none of them imports TensorFlow. The writer of
prepared datasets does; it is `jaxpose.data.builder.write_dataset`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxpose.data.canvas import Canvas as Canvas
    from jaxpose.data.canvas import ImageAnnotation as ImageAnnotation
    from jaxpose.data.canvas import InstanceAnnotation as InstanceAnnotation
    from jaxpose.data.coco_json import read_people as read_people
    from jaxpose.data.mixture import Mixture as Mixture
    from jaxpose.data.mixture import Weighted as Weighted
    from jaxpose.data.motion import Clip as Clip
    from jaxpose.data.motion import Motion as Motion
    from jaxpose.data.motion import motion_of as motion_of
    from jaxpose.data.motion import read_motion as read_motion
    from jaxpose.data.motion import write_motion as write_motion
    from jaxpose.data.motion_dataset import CameraSet as CameraSet
    from jaxpose.data.motion_dataset import MotionDataset as MotionDataset
    from jaxpose.data.pipeline import sequential as sequential
    from jaxpose.data.pipeline import stream as stream
    from jaxpose.data.source import Batch as Batch
    from jaxpose.data.source import Dataset as Dataset
    from jaxpose.data.source import Images as Images
    from jaxpose.data.source import Records as Records
    from jaxpose.data.source import Source as Source
    from jaxpose.data.source import SyntheticPeople as SyntheticPeople
    from jaxpose.data.source import SyntheticScenes as SyntheticScenes

_MODULES = {
    "canvas": ("Canvas", "ImageAnnotation", "InstanceAnnotation"),
    "coco_json": ("read_people",),
    "mixture": ("Mixture", "Weighted"),
    "motion": ("Clip", "Motion", "motion_of", "read_motion", "write_motion"),
    "motion_dataset": ("CameraSet", "MotionDataset"),
    "pipeline": ("sequential", "stream"),
    "source": (
        *("Batch", "Dataset", "Images", "Records", "Source"),
        *("SyntheticPeople", "SyntheticScenes"),
    ),
}
_NAMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """A name of `_NAMES`, imported at its first use."""
    if name in _NAMES:
        return getattr(importlib.import_module(f"jaxpose.data.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'jaxpose.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*(n for n in globals() if n.startswith("__")), *_NAMES})
