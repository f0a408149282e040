"""Tiny files for the names that the pages use, such as `photo.jpg`, `rtmpose-s` or `runs/mine`.

A file is made once in a session and copied into the folder of each page that names it.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import densepose_files
import drawn
import jax
import jax.numpy as jnp
import numpy as np
import reference
import tiny
from doc_clips import clips_of_mmaction, labelled_results, mot
from typer.testing import CliRunner, Result

from jaxpose.bodies import drawn_body
from jaxpose.bodies.landmarks import landmarks
from jaxpose.cli.main import app
from jaxpose.codecs.lifting import LiftingCodec, Statistics
from jaxpose.config import override, to_json
from jaxpose.config.scripts import find_script, load_script
from jaxpose.convert.release import Card, save_release
from jaxpose.detect import Detector
from jaxpose.geometry import cameras
from jaxpose.labels.deeplabcut import write_deeplabcut
from jaxpose.labels.labels import Instance, LabelledImage, Labels
from jaxpose.models import martinez
from jaxpose.models.published.catalogue import DETECTORS
from jaxpose.multiview import calibration
from jaxpose.skeletons import AP10K17, COCO17, H36M17, HUMANEVA15, MPII16, Skeleton
from jaxpose.tasks.lifting.estimator import LiftingEstimator
from jaxpose.train.recipe import load_recipe
from jaxpose.viz import VideoWriter

TESTS = Path(__file__).parent
_STORE = tempfile.TemporaryDirectory(prefix="jaxpose-docs-")
_DONE: dict[tuple, tuple[Result, Path]] = {}
IMAGE_HW = (240, 320)
NAMES = tuple(f"{number:03d}.jpg" for number in range(4))
"""Files of each folder of images."""

SMALL_PYRAMID = [
    "model.backbone.widths=(8,8,8)",
    "model.backbone.depths=(1,1,1)",
    "model.backbone.path_width=8",
    "optimizer.warmup_steps=1",
    "steps=2",
    "checkpoint_every=2",
    "evaluation.every=2",
    "batch_size=8",
]
SMALL_QUICKSTART = [
    *SMALL_PYRAMID,
    "model.head.deconv_channels=(8,)",
    "train_data.count=16",
    "eval_data.count=8",
]
SMALL_VIT = [
    "model.backbone.dim=16",
    "model.backbone.depth=1",
    "model.backbone.heads=2",
    "model.head.deconv_channels=(8,8)",
    "dtype=float32",
]
SKELETON = """name = "crane"
keypoints = ["base", "elbow", "left_claw", "right_claw"]
pairs = [["left_claw", "right_claw"]]
limbs = [["base", "elbow"], ["elbow", "left_claw"], ["elbow", "right_claw"]]
sigmas = "uniform:0.05"
"""


def image(path: Path) -> None:
    """Noise, so that no two people of it are alike."""
    pixels = np.random.default_rng(len(path.name)).integers(0, 256, (*IMAGE_HW, 3), np.uint8)
    cv2.imwrite(str(path), pixels)


def images(path: Path) -> None:
    for name in NAMES:
        _made(image, path / name)


def video(path: Path) -> None:
    rng = np.random.default_rng(0)
    with VideoWriter(path, 10) as writer:
        for _ in range(6):
            writer.write(rng.integers(0, 256, (*IMAGE_HW, 3), np.uint8))


def boxes(path: Path) -> None:
    path.write_text(json.dumps({name: [[20, 10, 200, 220]] for name in NAMES}))


def detections(path: Path) -> None:
    """Boxes of the people of `people`, with scores."""
    found = [
        {
            "image_id": number // 2 + 1,
            "category_id": 1,
            "bbox": [20 + 150 * (number % 2), 20, 120, 200],
            "score": 0.9,
        }
        for number in range(2 * len(NAMES))
    ]
    path.write_text(json.dumps(found))


def people(skeleton: Skeleton) -> Callable[[Path], None]:
    """COCO annotations of the folder of images, two people in each."""

    def write(path: Path) -> None:
        rng, count = np.random.default_rng(len(str(path))), skeleton.num_keypoints
        annotations = []
        for number in range(2 * len(NAMES)):
            x, y = 20 + 150 * (number % 2), 20
            points = rng.uniform([x, y], [x + 120, y + 200], (count, 2)).round(1)
            rows = [[*map(float, point), 2] for point in points]
            annotations.append(
                {
                    "id": number + 1,
                    "image_id": number // 2 + 1,
                    "category_id": 1,
                    "iscrowd": 0,
                    "bbox": [x, y, 120, 200],
                    "area": 12_000.0,
                    "num_keypoints": count,
                    "keypoints": [value for row in rows for value in row],
                }
            )
        height, width = IMAGE_HW
        pictures = [
            {"id": number, "file_name": name, "height": height, "width": width}
            for number, name in enumerate(NAMES, start=1)
        ]
        category = {"id": 1, "name": "person", "keypoints": list(skeleton.keypoints)}
        content = {"images": pictures, "annotations": annotations, "categories": [category]}
        path.write_text(json.dumps(content))

    return write


def mpii(path: Path) -> None:
    """MPII in the list that MMPose reads."""
    rng = np.random.default_rng(0)
    content = [
        {
            "image": name,
            "center": [160, 120],
            "scale": 1.0,
            "joints": rng.uniform(40, 200, (MPII16.num_keypoints, 2)).round().tolist(),
            "joints_vis": [1] * MPII16.num_keypoints,
        }
        for name in 2 * NAMES
    ]
    path.write_text(json.dumps(content))


def lsp(path: Path) -> None:
    """LSP, or LSP-Extended, whose file has other axes: images at the ends of its splits."""
    from scipy.io import savemat

    rng, extended = np.random.default_rng(0), path.name == "lspet"
    joints = rng.uniform(20, 200, (14, 3, 10) if extended else (3, 14, 2000))
    if extended:
        joints[:, 2] = 1
    else:
        joints[2] = 0
    path.mkdir()
    savemat(path / "joints.mat", {"joints": joints})
    names = [f"im{n:05d}" for n in range(1, 9)] if extended else ["im0001", "im1001", "im1002"]
    for name in names:
        _made(image, path / "images" / f"{name}.jpg")


def records(split: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        source = path.parent
        people(COCO17)(source / "people.json")
        images(source / "images")
        _jaxpose(
            *["prepare", "coco", "--annotations", source / "people.json"],
            *["--images", source / "images", "--out", path, "--split", split, "--processes", 1],
        )

    return write


def pose_release(path: Path) -> None:
    """`tests/tiny.py` with drawn weights; its heatmaps are about 1, so keypoints have scores."""
    experiment = tiny.get_config()
    variables = drawn.variables(experiment.model, experiment.input_hw)
    variables["params"]["head"]["final"]["bias"] += 1
    estimator, variables = experiment.task().estimator(variables)
    card = Card("tiny", "random", "an image", COCO17.keypoints)
    save_release(path, variables, {"name": "tiny", "estimator": to_json(estimator)}, card)


def pretrained_vit(path: Path) -> None:
    """Weights of `coco_vitpose_b` as the pages' commands shrink it."""
    experiment = override(load_recipe("coco_vitpose_b"), SMALL_VIT)
    folder = path.with_suffix("")
    variables = drawn.variables(experiment.model, experiment.input_hw)
    save_release(folder, variables, {"name": "vit"}, Card("vit", "random", "an image", ()))
    shutil.move(folder / "model.safetensors", path)


