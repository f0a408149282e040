"""Moving mice, alike, seen from above in an arena with a house; their ids and keypoints are known.

They run, stop, turn, follow walls, visit one another, run over one another, and hide in the house.
"""

from dataclasses import dataclass

import numpy as np

from jaxpose.skeletons import Skeleton

FPS = 30
SIDE = 640
"""Width and height of the arena in pixels."""
LENGTH = 64.0
"""Pixels from the snout to the tail base."""
HOUSE = (70, 380, 110, 90)
"""x, y, width and height of the house in pixels."""
MOUSE = Skeleton(
    "mouse",
    ("snout", "leftear", "rightear", "body", "tailbase", "tailtip"),
    pairs=(("leftear", "rightear"),),
    limbs=(
        *(("snout", "leftear"), ("snout", "rightear"), ("snout", "body")),
        *(("body", "tailbase"), ("tailbase", "tailtip")),
    ),
)

_LINKS = np.array([16.0, 16, 16, 16, 18, 18, 18])  # of the chain from the snout to the tail's tip
_WALL = 40  # pixels from a wall within which a mouse turns along it


@dataclass(frozen=True)
class Mice:
    """A video of mice.

    Attributes:
      keypoints: `[T, N, 6, 2]` pixels.
      shown: `[T, N, 6]`, false below another mouse and in the house.
      heights: `[T, N]`; the higher of two mice is the upper one.
    """

    keypoints: np.ndarray
    shown: np.ndarray
    heights: np.ndarray

    @property
    def present(self) -> np.ndarray:
        """`[T, N]`: at least two keypoints can be seen."""
        return self.shown.sum(axis=-1) >= 2


def mice(seed: int, count: int, frames: int) -> Mice:
    """Moves `count` mice for a number of frames."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(120, SIDE - 120, (count, 2))
    heading = rng.uniform(-np.pi, np.pi, count)
    chain = place[:, None] - np.append(0, _LINKS.cumsum())[:, None] * _along(heading)[:, None]
    speed, turning, left = np.zeros(count), np.zeros(count), np.zeros(count)
    goal: list[int | str] = ["nowhere"] * count
    heights = rng.permuted(np.arange(count))
    chains, levels = [], []
    for t in range(frames):
        if t % (4 * FPS) == 0:
            heights = rng.permuted(heights)
        for i in range(count):
            left[i] -= 1 / FPS
            if left[i] <= 0:
                goal[i], speed[i], turning[i], left[i] = _act(rng, i, count)
            _steer(i, goal, chain, heading, speed, turning)
            heading[i] += rng.normal(0, 0.06)
            place[i] += speed[i] / FPS * _along(heading[i])
            place[i] = place[i].clip(12, SIDE - 12)
        chain = _drag(chain, place)
        chains.append(chain)
        levels.append(heights)
    made = np.stack(chains)
    keypoints = _keypoints(made)
    heights = np.stack(levels)
    return Mice(keypoints, _shown(made, keypoints, heights), heights)


def _act(rng: np.random.Generator, i: int, count: int) -> tuple[int | str, float, float, float]:
    """Goal, pixels per second, radians per second and seconds of a mouse's next action."""
    kind = rng.choice(["run", "walk", "stop", "turn", "visit", "house"], p=_OFTEN)
    if kind == "run":
        return "nowhere", rng.uniform(150, 350), rng.normal(0, 0.5), rng.uniform(0.5, 2)
    if kind == "walk":
        return "nowhere", rng.uniform(40, 120), rng.normal(0, 0.8), rng.uniform(0.5, 3)
    if kind == "turn":
        return "nowhere", 50.0, rng.choice([-4.0, 4.0]), rng.uniform(0.3, 0.9)
    if kind == "visit" and count > 1:
        other = (i + rng.integers(1, count)) % count
        return int(other), rng.uniform(120, 300), 0.0, rng.uniform(1, 3)
    if kind == "house":
        return "house", rng.uniform(100, 250), 0.0, rng.uniform(3, 6)
    return "nowhere", 0.0, 0.0, rng.uniform(0.3, 3)


_OFTEN = (0.25, 0.2, 0.2, 0.1, 0.22, 0.03)


def _steer(i, goal, chain, heading, speed, turning) -> None:
    """Turns mouse i to its goal, or along a wall that is near."""
    snout = chain[i, 0]
    if goal[i] == "nowhere":
        heading[i] += turning[i] / FPS
        ahead = _along(heading[i])
        into = np.where(snout < _WALL, -ahead, np.where(snout > SIDE - _WALL, ahead, 0)) > 0
        if into[0]:
            heading[i] += 0.25 * _angle(np.copysign(np.pi / 2, ahead[1]) - heading[i])
        if into[1]:
            heading[i] += 0.25 * _angle((0 if ahead[0] > 0 else np.pi) - heading[i])
        return
    x, y, width, height = HOUSE
    target = np.array([x + width / 2, y + height / 2]) if goal[i] == "house" else chain[goal[i], 2]
    toward = target - snout
    heading[i] += 0.25 * _angle(np.arctan2(toward[1], toward[0]) - heading[i])
    if np.linalg.norm(toward) < (20 if goal[i] == "house" else 35):
        speed[i] = 0.0


def _along(heading) -> np.ndarray:
    return np.stack([np.cos(heading), np.sin(heading)], axis=-1)


def _angle(difference: float) -> float:
    return float((difference + np.pi) % (2 * np.pi) - np.pi)


def _drag(chain: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Chains `[N, 8, 2]` whose first points move to `place`, and the others after them."""
    points = [place]
    for link, old in zip(_LINKS, np.moveaxis(chain[:, 1:], 1, 0), strict=True):
        back = old - points[-1]
        points.append(points[-1] + link * back / np.linalg.norm(back, axis=-1, keepdims=True))
    return np.stack(points, axis=1)


def _keypoints(chains: np.ndarray) -> np.ndarray:
    """Keypoints `[..., 6, 2]` of chains `[..., 8, 2]`."""
    along = chains[..., 0, :] - chains[..., 2, :]
    along /= np.linalg.norm(along, axis=-1, keepdims=True)
    left = np.stack([along[..., 1], -along[..., 0]], axis=-1)  # y points down
    ears = [chains[..., 1, :] + side * 9 * left for side in (1, -1)]
    return np.stack([chains[..., 0, :], *ears, *(chains[..., k, :] for k in (2, 4, 7))], axis=-2)


def _shown(chains: np.ndarray, keypoints: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Keypoints `[T, N, 6]` that are not below another mouse or the house."""
    gaps = keypoints[:, :, None, :, None] - chains[:, None, :, None, 1:4]
    near = (np.linalg.norm(gaps, axis=-1) < 12).any(axis=-1)  # [T, N, N, 6]
    below = heights[:, :, None] < heights[:, None]
    x, y, width, height = HOUSE
    inside = (keypoints > [x, y]).all(axis=-1) & (keypoints < [x + width, y + height]).all(axis=-1)
    return ~(near & below[..., None]).any(axis=2) & ~inside
