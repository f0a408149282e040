"""Table of the readers of files, each with files that it reads without an error.

A reader takes a folder with the files of a sample and returns what it read. The samples are made by
code, small, and cover what a reader parses: `fuzz` changes them at random.
"""

import csv
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from jaxpose.codecs.heatmap import udp
from jaxpose.config import override
from jaxpose.data.coco_json import read_json, read_people
from jaxpose.data.lint.check import check_annotations
from jaxpose.data.matlab import read_mat
from jaxpose.data.pickles import read_pickle, read_pickled_npz
from jaxpose.errors import InputError
from jaxpose.media.frames import Skipped
from jaxpose.media.image import exif_orientation, page_count, read_image
from jaxpose.media.sources import open_media
from jaxpose.media.video import open_video
from jaxpose.metrics.coco import load_document
from jaxpose.metrics.report import Report
from jaxpose.motion.bvh import Bvh, forward_kinematics, read_bvh, write_bvh
from jaxpose.motion.timing import even_clock
from jaxpose.multiview.calibration import (
    read_h36m,
    read_opencv,
    read_panoptic,
    read_pose2sim,
    read_voxelpose,
)
from jaxpose.results.box_files import read_boxes
from jaxpose.results.lifted_files import read_lifted
from jaxpose.results.motion_files import LiftedTrack, document
from jaxpose.results.readers import read_results
from jaxpose.scaling.manifest import Manifest, read_manifest, write_manifest
from jaxpose.skeletons import COCO17, H36M17, load
from jaxpose.train.log import read_metrics
from jaxpose.train.run_dir import read_record
from tests.hostile.body_readers import BODY_READERS
from tests.hostile.dataset_readers import DATASET_READERS
from tests.hostile.label_readers import LABEL_READERS
from tests.hostile.object_readers import OBJECT_READERS
from tests.hostile.reader import Files, Reader, files_of
from tests.hostile.score_readers import SCORE_READERS, coco_document
from tests.hostile.weight_readers import WEIGHT_READERS


def _pixels(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (36, 48, 3)).astype(np.uint8)


def _images() -> list[Files]:
    encoded = [
        cv2.imencode(f".{kind}", _pixels())[1].tobytes()
        for kind in ("jpg", "png", "webp", "gif", "bmp", "tiff", "jp2", "avif")
    ]
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("JPEG", "PNG", "WEBP"):
        file = io.BytesIO()
        Image.fromarray(_pixels(1)).save(file, kind, exif=exif)
        encoded.append(file.getvalue())
    transparent = np.concatenate([_pixels(2), _pixels(3)[..., :1]], -1)
    for kind in ("PNG", "TIFF"):
        file = io.BytesIO()
        Image.fromarray(transparent).save(file, kind)
        encoded.append(file.getvalue())
    return [{"image": data} for data in encoded]


def _read_image(folder: Path) -> Any:
    image = read_image(folder / "image")
    return image, exif_orientation(folder / "image"), page_count(folder / "image")


def _videos() -> list[Files]:
    import tempfile

    from tests.videos import write_video

    kinds = {"libx264": ("mp4", "mkv", "ts", "flv"), "mjpeg": ("avi",), "libvpx": ("webm",)}
    kinds |= {"mpeg4": ("mp4", "avi"), "mpeg2video": ("mpg",)}
    with tempfile.TemporaryDirectory() as folder:
        samples = []
        for codec, suffixes in kinds.items():
            for suffix in suffixes:
                rate = 25 if codec == "mpeg2video" else 10
                path = write_video(Path(folder) / f"a.{suffix}", 12, codec=codec, rate=rate)
                samples.append({"video": path.read_bytes()})
        return samples


def _read_video(folder: Path) -> Any:
    reports: list[Skipped] = []
    frames = [(f.image.shape, f.seconds) for f in open_video(folder / "video", reports.append)]
    if not frames:
        raise InputError(reports[-1].reason)
    if (np.diff([seconds for _, seconds in frames]) >= 0).all():
        even_clock(np.array([seconds for _, seconds in frames]))
    return frames, reports


def _annotations() -> list[Files]:
    image = cv2.imencode(".png", _pixels())[1].tobytes()
    return [{"people.json": json.dumps(coco_document()).encode(), "0.png": image, "1.png": image}]