def detector(path: Path) -> None:
    """RTMDet-nano with drawn weights, which finds two people of 16 pixels of its small input."""
    entry = next(entry for entry in DETECTORS if entry.name.startswith("rtmdet-nano"))
    model = entry.model()
    variables = jax.tree_util.tree_map_with_path(_sized, drawn.variables(model, (64, 64)))
    options = {"threshold": 0.01, "max_people": 2, "name": entry.name}
    Detector(model, variables, (64, 64), **options).save(path)


def _sized(path: tuple, leaf: jax.Array) -> jax.Array:
    """The outputs that place a box's sides: the same everywhere."""
    layer, kind = path[-2].key, path[-1].key
    return jnp.full(leaf.shape, float(kind == "bias")) if layer.startswith("box_") else leaf


def lifter(skeleton: Skeleton) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        rng, count = np.random.default_rng(0), skeleton.num_keypoints
        model = martinez(count, count, channels=8)
        variables = drawn.init(model, np.zeros(model.input_shape(), np.float32))
        codec = LiftingCodec(
            num_keypoints=count,
            input_statistics=Statistics.of(rng.normal(size=(50, count, 2))),
            target_statistics=Statistics.of(0.3 * rng.normal(size=(50, count, 3))),
        )
        estimator = to_json(LiftingEstimator(model, codec, skeleton))
        card = Card("lifter", "random", "tracks", skeleton.keypoints)
        save_release(path, variables, {"name": "lifter", "estimator": estimator}, card)

    return write


