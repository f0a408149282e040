"""Experiment for few labelled images of several animals, which a model finds without boxes."""

from collections.abc import Sequence
from pathlib import Path

from jaxpose import skeletons
from jaxpose.codecs.center_offsets import CenterOffsets
from jaxpose.data.source import Images
from jaxpose.losses import CenterOffsetLoss
from jaxpose.models.build import PoseModel
from jaxpose.models.center_offsets import CenterOffsetHead
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.bottomup.augment import ImageAugmentation
from jaxpose.tasks.bottomup.experiment import BottomUpExperiment, Evaluation
from jaxpose.tasks.topdown.few_labels import WEIGHTS, alternating, short_training, small_trunk


def few_images(
    skeleton: str | Path | Skeleton,
    data: str | Path | Sequence[str | Path],
    *,
    input_hw: tuple[int, int],
    batch_size: int,
    steps: int,
    max_people: int = 20,
    rotation_degrees: float = 30.0,
    learning_rate: float = 1e-3,
) -> BottomUpExperiment:
    """Build the experiment that `jaxpose init` writes for several animals in an image.

    `dataclasses.replace` changes the rest. The trunk is that of the package's small pose model with
    its weights; an individual is a peak in the map of centres, with a vector to each keypoint.

    Args:
      skeleton: name, file or skeleton of the records; without sigmas, those of the evaluation are
        0.05.
      data: folder of whole images with the splits `train` and `val`. Several folders, whose
        canvases have the same size, have the same share of a batch, and only the first needs
        `val`.
      input_hw: height and width of the input, multiples of 32.
      batch_size: images in a step.
      steps: number of steps; four evaluations are spread over them.
      max_people: largest number of individuals that are found in an image.
      rotation_degrees: largest rotation of a training image; 180 for animals below a camera.
      learning_rate: largest rate of AdamW; it falls to 0.

    Raises:
      InputError: there is no such skeleton, or a value is out of range.
    """
    points = skeleton if isinstance(skeleton, Skeleton) else skeletons.load(str(skeleton))
    if points.sigmas is None:
        points = points.with_sigmas(0.05)
    folders = [str(data)] if isinstance(data, str | Path) else [str(one) for one in data]
    height, width = input_hw
    return BottomUpExperiment(
        skeleton=points,
        # Statistics of a few images, whose margins are black after a rotation, are not those of
        # the whole images of an evaluation: after 450 steps nothing was found with them.
        model=PoseModel(small_trunk(path_norm=False), CenterOffsetHead(points.num_keypoints, ())),
        # Vectors alone place keypoints better than the peaks near their ends after few steps.
        codec=CenterOffsets(
            input_hw,
            (height // 4, width // 4),
            sigma=1.5,
            radius=2.0,
            window=3,
            snap=0.0,
            max_people=max_people,
        ),
        loss=CenterOffsetLoss(),
        train_data=alternating([Images(folder, "train") for folder in folders]),
        eval_data=Images(folders[0], "val"),
        augmentation=ImageAugmentation(rotation_degrees=rotation_degrees, scale=(0.8, 1.25)),
        optimizer=short_training(steps, learning_rate),
        evaluation=Evaluation(every=max(1, steps // 4), batch_size=batch_size),
        steps=steps,
        batch_size=batch_size,
        ema_decay=0.98,
        init_from=WEIGHTS,
        reset_head=True,
        checkpoint_every=max(1, steps // 4),
        log_every=20,
    )
