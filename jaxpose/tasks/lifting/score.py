"""Lifting of held-out frames to 3D, and metrics by subject and action."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import viz
from jaxpose.codecs.lifting import root_place
from jaxpose.data.motion import Motion
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.metric import score
from jaxpose.metrics.report import Report

if TYPE_CHECKING:
    from jaxpose.tasks.lifting.experiment import LiftingExperiment


def lift_all(
    estimate: Callable[[np.ndarray], tuple[jax.Array, jax.Array]],
    motion: Motion,
    windows: int,
    experiment: "LiftingExperiment",
    on_batch: Callable[[int], None],
) -> Estimates:
    """Lift every frame of `motion`, in batches of windows.

    Args:
      estimate: window indices `[B]` -> joints `[B, T_out, K, 3]` and their frames `[B, T_out]`;
        frames in several windows get the mean.
      windows: number of windows.
    """
    size = experiment.evaluation.batch_size
    total = np.zeros(motion.joints_mm.shape, np.float32)
    times = np.zeros(len(total), np.float32)
    for start in range(0, windows, size):
        indices = np.minimum(np.arange(start, start + size), windows - 1).astype(np.int32)
        joints, frames = jax.device_get(estimate(indices))
        count = min(size, windows - start)
        frames, joints = frames[:count].reshape(-1), joints[:count].reshape(-1, *joints.shape[2:])
        np.add.at(total, frames, joints)
        np.add.at(times, frames, 1.0)
        on_batch(start + count)
    root = experiment.codec.root
    known = motion.labelled & motion.labelled[:, list(root)].all(axis=1, keepdims=True)
    truth = motion.joints_mm - np.asarray(root_place(jnp.asarray(motion.joints_mm), root))
    clip = motion.clip_of_frame
    return Estimates(
        skeleton=experiment.skeleton,
        keypoints=total / times[:, None, None],
        truth=truth,
        visible=known,
        index=np.arange(len(total)),
        subject=motion.subject[clip],
        action=motion.action[clip],
        clip=clip,
    )


COLUMNS = frozenset(("index", "subject", "action", "clip"))
"""Columns of `Estimates` that `lift_all` fills."""


def report(estimates: Estimates, experiment: "LiftingExperiment", flip_test: bool) -> Report:
    """Compute the metrics of the evaluation by subject and action, and their means."""
    evaluation, codec, data = experiment.evaluation, experiment.codec, experiment.eval_data
    scored = score(evaluation.metrics, estimates, evaluation.best)
    return Report(
        metrics=scored.figures,
        boxes="none: unchanged keypoints of the dataset",
        flip_test=flip_test,
        decode=f"{type(codec).__name__}, inputs on the {codec.frame}",
        sigmas=None,
        people=len(estimates),
        notes={
            "unit": "mm about the root; means are over subjects and actions, not frames",
            "frames": str(experiment.lifter.backbone.frames),
            "cameras": "of the dataset" if data.rig is None else f"{data.rig.path}",
            **scored.notes,
        },
        by_action=scored.by_action,
    )


def error_images(estimates: Estimates) -> dict[str, np.ndarray]:
    """Draw the error of each joint; see `EvalResult.details`."""
    return {
        "keypoint_errors": viz.keypoint_errors(
            estimates.distances, estimates.skeleton, unit="mm about the root"
        )
    }
