"""Prior of poses for `jaxpose fit`, from the 3D poses of a motion dataset.

    jaxpose prepare h36m --poses h36m_fk17_10hz.npz --out data/h36m_poses.npz
    jaxpose prepare pose_prior --poses data/h36m_poses.npz --out data/prior.npz
    jaxpose fit out/predictions.json bodies.npz --prior data/prior.npz

A body is fitted to poses that are evenly spaced over a split's clips, and a mixture of Gaussians to
the rotations of its joints. Every second pose is mirrored, so that neither side is preferred. Poses
in the frame `world` also give the prior of the person's lean, for cameras that are nearly level.
The numbers of the file come from the poses, so the terms of their dataset hold for it too.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from jaxpose.bodies import Body, drawn_body, read_body
from jaxpose.bodies.fit import Fitted, Fitting, fit_body_3d, fit_in_groups
from jaxpose.bodies.learnt_prior import learn_prior, save_prior
from jaxpose.console import PlainConsole
from jaxpose.counts import Counts
from jaxpose.data.motion import Motion, read_motion
from jaxpose.data.virtual_cameras import upright

_BATCH = 64  # poses at a time
_SETTINGS = Fitting(pixel_sigma=0.005, iterations=20)
_FAR = 100.0  # mm: beyond it the pose is not one of this body
_FEW, _MISFIT = "fewer than 6 joints", f"more than {_FAR:.0f} mm from every pose of the body"


@dataclass(frozen=True)
class PriorSummary:
    """Summary that `jaxpose prepare` prints.

    Attributes:
      counts: of the poses.
      error: median distance of the fitted keypoints, mm root mean square.
    """

    counts: list[Counts]
    error: float

    def print(self, console: Console | None = None) -> None:
        """Prints the error."""
        console = console or PlainConsole()
        console.print(f"median error of the fitted bodies: {self.error:.1f} mm")


def prepare(
    poses: Annotated[Path, typer.Option(help="Motion dataset with 3D joints (.npz).")],
    out: Annotated[Path, typer.Option(help="Prior to write (.npz).")],
    split: Annotated[str, typer.Option(help="Split to learn from.")] = "train",
    body: Annotated[
        Path | None,
        typer.Option(help="A body model of yours (.npz or .pkl); the free body if absent."),
    ] = None,
    components: Annotated[int, typer.Option(min=1, help="Gaussians of the mixture.")] = 8,
    frames: Annotated[int, typer.Option(min=1, help="Number of poses, evenly spaced.")] = 8000,
) -> PriorSummary:
    """Learn a prior of poses from 3D joints."""
    model = drawn_body() if body is None else read_body(body).body
    motion = read_motion(poses).select(split=(split,))
    fitted = _fitted(model, motion, min(frames, len(motion.joints_mm)))
    found, near = np.isfinite(fitted.error), fitted.error < _FAR
    shape, rotations = fitted.shape[near], fitted.rotations[near]
    prior = learn_prior(model, shape, rotations, components, level=motion.frame == "world")
    save_prior(out, prior)
    excluded = {_FEW: int((~found).sum()), _MISFIT: int((found & ~near).sum())}
    counts = Counts("poses", int(near.sum()), excluded=excluded)
    return PriorSummary([counts], float(np.median(fitted.error[near])))


def _fitted(body: Body, motion: Motion, count: int) -> Fitted:
    """Bodies at evenly spaced frames; y is down if the poses are in the frame `world`."""
    chosen = np.linspace(0, len(motion.joints_mm) - 1, count).astype(int)
    points = np.where(motion.labelled[chosen, :, None], motion.joints_mm[chosen], np.nan)
    if motion.frame == "world":
        x, y, z = np.moveaxis(upright(points, motion.up), -1, 0)
        points = np.stack([x, -z, y], axis=-1)
    points[1::2] = points[1::2][:, motion.skeleton.flip_permutation] * [-1, 1, 1]

    def group(take: np.ndarray) -> Fitted:
        return fit_body_3d(body, motion.skeleton, points[take], settings=_SETTINGS)

    return fit_in_groups(count, _BATCH, group)
