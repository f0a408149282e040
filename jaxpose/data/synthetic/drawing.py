"""Drawing of a scene as an image: shading, painter's order, visibility, camera defects."""

from dataclasses import dataclass

import cv2
import numpy as np

from jaxpose.data.synthetic import background
from jaxpose.data.synthetic.scene import Box, Camera, Person

NOBODY = 255  # owner of pixels that are not of a person
_SHIFT = 4  # sub-pixel bits of OpenCV's polygon corners
_NEAR = 150.0  # distance from the camera in millimetres below which nothing is drawn
_PARENT = {7: 5, 8: 6, 9: 7, 10: 8, 13: 11, 14: 12, 15: 13, 16: 14}


@dataclass(frozen=True)
class Light:
    """Parallel light from `direction [3]` (unit, towards the light) plus ambient light."""

    direction: np.ndarray
    ambient: float
    strength: float
    tint: np.ndarray

    def shade(self, normals: np.ndarray) -> np.ndarray:
        """RGB factors `[3, N]` for unit `normals [3, N]`."""
        direct = np.maximum(self.direction @ normals, 0.0) * self.strength
        sky = self.ambient * (0.85 + 0.15 * normals[2])
        return (sky + direct) * self.tint[:, None]


def sample_light(rng: np.random.Generator) -> Light:
    """Draws daylight or lamps from above, warm or cold, hard or soft."""
    # More often from the camera's side (positive x): few images are taken against the light.
    around, up = 1.3 * rng.standard_normal(), rng.uniform(0.35, 1.0)
    flat = np.sqrt(1 - up * up)
    direction = np.array([flat * np.cos(around), flat * np.sin(around), up])
    ambient = rng.uniform(0.45, 0.95)
    warmth = rng.uniform(-0.1, 0.1)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    return Light(direction, ambient, rng.uniform(1.0, 1.4) - 0.8 * ambient, tint)


@dataclass(frozen=True)
class Faces:
    """The `N` quads of all people that face the camera.

    centre: `[3, N]` in the world; corner, normal: `[3, N]` one corner and the unit normal in the
    camera frame; pixels: `[2, 4, N]`; colours: `[3, N]`; owner: `[N]`, 1 for the first person;
    head, prop: `[N]`; near, depth: `[N]` nearest and mean depth, millimetres.
    """

    centre: np.ndarray
    corner: np.ndarray
    normal: np.ndarray
    pixels: np.ndarray
    colours: np.ndarray
    owner: np.ndarray
    head: np.ndarray
    prop: np.ndarray
    near: np.ndarray
    depth: np.ndarray


def facing(people: list[Person], camera: Camera, light: Light) -> Faces:
    """Selects the quads of `people` that face the camera, projects and shades them."""
    quads = np.concatenate([p.quads for p in people], axis=2)
    (ax, ay, az), (bx, by, bz) = quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1]
    normals = np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])
    toward = (camera.eye[:, None] - quads[:, 0]) * normals
    front = np.flatnonzero(toward[0] + toward[1] + toward[2] > 0)
    quads, normals = quads[..., front], normals[:, front]
    seen = (camera.R @ quads.reshape(3, -1)).reshape(quads.shape) + camera.t[:, None, None]
    near = seen[2].min(axis=0)
    if near.min(initial=np.inf) < _NEAR:
        keep = near > _NEAR
        front, near = front[keep], near[keep]
        quads, normals, seen = quads[..., keep], normals[:, keep], seen[..., keep]
    normals = normals / np.sqrt((normals * normals).sum(axis=0) + 1e-9)
    owner = np.repeat(np.arange(1, len(people) + 1), [p.quads.shape[2] for p in people])
    return Faces(
        centre=quads.sum(axis=1) * 0.25,
        corner=seen[:, 0],
        normal=camera.R @ normals,
        pixels=camera.on_sensor(seen),
        colours=np.concatenate([p.albedo for p in people], axis=1)[:, front] * light.shade(normals),
        owner=owner[front],
        head=np.concatenate([p.head for p in people])[front],
        prop=np.concatenate([p.prop for p in people])[front],
        near=near,
        depth=seen[2].sum(axis=0) * 0.25,
    )


@dataclass(frozen=True)
class Layers:
    """Boxes from far to near, and the position of each face in that order.

    `slot` is the number of boxes drawn before a face; `covered` is True if one of these boxes hides
    the centre of the face.
    """

    boxes: list[Box]
    slot: np.ndarray
    covered: np.ndarray


