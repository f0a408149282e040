"""Errors in 3D of a body that is fitted to 2D keypoints.

    jaxpose prepare h36m --poses h36m_fk17_10hz.npz --out data/h36m_poses.npz
    jaxpose prepare pose_prior --poses data/h36m_poses.npz --out data/prior.npz
    python -m tests.benchmarks.body_fit data/h36m_poses.npz camera-parameters.json \\
        --prior data/prior.npz

Human3.6M's poses of S9 and S11, placed and projected by the subjects' own cameras as in
`configs/h36m_mlp.py`, at frames that are evenly spaced over all clips. The free body is fitted to
the 17 keypoints: exact and with Gaussian noise, with and without priors. Prints MPJPE and P-MPJPE
over the frames, mm, about the pelvis, and the seconds of all cores that the fits took.

    python -m tests.benchmarks.body_fit data/h36m_poses.npz camera-parameters.json \\
        --prior data/prior.npz --clips 3 --frames 128 --noise 5

fits the first frames of clips that are evenly spaced over all, every frame alone and as one track,
and prints the error of accelerations too, mm per frame squared at 10 frames per second.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from data_prep.h36m import read_cameras
from jaxpose.bodies import drawn_body
from jaxpose.bodies.fit import Fitting, fit_body
from jaxpose.bodies.fit_tracks import Smoothing, fit_tracks
from jaxpose.bodies.learnt_prior import read_prior
from jaxpose.bodies.prior import PosePrior
from jaxpose.data.motion import Motion, read_motion
from jaxpose.data.virtual_cameras import before_each_camera
from jaxpose.geometry import cameras
from jaxpose.geometry.cameras import Camera
from jaxpose.metrics.mesh_error import acceleration_error
from jaxpose.metrics.mpjpe import mpjpe, p_mpjpe, root_relative
from jaxpose.skeletons import H36M17

AREA_MM = 1000.0
BATCH = 64
SETTINGS = {
    "drawn people": Fitting(),
    "no prior of the pose": Fitting(pose_weight=0.0),
    "no priors": Fitting(pose_weight=0.0, shape_weight=0.0),
}


def scene(motion: Motion, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, Camera]:
    """Points `[N, 17, 3]` mm, their pixels `[N, 17, 2]` and cameras of the chosen frames."""
    truth = motion.joints_mm[chosen].astype(np.float64)
    view = motion.cameras.take(motion.clip_of_frame[chosen])
    # Lenses are undone first: the fit has pinhole cameras without distortion too.
    rays = cameras.normalise(view, motion.keypoints[chosen].astype(np.float64))
    K, count = view.K, len(chosen)
    pixels = rays * K[:, None, [0, 1], [0, 1]] + K[:, None, :2, 2]
    still = np.broadcast_to(np.eye(3), (count, 3, 3)), np.zeros((count, 3))
    return truth, pixels, Camera(K, *still, np.zeros((count, 5)))


def tracks(motion: Motion, options: argparse.Namespace, prior: PosePrior | None) -> None:
    """Prints the errors of clips that are fitted frame by frame, and as tracks."""
    starts = np.append(0, np.cumsum(motion.length))[:-1]
    clips = np.linspace(0, len(starts) - 1, options.clips).astype(int)
    settings = Fitting() if prior is None else Fitting(pixel_sigma=0.015, starts=32)
    titles = "MPJPE, mm", "P-MPJPE, mm", "ACCEL", "Reprojection, px", "CPU s"
    table = Table("Clip", "Noise, px", "Smoothed", *titles, title=f"{options.frames} frames each")
    for clip in clips:
        frames = min(options.frames, motion.length[clip])
        truth, pixels, plain = scene(motion, starts[clip] + np.arange(frames))
        name = f"{motion.subject[clip]} {motion.name[clip]}"
        for noise in options.noise:
            seen = pixels + noise * np.random.default_rng(0).standard_normal(pixels.shape)
            times = np.zeros(frames, int), np.arange(frames) / motion.fps[clip]
            for smoothing in (Smoothing(seconds=0), Smoothing()):
                begin = time.process_time()
                given = seen, None, plain, *times, settings, prior, smoothing
                fitted = fit_tracks(drawn_body(), H36M17, *given)
                found, about = root_relative(fitted.keypoints), root_relative(truth)
                figures = mpjpe(found, about), p_mpjpe(found, about)
                figures = *figures, acceleration_error(found, about), np.median(fitted.error)
                figures = *figures, time.process_time() - begin
                row = name, f"{noise:g}", "yes" if smoothing.seconds else "no"
                table.add_row(*row, *(f"{figure:.1f}" for figure in figures))
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("poses", type=Path)
    parser.add_argument("cameras", type=Path)
    parser.add_argument("--frames", type=int, default=512)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 5.0])
    parser.add_argument("--clips", type=int, default=0, help="fit so many tracks of --frames")
    parser.add_argument("--prior", type=Path, help="learnt from training subjects")
    options = parser.parse_args()
    cases = [(name, settings, None) for name, settings in SETTINGS.items()]
    if options.prior is not None:
        learnt = read_prior(options.prior)
        cases = [
            ("learnt", Fitting(), learnt),
            ("learnt, larger pixel_sigma", Fitting(pixel_sigma=0.015), learnt),
            ("learnt, all starts", Fitting(pixel_sigma=0.015, starts=32), learnt),
            *cases,
        ]

    rig = {name: cameras.stack(read_cameras(options.cameras, name)) for name in ("S9", "S11")}
    motion = read_motion(options.poses).select(split=("test",))
    motion = before_each_camera(motion, rig, (1000, 1000), AREA_MM)
    if options.clips:
        tracks(motion, options, None if options.prior is None else learnt)
        return
    chosen = np.linspace(0, len(motion.joints_mm) - 1, options.frames).astype(int)
    truth, pixels, plain = scene(motion, chosen)

    table = Table(title=f"{options.frames} frames of S9 and S11")
    for title in ("Noise, px", "Priors", "MPJPE, mm", "P-MPJPE, mm", "Reprojection, px", "CPU s"):
        table.add_column(title, justify="left" if title == "Priors" else "right")
    for noise in options.noise:
        seen = pixels + noise * np.random.default_rng(0).standard_normal(pixels.shape)
        for name, settings, prior in cases:
            begin = time.process_time()
            parts = [
                fit_body(drawn_body(), H36M17, seen[i : i + BATCH], None,
                         plain.take(slice(i, i + BATCH)), settings, prior)
                for i in range(0, options.frames, BATCH)
            ]  # fmt: skip
            found = np.concatenate([part.keypoints for part in parts])
            error = np.concatenate([part.error for part in parts])
            found, about = root_relative(found), root_relative(truth)
            figures = mpjpe(found, about), p_mpjpe(found, about), float(np.median(error))
            figures = *figures, time.process_time() - begin
            table.add_row(f"{noise:g}", name, *(f"{figure:.1f}" for figure in figures))
    Console().print(table)


if __name__ == "__main__":
    main()
