"""Write the files of this folder. Run once, with version 0.1.0 of the package, and never again.

    python tests/frozen/make.py ../shared

It is kept to show what is in the files; a later version of the package need not be able to run it.
`../shared` is the folder of golden files, of which one list of names and shapes is used.

Everything is computed under the settings of `tests/conftest.py`, which is imported first: eight
fake CPU devices, and XLA's optimisation level 0, on which the bits of a result depend. The expected
values come from the functions of `test_frozen.py` that the tests call.
"""
# ruff: noqa: E402  (what is imported first sets the environment that JAX reads)

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "convert"), str(TESTS / "frozen")]

# isort: off
import conftest  # noqa: F401
import test_frozen as frozen

# isort: on
import contextlib
import dataclasses
import gzip
import importlib
import inspect
import json
import math
import os
import pkgutil
import shutil
import signal
import tarfile
import tempfile
import types
import typing
from collections.abc import Iterator
from typing import Any

import cv2
import flax.linen as nn
import jax
import numpy as np
from rich.console import Console
from torch_file import write as write_pth
from typer.testing import CliRunner

import jaxpose
from jaxpose import losses, models, skeletons
from jaxpose.augment import Augmentation
from jaxpose.cli.main import app
from jaxpose.codecs import Heatmap, IntegralRegression, Megvii, Regression, SimCC
from jaxpose.codecs.heatmap import msra, udp
from jaxpose.codecs.lifting import LiftingCodec, ScreenDepthCodec, Statistics
from jaxpose.codecs.simcc import rtmpose as rtmpose_codec
from jaxpose.config import (
    Evaluation,
    Experiment,
    LiftingEvaluation,
    LiftingExperiment,
    Mesh,
    Optimizer,
    config_fields,
    load_recipe,
    to_json,
)
from jaxpose.config.values import _annotations
from jaxpose.convert.release import Card, save_release
from jaxpose.convert.siblings import SIBLINGS
from jaxpose.data.builder import write_dataset
from jaxpose.data.canvas import Canvas
from jaxpose.data.clips import Clips, Rig
from jaxpose.data.coco_json import read_people
from jaxpose.data.motion import Clip, motion_of, write_motion
from jaxpose.data.source import Records, SyntheticPeople
from jaxpose.detect import Detector
from jaxpose.geometry.cameras import pinhole, project
from jaxpose.models import DeconvHead, PoseModel, SimCCHead, abstract_variables
from jaxpose.models.detection import RTMDetHead, YOLOXHead
from jaxpose.models.distill import Distilled
from jaxpose.models.lifting.dstformer import DSTFormer
from jaxpose.models.lifting.lifter import CoordinateHead, JointHead, Lifter, PoseAndTrajectory
from jaxpose.models.lifting.temporal import TemporalConvolutions
from jaxpose.models.published.catalogue import CATALOGUE, DETECTORS
from jaxpose.models.published.lifting import LIFTERS
from jaxpose.models.pyramid import Pyramid
from jaxpose.models.refine import SRCNN, RefinedHead
from jaxpose.skeletons import COCO17, H36M17, HUMANEVA15
from jaxpose.train.images import ImageTask
from jaxpose.train.lifting import LiftingTask
from jaxpose.train.loop import train

QUIET = Console(quiet=True)
HW, MAPS = (64, 48), (16, 12)
STEPS, STOPPED, SCORED = 8, 4, 3
K = HUMANEVA15.num_keypoints
PEOPLE = {"train": 16, "val": 8}


# --------------------------------------------------------------------------------------------------
# Data


