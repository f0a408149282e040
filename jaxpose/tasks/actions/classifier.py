"""Classifier of actions for prediction: people's keypoints over time to probabilities."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.clips import sampled_frames
from jaxpose.errors import InputError
from jaxpose.skeletons import Skeleton
from jaxpose.skeletons.mapping import mapped
from jaxpose.tasks.actions.forward import class_scores


class ActionClassifier:
    """Callable from people's keypoints over time to probabilities of classes.

    Args:
      model, variables, codec, skeleton, classes: those of an `ActionEstimator`.
      source: skeleton of the keypoints that will be given; None for the model's.
      flip_test: average the probabilities of each clip and of its mirror image.

    Raises:
      InputError: keypoints of `source` cannot be converted to those of the model.
    """

    def __init__(
        self,
        model: Any,
        variables: Any,
        codec: Any,
        skeleton: Skeleton,
        classes: tuple[str, ...],
        *,
        source: Skeleton | None = None,
        flip_test: bool = False,
    ) -> None:
        self.codec, self.skeleton, self.classes = codec, skeleton, classes
        self.source = source or skeleton
        # Fails now rather than at the first clip.
        mapped(np.zeros((self.source.num_keypoints, 2)), None, self.source, skeleton)
        permutation = skeleton.flip_permutation if flip_test else None
        self._variables = variables

        @functools.partial(jax.jit)
        def run(
            variables: Any, keypoints: jax.Array, scores: jax.Array, wh: jax.Array
        ) -> jax.Array:
            framed = codec.framed(keypoints, scores, wh)
            return class_scores(
                variables, framed, scores, model=model, codec=codec, permutation=permutation
            )

        self._run = run

    def __call__(
        self,
        keypoints: np.ndarray,
        scores: np.ndarray | None = None,
        image_wh: Sequence[int] = (0, 0),
    ) -> np.ndarray:
        """Probabilities `[C]` of one clip.

        Args:
          keypoints: `[T, P, K, D]` of any number of frames and people; NaN where not seen.
          scores: `[T, P, K]`; None for 1 where seen.
          image_wh: width and height of the images in pixels.

        Raises:
          InputError: another shape, no frame, or no size of the images where the codec needs it.
        """
        codec, shape = self.codec, np.shape(keypoints)
        if len(shape) != 4 or not shape[0] or shape[2] != self.source.num_keypoints:
            raise InputError(
                f"A clip has keypoints [frames, people, {self.source.num_keypoints}, "
                f"{codec.dimensions}], but these are {list(shape)}."
            )
        if shape[3] < codec.dimensions:
            raise InputError(
                f"This model takes {codec.dimensions}D keypoints, but these are {shape[3]}D."
            )
        if getattr(codec, "frame", "") == "image" and min(image_wh) < 1:
            raise InputError("This model needs the size of the images: give image_wh.")
        finite = np.isfinite(keypoints).all(axis=-1)
        certain = np.where(finite, 1.0 if scores is None else np.nan_to_num(scores), 0.0)
        points, certain = mapped(np.nan_to_num(keypoints), certain, self.source, self.skeleton)
        points = points[..., : codec.dimensions]
        people = codec.people
        if shape[1] > people:
            best = np.sort(np.argsort(-certain.sum(axis=(0, 2)), kind="stable")[:people])
            points, certain = points[:, best], certain[:, best]
        more = ((0, 0), (0, people - points.shape[1]), (0, 0))
        points, certain = np.pad(points, (*more, (0, 0))), np.pad(certain, more)
        frames = np.asarray(sampled_frames(jnp.asarray([len(points)], jnp.int32), codec.frames))[0]
        found = self._run(
            self._variables,
            points[None, frames].astype(np.float32),
            certain[None, frames].astype(np.float32),
            np.asarray([image_wh], np.float32),
        )
        return np.asarray(found)[0]