def layer(faces: Faces, boxes: list[Box], camera: Camera) -> Layers:
    """Finds the boxes that hide each face.

    A face is drawn before the first box that is completely nearer than it, or that cuts its line of
    sight; every later box is then painted over it.
    """
    eye = camera.eye
    ranked = []
    for box in boxes:
        corners = camera.to_camera(box.faces()[0].reshape(-1, 3))
        if corners[:, 2].min() > _NEAR:
            ranked.append((-float(camera.to_camera(box.centre)[2]), corners[:, 2].max(), box))
    ranked.sort(key=lambda item: item[0])
    slot = np.full(len(faces.near), len(ranked))
    covered = np.zeros(len(faces.near), bool)
    for i in reversed(range(len(ranked))):
        _, farthest, box = ranked[i]
        behind = box.hides(eye, faces.centre)
        covered |= behind
        slot[behind | (faces.near > farthest)] = i
    return Layers([box for _, _, box in ranked], slot, covered)


def draw(
    backdrop: np.ndarray, faces: Faces, layers: Layers, camera: Camera, light: Light, scale: int
) -> np.ndarray:
    """Draws the people and boxes onto `backdrop`.

    Returns:
      `[h, w, 4]` uint8: RGB and the owner of each pixel (`NOBODY`: backdrop, boxes, props).
      `camera` and the faces' pixels are for the image, which is `scale` times smaller than
      `backdrop`.
    """
    image = backdrop
    h, w = image.shape[:2]

    def fixed(pixels: np.ndarray) -> np.ndarray:
        # Pixel centres lie at integers, so the image begins at -0.5.
        places = (pixels + 0.5) * (scale << _SHIFT) - 0.5 * (1 << _SHIFT)
        return np.rint(np.clip(places, -2e6, 2e6)).astype(np.int32)

    corners = fixed(faces.pixels)
    low, high = corners.min(axis=1), corners.max(axis=1)
    edge = np.array([[w], [h]]) << _SHIFT
    inside = np.flatnonzero(np.logical_and.reduce([*(low < edge), *(high >= 0)]))
    slot = layers.slot[inside]
    rank = np.lexsort((-faces.depth[inside], slot))
    order = inside[rank]
    points = list(np.ascontiguousarray(corners[:, :, order].T))
    owner = np.where(faces.prop[order], NOBODY, faces.owner[order])
    fills = np.vstack([np.minimum(faces.colours[:, order], 255), owner]).T.tolist()
    ends = np.searchsorted(slot[rank], np.arange(len(layers.boxes) + 1), side="right")
    start = 0
    fill = cv2.fillConvexPoly
    for i, end in enumerate(ends.tolist()):
        for polygon, colour in zip(points[start:end], fills[start:end], strict=True):
            fill(image, polygon, colour, 8, _SHIFT)
        start = end
        if i < len(layers.boxes):
            box = layers.boxes[i]
            quads, normals = box.faces()
            seen = ((camera.eye - quads[:, 0]) * normals).sum(axis=1) > 0
            shades = np.clip(light.shade(normals[seen].T) * box.colour[:, None], 0, 255)
            sides = fixed(camera.project(camera.to_camera(quads[seen])))
            for polygon, colour in zip(sides, shades.T.tolist(), strict=True):
                fill(image, polygon, [*colour, NOBODY], 8, _SHIFT)
    return image


