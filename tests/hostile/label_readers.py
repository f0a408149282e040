"""Rows of the table for labels of other tools, which `jaxpose prepare labels` reads."""

import csv
import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np

from jaxpose.labels.choose import read_labels
from jaxpose.labels.cvat import read_cvat, write_cvat
from jaxpose.labels.deeplabcut import read_deeplabcut, write_deeplabcut
from jaxpose.labels.frames import with_frames
from jaxpose.labels.label_studio import read_label_studio, write_label_studio
from jaxpose.labels.labelme import read_labelme, write_labelme
from jaxpose.labels.labels import Instance, LabelledImage, Labels
from jaxpose.labels.records import annotated_splits
from jaxpose.labels.skeleton import skeleton_of
from jaxpose.labels.sleap import read_sleap
from jaxpose.labels.sleap_writing import FILE, write_sleap
from jaxpose.labels.via import read_via
from jaxpose.labels.yolo_pose import read_yolo_pose, write_yolo_pose
from jaxpose.skeletons import Skeleton
from tests.hostile.reader import Files, Reader
from tests.tool_labels import write_frame

_MOUSE = Skeleton(
    "mouse",
    ("snout", "left_ear", "right_ear"),
    (("left_ear", "right_ear"),),
    (("snout", "left_ear"),),
)


def _labels(folder: Path, individuals: tuple[str, ...]) -> Labels:
    rng = np.random.default_rng(0)
    images = []
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(folder / name), np.zeros((36, 48, 3), np.uint8))
        instances = tuple(
            Instance(
                rng.uniform(5, 30, (3, 2)), np.array([2, 1, 2]), "", one, np.array([2, 3, 30, 31.0])
            )
            for one in individuals
        )
        images.append(LabelledImage(folder / name, name, instances, (36, 48)))
    return Labels("code", folder, _MOUSE.keypoints, tuple(images), _MOUSE.limbs)


