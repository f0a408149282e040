"""Rendering of whole samples: stage a scene, place the camera, draw, and compute annotations."""

from dataclasses import astuple, dataclass, replace
from typing import Any

import cv2
import numpy as np

from jaxpose.data.synthetic import drawing
from jaxpose.data.synthetic import scene as s
from jaxpose.deprecations import moved_names
from jaxpose.errors import InputError

PADDING = 1.25  # padding of the person's box before cropping, as everywhere in the package
MARGIN = 1.5  # size of the canvas, in padded boxes
_SCALE = 2  # the scene is drawn this much larger than the image, then averaged down
_MIN_LABELLED, _MIN_VISIBLE = 4, 3
PLAIN_FAMILIES = ("standing", "walking", "reaching", "arms_raised")


def generator(seed: int, index: int) -> np.random.Generator:
    """Random generator of one sample, independent of every other (seed, index)."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, index])))


@dataclass(frozen=True)
class Stage:
    """Objects in front of a camera. In `render` the first person is the subject of the image."""

    people: list[s.Person]
    boxes: list[s.Box]
    camera: s.Camera
    light: drawing.Light
    wall_x: float


def _heading(rng: np.random.Generator, plain: bool = False) -> float:
    """Draws a heading in degrees; 0 faces the camera.

    About a third of the headings are in any direction, the others near 0; with `plain` all are
    within 50 degrees.
    """
    if plain:
        return float(rng.uniform(-50, 50))
    return float(rng.uniform(-180, 180) if rng.random() < 0.35 else 45.0 * rng.standard_normal())


def _eye(rng: np.random.Generator, distance: float) -> np.ndarray:
    kind = rng.random()
    height = rng.uniform(1250, 1800)
    if kind < 0.2:
        height = rng.uniform(350, 1250)
    elif kind > 0.82:
        height = rng.uniform(1800, 1800 + 0.35 * distance)
    return np.array([distance, 0.0, height])


def _stage(
    rng: np.random.Generator, crowded: bool, family: str | None, plain: bool = False
) -> Stage:
    """Builds a scene: a person at the origin, other people, furniture, an eye at positive x."""
    heading = _heading(rng, plain)
    main, boxes = s.make_person(rng, position=np.zeros(2), yaw=heading, family=family)
    low, high = main.extent()
    distance = float(np.exp(rng.uniform(np.log(1700), np.log(9000)))) + high[0]
    eye = _eye(rng, distance)
    middle = (low + high) / 2
    # A person seldom stands on the optical axis.
    aim = middle + np.array([0.0, 0.16, 0.1]) * distance * rng.standard_normal(3).clip(-1.6, 1.6)
    camera = s.look_at(eye, aim, float(np.clip(4.0 * rng.standard_normal(), -14, 14)))
    people = [main]
    if crowded:
        for _ in range(int(np.searchsorted([0.62, 0.87], rng.random()))):
            nearer = rng.random() < 0.35
            x = rng.uniform(500, 0.45 * distance + 500) if nearer else rng.uniform(-2600, 300)
            y = rng.choice([-1, 1]) * rng.uniform(430, 1500) * (0.7 if nearer else 1.0)
            other, seat = s.make_person(rng, position=np.array([x, y]), yaw=_heading(rng))
            people.append(other)
            boxes = boxes + seat
        if rng.random() < 0.28:
            boxes = boxes + s.foreground_boxes(rng, eye, main)
    wall = rng.uniform(1200, 6000)
    boxes = boxes + s.background_boxes(rng, wall)
    return Stage(people, boxes, camera, drawing.sample_light(rng), -wall)


def _frame(
    rng: np.random.Generator, low: np.ndarray, high: np.ndarray, cut: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Corners of an image around a person who spans `low..high [2]`.

    With `cut`, the edge of the image may cut the person.
    """
    size = high - low
    room = rng.exponential(2.0, 4) * max(size)
    frame_low, frame_high = low - room[:2] - 0.02 * size, high + room[2:] + 0.02 * size
    if cut:
        kind = rng.random()
        if kind < 0.7:  # the legs are outside
            frame_high[1] = low[1] + size[1] * rng.uniform(0.28, 0.95)
        if kind > 0.6:
            part = rng.uniform(0.45, 0.92)
            if rng.random() < 0.5:
                frame_high[0] = low[0] + size[0] * part
            else:
                frame_low[0] = high[0] - size[0] * part
    return frame_low, frame_high