def run(path: Path) -> None:
    """Two steps of the quick start, shrunk."""
    changes = [word for change in SMALL_QUICKSTART for word in ("--set", change)]
    _jaxpose("train", "quickstart", "--workdir", path, *changes)


def recipe(path: Path) -> None:
    shutil.copy(TESTS / "tiny.py", path)


def study(path: Path) -> None:
    """A finished study; its results follow a law."""
    script = load_script(TESTS / "scaling" / "made_up.py")
    script.write_study(path, script.whole_sweep())


def humaneva(path: Path) -> None:
    """Joints in front of the data set's real cameras, of three actions in both splits."""
    rng, content = np.random.default_rng(0), {}
    places = load_script(find_script("humaneva", "data_prep"))
    actions, splits = ("Walking", "Jog", "Box"), ("Train", "Validate")
    names = [f"{split}/S2|{action} 1 chunk0" for split in splits for action in actions]
    for number in range(len(names)):
        joints = rng.uniform([-1000, -1000, 0], [1000, 1000, 1800], (40, 15, 3))
        pixels = []
        for quaternion, place in places.PLACES["S2"]:
            R = places._rotation(np.array(quaternion)).T
            K = [[750.0, 0, 300], [0, 752, 230], [0, 0, 1]]
            view = cameras.pinhole(K, R, -R @ np.array(place), (-0.25, 0.1, 0, 0, 0))
            pixels.append(cameras.project(view, joints))
        content |= {f"p3d_{number:03d}": joints / 1000, f"p2d_{number:03d}": np.stack(pixels)}
    np.savez(path, names=names, **content)


def h36m_joints(path: Path) -> None:
    world = np.random.default_rng(0).normal(scale=0.4, size=(6, 32, 3))
    np.savez(path, positions_3d={"S9": {"Walking 1": world}})


def h36m_cameras(path: Path) -> None:
    names = ("54138969", "55011271", "58860488", "60457274")
    matrix = [[1145.0, 0, 512], [0, 1143, 515], [0, 0, 1]]
    lens = {"calibration_matrix": matrix, "distortion": [-0.2, 0.2, -1e-3, -1e-3, -3e-3]}
    place = {"R": np.eye(3).tolist(), "t": [[0], [0], [5000]]}
    content = {
        "intrinsics": dict.fromkeys(names, lens),
        "extrinsics": {"S9": dict.fromkeys(names, place)},
    }
    path.write_text(json.dumps(content))


def calibration_file(path: Path) -> None:
    walker = load_script(TESTS / "multiview" / "walker.py")
    names = ("left", "right", "top")
    sizes = np.array([[1000, 1000]] * 3)
    calibration.write_pose2sim(path, calibration.Rig(names, walker.ring(3), sizes))


