"""Errors in 3D of a hand of MANO's layout that is fitted to 2D keypoints.

    python -m tests.benchmarks.hand_fit
    python -m tests.benchmarks.hand_fit --body MANO_RIGHT.pkl

Poses are drawn from the prior of the hand's file, shapes from a standard normal distribution, and
directions evenly from all rotations; the hand is 300 to 700 mm before a camera of 1,000 pixels'
focal length. So the fit has the right prior, which on real hands it has not: the figures show the
optimisation, and what one view leaves open. Prints MPJPE about the wrist and P-MPJPE of the 21
keypoints, mm, and the seconds of all cores that the fits took.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.spatial.transform import Rotation

from jaxpose.bodies import read_body
from jaxpose.bodies.files import BodyFile
from jaxpose.bodies.fit import Fitting, fit_body
from jaxpose.bodies.hands import hand_prior
from jaxpose.bodies.landmarks import landmarks
from jaxpose.geometry.cameras import centred_camera, project
from jaxpose.geometry.rotations import matrix_from_axis_angle
from jaxpose.metrics.mpjpe import mpjpe, p_mpjpe, root_relative
from jaxpose.skeletons import HAND21
from tests.made_hand import save_hand

CAMERA = centred_camera(1000.0, (480, 640))
SETTINGS = {
    "defaults": Fitting(),
    "all 24 starts": Fitting(starts=24),
    "no prior of the pose": Fitting(pose_weight=0.0),
}


def posed_hands(file: BodyFile, count: int, seed: int = 0) -> np.ndarray:
    """Keypoints `[N, 21, 3]` mm of hands before the camera."""
    rng, numbers = np.random.default_rng(seed), hand_prior(file).numbers
    whitening = numbers.whitenings[0, :45, :45].astype(np.float64)
    offset = np.linalg.solve(whitening, rng.standard_normal((45, count))).T
    local = matrix_from_axis_angle((numbers.means[0, :45] + offset).reshape(count, 15, 3))
    root = Rotation.random(count, random_state=rng).as_matrix()
    rotations = np.concatenate([root[:, None], local], axis=1).astype(np.float32)
    place = rng.uniform([-80, -60, 300], [80, 60, 700], (count, 3)).astype(np.float32)
    shape = rng.standard_normal((count, file.body.num_shapes)).astype(np.float32)
    found = landmarks(file.body, HAND21).points(shape, rotations, place)
    return np.asarray(found, np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--body", type=Path, help="file of MANO; a hand of our own if absent")
    parser.add_argument("--hands", type=int, default=128)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 2.0])
    options = parser.parse_args()
    path = options.body or save_hand()
    file = read_body(path)
    truth, prior = posed_hands(file, options.hands), hand_prior(file)
    pixels = project(CAMERA, truth)

    table = Table(title=f"{options.hands} hands of {path.name}")
    for title in ("Noise, px", "Settings", "MPJPE, mm", "P-MPJPE, mm", "Reprojection, px", "CPU s"):
        table.add_column(title, justify="left" if title == "Settings" else "right")
    for noise in options.noise:
        seen = pixels + noise * np.random.default_rng(1).standard_normal(pixels.shape)
        for name, settings in SETTINGS.items():
            begin = time.process_time()
            found = fit_body(file.body, HAND21, seen, None, CAMERA, settings, prior)
            spent = time.process_time() - begin
            about = root_relative(found.keypoints.astype(np.float64)), root_relative(truth)
            figures = mpjpe(*about), p_mpjpe(*about), float(np.median(found.error)), spent
            table.add_row(f"{noise:g}", name, *(f"{figure:.1f}" for figure in figures))
    Console().print(table)


if __name__ == "__main__":
    main()
