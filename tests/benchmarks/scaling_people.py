"""A real scaling study on a CPU: its people, drawn once, and its recipe.

    python -m tests.benchmarks.scaling_people data/scaling_people
    jaxpose scaling plan tests/benchmarks/scaling_people.py ...

Drawing a person takes longer than training on one here, and every point of the study uses the same
ones, so they are written as records first: 10,000 to train on and 1,000 to score.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from jaxpose.codecs.heatmap import udp
from jaxpose.data.canvas import Canvas, ImageAnnotation, InstanceAnnotation
from jaxpose.data.source import Records, SyntheticPeople
from jaxpose.losses import HeatmapMSE
from jaxpose.models.build import PoseModel
from jaxpose.models.heads import DeconvHead
from jaxpose.models.vit import ViT
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.train.optimizers import AdamW
from jaxpose.viz import save_image

CANVAS_HW, INPUT_HW = (96, 72), (64, 48)


def get_config() -> TopDownExperiment:
    """A small ViT on 64x48 pixels; the study changes its width and the number of steps."""
    return TopDownExperiment(
        skeleton=COCO17,
        model=PoseModel(
            ViT(input_hw=INPUT_HW, dim=48, depth=4, heads=6, patch=8, patch_padding=0),
            DeconvHead(17, deconv_channels=(32,)),
        ),
        codec=udp(INPUT_HW, heatmap_hw=(16, 12), sigma=1.0),
        loss=HeatmapMSE(),
        train_data=Records("data/scaling_people", "train"),
        eval_data=Records("data/scaling_people", "val"),
        augmentation=Augmentation(
            rotation_degrees=10.0, scale=0.15, shift_probability=0.0, half_body=0.0
        ),
        optimizer=AdamW(
            learning_rate=4e-3, schedule="cosine", warmup_steps=50, weight_decay=0.05, b2=0.99
        ),
        evaluation=Evaluation(every=100_000, batch_size=100),
        steps=1000,
        batch_size=16,
        ema_decay=0.99,
        resident=True,
        checkpoint_every=500,
    )


def main(
    out: Annotated[Path, typer.Argument(help="The dataset's folder.")],
    train: int = 25_000,
    val: int = 1_000,
) -> None:
    """Draw the people and write them as records."""
    from jaxpose.data.builder import write_dataset

    with tempfile.TemporaryDirectory() as folder:
        images = {
            split: _images(SyntheticPeople(count, seed, CANVAS_HW, plain=True), Path(folder, split))
            for split, count, seed in (("train", train, 0), ("val", val, 1))
        }
        write_dataset(
            out,
            name="scaling_people",
            splits=images,
            skipped={},
            skeleton=COCO17,
            canvas=Canvas(hw=CANVAS_HW),
            sources={},
            processes=1,
        )
    typer.echo(f"{train + val} people in {out}")


def _images(people: SyntheticPeople, folder: Path) -> list[ImageAnnotation]:
    """Each person's canvas as a photo on disk, which a canvas of the same size takes whole."""
    source, images = people.open(), []
    for index in range(people.count):
        sample = source.samples([index])
        path = folder / f"{index:06d}.png"
        save_image(path, sample["image"][0])
        person = InstanceAnnotation(
            annotation_id=index,
            keypoints=sample["keypoints"][0],
            visible=sample["visible"][0],
            box_xywh=sample["box_xywh"][0],
            area=float(sample["area"][0]),
        )
        images.append(ImageAnnotation(path, path.name, index, (person,), index, CANVAS_HW))
    return images


if __name__ == "__main__":
    typer.run(main)
