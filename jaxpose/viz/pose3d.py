"""Drawings of 3D skeletons: from any side, on a floor, turning.

Points are millimetres in any frame whose vertical is given: `up="-y"`, the default, is a camera's
frame, as of lifted joints. Azimuth 0 is the view from that camera; positive angles move to its
right.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from jaxpose.errors import InputError
from jaxpose.geometry.axes import y_up
from jaxpose.geometry.cameras import Camera, look_at, pinhole, project, world_to_camera
from jaxpose.skeletons import Skeleton
from jaxpose.viz.people import capsule
from jaxpose.viz.sheets import contact_sheet

VIEW_WH = (360, 480)  # size of one view beside others
_PAPER = np.array([30.0, 30, 30])
_GRID = np.array([88.0, 92, 98])
_INK = (12, 12, 12)
_SHADOW = (17, 17, 17)
_TILE = 500.0  # distance between lines of the floor, mm
_BONE = 0.013  # radius of a limb, as a share of the stage's size
_JOINT = 0.0175
_ZOOM = 2  # enlargement while drawing; averaging down makes lines smooth
_SHIFT = 6


@dataclass(frozen=True)
class Stage:
    """Visible volume of a drawing: everything during the whole motion; y up, mm.

    Attributes:
      middle: x and z of the floor's middle.
      floor: y of the floor.
      top: y of the highest point.
      radius: largest distance of points from the middle along the floor.
    """

    middle: tuple[float, float]
    floor: float
    top: float
    radius: float

    @property
    def size(self) -> float:
        """Height or width, the longer of the two, mm."""
        return max(self.top - self.floor, 2 * self.radius)

    @property
    def centre(self) -> np.ndarray:
        """Centre at half height, `[3]`."""
        return np.array([self.middle[0], (self.floor + self.top) / 2, self.middle[1]])


def stage_of(points: np.ndarray, up: str = "-y") -> Stage:
    """Stage that contains all of `points [..., 3]`; NaN is ignored.

    Raises:
      InputError: no point is finite.
    """
    points = y_up(points, up).reshape(-1, 3)
    points = points[np.isfinite(points).all(axis=-1)]
    if not len(points):
        raise InputError("there is nothing to draw: no joint is known")
    low, high = points.min(axis=0), points.max(axis=0)
    middle = (low + high)[[0, 2]] / 2
    reach = float(np.linalg.norm(points[:, [0, 2]] - middle, axis=-1).max())
    height = max(float(high[1] - low[1]), 1.0)
    radius = max(reach, 0.3 * height)
    sole = _JOINT * max(
        height, 2 * radius
    )  # the floor is below the body's surface, not through the joints
    floor, top = float(low[1]) - sole, float(low[1]) + height + sole
    return Stage((float(middle[0]), float(middle[1])), floor, top, radius)


def draw_space(
    joints_mm: np.ndarray,
    skeleton: Skeleton,
    *,
    stage: Stage | None = None,
    up: str = "-y",
    azimuth: float = 0.0,
    elevation: float = 12.0,
    size_wh: tuple[int, int] = (480, 480),
) -> np.ndarray:
    """Draws people in 3D, uint8 `[height, width, 3]`.

    Limbs have the colour of their side, as on images; nearer ones hide the others and are brighter.

    Args:
      joints_mm: `[K, 3]` or of several people `[P, K, 3]`; NaN is not drawn.
      skeleton: the skeleton of K keypoints.
      stage: the visible volume; by default that of these people. For a sequence, pass the stage of
        all frames; otherwise the camera follows every movement.
      up: the vertical, see `geometry.axes.y_up`.
      azimuth, elevation: direction of the view, degrees.
      size_wh: size of the image.

    Raises:
      InputError: joints that do not fit the skeleton; nothing to draw and no stage.
    """
    people = np.asarray(joints_mm, np.float64)
    people = people[None] if people.ndim == 2 else people
    if people.ndim != 3 or people.shape[1:] != (skeleton.num_keypoints, 3):
        raise InputError(
            f"joints of shape {list(np.shape(joints_mm))}; [{skeleton.num_keypoints}, 3] or "
            f"[P, {skeleton.num_keypoints}, 3] is needed with skeleton {skeleton.name!r}."
        )
    stage = stage_of(people, up) if stage is None else stage
    people = y_up(people, up)
    canvas, camera = _empty_view(stage, azimuth, elevation, size_wh)
    _draw_shadow(canvas, camera, stage, people, skeleton)
    _draw_limbs(canvas, camera, stage, people, skeleton)
    return cv2.resize(canvas, size_wh, interpolation=cv2.INTER_AREA)


def draw_stage(
    stage: Stage, *, azimuth: float = 0.0, elevation: float = 12.0, size_wh: tuple[int, int]
) -> tuple[np.ndarray, Camera]:
    """Image of the empty floor, uint8 `[height, width, 3]`, and its camera; see `draw_space`."""
    canvas, _ = _empty_view(stage, azimuth, elevation, size_wh)
    image = cv2.resize(canvas, size_wh, interpolation=cv2.INTER_AREA)
    return image, _camera(stage, azimuth, elevation, size_wh)


def _empty_view(
    stage: Stage, azimuth: float, elevation: float, size_wh: tuple[int, int]
) -> tuple[np.ndarray, Camera]:
    """Enlarged canvas with the floor, and its camera."""
    width, height = size_wh[0] * _ZOOM, size_wh[1] * _ZOOM
    camera = _camera(stage, azimuth, elevation, (width, height))
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = _PAPER
    _draw_floor(canvas, camera, stage)
    return canvas, camera


def draw_views(
    joints_mm: np.ndarray,
    skeleton: Skeleton,
    *,
    image: np.ndarray | None = None,
    azimuths: Sequence[float] = (0.0, 60.0, 120.0),
    captions: Sequence[str] | None = None,
    up: str = "-y",
    size_wh: tuple[int, int] = VIEW_WH,
) -> np.ndarray:
    """Draws one moment side by side: the image with its skeleton, if given, and several views.

    Args:
      joints_mm: `[K, 3]` or `[P, K, 3]`.
      skeleton: the skeleton of K keypoints.
      image: uint8 `[H, W, 3]`, fitted into the size of the views.
      azimuths: one view each, degrees.
      captions: one for each panel, the image's first.
      up, size_wh: as in `draw_space`.
    """
    stage = stage_of(joints_mm, up)
    views = [
        draw_space(joints_mm, skeleton, stage=stage, up=up, azimuth=a, size_wh=size_wh)
        for a in azimuths
    ]
    first = [] if image is None else [fitted(image, size_wh)]
    return contact_sheet([*first, *views], columns=len(first) + len(views), captions=captions)


def turning(
    joints_mm: np.ndarray,
    skeleton: Skeleton,
    *,
    images: Sequence[np.ndarray] | None = None,
    turn: tuple[float, float] = (0.0, 360.0),
    up: str = "-y",
    size_wh: tuple[int, int] = VIEW_WH,
) -> Iterator[np.ndarray]:
    """Draws each frame of a sequence from a camera that moves around it.

    Args:
      joints_mm: `[T, K, 3]`, or of several people `[T, P, K, 3]`.
      skeleton: the skeleton of K keypoints.
      images: T images to draw beside the view, such as the video's frames.
      turn: azimuth of the first and of the last frame, degrees.
      up, size_wh: as in `draw_space`.

    Raises:
      InputError: as `draw_space`; another number of images than of frames.
    """
    if images is not None and len(images) != len(joints_mm):
        raise InputError(f"{len(images)} images for {len(joints_mm)} frames.")
    stage = stage_of(joints_mm, up)
    for frame, joints in enumerate(joints_mm):
        share = frame / max(len(joints_mm) - 1, 1)
        azimuth = turn[0] + share * (turn[1] - turn[0])
        view = draw_space(joints, skeleton, stage=stage, up=up, azimuth=azimuth, size_wh=size_wh)
        if images is None:
            yield view
        else:
            yield np.concatenate([fitted(images[frame], size_wh), view], axis=1)


def fitted(image: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """Scales an image to fit `size_wh`, centred on the background colour of the sheets."""
    height, width = image.shape[:2]
    scale = min(size_wh[0] / width, size_wh[1] / height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    sheet = np.empty((size_wh[1], size_wh[0], 3), np.uint8)
    sheet[:] = _PAPER
    x, y = (size_wh[0] - inner[0]) // 2, (size_wh[1] - inner[1]) // 2
    sheet[y : y + inner[1], x : x + inner[0]] = cv2.resize(image, inner, interpolation=method)
    return sheet


def _camera(stage: Stage, azimuth: float, elevation: float, size_wh: tuple[int, int]) -> Camera:
    """Camera at the given angles whose image the stage just fills."""
    half = (stage.top - stage.floor) / 2
    a, e = np.deg2rad(azimuth), np.deg2rad(elevation)
    away = np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])
    distance = 4.5 * max(half, stage.radius)
    R, t = look_at(stage.centre + distance * away, stage.centre, np.array([0.0, 1.0, 0.0]))
    # The nearest part of the stage's cylinder appears largest.
    upright = half * np.cos(e) + stage.radius * abs(np.sin(e))
    near = distance - stage.radius
    focal = 0.46 * min(size_wh[0] * near / stage.radius, size_wh[1] * near / upright)
    cx, cy = (size_wh[0] - 1) / 2, (size_wh[1] - 1) / 2
    return pinhole([[focal, 0, cx], [0, focal, cy], [0, 0, 1]], R, t)


def _draw_floor(canvas: np.ndarray, camera: Camera, stage: Stage) -> None:
    """Draws lines every half metre in a disc; they fade towards its edge."""
    radius = 1.15 * max(stage.radius, 0.4 * (stage.top - stage.floor))
    middle = np.array(stage.middle)
    for axis in (0, 1):
        other = 1 - axis
        low = np.ceil((middle[axis] - radius) / _TILE)
        high = np.floor((middle[axis] + radius) / _TILE)
        for line in _TILE * np.arange(low, high + 1):
            half = np.sqrt(max(radius**2 - (line - middle[axis]) ** 2, 0.0))
            along = middle[other] + np.linspace(-half, half, 33)
            ground = np.full((33, 3), stage.floor)
            ground[:, (0, 2)[axis]], ground[:, (0, 2)[other]] = line, along
            pixels = np.rint(project(camera, ground) * 2**_SHIFT).astype(int)
            away = np.linalg.norm(ground[:, [0, 2]] - middle[None], axis=-1) / radius
            for i in range(32):
                share = 1 - min(1.0, (away[i] + away[i + 1]) / 2) ** 2
                color = (_PAPER + share * (_GRID - _PAPER)).tolist()
                ends = pixels[i].tolist(), pixels[i + 1].tolist()
                cv2.line(canvas, *ends, color, _ZOOM, cv2.LINE_AA, _SHIFT)


def _draw_shadow(
    canvas: np.ndarray, camera: Camera, stage: Stage, people: np.ndarray, skeleton: Skeleton
) -> None:
    """Draws soft shadows on the floor vertically below the limbs."""
    cover = np.zeros(canvas.shape[:2], np.uint8)
    ground = people.copy()
    ground[..., 1] = np.where(np.isfinite(ground[..., 1]), stage.floor, np.nan)
    for pixels, radii in (_seen(camera, person, 1.6 * _BONE * stage.size) for person in ground):
        for i, j in skeleton.limb_indices:
            if np.isfinite(pixels[[i, j]]).all():
                shape = capsule(pixels[i], pixels[j], (radii[i] + radii[j]) / 2)
                cv2.fillConvexPoly(cover, shape, 150, cv2.LINE_AA, _SHIFT)
    spread = 2 * round(0.006 * canvas.shape[0]) + 1
    share = cv2.blur(cv2.blur(cover, (spread, spread)), (spread, spread)).astype(np.float32) / 255
    ink = np.full_like(canvas, _SHADOW)
    canvas[:] = cv2.blendLinear(canvas, ink, 1 - share, share)


def _draw_limbs(
    canvas: np.ndarray, camera: Camera, stage: Stage, people: np.ndarray, skeleton: Skeleton
) -> None:
    """Draws limbs and joints from the furthest to the nearest."""
    depths = world_to_camera(camera, people.reshape(-1, 3))[:, 2].reshape(people.shape[:2])
    middle = float(np.linalg.norm(camera.position - stage.centre))
    limb_colors, joint_colors = skeleton.limb_palette, skeleton.keypoint_palette
    limbed = np.unique(np.asarray(skeleton.limb_indices, int).ravel())
    parts = []
    for person, depth in zip(people, depths, strict=True):
        pixels, bones = _seen(camera, person, _BONE * stage.size)
        joints = bones * (_JOINT / _BONE)
        for (i, j), color in zip(skeleton.limb_indices, limb_colors, strict=True):
            if np.isfinite(depth[[i, j]]).all():
                # Sorted by the further end, so that its joints are drawn over it.
                far = max(depth[i], depth[j])
                parts.append((far, pixels[i], pixels[j], (bones[i] + bones[j]) / 2, color))
        for k in range(len(person)):
            if np.isfinite(depth[k]):
                radius = joints[k] if k in limbed else 0.5 * joints[k]
                parts.append(
                    (depth[k] - _JOINT * stage.size, pixels[k], pixels[k], radius, joint_colors[k])
                )
    reach = max(stage.radius, 1.0)
    for far, start, end, radius, color in sorted(parts, key=lambda part: -part[0]):
        light = float(np.clip(0.8 - 0.25 * (far - middle) / reach, 0.5, 1.0))
        rim = max(0.22 * radius, 0.6 * _ZOOM)
        if np.linalg.norm(end - start) < 1e-9:
            centre = np.rint(start * 2**_SHIFT).astype(int).tolist()
            for r, paint in ((radius + rim, _INK), (radius, (light * color).tolist())):
                cv2.circle(canvas, centre, int(r * 2**_SHIFT), paint, -1, cv2.LINE_AA, _SHIFT)
            continue
        for r, paint in ((radius + rim, _INK), (radius, (light * color).tolist())):
            cv2.fillConvexPoly(canvas, capsule(start, end, r), paint, cv2.LINE_AA, _SHIFT)


def _seen(camera: Camera, points: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Projects balls of `radius` mm: pixels `[K, 2]` and radii `[K]` in pixels."""
    with np.errstate(invalid="ignore"):
        depth = world_to_camera(camera, points)[:, 2]
        return project(camera, points), camera.K[0, 0] * radius / depth