def _read_annotations(folder: Path) -> Any:
    read = read_people(folder / "people.json", folder, COCO17)
    whole = read_people(folder / "people.json", folder, COCO17, whole_images=True, empty=True)
    document = load_document(folder / "people.json", "annotation")
    return read, whole, document


def _check_annotations(folder: Path) -> Any:
    return check_annotations(read_json(folder / "people.json"), COCO17, folder)


def _boxes() -> list[Files]:
    box = {"bbox": [1, 2, 3, 4], "score": 0.5, "category_id": 1}
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerows([["file", "x", "y", "w", "h", "score"], ["a.jpg", 1, 2, 3, 4, 0.5]])
    documents: list[Any] = [
        [
            {"file_name": "a.jpg", **box},
            {"image_id": 7, **box},
            {"file_name": "v.mp4", "frame": 3, **box},
        ],
        coco_document(),
        {"a.jpg": [[1, 2, 3, 4]], "v.mp4": {"0": [[1, 2, 3, 4]]}, "b.jpg": []},
    ]
    texts = [json.dumps(document) for document in documents] + [table.getvalue()]
    return [{"boxes": text.encode()} for text in texts]


def _results() -> list[Files]:
    person = {
        "box_index": 0,
        "box_xywh": [1.0, 2.0, 3.0, 4.0],
        "score": 0.5,
        "keypoints": {name: {"x": 1.5, "y": 2.5, "score": 0.9} for name in COCO17.keypoints},
    }
    frame = {"file": "a.mp4", "width": 48, "height": 36, "people": [person]}
    head = {"skeleton": {"name": "coco17", "keypoints": list(COCO17.keypoints)}}
    timed = [{"frame": i, "seconds": i / 25, "frame_rate": "30000/1001"} for i in range(3)]
    frames = [frame | one for one in timed]
    whole = json.dumps({**head, "frames": frames})
    lines = "\n".join(json.dumps(one) for one in frames)
    return [{"results.json": whole.encode()}, {"results.json": lines.encode()}]


def _lifted() -> list[Files]:
    rng = np.random.default_rng(0)
    tracks = [
        LiftedTrack(H36M17, rng.normal(0, 400, (2, 17, 3)), np.arange(2), 25.0, track=number)
        for number in (1, 4)
    ]
    return [{"lifted.json": json.dumps(document(tracks)).encode()}]


def _read_lifted(folder: Path) -> Any:
    """As `jaxpose fit`, which reads a file of another form as predictions."""
    path = folder / "lifted.json"
    return read_lifted(path) or read_results(path)


def _skeletons() -> list[Files]:
    text = (
        'name = "cane5"\nkeypoints = ["grip", "left_hand", "right_hand", "middle", "tip"]\n'
        'pairs = [["left_hand", "right_hand"]]\nlimbs = [["grip", "middle"]]\n'
        'sigmas = "uniform:0.05"\nkeypoint_colors = []\n'
        "side_colors = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]\n"
    )
    return [{"skeleton.toml": text.encode()}]


def _mat() -> list[Files]:
    from scipy.io import savemat

    file, packed = io.BytesIO(), io.BytesIO()
    content = {"joints": np.random.default_rng(0).random((3, 14, 2)), "names": ["a", "b"]}
    savemat(file, content)
    savemat(packed, content, do_compression=True)
    return [{"joints.mat": file.getvalue()}, {"joints.mat": packed.getvalue()}]


def _pickles() -> list[Files]:
    content = {"S1": [np.arange(6.0).reshape(2, 3)], "size": (3, 4), "name": "x"}
    return [{"a.pkl": pickle.dumps(content, protocol)} for protocol in (2, 4)]


def _pickled_npz() -> list[Files]:
    file = io.BytesIO()
    np.savez(file, positions_3d=np.array({"S1": np.ones(3)}, dtype=object))
    return [{"a.npz": file.getvalue()}]