def write_data() -> None:
    """`people/`, records of drawn people, and `motion.npz`, people who swing."""
    splits = {}
    skipped = {}
    for seed, (split, count) in enumerate(PEOPLE.items()):
        source = SyntheticPeople(count, seed=40 + seed, canvas_hw=(96, 72), plain=True).open()
        batch = source.samples(np.arange(count))
        images, annotations = [], []
        folder = Path("photos") / split
        folder.mkdir(parents=True)
        for i in range(count):
            cv2.imwrite(str(folder / f"{i}.png"), batch["image"][i][..., ::-1])
            points = np.concatenate(
                [batch["keypoints"][i], batch["visible"][i][:, None].astype(np.float32)], axis=1
            )
            images.append({"id": i, "file_name": f"{i}.png", "height": 96, "width": 72})
            annotations.append(
                {
                    "id": 100 + i,
                    "image_id": i,
                    "category_id": 1,
                    "keypoints": np.where(points[:, 2:] > 0, points, 0).round(2).ravel().tolist(),
                    "bbox": batch["box_xywh"][i].round(2).tolist(),
                    "area": float(np.prod(batch["box_xywh"][i][2:])),
                    "iscrowd": 0,
                }
            )
        names = {"id": 1, "name": "person", "keypoints": list(COCO17.keypoints)}
        content = {"images": images, "annotations": annotations, "categories": [names]}
        file = Path(f"{split}.json")
        file.write_text(json.dumps(content))
        splits[split], skipped[split], _ = read_people(file, folder, COCO17)
    write_dataset(
        "people",
        name="people",
        splits=splits,
        skipped=skipped,
        skeleton=COCO17,
        canvas=Canvas(hw=(96, 72), jpeg_quality=80),
        sources={split: Path(f"{split}.json") for split in PEOPLE},
        processes=1,
    )
    clips = [
        clip(30, 0),
        clip(12, 1, subject="S2"),
        clip(12, 2, subject="S3"),
        clip(14, 3, split="validate"),
        clip(9, 4, split="validate", subject="S2", action="Jog"),
    ]
    write_motion(Path("motion.npz"), motion_of(HUMANEVA15, clips))


def clip(frames: int, seed: int, **changes: Any) -> Clip:
    """Joints around a place in front of a camera, swinging."""
    view = pinhole([[800.0, 0, 320], [0, 800, 240], [0, 0, 1]], np.eye(3), np.zeros(3))
    phase = 6 * frozen.noise(10 + seed, 1, K, 3)
    swing = np.sin(np.arange(frames)[:, None, None] / 5 + phase)
    place = 900 * (frozen.noise(20 + seed, 1, K, 3) - 0.5)
    joints = (place + 100 * swing + np.array([0, 0, 4000.0])).round(1)
    known = {"split": "train", "subject": "S1", "action": "Walking", "image_wh": (640, 480)}
    fields: dict[str, Any] = {"view": view, "name": f"clip {seed}", **known, **changes}
    return Clip(joints_mm=joints, keypoints=project(view, joints), fps=50.0, **fields)


# --------------------------------------------------------------------------------------------------
# Runs


def images_experiment(model: Any, **changes: Any) -> Experiment:
    fields: dict[str, Any] = {
        "skeleton": COCO17,
        "codec": udp(HW, MAPS, sigma=1.0),
        "loss": losses.HeatmapMSE(),
        "train_data": SyntheticPeople(16, seed=0, canvas_hw=(96, 72), plain=True),
        "eval_data": SyntheticPeople(8, seed=1, canvas_hw=(96, 72), plain=True),
        "optimizer": Optimizer(learning_rate=5e-3, warmup_steps=2),
        "evaluation": Evaluation("pck", every=SCORED, batch_size=8, pictures=0),
        "steps": STEPS,
        "batch_size": 8,
        "checkpoint_every": 100,
        "log_every": 1,
    }
    return Experiment(model=model, **fields | changes)


def lifting_experiment(model: Any, codec: LiftingCodec, **changes: Any) -> LiftingExperiment:
    fields: dict[str, Any] = {
        "skeleton": HUMANEVA15,
        "loss": losses.MPJPE(),
        "train_data": Clips("motion.npz", split=("train",)),
        "eval_data": Clips("motion.npz", split=("validate",)),
        "optimizer": Optimizer(learning_rate=2e-3, warmup_steps=2, schedule="cosine"),
        "evaluation": LiftingEvaluation(every=SCORED, batch_size=16),
        "steps": STEPS,
        "batch_size": 8,
        "checkpoint_every": 100,
        "log_every": 1,
    }
    return LiftingExperiment(model=model, codec=codec, **fields | changes)


def pyramid(*widths: int) -> Pyramid:
    return Pyramid(patch=8, widths=widths, depths=(1,) * len(widths), path_width=4)


