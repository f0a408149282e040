"""The data and the runs that `make.py` freezes. Imported by it, with version 0.1.0 alone."""

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import test_frozen as frozen
from rich.console import Console
from typer.testing import CliRunner

from jaxpose import losses, models
from jaxpose.augment import Augmentation
from jaxpose.cli.main import app
from jaxpose.codecs import SimCC
from jaxpose.codecs.heatmap import msra, udp
from jaxpose.codecs.lifting import LiftingCodec
from jaxpose.config import (
    Evaluation,
    Experiment,
    LiftingEvaluation,
    LiftingExperiment,
    Optimizer,
)
from jaxpose.data.builder import write_dataset
from jaxpose.data.canvas import Canvas
from jaxpose.data.clips import Clips
from jaxpose.data.coco_json import read_people
from jaxpose.data.motion import Clip, motion_of, write_motion
from jaxpose.data.source import Records, SyntheticPeople
from jaxpose.geometry.cameras import pinhole, project
from jaxpose.models import DeconvHead, PoseModel, SimCCHead
from jaxpose.models.distill import Distilled
from jaxpose.models.lifting.lifter import CoordinateHead, Lifter, PoseAndTrajectory
from jaxpose.models.lifting.temporal import TemporalConvolutions
from jaxpose.models.pyramid import Pyramid
from jaxpose.skeletons import COCO17, HUMANEVA15
from jaxpose.train.images import ImageTask
from jaxpose.train.lifting import LiftingTask
from jaxpose.train.loop import train

QUIET = Console(quiet=True)
HW, MAPS = (64, 48), (16, 12)
STEPS, STOPPED, SCORED = 8, 4, 3
K = HUMANEVA15.num_keypoints
PEOPLE = {"train": 16, "val": 8}


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
    """Experiments in the order of training; `distilled` learns from the release of `heatmap`."""
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
