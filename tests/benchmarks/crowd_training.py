"""AP by the number of people: a one-stage model, and a top-down network with a detector.

    python -m tests.benchmarks.crowd_training scenes --out data/crowds
    jaxpose prepare coco --layout images --annotations data/crowds/annotations.json \
        --images data/crowds/png --canvas 160x384 --out data/crowds/images
    for part in one-stage finder pose; do
      python -m tests.benchmarks.crowd_training $part --workdir runs/$part
    done
    python -m tests.benchmarks.crowd_training compare --runs runs --out crowds.png

All three are small networks on the same drawn scenes of 1 to 12 people in a row, 160x384 pixels,
trained from random numbers. `--steps` sets a training's length; each prints its CPU seconds, and
those of the detector (`finder`) and of the network for its boxes (`pose`) add up. The comparison is
on scenes of another seed.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import jax
import numpy as np
from rich.console import Console

from jaxpose.codecs import OneStage
from jaxpose.codecs.heatmap import udp
from jaxpose.data.source import Images, Records, SyntheticScenes
from jaxpose.geometry.suppression import best_boxes
from jaxpose.losses import HeatmapMSE, OneStageLoss
from jaxpose.losses.simota import SimOTA
from jaxpose.metrics.coco import Detections, GroundTruth
from jaxpose.metrics.oks import coco_keypoint_ap, person_score
from jaxpose.models.build import PoseModel
from jaxpose.models.darknet import yolox_style
from jaxpose.models.feature_pyramid import PyramidNeck
from jaxpose.models.heads import DeconvHead
from jaxpose.models.one_stage import OneStageModel, YOLOXPoseHead
from jaxpose.models.pyramid import Pyramid, Stages
from jaxpose.skeletons import COCO17
from jaxpose.tasks.bottomup.augment import ImageAugmentation
from jaxpose.tasks.bottomup.experiment import BottomUpExperiment
from jaxpose.tasks.bottomup.experiment import Evaluation as ImageEvaluation
from jaxpose.tasks.topdown.augment import Augmentation, normalize
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.train.experiment import Experiment
from jaxpose.train.loop import train
from jaxpose.train.optimizers import AdamW
from jaxpose.train.run_dir import Run, load_run
from jaxpose.viz import save_image
from jaxpose.viz.figures import new_figure, to_image
from tests.benchmarks.coco_files import person, write_document

CANVAS_HW = (160, 384)
PEOPLE = 12
BINS = ((1, 1), (2, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12))
OPTIMIZER = AdamW(
    learning_rate=2e-3, schedule="cosine", warmup_steps=200, weight_decay=0.02, b2=0.99
)


def write_scenes(out: Path, count: int) -> None:
    """Write drawn scenes as PNG files and one annotation file of COCO's format.

    People with too few visible keypoints are not in it.
    """
    folder = out / "png"
    folder.mkdir(parents=True, exist_ok=True)
    source = SyntheticScenes(count, 0, CANVAS_HW, PEOPLE).open()
    images, annotations = [], []
    for index in range(count):
        batch = source.samples([index])
        name = f"{index}.png"
        cv2.imwrite(str(folder / name), batch["image"][0][..., ::-1])
        height, width = CANVAS_HW
        images.append({"id": index, "file_name": name, "height": height, "width": width})
        for row in np.flatnonzero(batch["valid"][0]):
            points = np.concatenate(
                [batch["keypoints"][0, row], batch["visible"][0, row][:, None]], axis=-1
            )
            box, area = batch["box_xywh"][0, row], float(batch["area"][0, row])
            annotations.append(person(len(annotations), index, points, box, area))
    write_document(out, images, annotations, "person", COCO17)


def _one_stage(head: int, loss: dict[str, Any], data: str, steps: int) -> BottomUpExperiment:
    codec = OneStage(CANVAS_HW, threshold=0.05, max_people=30)
    model = OneStageModel(
        Stages(8, (64, 128, 256), (1, 1, 1)),
        YOLOXPoseHead(17, head, yolox_style(False, "float32")),
        PyramidNeck(head),
    )
    return BottomUpExperiment(
        skeleton=COCO17,
        model=model,
        codec=codec,
        loss=OneStageLoss(codec, tuple(COCO17.sigmas), absolute=10.0, **loss),
        train_data=Images(data, "train"),
        eval_data=SyntheticScenes(200, 1, CANVAS_HW, PEOPLE),
        augmentation=ImageAugmentation(rotation_degrees=5.0, scale=(0.8, 1.25)),
        optimizer=OPTIMIZER,
        evaluation=ImageEvaluation(every=max(steps // 4, 1), flip_test=False),
        steps=steps,
        batch_size=8,
        ema_decay=0.998,
        resident=True,
        checkpoint_every=max(steps // 8, 1),
    )


def one_stage(data: str, steps: int) -> BottomUpExperiment:
    """YOLOX-Pose's head and loss on a small residual trunk."""
    return _one_stage(64, {}, data, steps)