def temporal(outputs: int) -> Lifter:
    backbone = TemporalConvolutions(K, 2, (3, 3), channels=6, dropout=0.1)
    return Lifter(backbone, CoordinateHead(outputs))


BONES = tuple(HUMANEVA15.limb_indices)


def runs() -> dict[str, Experiment | LiftingExperiment]:
    """What is trained, in this order; `distilled` learns from the release of `heatmap`."""
    teacher = PoseModel(pyramid(4, 6), DeconvHead(17, (4,)))
    vit = models.ViT(input_hw=HW, dim=8, depth=2, heads=2, patch=8, mlp_hidden=16, drop_path=0.1)
    return {
        "heatmap": images_experiment(
            teacher,
            resident=True,
            ema_decay=0.9,
            optimizer=Optimizer(
                learning_rate=5e-3, schedule="cosine", warmup_steps=2, weight_decay=0.05, b2=0.99
            ),
        ),
        "vit": images_experiment(
            PoseModel(vit, DeconvHead(17, (4,))),
            train_data=Records("people", "train"),
            eval_data=Records("people", "val"),
            codec=msra(HW, MAPS, sigma=1.0),
            optimizer=Optimizer(learning_rate=1e-3, warmup_steps=2, layer_decay=0.75),
            evaluation=Evaluation("oks", every=SCORED, batch_size=8, pictures=0),
            seed=3,
        ),
        "simcc": images_experiment(
            PoseModel(pyramid(4, 6), SimCCHead(17, HW, split_ratio=0.25)),
            codec=SimCC(HW, split_ratio=0.25, sigma=1.0),
            loss=losses.SimCCKL(),
            augmentation=Augmentation(brightness=0.2, contrast=0.2, hue_degrees=10.0),
            optimizer=Optimizer(
                schedule="constant", cooldown_steps=2, clip_norm=None, frozen=("backbone/.*",)
            ),
            evaluation=Evaluation("epe", every=SCORED, batch_size=8, pictures=0),
        ),
        "distilled": images_experiment(
            Distilled(PoseModel(pyramid(2, 4), DeconvHead(17, (4,))), teacher),
            teacher_from="releases/heatmap",
            loss=losses.Distillation(
                losses.HeatmapMSE(), losses.HeatmapDistillation(), 1.0, losses.FeatureDistillation()
            ),
            optimizer=Optimizer(learning_rate=5e-3, warmup_steps=2, frozen=("teacher/.*",)),
        ),
        "lifter": lifting_experiment(
            models.martinez(K, K, channels=8, dropout=0.1), LiftingCodec(K), ema_decay=0.9
        ),
        "trajectory": lifting_experiment(
            PoseAndTrajectory(temporal(K), temporal(1)),
            LiftingCodec(K, frame="image plane"),
            standardise="inputs",
            loss=losses.SemiSupervised(BONES),
            train_data=Clips("motion.npz", split=("train",), unlabelled=("S3",)),
            evaluation=LiftingEvaluation("p_mpjpe", every=SCORED, batch_size=16),
        ),
    }


@contextlib.contextmanager
def stopped() -> Iterator[None]:
    """Training is sent SIGTERM so that it ends after `STOPPED` steps, with a checkpoint."""
    originals = {task: task.batches for task in (ImageTask, LiftingTask)}

    def wrapped(batches: Any) -> Any:
        def interrupted(self: Any, source: Any, mesh: Any, start: int, **options: Any) -> Any:
            for i, batch in enumerate(batches(self, source, mesh, start, **options)):
                if start + i == STOPPED - 1:
                    signal.raise_signal(signal.SIGTERM)
                yield batch

        return interrupted

    try:
        for task, batches in originals.items():
            task.batches = wrapped(batches)
        yield
    finally:
        for task, batches in originals.items():
            task.batches = batches