def render(
    seed: int,
    index: int,
    *,
    canvas_hw: tuple[int, int] = (384, 288),
    family: str | None = None,
    plain: bool = False,
) -> dict[str, Any]:
    """Renders one person on a canvas, as a pure function of the arguments, bit for bit.

    The canvas is a window of a larger image around the person's box, like the records of real
    datasets: the box padded by 1.25, at the canvas's aspect, times 1.5; black where the window
    reaches past the image. `photo_from_canvas` is the identity: canvas pixels count as image
    pixels.

    Args:
      seed: the set. index: the sample within the set, >= 0.
      canvas_hw: height and width of the canvas in pixels.
      family: one of `poses.FAMILIES` instead of a random one.
      plain: an upright person (`PLAIN_FAMILIES`) who faces the camera, alone and whole in the
        image.

    Returns:
      One row of a `Batch` without `index` and `mask` (canvas pixels; area: pixels of the drawn
      silhouette, as COCO's segment area), and joints_3d float32 `[17, 3]` (millimetres, camera
      frame), K, R `[3, 3]` and t `[3]` float64 (x_cam = R x_world + t, the world's z up),
      stature float (millimetres); shape `[8]` (fields of `body.Shape`), part_rotations
      `[25, 3, 3]` and pelvis `[3]` of the body in the camera frame.

    Raises:
      InputError: there is no such family.
    """
    rng = generator(seed, index)
    for attempt in range(8):
        if plain and family is None:
            family = PLAIN_FAMILIES[int(rng.integers(len(PLAIN_FAMILIES)))]
        sample = _attempt(rng, canvas_hw, family, alone=plain or attempt >= 5, plain=plain)
        if sample is not None:
            break
    else:
        raise RuntimeError(f"No person could be drawn for seed {seed}, index {index}.")
    sample["image_id"] = np.int64(index)
    sample["annotation_id"] = np.int64(index)
    return sample


def _attempt(
    rng: np.random.Generator,
    canvas_hw: tuple[int, int],
    family: str | None,
    alone: bool,
    plain: bool,
) -> dict[str, Any] | None:
    """Renders a sample; None if too little of the person is visible."""
    stage = _stage(rng, not alone, family, plain)
    faces = drawing.facing(stage.people, stage.camera, stage.light)
    layers = drawing.layer(faces, stage.boxes, stage.camera)
    seen = (faces.owner == 1) & ~layers.covered & ~faces.prop
    if np.count_nonzero(seen) < 40:
        return None
    outline = faces.pixels[..., seen].reshape(2, -1)
    low, high = outline.min(axis=1), outline.max(axis=1)
    frame_low, frame_high = _frame(rng, low, high, not alone and rng.random() < 0.42)
    low, high = np.maximum(low, frame_low), np.minimum(high, frame_high)
    h, w = canvas_hw
    for _ in range(3):
        lens = _lens(low, high, canvas_hw)
        focal, centre = lens[0, 0], lens[:2, 2]
        x0, y0, x1, y1 = _on_canvas(frame_low * focal + centre, frame_high * focal + centre, h, w)
        # Only the image is drawn; its pixels are canvas pixels minus (x0, y0).
        shift = np.array([x0, y0])
        view = replace(stage.camera, K=lens - np.pad(shift[:, None], ((0, 1), (2, 0))))
        shot = replace(stage, camera=view)
        seen = replace(faces, pixels=faces.pixels * focal + view.K[:2, 2][:, None, None])
        part, owner = _shoot(rng, shot, seen, layers, (y1 - y0, x1 - x0))
        found = _annotate(shot, seen, owner, 1)
        if found is None or not _recognisable(found):
            return None
        found["keypoints"] += shift.astype(np.float32)
        found["box_xywh"][:2] += shift.astype(np.float32)
        image = np.zeros((h, w, 3), np.uint8)
        image[y0:y1, x0:x1] = part
        sample = {"image": image, **found, **_lens_arrays(replace(view, K=lens))}
        box = found["box_xywh"].astype(np.float64)
        filled = max(box[2:] * PADDING * MARGIN / (w, h))
        if 0.9 < filled < 1.05:
            break
        # The drawn person covers more or less than its outline: check the visible part again.
        low, high = (box[:2] - centre) / focal, (box[:2] + box[2:] - centre) / focal
    sample["photo_from_canvas"] = np.eye(2, 3, dtype=np.float32)
    return sample


def _lens(low: np.ndarray, high: np.ndarray, canvas_hw: tuple[int, int]) -> np.ndarray:
    """Intrinsics that place the box `low..high` (focal length 1) as on the canvas of a record."""
    h, w = canvas_hw
    spread = (high - low) * PADDING * MARGIN
    focal = min(w / spread[0], h / spread[1])
    cx, cy = np.array([(w - 1) / 2, (h - 1) / 2]) - focal * (low + high) / 2
    return np.array([[focal, 0.0, cx], [0.0, focal, cy], [0.0, 0.0, 1.0]])


def _on_canvas(low: np.ndarray, high: np.ndarray, h: int, w: int) -> tuple[int, int, int, int]:
    """Part x0, y0, x1, y1 (exclusive) of an h x w canvas that the image `low..high` covers."""
    x0, y0 = np.rint(np.clip(low, 0, [w - 8, h - 8])).astype(int).tolist()
    x1, y1 = np.rint(np.clip(high, [x0 + 7, y0 + 7], [w - 1, h - 1])).astype(int).tolist()
    return x0, y0, x1 + 1, y1 + 1


def _lens_arrays(camera: s.Camera) -> dict[str, np.ndarray]:
    return {"K": camera.K, "R": camera.R, "t": camera.t}


