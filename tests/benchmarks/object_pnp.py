"""PnP beside OpenCV on random poses with noise and outliers: degrees, mm, and CPU time.

    python -m tests.benchmarks.object_pnp --poses 1000

Nine keypoints of the drawn objects at random poses, 0.5 to 1.5 m from a camera of 600 pixels, with
normal noise (1 pixel; in the second table, one of 0.3 to 6 pixels for each keypoint, whose variance
is known) and two of nine keypoints moved by 20 to 100 pixels in the third. Medians, the share of
poses within 5 degrees and 5 % of the distance, and CPU seconds of one process for all poses; the
batch in JAX is timed after its compilation.
"""

import argparse
import time
from collections.abc import Callable

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.errors import InputError
from jaxpose.geometry.cameras import centred_camera
from jaxpose.geometry.pnp import project_points, solve_pnp, solve_pnp_ransac
from jaxpose.geometry.pose_refinement import refine_pose
from jaxpose.geometry.rigid import RigidPose, stack_poses
from jaxpose.geometry.rotations import matrix_from_quaternion
from jaxpose.metrics.object_pose import rotation_error, translation_error
from jaxpose.objects.drawn import drawn_objects

CAMERA = centred_camera(600.0, (480, 640))
Solve = Callable[[np.ndarray, np.ndarray, np.ndarray], RigidPose | None]


def problems(count: int, noise: str, seed: int = 0):
    """Points, pixels, standard deviations and true poses of `count` problems."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        points = drawn_objects()[number % 5].keypoints
        away = rng.uniform(500, 1500)
        shift = rng.uniform(-0.3, 0.3, 2) * away * np.array([1.0, 0.75])
        pose = RigidPose(matrix_from_quaternion(rng.normal(size=4)), np.array([*shift, away]))
        sigma = np.ones(9) if noise == "equal" else np.exp(rng.uniform(np.log(0.3), np.log(6), 9))
        sigma = np.ones(9) if noise == "outliers" else sigma
        pixels = project_points(pose, points, CAMERA) + sigma[:, None] * rng.normal(size=(9, 2))
        if noise == "outliers":
            for row in rng.choice(9, 2, replace=False):
                angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(20, 100)
                pixels[row] += length * np.array([np.cos(angle), np.sin(angle)])
        yield points, pixels, sigma, pose


def opencv(flag: int, ransac: bool = False, refine: bool = False) -> Solve:
    """A solver of OpenCV."""

    def solve(points: np.ndarray, pixels: np.ndarray, sigma: np.ndarray) -> RigidPose | None:
        lens = CAMERA.distortion
        if ransac:
            done, turn, shift, rows = cv2.solvePnPRansac(
                points, pixels, CAMERA.K, lens, reprojectionError=3.0, iterationsCount=200,
                confidence=0.999, flags=flag,
            )  # fmt: skip
            if not done or rows is None:
                return None
            rows = rows.reshape(-1)
            points, pixels = points[rows], pixels[rows]
        else:
            done, turn, shift = cv2.solvePnP(points, pixels, CAMERA.K, lens, flags=flag)
        if refine and len(points) >= 4:
            turn, shift = cv2.solvePnPRefineLM(points, pixels, CAMERA.K, lens, turn, shift)
        return RigidPose(cv2.Rodrigues(turn)[0], shift.reshape(3))

    return solve


def start(points: np.ndarray, pixels: np.ndarray, sigma: np.ndarray) -> RigidPose:
    return solve_pnp(points, pixels, CAMERA, "epnp")


def least_squares(points: np.ndarray, pixels: np.ndarray, sigma: np.ndarray) -> RigidPose:
    return refine_pose(start(points, pixels, sigma), points, pixels, CAMERA)


def weighted(points: np.ndarray, pixels: np.ndarray, sigma: np.ndarray) -> RigidPose:
    return refine_pose(start(points, pixels, sigma), points, pixels, CAMERA, 1 / sigma**2)


def robust(points: np.ndarray, pixels: np.ndarray, sigma: np.ndarray) -> RigidPose | None:
    try:
        return solve_pnp_ransac(points, pixels, CAMERA).pose
    except InputError:
        return None


def row(name: str, found, true, seconds: float) -> str:
    """One row of the table."""
    pairs = [(f, t) for f, t in zip(found, true, strict=True) if f is not None]
    turns = np.array([rotation_error(f, t) for f, t in pairs])
    shifts = np.array([translation_error(f, t) for f, t in pairs])
    distance = np.array([np.linalg.norm(t.t) for _, t in pairs])
    good = ((turns < 5) & (shifts < 0.05 * distance)).sum() / len(true)
    return (
        f"| {name} | {np.median(turns):.2f} | {np.median(shifts):.1f} | {100 * good:.1f} % | "
        f"{seconds:.2f} |"
    )


def main() -> None:
    """Prints a table for each kind of noise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--poses", type=int, default=1000)
    count = parser.parse_args().poses
    linear = {
        "OpenCV EPnP": opencv(cv2.SOLVEPNP_EPNP),
        "OpenCV SQPnP": opencv(cv2.SOLVEPNP_SQPNP),
        "OpenCV iterative": opencv(cv2.SOLVEPNP_ITERATIVE),
        "OpenCV EPnP, then LM": opencv(cv2.SOLVEPNP_EPNP, refine=True),
        "EPnP, then refine_pose": least_squares,
    }
    tables: dict[str, dict[str, Solve]] = {
        "equal": linear,
        "unequal": {**linear, "EPnP, then refine_pose with weights": weighted},
        "outliers": {
            "OpenCV EPnP, then LM": opencv(cv2.SOLVEPNP_EPNP, refine=True),
            "OpenCV RANSAC": opencv(cv2.SOLVEPNP_EPNP, ransac=True),
            "OpenCV RANSAC, then LM": opencv(cv2.SOLVEPNP_EPNP, ransac=True, refine=True),
            "solve_pnp_ransac": robust,
        },
    }
    for noise, solvers in tables.items():
        cases = list(problems(count, noise))
        true = [pose for *_, pose in cases]
        print(f"\n{noise}\n\n| | degrees | mm | within 5° and 5 % | CPU s |\n|---|---|---|---|---|")
        for name, solve in solvers.items():
            began = time.process_time()
            found = [solve(points, pixels, sigma) for points, pixels, sigma, _ in cases]
            print(row(name, found, true, time.process_time() - began), flush=True)
        if noise == "outliers":
            continue
        points, pixels, sigma = (np.stack([case[i] for case in cases]) for i in range(3))
        weights = np.ones_like(sigma) if noise == "equal" else 1 / sigma**2
        first = stack_poses([start(*case[:3]) for case in cases])
        inputs = jax.tree.map(
            lambda x: jnp.asarray(x, jnp.float32), (first, points, pixels, CAMERA, weights)
        )
        run = jax.jit(refine_pose)
        jax.block_until_ready(run(*inputs))
        began = time.process_time()
        made = jax.block_until_ready(run(*inputs))
        seconds = time.process_time() - began
        poses = RigidPose(np.asarray(made.R, np.float64), np.asarray(made.t, np.float64))
        name = "refine_pose, one batch in JAX, float32"
        print(row(name, [poses.take(i) for i in range(count)], true, seconds))


if __name__ == "__main__":
    main()
