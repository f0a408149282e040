"""Experiment for few labels: the package's small pose model, trained on from its weights."""

from collections.abc import Sequence
from pathlib import Path

from jaxpose import skeletons
from jaxpose.codecs.heatmap import udp
from jaxpose.data.mixture import Mixture, Weighted
from jaxpose.data.source import Dataset, Records
from jaxpose.errors import InputError
from jaxpose.losses import HeatmapMSE
from jaxpose.metrics import EPE, NME, CocoAP
from jaxpose.metrics.metric import Metric
from jaxpose.models.build import PoseModel
from jaxpose.models.feature_pyramid import FeaturePyramid
from jaxpose.models.heads import DeconvHead
from jaxpose.models.movenet import MobileNetV2Pyramid
from jaxpose.skeletons import COCO17, Skeleton
from jaxpose.skeletons.names import plain_name
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.train.optimizers import AdamW

WEIGHTS = "jaxpose-small"
"""Name of the weights, which are part of the package: COCO-17."""

# The maps of the first stages are the largest, and cost most of the time of a step.
_FROZEN = r"backbone/trunk/mobilenet/(stem|stage_[0-2]_block_\d+)/.*"


def small_trunk(path_norm: bool = True) -> FeaturePyramid:
    """Backbone of `WEIGHTS`: features `[B, H / 4, W / 4, 48]` of images `[B, H, W, 3]`.

    Args:
      path_norm: as in `FeaturePyramid`.
    """
    trunk = MobileNetV2Pyramid(whole_path=True)
    return FeaturePyramid(trunk, width=48, blocks=1, path_norm=path_norm)


def short_training(steps: int, learning_rate: float) -> AdamW:
    """Optimizer for a short training of `small_trunk`, whose first stages keep their weights.

    Args:
      steps: number of steps.
      learning_rate: largest rate; it falls to 0.
    """
    return AdamW(
        learning_rate=learning_rate,
        schedule="cosine",
        warmup_steps=max(1, steps // 20),
        weight_decay=0.02,
        b2=0.99,
        frozen=(_FROZEN,),
    )


def alternating(datasets: Sequence[Dataset]) -> Dataset:
    """The only dataset, or a mixture in which each has the same share of a batch.

    Corrections of predictions are few and worth most, so their dataset gets no smaller share.

    Raises:
      InputError: there is none.
    """
    if not datasets:
        raise InputError("few_labels needs a folder of records, and `data` is empty.")
    return datasets[0] if len(datasets) == 1 else Mixture(tuple(map(Weighted, datasets)))


def few_labels(
    skeleton: str | Path | Skeleton,
    data: str | Path | Sequence[str | Path],
    *,
    input_hw: tuple[int, int],
    batch_size: int,
    steps: int,
    padding: float = 1.25,
    sigma: float = 2.0,
    learning_rate: float = 1e-3,
) -> TopDownExperiment:
    """Build the experiment that `jaxpose init` writes; `dataclasses.replace` changes the rest.

    Output maps begin as those of the keypoints of COCO-17 with the same names.

    Args:
      skeleton: name, file or skeleton of the records.
      data: folder of records with the splits `train` and `val`. Several folders, whose canvases
        have the same size, have the same share of a batch, and only the first needs `val`.
      input_hw: height and width of the input, multiples of 32.
      batch_size: individuals in a step.
      steps: number of steps; four evaluations are spread over them.
      padding: factor from the box to the crop; 1 for boxes of the whole image.
      sigma: standard deviation of the targets' Gaussians, in pixels of maps of a quarter of the
        input's size.
      learning_rate: largest rate of AdamW; it falls to 0.

    Raises:
      InputError: there is no such skeleton, or a value is out of range.
    """
    points = skeleton if isinstance(skeleton, Skeleton) else skeletons.load(str(skeleton))
    folders = [str(data)] if isinstance(data, str | Path) else [str(one) for one in data]
    train = alternating([Records(folder, "train") for folder in folders])
    rows = same_keypoints(points)
    is_mapped = any(row >= 0 for row in rows)
    metrics: tuple[Metric, ...] = (NME(), EPE())
    return TopDownExperiment(
        skeleton=points,
        model=PoseModel(small_trunk(), DeconvHead(points.num_keypoints, deconv_channels=())),
        codec=udp(input_hw, sigma=sigma),
        loss=HeatmapMSE(),
        train_data=train,
        eval_data=Records(folders[0], "val"),
        padding=padding,
        augmentation=Augmentation(
            rotation_degrees=30.0,
            scale=0.25,
            half_body=0.0,
            brightness=0.2,
            contrast=0.2,
            saturation=0.2,
        ),
        optimizer=short_training(steps, learning_rate),
        evaluation=Evaluation(
            metrics=(CocoAP(), *metrics) if points.sigmas is not None else metrics,
            every=max(1, steps // 4),
            batch_size=batch_size,
        ),
        steps=steps,
        batch_size=batch_size,
        ema_decay=0.98,
        init_from=WEIGHTS,
        init_keypoints=rows if is_mapped else None,
        reset_head=not is_mapped,
        checkpoint_every=max(1, steps // 4),
        log_every=20,
    )


def same_keypoints(skeleton: Skeleton) -> tuple[int, ...]:
    """Place in COCO-17 of each keypoint with the same name; -1 where there is none."""
    places = {name: place for place, name in enumerate(COCO17.keypoints)}
    return tuple(places.get(plain_name(name), -1) for name in skeleton.keypoints)
