"""Rows of the table for the annotations of public datasets, which `data_prep` reads."""

import io
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from jaxpose.config.scripts import find_script, load_script
from jaxpose.data.coco_json import read_people
from jaxpose.data.motion import Clip, motion_of, read_motion, write_motion
from jaxpose.data.published_sets import PUBLISHED
from jaxpose.geometry.cameras import pinhole
from jaxpose.skeletons import HUMANEVA15
from tests.dataset_files import AFLW_TYPES, aflw_file, cofw_file
from tests.hostile.object_readers import scene_files, scenes_through
from tests.hostile.reader import Files, Reader

K = [[1145.0, 0, 512], [0, 1143, 515], [0, 0, 1]]


def _rng() -> np.random.Generator:
    """Anew for each sample, so that samples are the same each time."""
    return np.random.default_rng(0)


def _script(name: str) -> Any:
    return load_script(find_script(name, "data_prep"))


def _saved(save: Callable[..., Any], *content: Any, **arrays: Any) -> bytes:
    file = io.BytesIO()
    save(file, *content, **arrays)
    # MATLAB files begin with the time of their making.
    return re.sub(rb"Created on: .{24}", b"Created on: " + b" " * 24, file.getvalue(), count=1)


def _mpii_json() -> list[Files]:
    person = {"image": "a.jpg", "center": [160, 120], "scale": 1.0, "joints_vis": [1] * 16}
    joints = _rng().uniform(40, 200, (16, 2)).round().tolist()
    people = [person | {"joints": joints}, person | {"image": "b.jpg", "joints": joints}]
    return [{"mpii.json": json.dumps(people).encode()}]


def _struct(**fields: Any) -> np.ndarray:
    """A 1x1 struct array as MATLAB writes it."""
    array = np.zeros((1, 1), dtype=[(name, object) for name in fields])
    for name, value in fields.items():
        array[0, 0][name] = value
    return array


def _mpii_mat() -> list[Files]:
    point = np.zeros((1, 16), dtype=[(name, object) for name in ("x", "y", "id", "is_visible")])
    for number in range(16):
        point[0, number] = (10.0 + number, 20.0 + number, number, "1")
    person = _struct(
        x1=11.0,
        y1=12.0,
        x2=21.0,
        y2=32.0,
        annopoints=_struct(point=point),
        scale=0.2,
        objpos=_struct(x=30.0, y=40.0),
    )
    annolist = _struct(annorect=person, image=_struct(name="a.jpg"))
    release = _struct(annolist=annolist, img_train=np.array([[1]]))
    return [{"mpii.mat": _saved(savemat, {"RELEASE": release})}]


def _mpii(name: str, which: str) -> Callable[[Path], Any]:
    return lambda folder: getattr(_script("mpii"), which)(folder / name, folder)


def _lsp() -> list[Files]:
    joints = np.ones((3, 14, 2000), np.uint8)
    return [{"joints.mat": _saved(savemat, {"joints": joints}, do_compression=True)}]


def _lspet() -> list[Files]:
    return [{"joints.mat": _saved(savemat, {"joints": _rng().uniform(20, 200, (14, 3, 4))})}]


_CAMERAS = ("54138969", "55011271", "58860488", "60457274")


def _h36m_cameras() -> dict[str, Any]:
    lens = {"calibration_matrix": K, "distortion": [-0.2, 0.2, -1e-3, -1e-3, -3e-3]}
    place = {"R": np.eye(3).tolist(), "t": [[0], [0], [5000]]}
    views = {"S9": dict.fromkeys(_CAMERAS, place)}
    return {"intrinsics": dict.fromkeys(_CAMERAS, lens), "extrinsics": views}


def _videopose3d() -> list[Files]:
    world = {"S9": {"Walking 1": _rng().normal(scale=0.4, size=(3, 32, 3))}}
    joints = _saved(np.savez, positions_3d=np.array(world, dtype=object))
    cameras = json.dumps(_h36m_cameras()).encode()
    first = {"joints.npz": joints, "cameras.json": cameras}
    return [first, {"cameras.json": cameras, "joints.npz": joints}]


def _read_videopose3d(folder: Path) -> Any:
    return _script("h36m").videopose3d_clips(folder / "joints.npz", folder / "cameras.json", None)


def _poses() -> list[Files]:
    return [{"poses.npz": _saved(np.savez, **{"S9/walking_1": _rng().normal(size=(4, 17, 3))})}]


