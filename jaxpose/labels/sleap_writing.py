"""SLEAP's `.slp` of labels and predictions, which SLEAP and sleap-io open.

Labels are instances of a person, predictions with scores are instances of a model, which SLEAP
shows beside them and turns into labels when they are corrected. Flags of occlusion and boxes are
not written. Format 1.3, in which the centre of the upper left pixel is at 0.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.errors import InputError
from jaxpose.labels.labels import Instance, LabelledImage, Labels
from jaxpose.labels.records import size_of
from jaxpose.paths import is_file, whole_file
from jaxpose.skeletons import Skeleton

FILE = "labels.slp"

_FORMAT = 1.3
_FRAMES = np.dtype(
    [
        *(("frame_id", "u8"), ("video", "u4"), ("frame_idx", "u8")),
        *(("instance_id_start", "u8"), ("instance_id_end", "u8")),
    ]
)
_INSTANCES = np.dtype(
    [
        *(("instance_id", "i8"), ("instance_type", "u1"), ("frame_id", "u8"), ("skeleton", "u4")),
        *(("track", "i4"), ("from_predicted", "i8"), ("score", "f4")),
        *(("point_id_start", "u8"), ("point_id_end", "u8"), ("tracking_score", "f4")),
    ]
)
_POINTS = np.dtype([("x", "f8"), ("y", "f8"), ("visible", "?"), ("complete", "?")])
_PREDICTED_POINTS = np.dtype([*_POINTS.descr, ("score", "f8")])


def write_sleap(labels: Labels, skeleton: Skeleton, out: Path) -> None:
    """Write `labels.slp` into the folder `out`, with the paths of the videos or images.

    Raises:
      InputError: h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise InputError(f'{FILE} is HDF5: pip install "jaxpose[labels]" to write it.') from None
    videos, places = _videos(labels.images)
    tracks: dict[str, int] = {}
    frames: list[tuple[int, ...]] = []
    instances: list[tuple[float, ...]] = []
    points: list[np.ndarray] = []
    predicted: list[np.ndarray] = []
    count = skeleton.num_keypoints
    for number, (image, place) in enumerate(zip(labels.images, places, strict=True)):
        first = len(instances)
        for one in image.instances:
            table = points if one.scores is None else predicted
            start = count * len(table)
            table.append(_rows(one))
            track = tracks.setdefault(one.individual, len(tracks)) if one.individual else -1
            score = 0.0 if one.scores is None else float(np.mean(one.scores))
            kind = int(one.scores is not None)
            row = (len(instances), kind, number, 0, track, -1, score, start, start + count, 0.0)
            instances.append(row)
        frames.append((number, *place, first, len(instances)))
    metadata = {
        "version": "2.0.0",
        "skeletons": [_graph(skeleton)],
        "nodes": [{"name": name, "weight": 1.0} for name in skeleton.keypoints],
        "videos": [],
        "tracks": [],
        "suggestions": [],
        "negative_anchors": {},
        "provenance": {},
    }
    out.mkdir(parents=True, exist_ok=True)
    with whole_file(out / FILE) as partial, h5py.File(partial, "w") as file:
        group = file.create_group("metadata")
        group.attrs["format_id"] = _FORMAT
        group.attrs["json"] = np.bytes_(json.dumps(metadata, separators=(",", ":")))
        for name, rows in (
            ("videos_json", videos),
            ("tracks_json", [[0, name] for name in tracks]),
            ("suggestions_json", []),
            ("sessions_json", []),
        ):
            lines = [json.dumps(row, separators=(",", ":")) for row in rows]
            file.create_dataset(name, data=lines, dtype=h5py.string_dtype(), maxshape=(None,))
        file.create_dataset("frames", data=np.array(frames, _FRAMES))
        file.create_dataset("instances", data=np.array(instances, _INSTANCES))
        file.create_dataset("points", data=np.concatenate([np.zeros(0, _POINTS), *points]))
        own = np.concatenate([np.zeros(0, _PREDICTED_POINTS), *predicted])
        file.create_dataset("pred_points", data=own)


def _graph(skeleton: Skeleton) -> dict[str, Any]:
    """Skeleton as SLEAP's graph: limbs are links of type 1, pairs are links of type 2."""

    def link(first: str, second: str, kind: int) -> dict[str, Any]:
        reduced = [{"py/type": "sleap.skeleton.EdgeType"}, {"py/tuple": [kind]}]
        ends = {"source": skeleton.index(first), "target": skeleton.index(second)}
        return {"key": 0, **ends, "type": {"py/reduce": reduced}}

    limbs = [
        {"edge_insert_idx": place, **link(*limb, 1)} for place, limb in enumerate(skeleton.limbs)
    ]
    return {
        "directed": True,
        "graph": {"name": skeleton.name, "num_edges_inserted": len(limbs)},
        "links": [*limbs, *(link(*pair, 2) for pair in skeleton.pairs)],
        "multigraph": True,
        "nodes": [{"id": place} for place in range(skeleton.num_keypoints)],
    }


def _rows(instance: Instance) -> np.ndarray:
    """Rows of the table of points for an instance; NaN where not labelled."""
    rows = np.zeros(
        len(instance.visible), _POINTS if instance.scores is None else _PREDICTED_POINTS
    )
    labelled = instance.visible > 0
    places = np.where(labelled[:, None], instance.keypoints, np.nan)
    rows["x"], rows["y"], rows["visible"] = places[:, 0], places[:, 1], labelled
    if instance.scores is None:
        rows["complete"] = labelled
    else:
        rows["score"] = instance.scores
    return rows


def _videos(
    images: tuple[LabelledImage, ...],
) -> tuple[list[dict[str, Any]], list[tuple[int, int]]]:
    """Videos of the file, and the video and the number in it of each image.

    Images of one folder are one image sequence, which has images of one size in SLEAP.
    """
    members: dict[tuple[str, Any], list[str]] = {}
    sizes: dict[tuple[str, Any], tuple[int, int] | None] = {}
    found = []
    for image in images:
        hw = image.image_hw or size_of(image)
        if image.frame is not None and not image.frame.group:
            key: tuple[str, Any] = (_stated(image.frame.video), "video")
            own, place = members.setdefault(key, []), image.frame.index
        else:
            key = (image.name.rpartition("/")[0], hw)
            own = members.setdefault(key, [])
            place = len(own)
            own.append(_stated(image.path) if is_file(image.path) else image.name)
        sizes[key] = hw
        found.append((list(members).index(key), place))
    return [_backend(key, own, sizes[key]) for key, own in members.items()], found


def _stated(path: Path) -> str:
    return path.absolute().as_posix() if is_file(path) else path.as_posix()


def _backend(key: tuple[str, Any], own: list[str], hw: tuple[int, int] | None) -> dict[str, Any]:
    shape = {} if hw is None else {"shape": [len(own) or None, *hw, 3]}
    if own:
        sides = {} if hw is None else {"height_": hw[0], "width_": hw[1], "channels_": 3}
        backend = {"type": "ImageVideo", "filename": own[0], "filenames": own, **sides}
    else:
        backend = {"type": "MediaVideo", "filename": key[0], "bgr": True}
        shape = {}  # the number of frames is not known
    return {"filename": own or key[0], "backend": {**backend, "grayscale": False, **shape}}