def _bvh() -> list[Files]:
    import tempfile

    bvh = Bvh(
        ("hips", "hips_end"),
        (-1, 0),
        np.array([[0.0, 0, 0], [0, 10, 0]]),
        (("Xposition", "Yposition", "Zposition", "Zrotation", "Xrotation", "Yrotation"), ()),
        np.arange(12.0).reshape(2, 6),
        0.04,
    )
    with tempfile.TemporaryDirectory() as folder:
        write_bvh(Path(folder) / "a.bvh", bvh)
        return [{"a.bvh": (Path(folder) / "a.bvh").read_bytes()}]


_CAMERA = {"R": np.eye(3).tolist(), "t": [[0.0], [0.0], [1.0]]}
_K = [[100.0, 0, 12], [0, 100, 9], [0, 0, 1]]


def _calibrations(layout: Any) -> Callable[[], list[Files]]:
    return lambda: [{"rig.json": json.dumps(layout).encode()}]


def _toml_calibration() -> list[Files]:
    text = (
        '[cam_01]\nname = "one"\nsize = [24.0, 18.0]\n'
        "matrix = [[100.0, 0.0, 12.0], [0.0, 100.0, 9.0], [0.0, 0.0, 1.0]]\n"
        "distortions = [0.0, 0.0, 0.0, 0.0]\nrotation = [0.0, 0.1, 0.0]\n"
        "translation = [0.0, 0.0, 1.0]\nfisheye = false\n"
    )
    return [{"rig.toml": text.encode()}]


def _opencv_calibration() -> list[Files]:
    matrix = "!!opencv-matrix\n  rows: {0}\n  cols: {1}\n  dt: d\n  data: [{2}]\n"
    text = '%YAML:1.0\n---\nnames:\n  - "1"\n'
    for name, shape, values in (
        ("K_1", (3, 3), "100., 0., 12., 0., 100., 9., 0., 0., 1."),
        ("dist_1", (1, 5), "0., 0., 0., 0., 0."),
        ("Rot_1", (3, 3), "1., 0., 0., 0., 1., 0., 0., 0., 1."),
        ("T_1", (3, 1), "0., 0., 1."),
    ):
        text += f"{name}: {matrix.format(*shape, values)}"
    return [{"rig.yml": text.encode()}]


_H36M = {
    "intrinsics": {"c1": {"calibration_matrix": _K, "distortion": [0.0] * 5}},
    "extrinsics": {"S1": {"c1": _CAMERA}},
}
_PANOPTIC = {
    "cameras": [
        {"name": "00_00", "type": "hd", "resolution": [24, 18], "K": _K, "distCoef": [0.0] * 5}
        | _CAMERA
    ]
}
_VOXELPOSE = {
    "0": {
        "R": np.eye(3).tolist(),
        "T": [[0.0], [0], [1]],
        "fx": 100.0,
        "fy": 100,
        "cx": 12,
        "cy": 9,
    }
    | {"k": [[0.0], [0], [0]], "p": [[0.0], [0]]}
}


def _lists() -> list[Files]:
    image = cv2.imencode(".png", _pixels())[1].tobytes()
    return [
        {
            "list.txt": b"a.png\n# a comment\n./b 1.png  # another\n",
            "a.png": image,
            "b 1.png": image,
        }
    ]


def _changes() -> list[Files]:
    text = "sigma=2.5\nheatmap_hw=(32, 24)\ninput_hw=(128,96)\n"
    return [{"changes.txt": text.encode()}]


def _read_changes(folder: Path) -> Any:
    codec = udp(input_hw=(64, 48), heatmap_hw=(16, 12), sigma=1.0)
    lines = (folder / "changes.txt").read_text("utf-8", "replace").split("\n")
    return override(codec, [line for line in lines if line])


def _records() -> list[Files]:
    record = {"schema": 2, "experiment": {"class": "x.Y", "steps": 3}, "data": {"train": "ab"}}
    return [{"config.json": json.dumps(record).encode()}]


def _metrics() -> list[Files]:
    lines = [{"step": i, "kind": "train", "loss": 1 / i, "bad": None} for i in (1, 2, 3)]
    return [{"metrics.jsonl": "\n".join(map(json.dumps, lines)).encode()}]


def _reports() -> list[Files]:
    report = Report({"AP": 0.5}, "annotated", False, "plain", "COCO", 3)
    return [{"report.json": report.to_json().encode()}]


def _manifests() -> list[Files]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        write_manifest(Path(folder), Manifest("made up", {"class": "x.Y"}, "AP", ()))
        return [files_of(Path(folder))]