def write_runs() -> None:
    """Each run, scored after `SCORED` steps and stopped after `STOPPED`; and releases of four."""
    for name, experiment in runs().items():
        folder = Path("runs") / name
        with stopped():
            outcome = train(experiment, folder.absolute(), QUIET)
        assert (outcome.step, outcome.stopped_by) == (STOPPED, signal.SIGTERM), outcome
        for left in [*folder.glob("events*"), *folder.glob("*.png")]:
            left.unlink()
        assert sorted(p.name for p in folder.iterdir()) == [
            *("checkpoints", "config.json", "metrics.jsonl", "report.json")
        ]
        assert sorted(p.name for p in (folder / "checkpoints").iterdir() if p.is_dir()) == [
            *(str(SCORED), str(STOPPED))
        ]
        if name in ("heatmap", "distilled", "lifter", "trajectory"):
            command("convert", str(folder), f"releases/{name}")


def command(*words: str) -> None:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    print(result.output)


# --------------------------------------------------------------------------------------------------
# Releases


def drawn(name: str, shape: tuple[int, ...], seed: int, inputs: int) -> np.ndarray:
    """An array that a file keeps small: one of 16 rows of 37 numbers, again and again.

    Kernels keep the scale of what passes, up to a power of two.
    """
    pattern = np.round(256 * frozen.noise(seed % 16, 37) - 128) / 128
    if "kernel" in name or ("weight" in name and len(shape) > 1):
        pattern = pattern * 2.0 ** -round(math.log2(max(inputs, 1)) / 2) * 2
    elif name.endswith(("scale", "var", "weight")):
        pattern = 1 + pattern / 4
    else:
        pattern = pattern / 8
    return np.resize(pattern, shape).astype(np.float32)


def variables_of(model: Any, input_hw: tuple[int, int] | None) -> Any:
    """Drawn variables of a model."""
    paths, tree = jax.tree_util.tree_flatten_with_path(abstract_variables(model, input_hw))
    arrays = [
        drawn(path[-1].key, leaf.shape, seed, math.prod(leaf.shape[:-1]))
        for seed, (path, leaf) in enumerate(paths)
    ]
    return jax.tree_util.tree_unflatten(tree, arrays)


def released() -> dict[str, tuple[Any, Any]]:
    """Model and codec of the releases that hold what `jaxpose convert` says of a checkpoint."""
    resnet = models.ResNet((1, 1), bottleneck=False, width=4)
    return {
        "regression": (PoseModel(resnet, models.RegressionHead(17)), Regression(HW)),
        "rle": (PoseModel(resnet, models.RLEHead(17, 2, 8)), Regression(HW)),
        "integral": (
            PoseModel(resnet, models.IntegralRegressionHead(17, (4,), debias=True)),
            IntegralRegression(HW, (16, 12)),
        ),
        "rtmcc": (
            PoseModel(
                models.CSPNeXt(0.167, 0.125),
                models.RTMCCHead(17, (64, 64), hidden=16, key_dim=8),
            ),
            rtmpose_codec((64, 64)),
        ),
        "megvii": (PoseModel(pyramid(6, 8), DeconvHead(17, (6,))), Megvii(HW, MAPS, 5)),
        "sequence": (
            Lifter(DSTFormer(17, 2, frames=6, dim=8, depth=1, heads=2), JointHead(17, 8)),
            LiftingCodec(17, frame="screen", drop_root=False, fps=50.0),
        ),
    }


def write_releases(shared: Path) -> None:
    """Releases with drawn weights, one converted from PyTorch's names, and a detector."""
    for name, (model, codec) in released().items():
        lifter = isinstance(codec, LiftingCodec)
        skeleton = H36M17 if lifter else COCO17
        input_hw = None if lifter else codec.input_hw
        config = {
            "name": name,
            "model": to_json(model),
            "codec": to_json(codec),
            "skeleton": to_json(skeleton),
            "num_keypoints": skeleton.num_keypoints,
        }
        if not lifter:
            config["input_hw"] = list(input_hw)
        lifts = "one person's keypoints on the screen, frames: 6" if lifter else ""
        card = Card(name, "drawn", input_hw, skeleton.keypoints, lifts=lifts)
        save_release(f"releases/{name}", variables_of(model, input_hw), config, card)
    listing = json.loads((shared / "golden/litehrnet18_256x192.json").read_text())
    state_dict = {
        key: drawn(key.replace("running_var", "var"), tuple(shape), seed, math.prod(shape[1:]))
        for seed, (key, shape) in enumerate(listing["state_dict"].items())
        if shape
    }
    write_pth(Path("litehrnet18.pth"), state_dict)
    command("convert", "litehrnet18.pth", "releases/converted")
    model = models.yolox("nano", 2)
    detector = Detector(
        model, variables_of(model, (64, 96)), (64, 96), threshold=0.15, max_people=6, name="frozen"
    )
    detector.save("releases/detector", source="drawn")


