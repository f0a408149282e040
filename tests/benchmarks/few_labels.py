"""PCK against the number of labelled frames, from random and from pretrained weights.

    python -m tests.benchmarks.few_labels drawn --out data/animal
    jaxpose prepare coco --annotations data/animal/train/annotations.json \
        --images data/animal/train/images --skeleton data/animal/skeleton.toml \
        --canvas 192x240 --out data/animal/data
    jaxpose prepare coco --annotations data/animal/val/annotations.json \
        --images data/animal/val/images --skeleton data/animal/skeleton.toml \
        --split val --canvas 192x240 --out data/animal/held_out
    python -m tests.benchmarks.few_labels train --skeleton data/animal/skeleton.toml \
        --train data/animal/data --val data/animal/held_out --input 128x160 --runs runs/animal \
        --imagenet efficientnet-lite0.pth --people movenet
    python -m tests.benchmarks.few_labels table --runs runs/animal runs/mouse --out few.png

Each start is trained with the same number of steps, batches and augmentation, on the first N frames
of one random order, and the last weights count:

- random: the package's small network from random numbers, with batch norms, nothing frozen;
- imagenet: EfficientNet-Lite0 trained on ImageNet, with three deconvolutions;
- people: the small network with the trunk of MoveNet, a release of `jaxpose convert`;
- shipped: the package's own weights, as `jaxpose init` takes them.

PCK@0.1: share of keypoints that are nearer to the truth than a tenth of the longer side of the
animal's labelled keypoints.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from jaxpose.data.source import Records
from jaxpose.hub.load import weights
from jaxpose.metrics import EPE
from jaxpose.models.build import PoseModel
from jaxpose.models.efficientnet import EfficientNetLite
from jaxpose.models.feature_pyramid import FeaturePyramid
from jaxpose.models.heads import DeconvHead
from jaxpose.models.movenet import MobileNetV2Pyramid
from jaxpose.paths import atomic_write
from jaxpose.skeletons.from_names import to_toml
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.tasks.topdown.few_labels import few_labels
from jaxpose.train.loop import train
from jaxpose.viz import save_image
from jaxpose.viz.figures import new_figure, to_image
from tests.benchmarks import drawn_animal
from tests.benchmarks.length_pck import SHARE, LengthPCK

COUNTS = (10, 20, 50, 100)
STARTS = ("random", "imagenet", "people", "shipped")
BATCH = 8
HELD_OUT = 150


def experiment(start: str, count: int, options: argparse.Namespace) -> TopDownExperiment:
    """Training of one start on `count` frames."""
    total = len(Records(options.train, "train").open())
    if count > total:
        raise SystemExit(f"{options.train} has {total} frames, fewer than {count}.")
    height, width = map(int, options.input.split("x"))
    shipped = few_labels(
        options.skeleton,
        options.train,
        input_hw=(height, width),
        padding=options.padding,
        sigma=1.5,
        batch_size=BATCH,
        steps=options.steps,
    )
    metrics = (LengthPCK(), EPE())
    shipped = replace(
        shipped,
        train_data=Records(options.train, "train", part=(count - 0.5) / total),
        eval_data=Records(options.val or options.train, "val"),
        evaluation=Evaluation(metrics=metrics, every=options.steps, batch_size=16),
        checkpoint_every=options.steps,
    )
    keypoints = shipped.skeleton.num_keypoints
    if start == "shipped":
        return shipped
    if start == "people":
        return replace(shipped, init_from=options.people, init_keypoints=None, reset_head=True)
    trains_all = replace(shipped.optimizer, frozen=())
    if start == "random":
        trunk = MobileNetV2Pyramid(norm="batch", whole_path=True)
        model = PoseModel(
            FeaturePyramid(trunk, width=48, blocks=1, trunk_norm=True),
            DeconvHead(keypoints, deconv_channels=()),
        )
        return replace(
            shipped,
            model=model,
            optimizer=trains_all,
            init_from=None,
            init_keypoints=None,
            reset_head=False,
        )
    return replace(
        shipped,
        model=PoseModel(EfficientNetLite(), DeconvHead(keypoints, deconv_channels=(64, 64, 64))),
        optimizer=replace(trains_all, frozen=(r"backbone/(stem|stage_[0-2]_block_\d+)/.*",)),
        init_from=options.imagenet,
        init_keypoints=None,
        reset_head=True,
    )


def train_all(options: argparse.Namespace) -> None:
    for count in options.counts:
        for start in options.starts:
            folder = options.runs / f"{start}_{count}"
            file = folder / "figures.json"
            if file.exists():
                continue
            begun = time.process_time()
            result = train(experiment(start, count, options), folder, Console(quiet=True), weights)
            figures = {name: result.report.metrics[name] for name in ("PCK", "EPE")}
            figures["minutes"] = (time.process_time() - begun) / 60
            file.write_text(json.dumps(figures))
            print(start, count, {name: round(x, 3) for name, x in figures.items()}, flush=True)


def table(runs: list[Path], out: Path | None) -> None:
    figure = new_figure(3.2 * len(runs), 2.8)
    for axes, folder in zip(figure.subplots(1, len(runs), squeeze=False)[0], runs, strict=True):
        print(folder.name, *COUNTS, sep="\t")
        for start in STARTS:
            cells = [
                json.loads(file.read_text())
                for count in COUNTS
                if (file := folder / f"{start}_{count}" / "figures.json").exists()
            ]
            values = [cell["PCK"] for cell in cells]
            minutes = sum(cell["minutes"] for cell in cells)
            print(start, *(f"{x:.3f}" for x in values), f"{minutes:.1f} min", sep="\t")
            axes.plot(COUNTS[: len(values)], values, marker="o", ms=3, linewidth=1.3, label=start)
        axes.set_xscale("log")
        axes.set_xticks(COUNTS, list(map(str, COUNTS)))
        axes.minorticks_off()
        axes.set_ylim(0, 1.03)
        axes.set_title(folder.name, fontsize=9)
        axes.set_xlabel("labelled frames", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3, linewidth=0.6)
    figure.axes[0].set_ylabel(f"PCK@{SHARE}", fontsize=8)
    figure.axes[0].legend(fontsize=7, framealpha=0.6)
    if out is not None:
        save_image(out, to_image(figure))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = parser.add_subparsers(dest="part", required=True)
    drawn = parts.add_parser("drawn", help="write the drawn animal's images and labels")
    drawn.add_argument("--out", type=Path, required=True)
    run = parts.add_parser("train")
    run.add_argument("--skeleton", required=True)
    run.add_argument("--train", required=True, help="records with the split train")
    run.add_argument("--val", help="records with the split val; without it those of --train")
    run.add_argument("--input", required=True, help="HxW")
    run.add_argument("--padding", type=float, default=1.25, help="factor from box to crop")
    run.add_argument("--runs", type=Path, required=True)
    run.add_argument("--imagenet", help="weights of EfficientNet-Lite0")
    run.add_argument("--people", help="release of MoveNet Lightning")
    run.add_argument("--steps", type=int, default=300)
    run.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    run.add_argument("--starts", nargs="+", default=STARTS, choices=STARTS)
    shown = parts.add_parser("table")
    shown.add_argument("--runs", type=Path, nargs="+", required=True)
    shown.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.part == "table":
        table(options.runs, options.out)
    elif options.part == "train":
        train_all(options)
    else:
        drawn_animal.write(options.out / "train", 0, max(COUNTS))
        drawn_animal.write(options.out / "val", 1, HELD_OUT)
        atomic_write(options.out / "skeleton.toml", to_toml(drawn_animal.ANIMAL))


if __name__ == "__main__":
    main()
