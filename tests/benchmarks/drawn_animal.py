"""A drawn four-legged animal with 14 keypoints, for `few_labels`."""

from pathlib import Path

import cv2
import numpy as np

from jaxpose.data.synthetic.background import smooth_noise
from jaxpose.skeletons.from_names import skeleton_from_names
from tests.benchmarks.coco_files import person, write_document

IMAGE_HW = (240, 320)
LEGS = ("left_front", "right_front", "left_back", "right_back")
KEYPOINTS = (
    *("nose", "left_ear", "right_ear", "withers", "tail_base", "tail_tip"),
    *(f"{leg}_{part}" for leg in LEGS for part in ("knee", "paw")),
)
LIMBS = (
    *(("nose", "left_ear"), ("nose", "right_ear"), ("nose", "withers"), ("withers", "tail_base")),
    ("tail_base", "tail_tip"),
    *(("withers" if "front" in leg else "tail_base", f"{leg}_knee") for leg in LEGS),
    *((f"{leg}_knee", f"{leg}_paw") for leg in LEGS),
)
ANIMAL = skeleton_from_names("animal", KEYPOINTS, LIMBS)


def _along(start: np.ndarray, degrees: float, length: float) -> np.ndarray:
    """Point at a distance in a direction: 0 forwards (to the right), 90 down."""
    angle = np.radians(degrees)
    return start + length * np.array([np.cos(angle), np.sin(angle)])


def draw(seed: int, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Image `[240, 320, 3]` RGB uint8 of an animal, and its keypoints `[14, 2]` in pixels.

    A pure function of (seed, index). The animal looks to the right, and half of the images are
    mirrored: then it shows its left side.
    """
    rng = np.random.default_rng([seed, index])
    image = smooth_noise(rng, IMAGE_HW, rng.uniform(0.3, 1.0))
    for _ in range(rng.integers(3, 9)):  # sticks and stones
        colour = rng.integers(30, 220, 3).tolist()
        start, end = rng.integers(0, [320, 240], (2, 2))
        if rng.random() < 0.5:
            cv2.line(image, start.tolist(), end.tolist(), colour, int(rng.integers(2, 9)))
        else:
            axes = rng.integers(6, 30, 2).tolist()
            cv2.ellipse(image, start.tolist(), axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
    long = rng.uniform(70, 110)  # of the body, pixels
    tilt = rng.normal(0, 8)
    tail_base = np.array([rng.uniform(75, 125), rng.uniform(80, 130)])
    withers = _along(tail_base, tilt, long)
    neck = tilt + rng.uniform(-75, 30)
    head = _along(withers, neck, 0.38 * long)
    face = neck + rng.uniform(20, 70)
    nose = _along(head, face, 0.27 * long)
    tail_tip = _along(tail_base, rng.uniform(110, 250), 0.45 * long)
    points = {"nose": nose, "withers": withers, "tail_base": tail_base, "tail_tip": tail_tip}
    for side, turn in (("right", -115), ("left", -75)):
        points[f"{side}_ear"] = _along(head, face + turn, 0.2 * long)
    for leg in LEGS:
        front = "front" in leg
        top = _along(withers if front else tail_base, tilt + (160 if front else 20), 0.08 * long)
        thigh = tilt + 90 + rng.normal(0, 24)
        points[f"{leg}_knee"] = _along(top, thigh, 0.36 * long)
        bend = rng.uniform(-5, 45) * (1 if front else -1)
        points[f"{leg}_paw"] = _along(points[f"{leg}_knee"], thigh + bend, 0.33 * long)
        points[f"{leg}_top"] = top
    coat = rng.integers(40, 230, 3).astype(float)
    thick = max(3, int(0.11 * long))

    def line(names: tuple[str, ...], width: int, shade: float) -> None:
        way = np.array([points[name] for name in names]).round().astype(np.int32)
        colour = np.clip(coat * shade, 0, 255).tolist()
        cv2.polylines(image, [way[:, None]], False, colour, width, cv2.LINE_AA)

    def legs(side: str, shade: float) -> None:
        for end in ("front", "back"):
            names = tuple(f"{side}_{end}_{part}" for part in ("top", "knee", "paw"))
            line(names, thick, shade)

    # Looking to the right, it shows its right side.
    legs("left", 0.65)
    points["head"] = head
    line(("head", "left_ear"), max(2, thick // 2), 0.65)
    line(("tail_base", "tail_tip"), max(2, thick // 2), 0.9)
    line(("tail_base", "withers"), int(0.36 * long), 1.0)
    line(("withers", "head"), int(0.2 * long), 1.0)
    line(("head", "nose"), int(0.16 * long), 1.05)
    line(("head", "right_ear"), max(2, thick // 2), 0.85)
    legs("right", 0.9)
    for _ in range(rng.integers(0, 6)):  # spots
        place = tail_base + rng.uniform(0.1, 0.9) * (withers - tail_base)
        place = place + rng.normal(0, 0.07 * long, 2)
        spot = np.clip(coat * rng.uniform(0.4, 1.6), 0, 255).tolist()
        cv2.circle(image, place.round().astype(int).tolist(), int(0.06 * long), spot, -1)
    keypoints = np.array([points[name] for name in KEYPOINTS])
    noise = rng.normal(0, rng.uniform(2, 10), image.shape)
    image = np.clip(image * rng.uniform(0.6, 1.3) + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        image = image[:, ::-1]
        keypoints[:, 0] = IMAGE_HW[1] - 1 - keypoints[:, 0]
        keypoints = keypoints[ANIMAL.flip_permutation]
    return np.ascontiguousarray(image), keypoints


def write(out: Path, seed: int, count: int) -> None:
    """Write `count` images as PNG files, and their annotations in COCO's format."""
    folder = out / "images"
    folder.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for index in range(count):
        image, keypoints = draw(seed, index)
        name = f"{index:04}.png"
        cv2.imwrite(str(folder / name), image[..., ::-1])
        height, width = IMAGE_HW
        inside = ((keypoints >= 0) & (keypoints < [width, height])).all(axis=1)
        rows = np.concatenate([keypoints, 2.0 * inside[:, None]], axis=1) * inside[:, None]
        seen = keypoints[inside]
        low, size = seen.min(axis=0) - 6, np.ptp(seen, axis=0) + 12
        images.append({"id": index + 1, "file_name": name, "height": height, "width": width})
        box = [*low.round(1), *size.round(1)]
        annotations.append(person(index + 1, index + 1, rows, box, float(np.prod(size))))
    write_document(out, images, annotations, ANIMAL.name, ANIMAL)