# --------------------------------------------------------------------------------------------------
# Configurations


def configs() -> dict[str, dict[str, Any]]:
    """JSON forms by kind and name."""
    recipes = sorted((TESTS.parent / "configs").glob("*.py"))
    statistics = Statistics(((0.0, 0.5),) * 17, ((1.0, 2.0),) * 17)
    codecs = {
        "heatmap": Heatmap(),
        "heatmap msra": msra(),
        "heatmap udp": udp(),
        "megvii": Megvii(),
        "simcc": SimCC(),
        "simcc rtmpose": rtmpose_codec(),
        "regression": Regression(shift_coords=False, udp=True),
        "integral": IntegralRegression(unbiased=True),
        "lifting": LiftingCodec(input_statistics=statistics, fps=50.0),
        "lifting box": LiftingCodec(frame="box", confidence=True, drop_root=True),
        "screen depth": ScreenDepthCodec(),
    }
    values: dict[str, dict[str, Any]] = {
        "recipe": {recipe.stem: load_recipe(str(recipe)) for recipe in recipes},
        "run": runs(),
        "experiment": experiments(),
        "model": {
            **{entry.name: entry.model() for entry in (*CATALOGUE, *SIBLINGS, *DETECTORS)},
            **{entry.name: entry.make() for entry in LIFTERS},
            **more_models(),
        },
        "codec": codecs,
        "skeleton": {name: skeletons.load(name) for name in skeletons.BUILT_IN},
    }
    return {
        kind: {name: to_json(value) for name, value in of_kind.items()}
        for kind, of_kind in values.items()
    }


def more_models() -> dict[str, Any]:
    """Models that no published one is an example of."""
    vit = models.ViT(
        patch_padding=0, stem="conv", class_token=True, qk_norm=True, parallel=True, bias=False
    )
    classes = models.ClassificationHead(1000, pool="token")
    simple = models.SimpleHead(17)
    return {
        "classifier": PoseModel(vit, classes),
        "pyramid": PoseModel(Pyramid(), DeconvHead(17)),
        "refined": PoseModel(Pyramid(), RefinedHead(simple, SRCNN())),
        "distilled": Distilled(
            PoseModel(Pyramid(), simple), PoseModel(models.ViT(experts=6), simple), features=False
        ),
        "with trajectory": models.videopose3d_with_trajectory(81),
        "yolox for two": models.yolox("tiny", 2),
        "yolox head": YOLOXHead(2, 8),
        "rtmdet head": RTMDetHead(2, 8, 1),
    }