def checkpoint(golden: str) -> Callable[[Path], None]:
    """A PyTorch file with the names and shapes of a published checkpoint."""

    def write(path: Path) -> None:
        torch_file = load_script(TESTS / "torch_file.py")
        arrays = reference.load(golden).state_dict
        torch_file.write(path, arrays, lambda tensors: {"state_dict": tensors, "meta": {}})

    return write


def skeleton(path: Path) -> None:
    path.write_text(SKELETON)


def mice(count: int) -> Callable[[Path], None]:
    """A project of DeepLabCut: noise for frames, with `count` animals each."""
    skeleton = Skeleton(
        "mouse", ("snout", "leftear", "rightear", "tail"), pairs=(("leftear", "rightear"),)
    )

    def write(path: Path) -> None:
        rng, labelled = np.random.default_rng(0), []
        for name in ("film/img00.png", "film/img01.png", "film/img02.png", "other/img00.png"):
            file = path / "labeled-data" / name
            _made(image, file)
            animals = tuple(
                Instance(rng.uniform(20, 200, (4, 2)), np.full(4, 2), "drawn") for _ in range(count)
            )
            labelled.append(LabelledImage(file, name, animals, IMAGE_HW))
        labels = Labels("drawn", path, skeleton.keypoints, tuple(labelled))
        write_deeplabcut(labels, skeleton, path)

    return write


def labelled_videos(path: Path) -> None:
    for name in ("squat/anna_1", "wave/ben_1"):
        _made(video, path / f"{name}.mp4")


def humaneva_motion(path: Path) -> None:
    source = path.with_name("source.npz")
    humaneva(source)
    _jaxpose("prepare", "humaneva", "--source", source, "--out", path)


def h36m_poses(path: Path) -> None:
    """Human3.6M's joints in metres, y up, of the free body in its rest pose and near it."""
    rest, still = np.tile(np.eye(3, dtype=np.float32), (17, 1, 1)), np.zeros(3, np.float32)
    points = landmarks(drawn_body(), H36M17).points(np.zeros(8, np.float32), rest, still)
    forward, left, up = np.asarray(points, np.float64).T / 1000
    joints = np.stack([left, up, forward], axis=-1)
    joints = joints + 0.01 * np.random.default_rng(0).standard_normal((24, 17, 3))
    np.savez(path, **{"S1/walking_1": joints - joints[:, :1]})


def densepose(path: Path) -> None:
    """Annotation files of DensePose-COCO of two drawn people each."""
    path.mkdir()
    with tempfile.TemporaryDirectory() as folder:
        densepose_files.write_people(Path(folder) / "drawn", 2)
        for split in ("train", "minival"):
            file = path / f"densepose_coco_2014_{split}.json"
            shutil.copy(Path(folder) / "drawn/annotations.json", file)


def densepose_images(path: Path) -> None:
    """Images of `densepose`."""
    with tempfile.TemporaryDirectory() as folder:
        densepose_files.write_people(Path(folder) / "drawn", 2)
        shutil.copytree(Path(folder) / "drawn/images", path)


CRANE = Skeleton(
    "crane",
    keypoints=("base", "elbow", "left_claw", "right_claw"),
    pairs=(("left_claw", "right_claw"),),
    limbs=(("base", "elbow"), ("elbow", "left_claw"), ("elbow", "right_claw")),
)

