"""A dataset source: images with three stars, drawn when they are asked for."""

from dataclasses import dataclass

import numpy as np

from jaxpose.skeletons import Skeleton

STARS = Skeleton(
    "stars", keypoints=("pole", "left_star", "right_star"), pairs=(("left_star", "right_star"),)
)
SIZE = 32


@dataclass(frozen=True)
class DrawnStars:
    """`count` images; image i is a pure function of (seed, i)."""

    count: int
    seed: int

    def __len__(self) -> int:
        return self.count

    def open(self) -> "DrawnStars":
        return self

    def fingerprint(self) -> str:
        return f"stars-{self.seed}-0..{self.count}"

    def samples(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """uint8 images `[B, 32, 32, 3]` and float32 keypoints `[B, 3, 2]` in pixels."""
        images, keypoints = zip(*(self._draw(int(i)) for i in indices), strict=True)
        return {"image": np.stack(images), "keypoints": np.stack(keypoints)}

    def _draw(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng((self.seed, i))
        x, y = rng.uniform(10, 21, 2)
        points = np.float32([[x, y - 6], [x + 6, y + 5], [x - 6, y + 5]])
        rows, columns = np.mgrid[:SIZE, :SIZE]
        image = np.zeros((SIZE, SIZE, 3), np.float32)
        for channel, (px, py) in enumerate(points):
            image[..., channel] = 255 * np.exp(-((columns - px) ** 2 + (rows - py) ** 2) / 8)
        return image.astype(np.uint8), points