def _shoot(
    rng: np.random.Generator,
    stage: Stage,
    faces: drawing.Faces,
    layers: drawing.Layers,
    hw: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Image `hw + (3,)` and the owner of each drawn pixel, `_SCALE` drawn per image pixel."""
    back = drawing.backdrop(rng, stage.camera, hw, _SCALE, stage.light, stage.people, stage.wall_x)
    drawn = drawing.draw(back, faces, layers, stage.camera, stage.light, _SCALE)
    image = drawing.degrade(rng, drawing.downscale(drawn, hw))
    return image, cv2.extractChannel(drawn, 3)


def _annotate(
    stage: Stage, faces: drawing.Faces, owner: np.ndarray, number: int
) -> dict[str, Any] | None:
    """Keypoints, flags, box and area of person `number`; None if no part is visible."""
    person, camera = stage.people[number - 1], stage.camera
    found = drawing.silhouette(owner, number, _SCALE)
    joints = camera.to_camera(person.joints)
    if found is None or joints[:, 2].min() < 100.0:
        return None
    box, area = found
    pixels = camera.project(joints)
    size = np.array(owner.shape[::-1]) / _SCALE
    inside = np.all((pixels >= -0.5) & (pixels < size - 0.5), axis=1)
    covers = drawing.hidden(person, faces, stage.boxes, camera, number)
    return {
        "keypoints": pixels.astype(np.float32),
        "visible": drawing.visibility(*covers, inside),
        "box_xywh": box.astype(np.float32),
        "area": np.float32(area),
        "joints_3d": joints.astype(np.float32),
        "stature": person.shape.stature,
        "shape": np.array(astuple(person.shape), np.float32),
        "part_rotations": (camera.R @ person.frames.rotation).astype(np.float32),
        "pelvis": camera.to_camera(person.frames.origin[0]).astype(np.float32),
    }


def render_image(
    seed: int, index: int, *, image_hw: tuple[int, int] = (480, 640), people: int = 3
) -> dict[str, Any]:
    """Renders a whole image with up to `people` visible people, for demonstrations of prediction.

    Returns:
      image uint8 `[H, W, 3]` RGB; K, R, t as in `render`; people: one dict each with the
      annotations of a body as in `render`, in image pixels. People with fewer than four labelled
      or fewer than three visible keypoints are `unlisted`.

    Raises:
      InputError: `people` is below 1 or above 200.
    """
    if not 1 <= people <= 200:
        raise InputError(f"An image can hold 1 to 200 synthetic people, not {people}.")
    rng = generator(seed, index)
    h, w = image_hw
    focal = w / (2 * np.tan(np.deg2rad(rng.uniform(38, 62)) / 2))
    distance = rng.uniform(2600, 5200) * max(1.0, people / 3)
    eye = np.array([distance, 0.0, rng.uniform(1200, 1900)])
    camera = s.look_at(eye, np.array([0.0, 0.0, rng.uniform(750, 1000)]), rng.uniform(-3, 3))
    lens = np.array([[focal, 0.0, (w - 1) / 2], [0.0, focal, (h - 1) / 2], [0.0, 0.0, 1.0]])
    camera = replace(camera, K=lens)
    crowd, boxes = [], []
    lanes = rng.permutation(people) + 0.5
    for lane in lanes:
        x = rng.uniform(-0.25, 0.2) * distance
        reach = 0.8 * (distance - x) * w / focal
        y = (lane / people - 0.5) * reach + rng.uniform(-0.12, 0.12) * reach / people
        person, seat = s.make_person(rng, position=np.array([x, y]), yaw=_heading(rng))
        crowd.append(person)
        boxes += seat
    wall = rng.uniform(1800, 6000)
    boxes += s.background_boxes(rng, wall)
    stage = Stage(crowd, boxes, camera, drawing.sample_light(rng), -wall)
    shot = draw_stage(rng, stage, image_hw)
    seen = [p for p in shot["people"] if p]
    listed = [p for p in seen if _recognisable(p)]
    unlisted = [p for p in seen if not _recognisable(p)]
    return {**shot, "people": listed, "unlisted": unlisted, **_lens_arrays(camera)}


def _recognisable(person: dict[str, Any]) -> bool:
    """True if enough of a person is visible that an annotator would have marked the person."""
    flags = person["visible"]
    return bool((flags > 0).sum() >= _MIN_LABELLED and (flags == 2).sum() >= _MIN_VISIBLE)


def draw_stage(rng: np.random.Generator, stage: Stage, hw: tuple[int, int]) -> dict[str, Any]:
    """Draws the stage through its camera and annotates its people.

    Returns:
      `image`, and `people`: annotations in the stage's order, None for people outside the image.
    """
    faces = drawing.facing(stage.people, stage.camera, stage.light)
    layers = drawing.layer(faces, stage.boxes, stage.camera)
    image, owner = _shoot(rng, stage, faces, layers, hw)
    numbers = range(1, len(stage.people) + 1)
    people = [_annotate(stage, faces, owner, i) for i in numbers]
    return {"image": image, "people": people}


__getattr__ = moved_names(__name__)
