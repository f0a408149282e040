"""Scene in front of the camera: people on a floor, furniture, poles, and the camera itself.

World frame: z up, the floor at z = 0, millimetres. Cameras follow OpenCV: x right, y down, z ahead,
x_cam = R x_world + t.
"""

from dataclasses import dataclass, replace

import numpy as np

from jaxpose.data.synthetic import body, poses, surface
from jaxpose.data.synthetic.clothes import Appearance, sample_appearance, vivid


@dataclass(frozen=True)
class Camera:
    """Pinhole camera: intrinsics `K [3, 3]` (pixels), `R [3, 3]`, `t [3]` (millimetres)."""

    K: np.ndarray
    R: np.ndarray
    t: np.ndarray

    @property
    def eye(self) -> np.ndarray:
        """Centre of projection in the world, `[3]`."""
        return -self.R.T @ self.t

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """Transforms world points `[..., 3]` to the camera frame."""
        return points @ self.R.T + self.t

    def project(self, points_camera: np.ndarray) -> np.ndarray:
        """Projects camera-frame points `[..., 3]` to pixels `[..., 2]`, centres at integers."""
        focal = np.array([self.K[0, 0], self.K[1, 1]])
        return points_camera[..., :2] / points_camera[..., 2:] * focal + self.K[:2, 2]

    def on_sensor(self, points_camera: np.ndarray) -> np.ndarray:
        """Projects as `project`, for points `[3, ...]`, coordinates first; returns `[2, ...]`."""
        shape = (2,) + (1,) * (points_camera.ndim - 1)
        focal = np.array([self.K[0, 0], self.K[1, 1]]).reshape(shape)
        return points_camera[:2] / points_camera[2] * focal + self.K[:2, 2].reshape(shape)


def look_at(eye: np.ndarray, target: np.ndarray, roll_degrees: float = 0.0) -> Camera:
    """Camera of focal length 1 at `eye`, pointed at `target`."""
    ahead = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(ahead, np.array([0.0, 0.0, 1.0]))
    right /= np.linalg.norm(right)
    down = np.cross(ahead, right)
    c, s = np.cos(np.deg2rad(roll_degrees)), np.sin(np.deg2rad(roll_degrees))
    rotation = np.stack([c * right + s * down, c * down - s * right, ahead])
    return Camera(np.eye(3), rotation, -rotation @ eye)


