"""Pose of a known object from keypoints in an image: perspective-n-point (PnP), by OpenCV.

Points of the object are in millimetres of its frame; the pose takes them to the camera's frame.
Of a `Camera`, K and distortion are used, and R and t are not. `pose_refinement` has the refinement
by least squares, with weights and gradients.
"""

from typing import Any, Literal, NamedTuple

import numpy as np

from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera, check_cameras, distort, to_pixels
from jaxpose.geometry.namespace import ArrayT
from jaxpose.geometry.rigid import RigidPose, apply_pose

Method = Literal["iterative", "epnp", "sqpnp", "ippe", "ippe_square", "p3p"]

# Fewest points of each method; the iterative one begins with a linear solution, or with a
# homography for points of one plane.
_LEAST = {"iterative": 6, "epnp": 4, "sqpnp": 3, "ippe": 4, "ippe_square": 4, "p3p": 3}
# Extent of points across their plane or line, in that along it, below which they are flat.
_FLAT = 1e-4


class NoPose(InputError):
    """Error of correspondences from which no pose could be computed."""


class RobustPose(NamedTuple):
    """Pose from correspondences of which some are wrong.

    Attributes:
      pose: the pose.
      inliers: bool `[N]`, the correspondences that it agrees with.
    """

    pose: RigidPose
    inliers: np.ndarray


def project_points(pose: RigidPose, points: ArrayT, camera: Camera) -> ArrayT:
    """Pixels `[..., N, 2]` of points `[..., N, 3]` of an object; leading axes broadcast."""
    local = apply_pose(pose, points)
    return to_pixels(camera.K, distort(camera.distortion, local[..., :2] / local[..., 2:]))


def pnp_solutions(
    points: np.ndarray, pixels: np.ndarray, camera: Camera, method: Method = "sqpnp"
) -> tuple[RigidPose, np.ndarray]:
    """All solutions of a method, the one of the least reprojection error first.

    Args:
      points: `[N, 3]` mm.
      pixels: `[N, 2]`.
      camera: one camera; K and distortion are used.
      method: "iterative" minimises the reprojection error; "epnp" (Lepetit et al. 2009) and "sqpnp"
        (Terzakis and Lourakis 2020) minimise other errors and need no start; "ippe" (Collins and
        Bartoli 2014) is for points of one plane, and gives both solutions; "ippe_square" for the
        corners of a square marker, in the order top left, top right, bottom right, bottom left
        with y up; "p3p" is for three points, and gives up to four solutions.

    Returns:
      Poses `[S]`, and their errors `[S]`: root mean squares of x and y in pixels, as OpenCV's.

    Raises:
      InputError: points or a camera that the method cannot use.
      NoPose: the method found none.
    """
    import cv2

    points, pixels = check_correspondences(points, pixels, camera, method)
    flags = getattr(cv2, f"SOLVEPNP_{method.upper()}")
    K, lens = (np.asarray(value, np.float64) for value in (camera.K, camera.distortion))
    try:
        if method == "p3p":
            count, turns, shifts = cv2.solveP3P(points[:, None], pixels[:, None], K, lens, flags)
        else:
            count, turns, shifts, _ = cv2.solvePnPGeneric(
                points[:, None], pixels[:, None], K, lens, flags=flags
            )
    except cv2.error as error:
        raise NoPose(f"no pose was found by {method!r}: are the points degenerate?") from error
    if not count:
        raise NoPose(f"no pose was found by {method!r}: do the pixels belong to these points?")
    poses = RigidPose(
        np.stack([cv2.Rodrigues(turn)[0] for turn in turns]),
        np.stack([np.asarray(shift, np.float64).reshape(3) for shift in shifts]),
    )
    away = project_points(poses, points, camera) - pixels
    errors = np.sqrt((away**2).mean(axis=(-2, -1)))
    # A pose with points behind the camera is a solution of the equations alone.
    behind = (apply_pose(poses, points)[..., 2] <= 0).any(axis=-1)
    order = np.lexsort([errors, behind])
    return poses.take(order), errors[order]


def solve_pnp(
    points: np.ndarray, pixels: np.ndarray, camera: Camera, method: Method = "sqpnp"
) -> RigidPose:
    """Pose of the least reprojection error, of points `[N, 3]` and pixels `[N, 2]`.

    Arguments and errors are those of `pnp_solutions`.
    """
    poses, _ = pnp_solutions(points, pixels, camera, method)
    return poses.take(0)