def experiments() -> dict[str, Any]:
    """Experiments that hold every loss, and every field of what else an experiment has."""
    maps, mse = DeconvHead(17), losses.HeatmapMSE()
    backbone = models.ViT()
    pairs = {
        "ohkm": losses.OHKM(),
        "adaptive wing": losses.AdaptiveWing(),
        "sum": losses.WeightedSum((mse, losses.OHKM()), (1.0, 0.5)),
        "stages": losses.StageSum(mse),
        "heatmap js": losses.HeatmapJS(),
        "integral": losses.IntegralLoss(losses.L1(), losses.HeatmapJS(), 0.5),
        "smooth l1": losses.SmoothL1(),
        "wing": losses.Wing(),
        "oks": losses.OKS(COCO17.sigmas),
        "bones": losses.BoneLength(tuple(COCO17.limb_indices)),
        "rle": losses.RLE(),
        "simcc": losses.SimCCKL(beta=10.0, label_softmax=True),
        "simcc distillation": losses.Distillation(
            losses.SimCCKL(), losses.SimCCDistillation(2.0), 0.5
        ),
    }
    made: dict[str, Any] = {
        f"loss {name}": images_experiment(PoseModel(backbone, maps), codec=udp(), loss=loss)
        for name, loss in pairs.items()
    }
    of_lifters = {
        "mpjpe": losses.MPJPE(),
        "n-mpjpe": losses.WeightedSum(
            (losses.MPJPE(), losses.NMPJPE(), losses.Velocity()), (1.0, 0.5, 20.0)
        ),
        "trajectory": losses.TrajectoryMPJPE(),
        "mean bones": losses.MeanBoneLength(BONES),
        "reprojection": losses.Reprojection(),
        "semi-supervised": losses.SemiSupervised(BONES, 0.5, 2.0),
    }
    made |= {
        f"loss {name}": lifting_experiment(models.martinez(K, K), LiftingCodec(K), loss=loss)
        for name, loss in of_lifters.items()
    }
    made["every field"] = images_experiment(
        PoseModel(models.ViT(knowledge_token=384), maps),
        codec=udp(),
        train_data=Records("data/coco_train", "train", part=0.5),
        eval_data=Records("data/coco_val", "val"),
        augmentation=Augmentation(
            0.4, 30.0, 0.5, 0.3, 0.1, 0.2, 0.25, 8, 0.6, 1.4, 0.1, 0.2, 0.3, 5.0
        ),
        optimizer=Optimizer(
            learning_rate=1e-3,
            schedule="rsqrt",
            warmup_steps=10,
            milestones=(0.5,),
            step_factor=0.2,
            timescale=500,
            cooldown_steps=2,
            weight_decay=0.01,
            layer_decay=0.8,
            clip_norm=None,
            frozen=("backbone/patch_embed/.*",),
            b1=0.8,
            b2=0.99,
            eps=1e-6,
        ),
        mesh=Mesh(2, 2, -1, (("head/.*", (None, "tensor")),), 1024),
        evaluation=Evaluation("nme", 7, False, 16, 4),
        padding=1.5,
        resident=True,
        knowledge_from="releases/teacher",
        seed=5,
        accumulate=2,
        on_nonfinite="skip",
        ema_decay=0.99,
        init_from="weights.safetensors",
        reset_head=True,
        checkpoint_every=10,
        log_every=5,
    )
    for metric in ("oks", "pck", "pckh", "auc", "epe", "crowdpose"):
        made[f"metric {metric}"] = images_experiment(
            PoseModel(backbone, maps), evaluation=Evaluation(metric)
        )
    whole = skeletons.COCO_WHOLEBODY133
    made["metric wholebody"] = images_experiment(
        PoseModel(backbone, DeconvHead(133)), skeleton=whole, evaluation=Evaluation("wholebody")
    )
    made["rig"] = lifting_experiment(
        models.motionbert(27, 17),
        LiftingCodec(17, confidence=True),
        skeleton=H36M17,
        mirror=False,
        train_data=Clips(
            "motion.npz",
            split=("train",),
            subject=("S1",),
            action=("Walking",),
            rig=Rig("cameras.json", ("S1", "S5"), (1000, 1002), 900.0),
        ),
        eval_data=Clips("motion.npz", camera=("54138969",), rig=Rig("cameras.json", ("S9",))),
    )
    return made