def downscale(drawn: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
    """Averages the colours of a result of `draw` over the area of each pixel of an image `hw`."""
    small = cv2.resize(drawn, (hw[1], hw[0]), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGBA2RGB)


def silhouette(owner: np.ndarray, number: int, scale: int) -> tuple[np.ndarray, float] | None:
    """Box (x, y, w, h) `[4]` and area of the pixels of person `number`, in image pixels.

    owner: uint8 drawn pixels, `scale` per image pixel. None if the person has no pixels.
    """
    mask = cv2.inRange(owner, number, number)
    x, y, w, h = cv2.boundingRect(mask)
    if w == 0 or h == 0:
        return None
    # From pixel edges to coordinates whose integers are pixel centres.
    box = np.array([x / scale - 0.5, y / scale - 0.5, w / scale, h / scale])
    return box, cv2.countNonZero(mask) / scale**2


def hidden(
    person: Person, faces: Faces, boxes: list[Box], camera: Camera, number: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joints hidden by the person's head, by other body parts, by anything else: bool `[17]` each.

    A joint lies inside the body; up to `own_depth` of flesh in front of it is ignored.
    """
    joints = camera.to_camera(person.joints)
    x, y = camera.project(joints).T
    (left, top), (right, bottom) = faces.pixels.min(axis=1), faces.pixels.max(axis=1)
    over = (left <= x[:, None]) & (x[:, None] <= right)
    over &= (top <= y[:, None]) & (y[:, None] <= bottom)
    joint, face = np.nonzero(over)
    px, py = faces.pixels[:, :, face]
    dx, dy = np.roll(px, -1, axis=0) - px, np.roll(py, -1, axis=0) - py
    side = dx * (y[joint] - py) - dy * (x[joint] - px)
    inside = np.all(side >= 0, axis=0) | np.all(side <= 0, axis=0)
    joint, face = joint[inside], face[inside]
    # Depth where the line of sight meets the quad's plane.
    ray = (joints[joint] / joints[joint, 2:]).T
    normal = faces.normal[:, face]
    depth = (faces.corner[:, face] * normal).sum(axis=0) / ((ray * normal).sum(axis=0) - 1e-9)
    nearer = joints[joint, 2] - depth

    def among(which: np.ndarray) -> np.ndarray:
        return np.bincount(joint[which], minlength=17) > 0

    own = (faces.owner[face] == number) & ~faces.prop[face]
    flesh = own & (nearer > person.own_depth[joint])
    by_other = among(~own & (nearer > 0))
    for box in boxes:
        by_other |= box.hides(camera.eye, person.joints.T)
    head = faces.head[face]
    return among(flesh & head), among(flesh & ~head), by_other


def visibility(
    by_head: np.ndarray, by_body: np.ndarray, by_other: np.ndarray, in_frame: np.ndarray
) -> np.ndarray:
    """COCO flags `[17]` uint8: 0 not labelled, 1 labelled but occluded, 2 visible.

    The flags follow COCO's annotators: keypoints outside the image, and eyes, ears and nose behind
    the head, are not labelled; neither is a limb joint that something else covers together with its
    neighbour towards the trunk, because its position cannot be estimated; every other hidden joint
    is labelled as occluded.
    """
    flags = np.where(by_head | by_body | by_other, 1, 2).astype(np.uint8)
    flags[:5][by_head[:5]] = 0
    for child, parent in _PARENT.items():
        if by_other[child] and by_other[parent]:
            flags[child] = 0
    flags[~in_frame] = 0
    return flags


def degrade(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Adds the defects of a cheap camera to `[H, W, 3]` uint8: blur, exposure, noise and JPEG."""
    h, w = image.shape[:2]
    u = rng.random(8)
    if u[0] < 0.35:  # a small person in a large image, enlarged
        factor = 0.3 + 0.6 * u[1]
        if factor < 0.55:
            image = cv2.resize(image, (w // 2, h // 2), interpolation=cv2.INTER_AREA)
        small = (round(w * factor), round(h * factor))
        image = cv2.resize(image, small, interpolation=cv2.INTER_LINEAR)
        image = cv2.resize(image, (w, h), interpolation=cv2.INTER_LINEAR)
    elif u[0] < 0.5:
        image = cv2.GaussianBlur(image, (5, 5), 0.4 + 1.0 * u[1])
    elif u[0] < 0.6:
        image = cv2.blur(image, (3, 3))
    gamma = np.exp(0.6 * (u[2] - 0.6))
    curve = 255.0 * (np.arange(256)[:, None] / 255.0) ** gamma
    curve = 115.0 + (0.85 + 0.65 * u[3]) * (curve - 105.0) + 36.0 * (u[7] - 0.5)
    curve = curve * (1.0 + 0.14 * (rng.random(3) - 0.5))[None]
    table = np.clip(curve, 0, 255).astype(np.uint8)[None]
    image = cv2.LUT(image, table)
    amplitude = 0.02 + 0.13 * u[4] ** 3
    grain = np.frombuffer(rng.bytes(image.size), np.uint8).reshape(image.shape)
    image = cv2.addWeighted(image, 1.0, grain, amplitude, -127.5 * amplitude)
    if u[5] < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(35 + 60 * u[6])]
        decoded = cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR)
        image = np.asarray(decoded)
    return image


def backdrop(
    rng: np.random.Generator, camera: Camera, hw: tuple[int, int], scale: int, light: Light,
    people: list[Person], wall_x: float,
) -> np.ndarray:  # fmt: skip
    """Backdrop at `scale` times the image size `hw`: RGB and `NOBODY`.

    It is painted coarser and enlarged, because the background is seldom in focus.
    """
    coarse = rng.uniform(0.35, 1.0)
    small = (max(16, round(hw[0] * coarse)), max(16, round(hw[1] * coarse)))
    resize = np.array([[small[1] / hw[1], 0, 0], [0, small[0] / hw[0], 0], [0, 0, 1.0]])
    lens = Camera(resize @ camera.K, camera.R, camera.t)
    image = background.paint(rng, lens, small, wall_x=wall_x, light=light.direction,
                             people=[p.quads[:, 0] for p in people])  # fmt: skip
    image = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)  # fills alpha with 255, NOBODY
    big = (scale * hw[1], scale * hw[0])
    return cv2.resize(image, big, interpolation=cv2.INTER_LINEAR)