def _mmpose(names: list[str], key: Any) -> list[Files]:
    part, joints = _rng().uniform(0, 1, (3, 17, 3)), _rng().uniform(0, 1, (3, 17, 4))
    clips = _saved(np.savez, imgname=np.array(names), part=part, S=joints)
    camera = {
        "R": np.eye(3),
        "T": np.ones((3, 1)),
        "f": [[1145.0], [1143.0]],
        "c": [[512.0], [515]],
    }
    cameras = pickle.dumps({key: camera | {"w": 1000, "h": 1000}}, 2)
    first = {"clips.npz": clips, "cameras.pkl": cameras}
    return [first, {"cameras.pkl": cameras, "clips.npz": clips}]


def _h36m_mmpose() -> list[Files]:
    names = [f"S9_Walking_1.{_CAMERAS[0]}_{frame:06d}.jpg" for frame in (1, 6, 11)]
    return _mmpose(names, ("S9", _CAMERAS[0]))


def _read_h36m_mmpose(folder: Path) -> Any:
    return _script("h36m").mmpose_clips(folder / "clips.npz", folder / "cameras.pkl")


def _mpi_inf_3dhp() -> list[Files]:
    return _mmpose([f"TS1_{frame:06d}.jpg" for frame in (1, 2, 3)], "TS1")


def _read_mpi_inf_3dhp(folder: Path) -> Any:
    out = folder / "out.npz"
    try:
        return _script("mpi_inf_3dhp").prepare(
            out, test=folder / "clips.npz", cameras_test=folder / "cameras.pkl"
        )
    finally:
        out.unlink(missing_ok=True)


def _humaneva() -> list[Files]:
    arrays = {
        "p3d_000": _rng().normal(size=(4, 15, 3)),
        "p2d_000": _rng().normal(size=(3, 4, 15, 2)),
    }
    return [{"flat.npz": _saved(np.savez, names=np.array(["Train/S2|Jog 1 chunk0"]), **arrays)}]


def clip(frames: int) -> Clip:
    """A clip of HumanEva's joints at random."""
    view = pinhole(K, np.eye(3), np.zeros(3))
    return Clip(
        joints_mm=_rng().normal(scale=300, size=(frames, 15, 3)) + np.array([0.0, 0, 3000]),
        keypoints=_rng().uniform(0, 640, (frames, 15, 2)),
        split="train",
        subject="S1",
        action="Walking",
        camera="C1",
        name="Walking 1",
        fps=60.0,
        image_wh=(640, 480),
        view=view,
    )


def _interhand() -> list[Files]:
    names = ("data.json", "camera.json", "joint_3d.json")
    image = {"id": 5, "file_name": "a.jpg", "width": 320, "height": 240}
    image |= {"capture": 0, "camera": "40", "frame_idx": 9}
    hands = {"id": 8, "image_id": 5, "bbox": [5, 5, 40, 50], "joint_valid": [[1]] * 42}
    joints = _rng().uniform(-50, 50, (42, 3)).round(1).tolist()
    camera = {"campos": [0, 0, -900], "camrot": np.eye(3).tolist()}
    camera |= {"focal": [1200, 1200], "princpt": [160, 120]}
    content = (
        {"images": [image], "annotations": [hands]},
        {"0": {key: {"40": value} for key, value in camera.items()}},
        {"0": {"9": {"world_coord": joints}}},
    )
    files = {n: json.dumps(c).encode() for n, c in zip(names, content, strict=True)}
    return [{name: files[name], **files} for name in names]


def _read_interhand(folder: Path) -> Any:
    files = (folder / f"{kind}.json" for kind in ("data", "camera", "joint_3d"))
    return _script("interhand").hands(*files, folder)


def _wflw() -> list[Files]:
    points = _rng().uniform(40, 200, (2, 196)).round(2)
    lines = (f"{' '.join(map(str, face))} 1 2 3 4 0 1 0 0 1 0 0--a/b.jpg" for face in points)
    return [{"list.txt": "\n".join(lines).encode()}]


def _face_landmarks() -> list[Files]:
    points = _rng().uniform(40, 200, (68, 2)).round(2)
    rows = "\n".join(f"{x} {y}" for x, y in points)
    pts = f"version: 1\nn_points: 68\n{{\n{rows}\n}}\n".encode()
    return [{"a.pts": pts, "a.png": b""}, {"a.txt": f"68\n{rows}\n".encode(), "a.png": b""}]


def _freihand() -> list[Files]:
    joints = _rng().uniform(0.4, 0.6, (21, 3)).round(4).tolist()
    files: Files = {
        "xyz.json": json.dumps([joints]).encode(),
        "K.json": json.dumps([[[480, 0, 112], [0, 480, 112], [0, 0, 1]]]).encode(),
        "00000000.jpg": b"",
    }
    return [files, {"K.json": files["K.json"], **files}]


def _cofw() -> list[Files]:
    landmarks = np.concatenate([_rng().uniform(5, 30, 58), np.zeros(29)])[None]
    image = np.full((36, 48, 3), 90, np.uint8)
    return [{"cofw.mat": cofw_file([image], landmarks, np.array([[5.0, 6, 20, 22]]))}]


