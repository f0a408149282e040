"""From a scene to a photo: shading, painter's order, visibility, and a camera's imperfections."""

from dataclasses import dataclass

import cv2
import numpy as np

from jaxpose.data.synthetic import background
from jaxpose.data.synthetic.scene import Box, Camera, Person

_SHIFT = 4  # sub-pixel bits of OpenCV's polygon corners
_NEAR = 150.0  # millimetres before the camera where drawing stops
_PARENT = {7: 5, 8: 6, 9: 7, 10: 8, 13: 11, 14: 12, 15: 13, 16: 14}


@dataclass(frozen=True)
class Light:
    """Parallel light from `direction [3]` (unit, towards the light) over ambient light."""

    direction: np.ndarray
    ambient: float
    strength: float
    tint: np.ndarray

    def shade(self, normals: np.ndarray) -> np.ndarray:
        """`[N, 3]` RGB factors for unit `normals [N, 3]`."""
        direct = np.maximum(normals @ self.direction, 0.0) * self.strength
        sky = self.ambient * (0.85 + 0.15 * normals[:, 2])
        return (sky + direct)[:, None] * self.tint


def sample_light(rng: np.random.Generator) -> Light:
    """Daylight or lamps from above, warm or cold, hard or soft."""
    around, up = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 1.0)
    flat = np.sqrt(1 - up * up)
    direction = np.array([flat * np.cos(around), flat * np.sin(around), up])
    ambient = rng.uniform(0.35, 0.85)
    warmth = rng.uniform(-0.1, 0.1)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    return Light(direction, ambient, rng.uniform(0.9, 1.25) - 0.85 * ambient, tint)


@dataclass(frozen=True)
class Faces:
    """The `N` quads that face the camera, of all people.

    centre: `[N, 3]` in the world; corner, normal: `[N, 3]` one corner and the unit normal in the
    camera frame; pixels: `[N, 4, 2]`; colours: `[N, 3]`; owner: `[N]`, 1 for the first person;
    head: `[N]`; near, depth: `[N]` nearest and mean depth, millimetres.
    """

    centre: np.ndarray
    corner: np.ndarray
    normal: np.ndarray
    pixels: np.ndarray
    colours: np.ndarray
    owner: np.ndarray
    head: np.ndarray
    near: np.ndarray
    depth: np.ndarray


def facing(people: list[Person], camera: Camera, light: Light) -> Faces:
    """The quads of `people` that turn towards the camera, projected and shaded."""
    quads = np.concatenate([p.quads for p in people])
    normals = np.concatenate([p.normals for p in people])
    owner = np.repeat(np.arange(1, len(people) + 1), [len(p.quads) for p in people])
    front = np.flatnonzero(((quads[:, 0] - camera.eye) * normals).sum(axis=1) < 0)
    seen = camera.to_camera(quads[front])
    near = seen[..., 2].min(axis=1)
    keep = near > _NEAR
    front, seen, near = front[keep], seen[keep], near[keep]
    normals = normals[front]
    albedo = np.concatenate([p.albedo for p in people])[front]
    return Faces(
        centre=quads[front].mean(axis=1),
        corner=seen[:, 0],
        normal=normals @ camera.R.T,
        pixels=camera.project(seen),
        colours=albedo * light.shade(normals),
        owner=owner[front],
        head=np.concatenate([p.head for p in people])[front],
        near=near,
        depth=seen[..., 2].mean(axis=1),
    )


@dataclass(frozen=True)
class Layers:
    """Boxes from far to near; for each face the number of boxes drawn before it (`slot`) and
    whether one of them hides its centre (`covered`)."""

    boxes: list[Box]
    slot: np.ndarray
    covered: np.ndarray


