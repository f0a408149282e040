"""Held-out frames lifted, and scored by subject and action."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.lifting import root_place
from jaxpose.data.motion import Motion
from jaxpose.metrics.by_action import errors_by_action, mean_over_cells
from jaxpose.metrics.mpjpe import mpjpe
from jaxpose.metrics.report import Report

if TYPE_CHECKING:
    from jaxpose.tasks.lifting.experiment import LiftingExperiment


class Lifted(NamedTuple):
    """Joints in mm about the root, `[N, K, 3]`, of every frame, beside the truth."""

    predicted: np.ndarray
    truth: np.ndarray
    known: np.ndarray


def lift_all(
    estimate: Callable[[np.ndarray], tuple[jax.Array, jax.Array]],
    motion: Motion,
    windows: int,
    experiment: "LiftingExperiment",
    on_batch: Callable[[int], None],
) -> Lifted:
    """Every frame of `motion`, from batches of windows.

    Args:
      estimate: window indices `[B]` -> joints `[B, T_out, K, 3]` and their frames `[B, T_out]`;
        of a frame that several windows hold, the mean is taken.
      windows: how many there are.
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
    return Lifted(total / times[:, None, None], truth, known)


def report(
    lifted: Lifted, motion: Motion, experiment: "LiftingExperiment", flip_test: bool
) -> Report:
    """MPJPE and P-MPJPE by subject and action, and their means."""
    clip, codec = motion.clip_of_frame, experiment.codec
    by_action = errors_by_action(*lifted, motion.subject[clip], motion.action[clip])
    means = mean_over_cells(by_action)
    leading = "P-MPJPE" if experiment.evaluation.metric == "p_mpjpe" else "MPJPE"
    ordered = dict(sorted(means.items(), key=lambda item: item[0] != leading))
    data = experiment.eval_data
    return Report(
        metrics=ordered | {"MPJPE over frames": mpjpe(*lifted)},
        boxes="none: keypoints of the data set, as they are",
        flip_test=flip_test,
        decode=f"{type(codec).__name__}, inputs on the {codec.frame}",
        sigmas=None,
        people=len(clip),
        notes={
            "unit": "mm about the root; means are over subjects' actions, not frames",
            "frames": str(experiment.lifter.backbone.frames),
            "cameras": "of the data set" if data.rig is None else f"{data.rig.path}",
        },
        by_action=by_action,
    )