def _cameras(rig: Any) -> Any:
    return len(rig.names) == 1 and rig.cameras.K.shape == (1, 3, 3)


READERS: tuple[Reader, ...] = (
    Reader(
        "image",
        _read_image,
        _images,
        lambda found: sorted(found[0].shape) == [3, 36, 48] and found[2] == 1,
    ),
    Reader("video", _read_video, _videos, lambda found: len(found[0]) == 12 and not found[1]),
    Reader(
        "COCO annotations",
        _read_annotations,
        _annotations,
        lambda found: len(found[0][0]) == 3 and not found[0][1] and len(found[1][0]) == 3,
    ),
    Reader(
        "data check", _check_annotations, _annotations, lambda findings: isinstance(findings, list)
    ),
    Reader(
        "box file",
        lambda folder: read_boxes(folder / "boxes"),
        _boxes,
        lambda found: found.of("a.jpg").tolist() or found.of("0.png").tolist(),
    ),
    Reader(
        "results",
        lambda folder: read_results(folder / "results.json"),
        _results,
        lambda frames: [len(people) for people in frames] == [1, 1, 1],
    ),
    Reader(
        "lifted",
        _read_lifted,
        _lifted,
        lambda found: found.tracks.tolist() == [1, 4, 1, 4],
    ),
    Reader(
        "list of paths",
        lambda folder: open_media([folder / "list.txt"]).paths,
        _lists,
        lambda paths: [path.name for path in paths] == ["a.png", "b 1.png"],
    ),
    Reader(
        "--set",
        _read_changes,
        _changes,
        lambda codec: (codec.sigma, codec.heatmap_hw) == (2.5, (32, 24)),
    ),
    Reader("run", read_record, _records, lambda record: record["data"] == {"train": "ab"}),
    Reader("metrics", read_metrics, _metrics, lambda records: len(records) == 3),
    Reader(
        "report",
        lambda folder: Report.from_json((folder / "report.json").read_text("utf-8", "replace")),
        _reports,
        lambda report: report.metrics["AP"] == 0.5,
    ),
    Reader("study", read_manifest, _manifests, lambda manifest: manifest.metric == "AP"),
    Reader(
        "skeleton",
        lambda folder: load(folder / "skeleton.toml"),
        _skeletons,
        lambda skeleton: skeleton.num_keypoints == 5 and len(skeleton.sigmas) == 5,
    ),
    Reader(
        "MATLAB",
        lambda folder: read_mat(folder / "joints.mat", "joints"),
        _mat,
        lambda joints: joints.shape == (3, 14, 2),
    ),
    Reader(
        "pickle",
        lambda folder: read_pickle(folder / "a.pkl"),
        _pickles,
        lambda content: content["size"] == (3, 4) and content["S1"][0].shape == (2, 3),
    ),
    Reader(
        "pickled npz",
        lambda folder: read_pickled_npz(folder / "a.npz", "positions_3d"),
        _pickled_npz,
        lambda content: content["S1"].tolist() == [1, 1, 1],
    ),
    Reader(
        "BVH",
        lambda folder: forward_kinematics(read_bvh(folder / "a.bvh")),
        _bvh,
        lambda positions: positions.shape == (2, 2, 3),
    ),
    Reader("H36M rig", lambda f: read_h36m(f / "rig.json", "S1"), _calibrations(_H36M), _cameras),
    Reader(
        "Panoptic cameras",
        lambda f: read_panoptic(f / "rig.json"),
        _calibrations(_PANOPTIC),
        _cameras,
    ),
    Reader(
        "VoxelPose cameras",
        lambda f: read_voxelpose(f / "rig.json"),
        _calibrations(_VOXELPOSE),
        _cameras,
    ),
    Reader("Pose2Sim rig", lambda f: read_pose2sim(f / "rig.toml"), _toml_calibration, _cameras),
    Reader("OpenCV rig", lambda f: read_opencv(f / "rig.yml"), _opencv_calibration, _cameras),
    *WEIGHT_READERS,
    *SCORE_READERS,
    *BODY_READERS,
    *OBJECT_READERS,
    *DATASET_READERS,
    *LABEL_READERS,
)