def layer(faces: Faces, boxes: list[Box], camera: Camera) -> Layers:
    """Which boxes hide which faces. A face belongs before the first box that stands wholly nearer
    than it, or that cuts its line of sight; every later box is then painted over it."""
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
    backdrop: np.ndarray,
    faces: Faces,
    layers: Layers,
    camera: Camera,
    light: Light,
    scale: np.ndarray,
) -> np.ndarray:
    """`[h, w, 4]` uint8: RGB and the owner of each pixel (0 backdrop, 255 a box).

    `camera` and the faces' pixels are those of the photo; `scale [2]` (x, y) leads to `backdrop`.
    """
    image = np.empty((*backdrop.shape[:2], 4), np.uint8)
    image[..., :3] = backdrop
    image[..., 3] = 0
    factor = scale * (1 << _SHIFT)

    def corners(pixels: np.ndarray) -> np.ndarray:
        # Pixel centres lie at integers, so the canvas spans from -0.5.
        fixed = (pixels + 0.5) * factor - 0.5 * (1 << _SHIFT)
        return np.rint(np.clip(fixed, -2e6, 2e6)).astype(np.int32)

    order = np.lexsort((-faces.depth, layers.slot))
    points = list(corners(faces.pixels[order]))
    paint = np.concatenate([np.minimum(faces.colours[order], 255), faces.owner[order, None]], 1)
    fills = paint.tolist()
    ends = np.searchsorted(layers.slot[order], np.arange(len(layers.boxes) + 1), side="right")
    start = 0
    fill = cv2.fillConvexPoly
    for i, end in enumerate(ends.tolist()):
        for k in range(start, end):
            fill(image, points[k], fills[k], 8, _SHIFT)
        start = end
        if i < len(layers.boxes):
            box = layers.boxes[i]
            quads, normals = box.faces()
            seen = ((quads[:, 0] - camera.eye) * normals).sum(axis=1) < 0
            shades = np.clip(light.shade(normals[seen]) * box.colour, 0, 255)
            pixels = corners(camera.project(camera.to_camera(quads[seen])))
            for polygon, colour in zip(pixels, shades.tolist(), strict=True):
                fill(image, polygon, [*colour, 255], 8, _SHIFT)
    return image