def _rhd() -> list[Files]:
    joints = _rng().uniform(0.4, 0.6, (42, 3)).astype(np.float32)
    table = np.concatenate([_rng().uniform(5, 300, (42, 2)), np.ones((42, 1))], axis=1)
    entry = {"xyz": joints, "uv_vis": table, "K": np.array(K)}
    return [{"anno.pickle": pickle.dumps({0: entry, 5: entry}, 2)}]


def _onehand10k() -> list[Files]:
    points = ",".join(map(str, _rng().integers(5, 80, 42)))
    return [{"list.txt": f"1.jpg,90,80,1,{points}\n2.jpg,90,80,2,{points},{points}\n".encode()}]


def _aflw() -> list[Files]:
    points = [(7, number, 20.0 + number, 40.0 - number) for number, _ in AFLW_TYPES]
    images = [("a", "0/a.jpg", 90, 80)]
    return [{"aflw.sqlite": aflw_file([(7, "a")], images, points, [(7, 5, 6, 50, 60)])}]


def _3dpw() -> list[Files]:
    content = {
        "cam_intrinsics": np.array(K),
        "cam_poses": np.tile(np.eye(4), (2, 1, 1)),
        "jointPositions": [_rng().uniform(0.4, 0.6, (2, 72))],
        "poses2d": [_rng().uniform(0.4, 60, (2, 3, 18))],
        "campose_valid": [np.ones(2)],
    }
    return [{"a.pkl": pickle.dumps(content, 2)}]


def _ubody() -> list[Files]:
    (files,) = _published("coco_wholebody")()
    names = io.BytesIO()
    np.save(names, np.array(["a", "b"]))
    listed = {"test.npy": names.getvalue()}
    return [files | listed, listed | files]


def _read_ubody(folder: Path) -> Any:
    script = _script("ubody")
    return script.people(folder / "people.json", folder, script.test_videos(folder / "test.npy"))


def _aic() -> list[Files]:
    table = np.concatenate([_rng().uniform(40, 200, (14, 2)).round(), np.ones((14, 1))], axis=1)
    entry = {"image_id": "a", "keypoint_annotations": {"human1": table.ravel().tolist()}}
    return [
        {
            "aic.json": json.dumps(
                [entry | {"human_annotations": {"human1": [9, 9, 220, 230]}}]
            ).encode()
        }
    ]


def _published(name: str) -> Callable[[], list[Files]]:
    def files() -> list[Files]:
        layout = PUBLISHED[name]
        points = _rng().uniform(40, 200, (layout.skeleton.num_keypoints, 2)).round()
        table = np.concatenate([points, np.ones((len(points), 1))], axis=1).ravel().tolist()
        entry = {"id": 1, "image_id": 1, "category_id": 1, "center": [90, 90], "scale": 0.8}
        for entries in layout.entries:
            entry |= {entries.keypoints[0]: table, entries.box: [40, 40, 100, 90]}
            entry |= {entries.valid: True}
        content = {
            "images": [{"id": 1, "file_name": "a.jpg", "height": 240, "width": 320}],
            "annotations": [entry],
            "categories": [{"id": 1, "name": "part", "keypoints": []}],
        }
        return [{"people.json": json.dumps(content).encode()}]

    return files


def _read_published(name: str) -> Callable[[Path], Any]:
    layout = PUBLISHED[name]
    return lambda folder: read_people(
        folder / "people.json", folder, layout.skeleton, published=layout
    )


def _motion() -> list[Files]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "motion.npz"
        write_motion(path, motion_of(HUMANEVA15, [clip(4)]))
        return [{"motion.npz": path.read_bytes()}]


def _frames(count: int, clips: int = 1) -> Callable[[Any], Any]:
    return lambda found: len(found) == clips and all(len(c.joints_mm) == count for c in found)


