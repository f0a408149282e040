"""The configurations that `make.py` freezes. Imported by it, with version 0.1.0 alone."""

import dataclasses
import gzip
import importlib
import inspect
import json
import pkgutil
import types
import typing
from pathlib import Path
from typing import Any

import flax.linen as nn
import test_frozen as frozen
from make_runs import BONES, K, images_experiment, lifting_experiment, runs

import jaxpose
from jaxpose import losses, models, skeletons
from jaxpose.augment import Augmentation
from jaxpose.codecs import Heatmap, IntegralRegression, Megvii, Regression, SimCC
from jaxpose.codecs.heatmap import msra, udp
from jaxpose.codecs.lifting import LiftingCodec, ScreenDepthCodec, Statistics
from jaxpose.codecs.simcc import rtmpose as rtmpose_codec
from jaxpose.config import (
    Evaluation,
    Experiment,
    LiftingExperiment,
    Mesh,
    Optimizer,
    config_fields,
    load_recipe,
    to_json,
)
from jaxpose.config.values import _annotations
from jaxpose.convert.siblings import SIBLINGS
from jaxpose.data.clips import Clips, Rig
from jaxpose.data.source import Records
from jaxpose.models import DeconvHead, PoseModel
from jaxpose.models.detection import RTMDetHead, YOLOXHead
from jaxpose.models.distill import Distilled
from jaxpose.models.published.catalogue import CATALOGUE, DETECTORS
from jaxpose.models.published.lifting import LIFTERS
from jaxpose.models.pyramid import Pyramid
from jaxpose.models.refine import SRCNN, RefinedHead
from jaxpose.skeletons import COCO17, H36M17

TESTS = Path(__file__).resolve().parents[1]


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
        "rtmdet head": RTMDetHead(2, 8, shared=False),
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