def finder(data: str, steps: int) -> BottomUpExperiment:
    """The same with half the channels, for boxes alone."""
    boxes_alone = {"keypoints": 0.0, "visible": 0.0, "assign": SimOTA(keypoints=0.0, by="boxes")}
    return _one_stage(32, boxes_alone, data, steps)


def pose(data: str, steps: int) -> TopDownExperiment:
    """The network of the quick start on crops of the scenes."""
    return TopDownExperiment(
        skeleton=COCO17,
        model=PoseModel(
            Pyramid(patch=8, widths=(64, 128, 256), depths=(2, 2, 2), path_width=64),
            DeconvHead(17, deconv_channels=(64,)),
        ),
        codec=udp((128, 96), heatmap_hw=(32, 24), sigma=1.5),
        loss=HeatmapMSE(),
        train_data=Records(data, "train"),
        eval_data=Records(data, "train", part=0.02),
        # Boxes of a detector are not those of the annotations.
        augmentation=Augmentation(rotation_degrees=10.0, scale=0.25, shift=0.1, half_body=0.0),
        optimizer=OPTIMIZER,
        evaluation=Evaluation(every=steps, flip_test=False),
        steps=steps,
        batch_size=32,
        ema_decay=0.998,
        checkpoint_every=max(steps // 8, 1),
    )


PARTS: dict[str, Callable[[str, int], Experiment]] = {
    "one-stage": one_stage,
    "finder": finder,
    "pose": pose,
}


def boxes_of(run: Run) -> Callable[[np.ndarray], Iterator[tuple[np.ndarray, np.ndarray]]]:
    """Function from images to the boxes `[P, 4]` (x, y, w, h) of each, and their scores."""
    experiment = run.experiment
    assert isinstance(experiment, BottomUpExperiment) and isinstance(experiment.codec, OneStage)
    codec = experiment.codec

    @jax.jit
    def propose(variables: Any, images: jax.Array) -> Any:
        levels = experiment.model.apply(variables, normalize(images), train=False).levels
        found = codec.proposals(levels)
        probability = found.probability()
        rows, scores = best_boxes(
            found.boxes, probability, threshold=0.05, iou=0.65, limit=codec.max_people
        )
        return jax.numpy.take_along_axis(found.boxes, rows[..., None], axis=1), scores

    def of(images: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for corners, scores in zip(*jax.device_get(propose(run.variables, images)), strict=True):
            low, high = np.split(np.asarray(corners, np.float64), 2, axis=-1)
            kept = scores > 0
            yield np.concatenate([low, high - low], axis=-1)[kept], scores[kept]

    return of


def compare(runs: Path, count: int) -> dict[str, list[float]]:
    """AP of each method in scenes of each number of `BINS`."""
    source = SyntheticScenes(count, 2, CANVAS_HW, PEOPLE).open()
    loaded = {name: load_run(runs / name, "last", trust_recipe=True) for name in PARTS}
    predictors = {
        name: run.experiment.task()
        .estimator(run.variables)[0]
        .predictor(run.variables, flip_test=False, batch_size=16)
        for name, run in loaded.items()
        if name != "finder"
    }
    boxes = boxes_of(loaded["finder"])
    truths: list[dict[str, np.ndarray]] = []
    results: dict[str, list[tuple[int, np.ndarray, np.ndarray]]] = {}
    for start in range(0, count, 20):
        batch = source.samples(range(start, min(start + 20, count)))
        images = list(batch["image"])
        given = [batch["box_xywh"][i][batch["valid"][i]] for i in range(len(images))]
        found = list(boxes(batch["image"]))
        streams = {
            "one-stage": predictors["one-stage"].stream((x, None) for x in images),
            "top-down, its detector": predictors["pose"].stream(
                zip(images, (own for own, _ in found), strict=True)
            ),
            "top-down, true boxes": predictors["pose"].stream(zip(images, given, strict=True)),
        }
        for name, stream in streams.items():
            for i, people in enumerate(stream):
                whole = name == "one-stage"
                factors = found[i][1] if name == "top-down, its detector" else 1.0
                scores = person_score(people.scores, factors, whole_images=whole)
                image = np.full(len(scores), start + i)
                results.setdefault(name, []).append((image, people.keypoints, scores))
        truths.append(batch)
    columns = {
        name: np.concatenate([batch[name] for batch in truths])
        for name in ("image_id", "keypoints", "visible", "box_xywh", "area", "valid")
    }
    valid = columns.pop("valid")
    numbers = valid.sum(axis=1)
    image_id = np.broadcast_to(columns.pop("image_id")[:, None], valid.shape)[valid]
    truth = {name: values[valid] for name, values in columns.items()}
    table: dict[str, list[float]] = {}
    for name, rows in results.items():
        images_of, keypoints, scores = (np.concatenate(x) for x in zip(*rows, strict=True))
        table[name] = []
        for low, high in BINS:
            chosen = np.flatnonzero((numbers >= low) & (numbers <= high))
            own, theirs = np.isin(image_id, chosen), np.isin(images_of, chosen)
            ap = coco_keypoint_ap(
                GroundTruth(
                    image_id=image_id[own], **{key: values[own] for key, values in truth.items()}
                ),
                Detections(images_of[theirs], keypoints[theirs], scores[theirs]),
                COCO17.oks_sigmas(),
                max_detections=30,
            )
            table[name].append(ap["AP"])
    return table


def draw(table: dict[str, list[float]], out: Path) -> None:
    figure = new_figure(6.0, 3.4)
    axes = figure.subplots()
    for name, values in table.items():
        axes.plot(np.mean(BINS, axis=1), values, marker="o", ms=3, linewidth=1.3, label=name)
    axes.set_xlabel("people in the image", fontsize=9)
    axes.set_ylabel("AP", fontsize=9)
    axes.set_ylim(0, 1)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3, linewidth=0.6)
    axes.legend(fontsize=8, framealpha=0.6)
    save_image(out, to_image(figure))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("scenes", *PARTS, "compare"))
    parser.add_argument("--data", default="data/crowds/images")
    parser.add_argument("--workdir", type=Path)
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--count", type=int, help="scenes to draw (3,000) or to score (600)")
    options = parser.parse_args()
    if options.part == "scenes":
        write_scenes(options.out, options.count or 3000)
    elif options.part == "compare":
        table = compare(options.runs, options.count or 600)
        print("people", *(f"{low}-{high}" for low, high in BINS), sep="\t")
        for name, values in table.items():
            print(name, *(f"{value:.3f}" for value in values), sep="\t")
        draw(table, options.out)
    else:
        start = time.process_time()
        train(PARTS[options.part](options.data, options.steps), options.workdir, Console())
        print(f"{time.process_time() - start:,.0f} CPU seconds")


if __name__ == "__main__":
    main()