# Rows of each script of `data_prep` that reads annotations itself; `coco` uses `read_people`.
SCRIPTS: dict[str, tuple[Reader, ...]] = {
    "bop": (
        Reader(
            "BOP objects",
            lambda folder: scenes_through(folder, _script("bop").objects),
            scene_files,
            lambda found: [len(image.people) for image in found[0]] == [2] and not found[1],
        ),
    ),
    "mpii": (
        Reader(
            "MPII list",
            _mpii("mpii.json", "people_of_json"),
            _mpii_json,
            lambda found: [len(image.people) for image in found[0]] == [1, 1] and not found[1],
        ),
        Reader(
            "MPII release",
            _mpii("mpii.mat", "people_of_mat"),
            _mpii_mat,
            lambda found: [len(image.people) for image in found[0]] == [1] and not found[1],
        ),
    ),
    "lsp": (
        Reader(
            "LSP",
            lambda folder: _script("lsp").lsp_people(folder / "joints.mat"),
            _lsp,
            lambda people: len(people) == 2000,
        ),
        Reader(
            "LSP-Extended",
            lambda folder: _script("lsp").lspet_people(folder / "joints.mat"),
            _lspet,
            lambda people: len(people) == 4,
        ),
    ),
    "h36m": (
        Reader("VideoPose3D", _read_videopose3d, _videopose3d, _frames(3, clips=4)),
        Reader("H36M MMPose", _read_h36m_mmpose, _h36m_mmpose, _frames(3)),
        Reader(
            "H36M poses",
            lambda folder: _script("h36m").pose_clips(folder / "poses.npz"),
            _poses,
            _frames(4),
        ),
    ),
    "mpi_inf_3dhp": (
        Reader(
            "MPI-INF-3DHP",
            _read_mpi_inf_3dhp,
            _mpi_inf_3dhp,
            lambda summary: list(summary.frames.values()) == [(1, 3)],
        ),
    ),
    "wflw": (
        Reader(
            "WFLW list",
            lambda folder: _script("wflw").faces(folder / "list.txt", folder),
            _wflw,
            lambda found: [len(image.people) for image in found[0]] == [2] and not found[1],
        ),
    ),
    "face_landmarks": (
        Reader(
            "files of face landmarks",
            lambda folder: _script("face_landmarks").faces([folder]),
            _face_landmarks,
            lambda found: [len(image.people) for image in found[0]] == [1] and not found[1],
        ),
    ),
    "cofw": (
        Reader(
            "COFW",
            lambda folder: _script("cofw").faces(folder / "cofw.mat", folder),
            _cofw,
            lambda found: [len(image.people) for image in found[0]] == [1] and not found[1],
        ),
    ),
    "rhd": (
        Reader(
            "RHD",
            lambda folder: _script("rhd").hands(folder / "anno.pickle", folder),
            _rhd,
            lambda found: [len(image.people) for image in found[0]] == [2, 2] and not found[1],
        ),
    ),
    "onehand10k": (
        Reader(
            "OneHand10K list",
            lambda folder: _script("onehand10k").hands(folder / "list.txt", folder),
            _onehand10k,
            lambda found: [len(image.people) for image in found[0]] == [1, 2] and not found[1],
        ),
    ),
    "aflw": (
        Reader(
            "AFLW",
            lambda folder: _script("aflw").faces(folder / "aflw.sqlite", folder),
            _aflw,
            lambda found: [len(image.people) for image in found[0]] == [1] and not found[1],
        ),
    ),
    "3dpw": tuple(
        Reader(
            f"3DPW {keypoints}",
            lambda folder, chosen=keypoints: _script("3dpw").people(folder, folder, chosen),
            _3dpw,
            lambda found: [len(image.people) for image in found[0]] == [1, 1] and not found[1],
        )
        for keypoints in ("smpl", "openpose")
    ),
    "ubody": (
        Reader(
            "UBody",
            _read_ubody,
            _ubody,
            lambda found: [len(image.people) for image in found[0]] == [1] and not found[1],
        ),
    ),
    "freihand": (
        Reader(
            "FreiHAND",
            lambda folder: _script("freihand").hands(
                folder / "xyz.json", folder / "K.json", folder
            ),
            _freihand,
            lambda found: [len(image.people) for image in found[0]] == [1] and not found[1],
        ),
    ),
    "aic": (
        Reader(
            "AI Challenger list",
            lambda folder: _script("aic").people(folder / "aic.json", folder),
            _aic,
            lambda found: [len(image.people) for image in found[0]] == [1] and not found[1],
        ),
    ),
    "interhand": (
        Reader(
            "InterHand2.6M",
            _read_interhand,
            _interhand,
            lambda found: [len(image.people) for image in found[0]] == [1] and not found[1],
        ),
    ),
    "humaneva": (
        Reader(
            "HumanEva",
            lambda folder: _script("humaneva").read_sequences(folder / "flat.npz"),
            _humaneva,
            lambda found: len(found) == 1 and found[0]["joints"].shape == (4, 15, 3),
        ),
    ),
}
DATASET_READERS: tuple[Reader, ...] = (
    *(reader for readers in SCRIPTS.values() for reader in readers),
    *(
        Reader(
            f"published {name}",
            _read_published(name),
            _published(name),
            lambda found, hands=hands: len(found[0][0].people) == hands and not found[1],
        )
        for name, hands in (("wflw", 1), ("coco_wholebody_hand", 2))
    ),
    Reader(
        "motion dataset",
        lambda folder: read_motion(folder / "motion.npz"),
        _motion,
        lambda motion: motion.length.tolist() == [4],
    ),
)