def _written(
    write: Callable[[Labels, Skeleton, Path], None], first: str, *individuals: str
) -> Files:
    """The files that a writer makes, by their last names; `first` comes first."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(_labels(folder, individuals), _MOUSE, folder)
        files = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {first: files.pop(first), **files}


def _read(read: Callable[..., Labels], name: str) -> Callable[[Path], Any]:
    """Reads labels, and makes a skeleton and records of them."""

    def read_all(folder: Path) -> Any:
        labels = read(folder / name, folder)
        return annotated_splits(labels, skeleton_of(labels, "mouse"))

    return read_all


def _read_labelme(folder: Path) -> Any:
    read_labelme(folder / "a.json")
    return _read(read_labelme, "")(folder)


def _both(write: Any, first: str) -> Callable[[], list[Files]]:
    return lambda: [_written(write, first, "anna", "bert"), _written(write, first, "")]


def _yolo() -> list[Files]:
    files = _written(write_yolo_pose, "data.yaml", "")
    data = files.pop("data.yaml").replace(b"images/train", b"list.txt")
    first = {"data.yaml": data, "list.txt": b"a.png\n./b.png\n"}
    rows = {name: text for name, text in files.items() if name.endswith((".txt", ".png"))}
    return [first | rows, {"a.txt": rows.pop("a.txt")} | first | rows]


def _deeplabcut_config() -> list[Files]:
    table = "CollectedData_jaxpose.csv"
    return [_written(write_deeplabcut, "config.yaml", *names) for names in (("a", "b"), ("",))] + [
        _written(write_deeplabcut, table, "anna")
    ]


def _hdf5() -> list[Files]:
    rng, samples = np.random.default_rng(0), []
    parts = [(part, axis) for part in _MOUSE.keypoints for axis in "xy"]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "CollectedData_ann.h5"
        for own in ((), ("anna", "bert")):
            columns = [("ann", *o, *p) for o in ([(one,) for one in own] or [()]) for p in parts]
            rows = ["v/a.png", "v/b.png"] if own else [("v", "a.png"), ("v", "b.png")]
            write_frame(path, columns, rows, rng.uniform(1, 30, (2, len(columns))))
            samples.append({path.name: path.read_bytes()})
    return samples


def _sleap() -> list[Files]:
    """Labels of images, and frames that are in the file."""

    def write(labels: Labels, skeleton: Skeleton, out: Path) -> None:
        # The file states paths of images that exist, which differ from one folder to the next.
        nowhere = tuple(replace(image, path=Path(image.name)) for image in labels.images)
        write_sleap(replace(labels, images=nowhere), skeleton, out)

    samples = [_written(write, FILE, "anna", "bert"), _written(write, FILE, "")]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / FILE
        path.write_bytes(samples[1][FILE])
        with h5py.File(path, "a") as file:
            video = {"backend": {"filename": ".", "dataset": "video0/video"}}
            del file["videos_json"]
            file["videos_json"] = [json.dumps(video)]
            encoded = cv2.imencode(".png", np.zeros((36, 48, 3), np.uint8))[1].ravel()
            file["video0/video"] = np.stack([encoded.astype(np.int8)] * 2)
            file["video0/frame_numbers"] = np.arange(2)
        samples.append({FILE: path.read_bytes()})
    return samples


def _via() -> list[Files]:
    """Annotations of VIA in JSON and CSV."""
    shape = {"name": "point", "cx": 3, "cy": 4}
    regions = [
        {"shape_attributes": shape, "region_attributes": {"part": part, "individual": "anna"}}
        for part in _MOUSE.keypoints
    ]
    entries = {n: {"filename": f"{n}.png", "regions": regions} for n in "ab"}
    text = io.StringIO(newline="")
    table = csv.writer(text)
    heads = ["filename", "file_size", "file_attributes", "region_count", "region_id"]
    table.writerow([*heads, "region_shape_attributes", "region_attributes"])
    for name in "ab":
        for one in regions:
            cells = [json.dumps(one[f"{key}_attributes"]) for key in ("shape", "region")]
            table.writerow([f"{name}.png", 9, "{}", 3, 0, *cells])
    return [{"via.json": json.dumps(entries).encode()}, {"via.csv": text.getvalue().encode()}]


def _read_via(folder: Path) -> Any:
    file = next(path for path in (folder / "via.json", folder / "via.csv") if path.exists())
    labels = read_via(file, folder)
    return annotated_splits(labels, skeleton_of(labels, "mouse"))


def _cvat_video() -> list[Files]:
    """Tracks of a skeleton, in a frame that was exported with them."""
    shapes = "".join(
        f'<skeleton frame="{frame}" keyframe="1">'
        + "".join(f'<points label="{part}" points="3,4"/>' for part in _MOUSE.keypoints)
        + "</skeleton>"
        for frame in (1, 2)
    )
    text = f'<annotations><meta/><track id="1" label="mouse">{shapes}</track></annotations>'
    return [{"annotations.xml": text.encode()}]


def _read_sleap(folder: Path) -> Any:
    labels = read_sleap(folder / FILE, folder, predicted=True)
    with tempfile.TemporaryDirectory() as frames:
        labels = with_frames(labels, Path(frames))
    return annotated_splits(labels, skeleton_of(labels, "mouse"))


def _people(found: Any) -> bool:
    splits, skips, _ = found
    counts = [len(image.people) for images in splits.values() for image in images]
    return counts in ([1, 1], [2, 2]) and not any(skips.values())


LABEL_READERS: tuple[Reader, ...] = (
    Reader(
        "DeepLabCut table",
        _read(read_deeplabcut, "CollectedData_jaxpose.csv"),
        _both(write_deeplabcut, "CollectedData_jaxpose.csv"),
        _people,
    ),
    Reader("DeepLabCut HDF5", _read(read_deeplabcut, "CollectedData_ann.h5"), _hdf5, _people),
    Reader("VIA", _read_via, _via, _people),
    Reader("CVAT video", _read(read_cvat, "annotations.xml"), _cvat_video, _people),
    Reader("SLEAP", _read_sleap, _sleap, _people),
    Reader(
        "DeepLabCut project", _read(read_deeplabcut, "config.yaml"), _deeplabcut_config, _people
    ),
    Reader("labelme", _read_labelme, _both(write_labelme, "a.json"), _people),
    Reader(
        "Label Studio",
        _read(read_label_studio, "label_studio.json"),
        _both(write_label_studio, "label_studio.json"),
        _people,
    ),
    Reader(
        "CVAT", _read(read_cvat, "annotations.xml"), _both(write_cvat, "annotations.xml"), _people
    ),
    Reader("YOLO-pose", _read(read_yolo_pose, "data.yaml"), _yolo, _people),
    Reader(
        "labels by content",
        _read(read_labels, ""),
        _both(write_cvat, "annotations.xml"),
        _people,
    ),
)
