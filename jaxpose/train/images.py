"""Keypoints in pictures as a task."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import jax

from jaxpose import viz
from jaxpose.augment import augment
from jaxpose.config import Experiment
from jaxpose.data.source import Records, Source
from jaxpose.errors import InputError
from jaxpose.train.check import check_outputs
from jaxpose.train.evaluate import estimate_all, make_estimate
from jaxpose.train.feed import train_batches
from jaxpose.train.score import score
from jaxpose.train.task import Scored, Scorer


@dataclass(frozen=True)
class ImageTask:
    """See `task.Task`."""

    experiment: Experiment
    unit: ClassVar[str] = "images"

    def check(self) -> None:
        check_outputs(self.experiment)

    def open(self, role: str) -> Source:
        data = self.experiment.train_data if role == "train" else self.experiment.eval_data
        source = self._checked(data.open(), f"{role}_data")
        if len(source) == 0:
            raise InputError(f"{role}_data is empty: {data}.")
        return source

    def elsewhere(self, data: str, split: str) -> Source:
        return self._checked(Records(path=data, split=split).open(), data)

    def _checked(self, source: Source, name: str) -> Source:
        skeleton = self.experiment.skeleton
        if source.skeleton.keypoints != skeleton.keypoints:
            raise InputError(
                f"{name} holds the keypoints of skeleton {source.skeleton.name!r}, but the "
                f"experiment's skeleton is {skeleton.name!r}. Prepare the data with that skeleton, "
                "or change `skeleton` in the recipe."
            )
        return source

    def fitted(self, source: Source) -> Experiment:
        return self.experiment

    def batches(
        self,
        source: Source,
        mesh: jax.sharding.Mesh,
        start_step: int,
        on_loaded: Callable[[int], None] = lambda samples: None,
    ) -> Iterator[dict[str, jax.Array]]:
        return train_batches(self.experiment, source, mesh, start_step, on_loaded)

    def encode(
        self, key: jax.Array, batch: dict[str, jax.Array]
    ) -> tuple[jax.Array, Any, jax.Array]:
        """Augmented images `[B, H, W, 3]`, the codec's targets, weights `[B, K]`.

        `batch`: image uint8 `[B, Hc, Wc, 3]`, keypoints `[B, K, 2]` and box_xywh `[B, 4]` in
        canvas pixels, visible `[B, K]`, mask `[B]` (False: padding, which weighs nothing).
        """
        experiment = self.experiment
        skeleton, codec = experiment.skeleton, experiment.codec
        images, keypoints, visible = augment(
            key,
            batch,
            augmentation=experiment.augmentation,
            input_hw=codec.input_hw,
            udp=codec.udp,
            permutation=skeleton.flip_permutation,
            upper_body=skeleton.upper_body_mask,
            padding=experiment.padding,
        )
        targets, weights = codec.encode(keypoints, visible)
        return images, targets, weights * batch["mask"][:, None]

    def scorer(self, source: Source, mesh: jax.sharding.Mesh, flip_test: bool) -> Scorer:
        experiment = self.experiment
        estimate = make_estimate(experiment, mesh, flip_test)

        def scored(
            variables: Any, on_batch: Callable[[int], None] = lambda samples: None
        ) -> Scored:
            estimates = estimate_all(estimate, variables, source, experiment, mesh, on_batch)
            pictures = estimates.pictures
            return Scored(
                score(estimates, experiment, flip_test, source),
                viz.contact_sheet(pictures, columns=4) if pictures else None,
                estimates.coco_results(),
            )

        return scored