def downscale(drawn: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
    """The colours of `draw`'s result at `hw`, averaged over the area of each pixel."""
    small = cv2.resize(drawn, (hw[1], hw[0]), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGBA2RGB)


def silhouette(
    owner: np.ndarray, number: int, scale: np.ndarray, frame: tuple[int, int, int, int]
) -> tuple[np.ndarray, float] | None:
    """Box xywh `[4]` and area of the pixels that `number` owns, in photo pixels.

    owner: uint8 drawn pixels, `scale` (x, y) per photo pixel; frame: x0, y0, x1, y1 of the part
    of the photo that counts. None if there are none.
    """
    x0, y0, x1, y1 = np.rint(np.array(frame) * np.tile(scale, 2)).astype(int).tolist()
    mask = cv2.inRange(np.ascontiguousarray(owner[y0:y1, x0:x1]), number, number)
    x, y, w, h = cv2.boundingRect(mask)
    if w == 0 or h == 0:
        return None
    # From pixel edges to coordinates whose integers are pixel centres.
    corner = (np.array([x + x0, y + y0]) / scale) - 0.5
    box = np.concatenate([corner, np.array([w, h]) / scale])
    return box, cv2.countNonZero(mask) / float(scale[0] * scale[1])


def hidden(
    person: Person, faces: Faces, boxes: list[Box], camera: Camera, number: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`[17]` each: what lies before a joint: the person's head, other parts, something else?

    A joint lies inside the body, so that up to `own_depth` of flesh in front of it does not count.
    """
    joints = camera.to_camera(person.joints)
    pixels = camera.project(joints)
    low, high = faces.pixels.min(axis=1), faces.pixels.max(axis=1)
    over = ((low[None] <= pixels[:, None]) & (pixels[:, None] <= high[None])).all(axis=2)
    joint, face = np.nonzero(over)
    corners = faces.pixels[face]
    edge = np.roll(corners, -1, axis=1) - corners
    to_point = pixels[joint][:, None] - corners
    side = edge[..., 0] * to_point[..., 1] - edge[..., 1] * to_point[..., 0]
    inside = (side >= 0).all(axis=1) | (side <= 0).all(axis=1)
    joint, face = joint[inside], face[inside]
    # Depth where the line of sight meets the quad's plane.
    ray = joints[joint] / joints[joint, 2:]
    normal = faces.normal[face]
    depth = (faces.corner[face] * normal).sum(axis=1) / ((ray * normal).sum(axis=1) - 1e-9)
    nearer = joints[joint, 2] - depth

    def among(which: np.ndarray) -> np.ndarray:
        return np.bincount(joint[which], minlength=17) > 0

    own = faces.owner[face] == number
    flesh = own & (nearer > person.own_depth[joint])
    by_other = among(~own & (nearer > 0))
    for box in boxes:
        by_other |= box.hides(camera.eye, person.joints)
    head = faces.head[face]
    return among(flesh & head), among(flesh & ~head), by_other


def visibility(
    by_head: np.ndarray, by_body: np.ndarray, by_other: np.ndarray, in_frame: np.ndarray
) -> np.ndarray:
    """`[17]` uint8 COCO flags: 0 not labelled, 1 labelled but occluded, 2 visible.

    As COCO's annotators mostly do: nothing outside the photo; no eye, ear or nose behind the head;
    no limb joint that something else covers together with its neighbour towards the trunk, since
    nobody could place it; every other hidden joint is labelled as occluded.
    """
    flags = np.where(by_head | by_body | by_other, 1, 2).astype(np.uint8)
    flags[:5][by_head[:5]] = 0
    for child, parent in _PARENT.items():
        if by_other[child] and by_other[parent]:
            flags[child] = 0
    flags[~in_frame] = 0
    return flags


def degrade(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """What a cheap camera does to `[H, W, 3]` uint8: softness, exposure, noise and JPEG."""
    h, w = image.shape[:2]
    u = rng.random(8)
    if u[0] < 0.35:  # a small person in a large photo, enlarged
        factor = 0.3 + 0.6 * u[1]
        small = cv2.resize(image, (int(w * factor), int(h * factor)), interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)
    elif u[0] < 0.6:
        image = cv2.GaussianBlur(image, (5, 5), 0.4 + 1.0 * u[1])
    gamma = np.exp(0.7 * (u[2] - 0.5))
    gain = 0.75 + 0.5 * u[3]
    curve = 255.0 * gain * (np.arange(256)[:, None] / 255.0) ** gamma
    curve = curve * (1.0 + 0.14 * (rng.random(3) - 0.5))[None]
    table = np.clip(curve, 0, 255).astype(np.uint8)[None]
    image = cv2.LUT(image, table)
    amplitude = 0.02 + 0.13 * u[4] ** 3
    grain = np.frombuffer(rng.bytes(image.size), np.uint8).reshape(image.shape)
    image = cv2.addWeighted(image, 1.0, grain, amplitude, -127.5 * amplitude)
    if u[5] < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(35 + 60 * u[6])]
        decoded = cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR)
        image = np.asarray(decoded)
    return image


def backdrop(
    rng: np.random.Generator, camera: Camera, hw: tuple[int, int], scale: float, light: Light,
    people: list[Person], wall_x: float,
) -> np.ndarray:  # fmt: skip
    """The backdrop at `scale` times the canvas `hw`, painted coarser and enlarged: seldom is the
    background in focus."""
    big = (round(hw[0] * scale), round(hw[1] * scale))
    coarse = rng.uniform(0.3, 1.0)
    small = (max(16, round(hw[0] * coarse)), max(16, round(hw[1] * coarse)))
    resize = np.array([[small[1] / hw[1], 0, 0], [0, small[0] / hw[0], 0], [0, 0, 1.0]])
    lens = Camera(resize @ camera.K, camera.R, camera.t)
    image = background.paint(rng, lens, small, wall_x=wall_x, light=light.direction,
                             people=[p.quads for p in people])  # fmt: skip
    return cv2.resize(image, (big[1], big[0]), interpolation=cv2.INTER_LINEAR)