def dataclasses_of_package() -> dict[str, type]:
    """Every dataclass of the package, Linen modules among them, by its path."""
    found = {}
    for info in pkgutil.walk_packages(jaxpose.__path__, "jaxpose."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        for cls in vars(module).values():
            if isinstance(cls, type) and dataclasses.is_dataclass(cls):
                path = f"{cls.__module__}.{cls.__qualname__}"
                if path.startswith("jaxpose."):
                    found[path] = cls
    return found


def reachable(classes: dict[str, type]) -> set[str]:
    """The paths of what an experiment may hold by its annotations, and of codecs of releases."""
    seen: set[type] = set()
    waiting: list[Any] = [Experiment, LiftingExperiment, ScreenDepthCodec, PoseModel]
    while waiting:
        hint = waiting.pop()
        if typing.get_origin(hint) in (typing.Union, types.UnionType, tuple):
            waiting += typing.get_args(hint)
        if not isinstance(hint, type) or hint in seen:
            continue
        seen.add(hint)
        if hint.__module__.startswith(("jaxpose.", "flax.")):
            waiting += [cls for cls in classes.values() if issubclass(cls, hint)]
        if dataclasses.is_dataclass(hint) and hint is not nn.Module:
            waiting += _annotations(hint).values()
    return {path for path, cls in classes.items() if cls in seen and not inspect.isabstract(cls)}


def write_configs() -> None:
    """`configs-0.1.0.json.gz` and `classes-0.1.0.json`."""
    records = configs()
    text = json.dumps(records, separators=(",", ":"))
    file = frozen.HERE / f"configs-{frozen.VERSION}.json.gz"
    file.write_bytes(gzip.compress(text.encode(), mtime=0))
    used = dict(frozen.classes_in(records))
    classes = dataclasses_of_package()
    left = reachable(classes) - set(used)
    parts = {path for path in left if issubclass(classes[path], nn.Module)}
    print("neither in a configuration nor a part of a network:", sorted(left - parts))
    listed = {
        "configurable": {path: used[path] for path in sorted(used)},
        "parts of networks": {
            path: [field.name for field in config_fields(classes[path])] for path in sorted(parts)
        },
    }
    file = frozen.HERE / f"classes-{frozen.VERSION}.json"
    file.write_text(json.dumps(listed, indent=1) + "\n")


# --------------------------------------------------------------------------------------------------
# All of it


def pack(archive: Path, *paths: str, root: Path) -> None:
    """The files of `paths`, which are relative to `root`, without dates and owners."""
    archive.parent.mkdir(exist_ok=True)

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.mtime, info.uid, info.gid, info.uname, info.gname = 0, 0, 0, "", ""
        return info

    with tarfile.open(archive, "w:xz", preset=9) as file:
        for path in paths:
            file.add(root / path, path, filter=plain)
    print(f"{archive.stat().st_size / 1024:7.1f} KiB {archive.name}")


def write_expected() -> None:
    """What the functions of the tests compute now."""
    digests, arrays, metrics, ends = {}, {}, {}, {}
    keys = [(f"runs/{name}", which) for name in frozen.RUNS for which in frozen.CHECKPOINTS]
    keys += [(f"releases/{name}", "") for name in frozen.RELEASES]
    for path, which in keys:
        key = f"{path} {which}".strip()
        digests[key], of_key = frozen.outputs(path, which or "best")
        arrays |= {f"{key}: {part}": value for part, value in of_key.items()}
    for name in frozen.RUNS:
        metrics[name] = frozen.scores(f"runs/{name}", Path("eval").absolute())
        written = json.loads((Path("runs") / name / "report.json").read_text())["metrics"]
        assert metrics[name] == written, name
    for name in frozen.RUNS:
        ends[name] = frozen.resumed(f"runs/{name}")
        assert ends[name]["step"] == STEPS
    np.savez_compressed(frozen.HERE / f"expected-{frozen.VERSION}.npz", **arrays)
    content = {
        "machine": frozen.machine(),
        "digests": digests,
        "metrics": metrics,
        "resumed": ends,
    }
    file = frozen.HERE / f"expected-{frozen.VERSION}.json"
    file.write_text(json.dumps(content, indent=1) + "\n")


def main(shared: Path) -> None:
    """Write every file."""
    assert jaxpose.__version__ == frozen.VERSION
    shared = shared.resolve()
    os.environ["JAXPOSE_CACHE"] = tempfile.mkdtemp()
    write_configs()
    # Orbax notes the path of each checkpoint.
    work = Path("/tmp/jaxpose-frozen")
    work.mkdir()
    os.chdir(work)
    write_data()
    write_runs()
    write_releases(shared)
    here, version = frozen.HERE, frozen.VERSION
    for kind in ("runs", "releases"):
        shutil.rmtree(here / f"{kind}-{version}", ignore_errors=True)
        for folder in sorted((work / kind).iterdir()):
            pack(here / f"{kind}-{version}/{folder.name}.tar.xz", folder.name, root=work / kind)
    pack(here / f"data-{version}.tar.xz", "people", "motion.npz", root=work)
    frozen.RUNS = sorted(p.name for p in (work / "runs").iterdir())
    frozen.RELEASES = sorted(p.name for p in (work / "releases").iterdir())
    frozen.DETECTORS = ["detector"]
    write_expected()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
