"""AP of a model of many people on the few images that it is trained on, for each kind of codec.

    jaxpose prepare coco --layout images --annotations person_keypoints_train2017.json \
        --images train2017 --canvas 256x256 --out data/few
    python -m tests.benchmarks.memorise fields --data data/few --workdir runs/fields

A network that can learn, a loss with the right slope, and a codec that loses nobody reach almost
the AP of the codec itself, decode(encode(truth)), which is printed first. `--steps 0` prints only
this.
"""

import argparse
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

from jaxpose.codecs import AssociativeEmbedding, CenterOffsets, OneStage
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.part_affinity import PartAffinity
from jaxpose.data.source import Images
from jaxpose.geometry import apply_affine, invert_affine
from jaxpose.losses import (
    AssociativeEmbeddingLoss,
    CenterOffsetLoss,
    OneStageLoss,
    PartAffinityLoss,
)
from jaxpose.models.build import PoseModel
from jaxpose.models.center_offsets import CenterOffsetHead
from jaxpose.models.darknet import yolox_style
from jaxpose.models.feature_pyramid import PyramidNeck
from jaxpose.models.higher_hrnet import HigherHRNetHead
from jaxpose.models.one_stage import OneStageModel, YOLOXPoseHead
from jaxpose.models.pyramid import Pyramid, Stages
from jaxpose.skeletons import COCO17
from jaxpose.tasks.bottomup.augment import STILL, augment
from jaxpose.tasks.bottomup.estimate import estimate_all, score
from jaxpose.tasks.bottomup.experiment import BottomUpExperiment, Evaluation
from jaxpose.train.loop import train
from jaxpose.train.mesh import make_mesh
from jaxpose.train.optimizers import AdamW
from tests.benchmarks.field_head import FieldHead
from tests.benchmarks.representations import perfect

MORE_LIMBS = (
    *((0, 5), (0, 6), (5, 9), (6, 10), (11, 15), (12, 16), (5, 12), (6, 11), (11, 14), (12, 13)),
    *((1, 5), (2, 6), (3, 6), (4, 5), (7, 8), (9, 10), (13, 14), (15, 16), (7, 11), (8, 12)),
)
"""Pairs of keypoints with a field besides the limbs of COCO's skeleton."""


def _trunk() -> Pyramid:
    """Features of stride 4, whose coarsest map sees the whole image."""
    widths = (32, 64, 128, 256)
    return Pyramid(4, widths, (1,) * len(widths), path_width=48)


def fields(size: int) -> dict[str, Any]:
    """Part affinity fields, four pixels to a cell.

    The skeleton's limbs do not join all labelled keypoints of 14 of the 86 people, whose elbows or
    knees are not labelled; with `MORE_LIMBS` it is 4.
    """
    codec = PartAffinity(
        (*COCO17.limb_indices, *MORE_LIMBS),
        (size, size),
        stride=4,
        enlargement=4,
        sigma=7.0,
        between=True,
        candidates=20,
        smoothing=2.0,
        nms_radius=3.0,
        min_keypoints=2,
        min_person=0.2,
    )
    limbs = len(codec.limbs)
    model = PoseModel(_trunk(), FieldHead(17, limbs))
    return {"model": model, "codec": codec, "loss": PartAffinityLoss(limbs, maps=10.0)}


def tags(size: int) -> dict[str, Any]:
    """Heatmaps and tags."""
    codec = AssociativeEmbedding(
        (size, size),
        unbiased=True,
        enlargement=1,
        window=3,
        blur_kernel=1,
        near_only=True,
    )
    model = PoseModel(_trunk(), HigherHRNetHead(17, higher=False))
    return {"model": model, "codec": codec, "loss": AssociativeEmbeddingLoss(tag=1e-2)}


def offsets(size: int) -> dict[str, Any]:
    """Centres, and vectors from these to keypoints."""
    codec = CenterOffsets(
        (size, size), (size // 4, size // 4), sigma=1.5, radius=2.0, window=3, snap=0.0
    )
    model = PoseModel(_trunk(), CenterOffsetHead(17, ()))
    return {"model": model, "codec": codec, "loss": CenterOffsetLoss()}


def one_stage(size: int) -> dict[str, Any]:
    """The head and loss of YOLOX-Pose on a small residual trunk."""
    codec = OneStage((size, size), threshold=0.05)
    model = OneStageModel(
        Stages(8, (64, 128, 256), (1, 1, 1)),
        YOLOXPoseHead(17, 64, yolox_style(False, "float32")),
        PyramidNeck(64),
    )
    return {
        "model": model,
        "codec": codec,
        "loss": OneStageLoss(codec, tuple(COCO17.sigmas), absolute=10.0),
    }


KINDS: dict[str, Callable[[int], dict[str, Any]]] = {
    "fields": fields,
    "tags": tags,
    "offsets": offsets,
    "one-stage": one_stage,
}


def experiment(kind: str, data: str, **changes: Any) -> BottomUpExperiment:
    """Training of one kind on the images of a dataset, and evaluation on the same images."""
    images = Images(data, "train")
    height, width = images.open().canvas_hw
    if height != width:
        raise SystemExit(f"The canvas of {data} is {height}x{width}: prepare a square one.")
    settings: dict[str, Any] = {
        "train_data": images,
        "eval_data": images,
        "augmentation": STILL,
        "optimizer": AdamW(
            learning_rate=2e-3, schedule="cosine", warmup_steps=50, weight_decay=0.0, b2=0.99
        ),
        "evaluation": Evaluation(every=500, batch_size=14, flip_test=False),
        "steps": 3000,
        "batch_size": 7,
        "ema_decay": 0.99,
        "resident": True,
        "checkpoint_every": 250,
        "log_every": 20,
    }
    return BottomUpExperiment(skeleton=COCO17, **settings | KINDS[kind](height) | changes)


def ceiling(experiment: BottomUpExperiment) -> dict[str, float]:
    """Figures of decode(encode(truth)) on the evaluation's images."""
    codec = experiment.codec
    settings: dict[str, Any] = {
        "augmentation": STILL,
        "input_hw": codec.input_hw,
        "heatmap_hw": codec.heatmap_hw,
        "permutation": experiment.skeleton.flip_permutation,
        "udp": codec.udp,
    }

    @jax.jit
    def estimate(variables: Any, batch: Any) -> Decoded:
        del variables
        _, sample, matrix = augment(jax.random.key(0), batch, **settings)
        found: Decoded = codec.decode(perfect(codec, sample))
        back = invert_affine(matrix)[:, None]
        return found._replace(keypoints=apply_affine(back, found.keypoints))

    mesh = make_mesh(experiment.mesh)
    estimates = estimate_all(estimate, {}, experiment.eval_data.open(), experiment, mesh)
    return score(estimates, experiment, False).metrics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--data", required=True, help="whole images, with a square canvas")
    parser.add_argument("--workdir", type=Path, help="run directory; an interrupted run continues")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch-size", type=int, default=7)
    options = parser.parse_args()
    made = functools.partial(experiment, options.kind, options.data, batch_size=options.batch_size)
    if options.kind != "one-stage":
        figures = ceiling(made())
        print("decode(encode(truth)):", {name: round(x, 3) for name, x in figures.items()})
    if not options.steps:
        return
    if options.workdir is None:
        parser.error("--workdir is missing: name a folder for the run")
    start = time.process_time()
    result = train(made(steps=options.steps), options.workdir, Console())
    print(f"step {result.step}, {time.process_time() - start:,.0f} CPU seconds")
    print(result.report)


if __name__ == "__main__":
    main()