# The first pattern that a whole name fits decides. Names that a page's own steps make need none.
STAND_INS: dict[str, Callable[[Path], None]] = {
    r".*\.(jpg|png)": image,
    r".*\.mp4": video,
    r"(photos|images|held_out|train2017|val2017)": images,
    r"boxes\.json": boxes,
    r"COCO_val2017_detections_AP_H_56_person\.json": detections,
    r".*person_keypoints_.*\.json": people(COCO17),
    r"(mine|photos_coco|images_coco|held_out_coco)\.json": people(CRANE),
    r"ap10k-train-split1\.json": people(AP10K17),
    r"mpii_(train|val)\.json": mpii,
    r"skeleton\.toml": skeleton,
    r"lsp|lspet": lsp,
    r"mouse-project": mice(1),
    r"cage-project": mice(2),
    r"my_videos": labelled_videos,
    r"my_results": labelled_results,
    r"ntu60_2d\.pkl": clips_of_mmaction,
    r"data/humaneva\.npz": humaneva_motion,
    r"(tracks|gt)\.txt": mot,
    r"data/coco_train": records("train"),
    r"data/coco_val": records("val"),
    r"data/mine": records("train"),
    r"data/densepose": densepose,
    r"data/(train|val)2014": densepose_images,
    r"rtmdet-nano(-person|\.pth)|WEIGHTS": detector,
    r"rtmpose-s|rtmpose-m-ap10k|vitpose_s|MODEL": pose_release,
    r"mae_or_vitpose\.safetensors": pretrained_vit,
    r"rtmpose-s\.pth": checkpoint("rtmpose_s_256x192_calibrated"),
    r"vitpose-b\.pth": checkpoint("vitpose_s_256x192"),
    r"runs/h36m_\w+": lifter(H36M17),
    r"runs/humaneva_\w+": lifter(HUMANEVA15),
    r"runs/\w+": run,
    r"my_recipe\.py": recipe,
    r"study": study,
    r"data_3d_h36m\.npz": h36m_joints,
    r"h36m_fk17_10hz\.npz": h36m_poses,
    r"camera-parameters\.json": h36m_cameras,
    r"humaneva15_flat\.npz": humaneva,
    r"Calib\.toml": calibration_file,
}
# Files that a word needs without naming them.
IMPLIED = {
    "coco_vitpose_b": ("data/coco_train", "data/coco_val"),
    "densepose_coco": ("data/densepose", "data/train2014", "data/val2014"),
}


def provide(name: str, folder: Path) -> list[str]:
    """Copies what `name` stands for into `folder`, unless it is there; returns what is new."""
    name = name.rstrip("/")
    if name in IMPLIED:
        return [new for implied in IMPLIED[name] for new in provide(implied, folder)]
    make = next((m for pattern, m in STAND_INS.items() if re.fullmatch(pattern, name)), None)
    if make is None or (folder / name).exists():
        return []
    original = Path(_STORE.name) / name / Path(name).name
    if not original.exists():
        _made(make, original)
    _copy(original, folder / name)
    return [name]


def invoke(arguments: list[str]) -> Result:
    """Runs `jaxpose` in this process.

    A training or an export that differs from an earlier one only in the folder that it writes takes
    a copy of that one's folder: the pages repeat some, and each compiles for seconds.
    """
    if arguments[0] not in ("train", "export"):
        return CliRunner().invoke(app, arguments)
    key, out = _work(arguments)
    if key in _DONE and not out.exists():
        result, folder = _DONE[key]
        _copy(folder, out)
        return result
    result = CliRunner().invoke(app, arguments)
    if result.exit_code == 0:
        _DONE[key] = result, Path(_STORE.name) / f"done-{len(_DONE)}"
        _copy(out, _DONE[key][1])
    return result


def remove(path: Path) -> None:
    """Removes a file or folder."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _work(arguments: list[str]) -> tuple[tuple, Path]:
    """Key of the work of a training or an export, and the folder that it writes."""
    words, changes, out = [], {}, Path()
    for before, word in zip(["", *arguments], arguments, strict=False):
        if before == "--set":
            key, _, changes[key] = word.partition("=")
        elif before in ("--workdir", "--out"):
            out = Path(word)
        elif word not in ("--set", "--workdir", "--out"):
            words.append(word)
    return (*words, *sorted(changes.items())), out


def _made(make: Callable[[Path], None], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    (shutil.copytree if source.is_dir() else shutil.copy)(source, target)


def _jaxpose(*arguments: object) -> None:
    result = invoke([str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