@dataclass(frozen=True)
class Person:
    """One posed and dressed body in the world.

    quads: `[3, 4, F]` (x y z, corner, face), counter-clockwise from outside; albedo: `[3, F]` RGB
    0..255; head, prop: bool `[F]`, True for faces of the head and of a carried object; joints:
    `[17, 3]` COCO-17; own_depth: `[17]` largest depth of the body's own flesh in front of a joint,
    millimetres; frames: of the body's parts in the world; shape: of the body.
    """

    quads: np.ndarray
    albedo: np.ndarray
    head: np.ndarray
    prop: np.ndarray
    joints: np.ndarray
    own_depth: np.ndarray
    frames: body.Skeleton3D
    shape: body.Shape

    def extent(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest coordinates `[3]`."""
        flat = self.quads.reshape(3, -1)
        return flat.min(axis=1), flat.max(axis=1)


@dataclass(frozen=True)
class Box:
    """Upright cuboid: furniture, a wall, a pole. `yaw` degrees about z; colour RGB 0..255."""

    centre: np.ndarray
    half: np.ndarray
    yaw: float
    colour: np.ndarray

    def _axes(self) -> np.ndarray:
        c, s = np.cos(np.deg2rad(self.yaw)), np.sin(np.deg2rad(self.yaw))
        return np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])

    def faces(self) -> tuple[np.ndarray, np.ndarray]:
        """Quads `[6, 4, 3]` and outward normals `[6, 3]`."""
        axes = self._axes()
        corners = _CUBE * self.half @ axes + self.centre
        return corners, _CUBE_NORMALS @ axes

    def hides(self, eye: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Boolean `[N]`: True if the box cuts the line from `eye` to each of `points [3, N]`."""
        axes = self._axes()
        start = (axes @ (eye - self.centre))[:, None]
        along = axes @ (points - eye[:, None])
        along = np.where(np.abs(along) < 1e-6, 1e-6, along)
        half = self.half[:, None]
        one, other = (-half - start) / along, (half - start) / along
        enter = np.minimum(one, other).max(axis=0)
        leave = np.maximum(one, other).min(axis=0)
        return (enter < leave) & (leave > 0.0) & (enter < 0.999)


def _cube() -> tuple[np.ndarray, np.ndarray]:
    quads, normals = [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            a, b = (axis + 1) % 3, (axis + 2) % 3
            quad = np.zeros((4, 3))
            quad[:, axis] = sign
            quad[:, a] = [-1, 1, 1, -1]
            quad[:, b] = [-1, -1, 1, 1]
            quads.append(quad)
            normals.append(np.eye(3)[axis] * sign)
    return np.array(quads), np.array(normals)


_CUBE, _CUBE_NORMALS = _cube()


def make_person(
    rng: np.random.Generator,
    *,
    position: np.ndarray,
    yaw: float,
    family: str | None = None,
) -> tuple[Person, list[Box]]:
    """Creates a random person at `position [2]` on the floor, and a seat for a seated person.

    yaw: heading in degrees; 0 faces along the world's x.
    """
    shape = body.sample_shape(rng)
    pose = poses.sample(rng, family)
    look = sample_appearance(rng)
    skeleton = body.forward_kinematics(pose, shape, yaw)
    person = dress(skeleton, shape, look)
    lowest = float(person.quads[2].min())
    seat: list[Box] = []
    floor = pose.lift
    if pose.support == "ground" and rng.random() < 0.35:
        seat, floor = _couch(rng, person, lowest)
    person = move(person, np.array([position[0], position[1], floor - lowest]))
    if pose.support == "seat":
        seat = _seat(rng, person, yaw)
    return person, seat


def move(person: Person, offset: np.ndarray) -> Person:
    """Shifts `person` by `offset [3]` millimetres."""
    return replace(
        person,
        quads=person.quads + offset[:, None, None],
        joints=person.joints + offset,
        frames=replace(person.frames, origin=person.frames.origin + offset),
    )


def dress(skeleton: body.Skeleton3D, shape: body.Shape, look: Appearance) -> Person:
    """Body with its clothes, in the frame of its skeleton."""
    shown = look.shown
    return Person(
        quads=surface.build(skeleton, shape, look.outfit)[..., shown],
        albedo=look.albedo[:, shown],
        head=surface.OF_HEAD[shown],
        prop=surface.OF_PROP[shown],
        joints=body.coco_joints(skeleton, shape),
        own_depth=body.JOINT_DEPTH * shape.stature,
        frames=skeleton,
        shape=shape,
    )


def _colour(rng: np.random.Generator) -> np.ndarray:
    """Draws a colour: wood, grey or any other."""
    wood = np.array([[120, 84, 52], [168, 128, 84], [78, 54, 38], [200, 190, 176], [70, 72, 76]])
    if rng.random() < 0.6:
        return wood[rng.integers(len(wood))] * rng.uniform(0.7, 1.15)
    return vivid(rng, 1)[0]


def _seat(rng: np.random.Generator, person: Person, yaw: float) -> list[Box]:
    """Stool or chair under a seated person."""
    hips, knees = person.joints[11:13].mean(axis=0), person.joints[13:15].mean(axis=0)
    ahead = np.array([np.cos(np.deg2rad(yaw)), np.sin(np.deg2rad(yaw)), 0.0])
    top = max(hips[2] - 0.052 * person.shape.stature, 120.0)
    thigh = float(np.abs((knees - hips) @ ahead))
    front, back = 0.55 * thigh, 0.13 * person.shape.stature
    width = rng.uniform(0.13, 0.26) * person.shape.stature
    if rng.random() < 0.15:
        width *= 3.0  # a bench or sofa
    colour = _colour(rng)
    centre = hips + ahead * (front - back) / 2
    thickness = top if rng.random() < 0.5 else rng.uniform(50, 120)
    seat = Box(np.array([centre[0], centre[1], top - thickness / 2]),
               np.array([(front + back) / 2, width, thickness / 2]), yaw, colour)  # fmt: skip
    if rng.random() < 0.5:
        return [seat]
    height = rng.uniform(300, 650)
    behind = hips - ahead * (back + 60)
    rest = Box(np.array([behind[0], behind[1], top + height / 2]),
               np.array([25.0, width * 0.95, height / 2]), yaw, colour * 0.9)  # fmt: skip
    return [seat, rest]


def _couch(rng: np.random.Generator, person: Person, lowest: float) -> tuple[list[Box], float]:
    """Bed or platform under a person who lies or sits flat, and its height."""
    low, high = person.extent()
    height = rng.uniform(150, 550)
    half = (high - low) / 2 + rng.uniform(20, 250)
    middle = (high + low) / 2
    bed = Box(np.array([middle[0], middle[1], height / 2 - 1.0]),
              np.array([half[0], half[1], height / 2 - 1.0]), 0.0, _colour(rng))  # fmt: skip
    return [bed], height


def background_boxes(rng: np.random.Generator, away: float) -> list[Box]:
    """Furniture, crates and columns behind the people (towards negative x)."""
    boxes = []
    for _ in range(int(rng.integers(0, 4))):
        half = np.array([rng.uniform(100, 500), rng.uniform(100, 900), rng.uniform(150, 1000)])
        place = np.array([-rng.uniform(900, away) - half[0], rng.uniform(-2600, 2600), half[2]])
        boxes.append(Box(place, half, rng.uniform(-25, 25), _colour(rng)))
    return boxes


def foreground_boxes(rng: np.random.Generator, eye: np.ndarray, person: Person) -> list[Box]:
    """Objects between the camera and the person: a table, a low wall, a pole."""
    low, high = person.extent()
    ground_eye = eye[:2]
    middle = (low + high)[:2] / 2
    toward = ground_eye - middle
    gap = float(np.linalg.norm(toward))
    toward /= gap
    across = np.array([-toward[1], toward[0]])
    room = gap - float(np.linalg.norm(high - low)) / 2 - 300.0
    reach = float(np.max(toward @ person.quads[:2].reshape(2, -1))) - float(middle @ toward)
    if room < 350:
        return []
    kind = rng.random()
    height = high[2] - low[2]
    heading = float(np.rad2deg(np.arctan2(toward[1], toward[0])))
    colour = _colour(rng)
    if kind < 0.4:  # a pole or a tree trunk, from the floor to above the image
        width = rng.uniform(20, 110)
        place = middle + toward * (reach + width + rng.uniform(60, 0.5 * room))
        place = place + across * rng.uniform(-0.3, 0.3) * float((high - low)[:2].max())
        half = np.array([width, width, rng.uniform(900, 2500)])
        return [Box(np.array([place[0], place[1], half[2]]), half, heading, colour)]
    top = low[2] + height * rng.uniform(0.12, 0.6)
    deep = rng.uniform(40, 300)
    near = middle + toward * (reach + deep + rng.uniform(30, 0.4 * room))
    near = near + across * rng.uniform(-900, 900)
    thickness = top / 2 if rng.random() < 0.6 else min(rng.uniform(20, 90), top / 2)
    half = np.array([deep, rng.uniform(250, 1300), thickness])
    return [Box(np.array([near[0], near[1], top - thickness]), half, heading, colour)]