def solve_pnp_ransac(
    points: np.ndarray,
    pixels: np.ndarray,
    camera: Camera,
    *,
    threshold: float = 3.0,
    iterations: int = 200,
    confidence: float = 0.999,
) -> RobustPose:
    """Pose of most correspondences, refined by least squares on those that agree with it.

    Random sample consensus (Fischler and Bolles 1981) by OpenCV, whose draws are the same in each
    call; then Levenberg-Marquardt on the inliers, until their set no longer changes.

    Args:
      points: `[N, 3]` mm.
      pixels: `[N, 2]`.
      camera: one camera; K and distortion are used.
      threshold: largest distance of an inlier, pixels.
      iterations: largest number of samples.
      confidence: probability of a sample without outliers at which the search ends.

    Raises:
      InputError: as for `pnp_solutions`; a threshold, iterations or a confidence out of range.
      NoPose: fewer than four correspondences agree.
    """
    import cv2

    if not threshold > 0 or iterations < 1 or not 0 < confidence < 1:
        raise InputError(
            f"RANSAC needs threshold > 0, iterations >= 1 and 0 < confidence < 1; got {threshold}, "
            f"{iterations} and {confidence}"
        )
    points, pixels = check_correspondences(points, pixels, camera, "epnp", flat=True)
    K, lens = (np.asarray(value, np.float64) for value in (camera.K, camera.distortion))
    try:
        found, turn, shift, rows = cv2.solvePnPRansac(
            points[:, None],
            pixels[:, None],
            K,
            lens,
            iterationsCount=iterations,
            reprojectionError=threshold,
            confidence=confidence,
            flags=cv2.SOLVEPNP_SQPNP if is_flat(points) else cv2.SOLVEPNP_EPNP,
        )
    except cv2.error:
        found, rows = False, None
    if not found or rows is None or len(rows) < 4:
        raise NoPose(
            f"fewer than 4 of {len(points)} correspondences agree with one pose within "
            f"{threshold:g} pixels: are they of this object and this camera?"
        )
    inliers = np.zeros(len(points), bool)
    inliers[np.asarray(rows).reshape(-1)] = True
    for _ in range(5):
        # OpenCV's, which is faster for one pose than `pose_refinement`, and has no weights.
        turn, shift = cv2.solvePnPRefineLM(
            points[inliers, None], pixels[inliers, None], K, lens, turn, shift
        )
        pose = RigidPose(cv2.Rodrigues(turn)[0], np.asarray(shift, np.float64).reshape(3))
        away = np.linalg.norm(project_points(pose, points, camera) - pixels, axis=-1)
        agree = away < threshold
        if agree.sum() < 4 or (agree == inliers).all():
            break
        inliers = agree
    return RobustPose(pose, inliers)


def is_flat(points: np.ndarray) -> bool:
    """True if points `[N, 3]` are on one plane."""
    extent = _extents(points)
    return bool(extent[2] <= _FLAT * extent[0])


def check_correspondences(
    points: Any, pixels: Any, camera: Camera, method: Method = "epnp", *, flat: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Check points `[N, 3]`, pixels `[N, 2]` and a camera for a method of PnP.

    Args:
      points, pixels, camera, method: as of `pnp_solutions`.
      flat: let points of one plane pass for "epnp".

    Returns:
      Points and pixels as float64.

    Raises:
      InputError: the message has the fault and a remedy.
    """
    if method not in _LEAST:
        raise InputError(f"unknown method of PnP {method!r}; known: {', '.join(_LEAST)}")
    points, pixels = np.asarray(points, np.float64), np.asarray(pixels, np.float64)
    if points.ndim != 2 or points.shape[1:] != (3,) or pixels.shape != (len(points), 2):
        raise InputError(
            f"PnP needs points [N, 3] and their pixels [N, 2], not {list(points.shape)} and "
            f"{list(pixels.shape)}"
        )
    if not (np.isfinite(points).all() and np.isfinite(pixels).all()):
        raise InputError("PnP needs finite points and pixels: leave missing keypoints out")
    check_cameras(Camera(camera.K, np.eye(3), np.zeros(3), camera.distortion))
    count = len(points)
    planar = count >= 3 and is_flat(points)
    least = 4 if method == "iterative" and planar else _LEAST[method]
    if count < least:
        raise InputError(f"{method!r} needs at least {least} points, and there are {count}")
    if method == "p3p" and count != 3:
        raise InputError(f"'p3p' takes exactly 3 points, and there are {count}: use 'sqpnp'")
    if method == "ippe_square" and count != 4:
        raise InputError(f"'ippe_square' takes the 4 corners of a square, not {count} points")
    extent = _extents(points)
    if extent[1] <= _FLAT * extent[0]:
        raise InputError("the points are on one line, which leaves a rotation about it open")
    if method.startswith("ippe") and not planar:
        raise InputError(f"{method!r} is for points of one plane, and these are not: use 'sqpnp'")
    if method == "epnp" and planar and not flat:
        raise InputError("the points are on one plane, where 'epnp' is not reliable: use 'ippe'")
    return points, pixels


def _extents(points: np.ndarray) -> np.ndarray:
    """Singular values `[3]` of centred points, descending."""
    values = np.zeros(3)
    found = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    values[: len(found)] = found
    return values
