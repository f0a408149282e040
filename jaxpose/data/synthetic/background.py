"""Backdrops: floors in perspective, walls with windows, skies, clutter, noise at several scales."""

import cv2
import numpy as np

from jaxpose.data.synthetic.clothes import vivid
from jaxpose.data.synthetic.scene import Camera

_EARTHY = np.array([[128, 128, 124], [150, 134, 110], [92, 110, 70], [104, 88, 72], [190, 182, 168],
                    [84, 86, 92], [196, 196, 200], [60, 84, 60]], np.float64)  # fmt: skip


def smooth_noise(rng: np.random.Generator, hw: tuple[int, int], strength: float) -> np.ndarray:
    """Smooth, slightly coloured noise in three octaves: `hw + (3,)` uint8 with mean 128.

    Each octave is added on its own grid and enlarged onto the next, so that only the last
    enlargement is a large one.
    """
    h, w = hw
    gains = strength * rng.uniform(0.2, 0.8, 3)
    total: np.ndarray = np.full((2, 2, 3), 128, np.uint8)
    for cells, gain in zip((5, 18, 64), gains.tolist(), strict=True):
        rows, columns = max(2, cells * h // max(h, w)), max(2, cells * w // max(h, w))
        grey = rng.integers(0, 256, (rows, columns, 1), np.uint8)
        tint = rng.integers(0, 256, (rows, columns, 3), np.uint8)
        total = cv2.resize(total, (columns, rows), interpolation=cv2.INTER_LINEAR)
        total = cv2.addWeighted(total, 1.0, cv2.addWeighted(cv2.merge([grey] * 3), 0.8, tint, 0.2,
                                                            0.0), gain, -128.0 * gain)  # fmt: skip
    return cv2.resize(total, (w, h), interpolation=cv2.INTER_LINEAR)


def _tint(noise: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Shifts noise with mean 128 to the mean `colour`."""
    table = np.clip(np.arange(256)[:, None] + (colour - 128.0)[None], 0, 255)
    return cv2.LUT(noise, table.astype(np.uint8)[None])


def _base(rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.7:
        return np.clip(_EARTHY[rng.integers(len(_EARTHY))] * rng.uniform(0.55, 1.25), 0, 255)
    colour = vivid(rng, 1)[0]
    return colour.mean() + rng.uniform(0.1, 0.7) * (colour - colour.mean())


def _tile(rng: np.random.Generator) -> np.ndarray:
    """Floor texture of 128 x 128 pixels: bare, planks, tiles or a chequer."""
    image = _tint(smooth_noise(rng, (128, 128), rng.uniform(0.1, 0.55)), _base(rng))
    kind = rng.random()
    if kind < 0.5:
        line = (_base(rng) * 0.6).tolist()
        step = int(rng.choice([16, 32, 64]))
        image[::step] = line
        if kind < 0.25:
            image[:, ::step] = line
    elif kind < 0.6:
        image[:64, :64] = image[64:, 64:] = _base(rng)
    return image


def _floor(
    rng: np.random.Generator, camera: Camera, hw: tuple[int, int], image: np.ndarray, wall_x: float
) -> None:
    """Paints the plane z = 0 in front of the wall into `image`, in place."""
    h, w = hw
    # Pixel of a point (X, Y, 0): K [r1 r2 t] (X, Y, 1); texture cells are `size` millimetres.
    size = 128.0 / rng.uniform(600, 3200)
    plane = camera.K @ np.stack([camera.R[:, 0], camera.R[:, 1], camera.t], axis=1)
    texture_from_floor = np.array([[size, 0, 0], [0, size, 0], [0, 0, 1.0]])
    try:
        matrix = texture_from_floor @ np.linalg.inv(plane)
    except np.linalg.LinAlgError:
        return
    # Where the floor meets the wall, as a line across the image.
    ends = camera.to_camera(np.array([[wall_x, -4000.0, 0.0], [wall_x, 4000.0, 0.0]]))
    (x0, y0), (x1, y1) = camera.project(ends)
    if abs(x1 - x0) < 1e-3 or (ends[:, 2] < 10).any():
        return
    slope = (y1 - y0) / (x1 - x0)
    left, right = y0 - slope * x0, y0 + slope * (w - x0)
    top = int(np.clip(min(left, right), 0, h))
    if top == h:
        return
    matrix = matrix @ np.array([[1.0, 0, 0], [0, 1, top], [0, 0, 1]])
    warped = cv2.warpPerspective(_tile(rng), matrix, (w, h - top),
                                 flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                                 borderMode=cv2.BORDER_WRAP)  # fmt: skip
    mask = np.zeros((h - top, w), np.uint8)
    edge = np.array([[0, left], [w, right], [w, 9 * h], [0, 9 * h]]) - [0, top]
    cv2.fillConvexPoly(mask, np.clip(edge, -30000, 30000).astype(np.int32), 255)
    cv2.copyTo(warped, mask, image[top:])


def _clutter(rng: np.random.Generator, hw: tuple[int, int], image: np.ndarray) -> None:
    """Draws windows, frames, blobs and lines into `image`, in place."""
    h, w = hw
    count = int(rng.integers(0, 16))
    places = rng.random((count, 4))
    colours = np.where(rng.random((count, 1)) < 0.3, vivid(rng, count),
                       _EARTHY[rng.integers(len(_EARTHY), size=count)])  # fmt: skip
    kinds = rng.random(count)
    for (x, y, a, b), colour, kind in zip(places, colours.tolist(), kinds, strict=True):
        cx, cy = int(x * w), int(y * h)
        sx, sy = int((0.02 + 0.22 * a * a) * w) + 1, int((0.02 + 0.22 * b * b) * h) + 1
        if kind < 0.35:
            cv2.rectangle(image, (cx - sx, cy - sy), (cx + sx, cy + sy), colour, -1)
            if kind < 0.15:  # a window's bars or a picture's frame
                edge = [0.4 * c for c in colour]
                cv2.rectangle(image, (cx - sx, cy - sy), (cx + sx, cy + sy), edge, 2)
                cv2.line(image, (cx, cy - sy), (cx, cy + sy), edge, 1)
                cv2.line(image, (cx - sx, cy), (cx + sx, cy), edge, 1)
        elif kind < 0.6:
            cv2.ellipse(image, (cx, cy), (sx, sy), 180 * a, 0, 360, colour, -1)
        elif kind < 0.9:
            end = (int(cx + (a - 0.5) * w), int(cy + (b - 0.5) * h * 2))
            cv2.line(image, (cx, cy), end, colour, 1 + int(6 * a * b))
        else:
            cv2.circle(image, (cx, cy), sx, colour, 1 + int(5 * b))


def _shadow(
    camera: Camera, hw: tuple[int, int], image: np.ndarray, people: list[np.ndarray],
    light: np.ndarray, strength: float,
) -> None:  # fmt: skip
    """Darkens the floor where bodies block the light, in place. people: points `[3, N]` each."""
    mask: np.ndarray = np.zeros(hw, np.uint8)
    for points in people:
        ground = points - (light / light[2])[:, None] * points[2]
        seen = camera.R @ ground + camera.t[:, None]
        if seen[2].min() < 200:
            continue
        pixels = np.clip(camera.on_sensor(seen), -4000, 4000).astype(np.int32).T
        for piece in np.array_split(pixels, 14):  # faces are ordered by body part
            cv2.fillConvexPoly(mask, cv2.convexHull(piece), 255)
    soft = max(3, hw[1] // 48) | 1
    mask = cv2.blur(mask, (soft, soft))
    shade = cv2.cvtColor(mask, cv2.COLOR_GRAY2RGB)
    cv2.subtract(image, cv2.multiply(image, shade, scale=strength / 255.0), dst=image)


def _shaded(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Copy of `image` whose brightness falls from top to bottom, or from bottom to top."""
    h, w = image.shape[:2]
    top, bottom = rng.uniform(0.6, 1.3, 2)
    ramp = np.linspace([top] * 3, [bottom] * 3, h, dtype=np.float32)[:, None]
    return cv2.multiply(image, np.repeat(ramp, w, axis=1), dtype=cv2.CV_8U)


def _room(rng: np.random.Generator, hw: tuple[int, int]) -> np.ndarray:
    """Wall: plain, stained, panelled or tiled."""
    h, w = hw
    if rng.random() < 0.3:
        tile = _tile(rng)
        size = int(rng.integers(24, 160))
        tile = cv2.resize(tile, (size, size), interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(cv2.repeat(tile, -(-h // size), -(-w // size))[:h, :w])
    return _tint(smooth_noise(rng, hw, rng.uniform(0.0, 0.9) ** 2), _base(rng))


def _outdoors(rng: np.random.Generator, hw: tuple[int, int]) -> np.ndarray:
    """Sky over ridges of hills, trees and houses."""
    h, w = hw
    sky = np.array([170.0, 195.0, 225.0]) * rng.uniform(0.7, 1.12)
    sky += rng.uniform(-0.5, 1.0) * (sky.mean() - sky)  # from blue to overcast
    image = _tint(smooth_noise(rng, hw, rng.uniform(0.02, 0.35)), np.clip(sky, 0, 255))
    green = np.array([74.0, 98.0, 58.0])
    for level in np.sort(rng.uniform(0.15, 0.7, int(rng.integers(1, 4)))):
        count = int(rng.integers(4, 24))
        ridge = level + rng.uniform(0.02, 0.2) * rng.standard_normal(count)
        across = np.linspace(-1, w, count)
        outline = np.stack([across, np.clip(ridge, 0, 1) * h], axis=1)
        if rng.random() < 0.4:  # houses have flat roofs
            outline = np.repeat(outline, 2, axis=0)
            outline[1:, 0] = outline[:-1, 0]
        polygon = np.concatenate([outline, [[w, h], [-1, h]]]).astype(np.int32)
        colour = green if rng.random() < 0.5 else _base(rng)
        layer = _tint(smooth_noise(rng, hw, rng.uniform(0.1, 0.8)),
                      np.clip(colour * rng.uniform(0.5, 1.4), 0, 255))  # fmt: skip
        mask = np.zeros(hw, np.uint8)
        cv2.fillPoly(mask, [polygon], 255)
        cv2.copyTo(layer, mask, image)
    return image


def paint(
    rng: np.random.Generator,
    camera: Camera,
    hw: tuple[int, int],
    *,
    wall_x: float,
    light: np.ndarray,
    people: list[np.ndarray],
) -> np.ndarray:
    """Paints a backdrop `hw + (3,)` uint8 RGB as `camera` sees it; its intrinsics are for `hw`."""
    wall = _outdoors(rng, hw) if rng.random() < 0.4 else _room(rng, hw)
    if rng.random() < 0.4:
        wall = _shaded(rng, wall)
    _clutter(rng, hw, wall)
    if rng.random() < 0.85:
        _floor(rng, camera, hw, wall, wall_x)
    if rng.random() < 0.75:
        _shadow(camera, hw, wall, people, light, rng.uniform(0.2, 0.6))
    return wall
