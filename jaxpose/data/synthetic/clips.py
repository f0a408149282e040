"""Drawn clips: one person who moves, with frames before and after the one that is labelled."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import cv2
import numpy as np

from jaxpose.data.source import Batch, check_indices
from jaxpose.data.synthetic import body, drawing, poses
from jaxpose.data.synthetic import scene as s
from jaxpose.data.synthetic.clothes import sample_appearance
from jaxpose.data.synthetic.image import (
    MARGIN,
    PADDING,
    PLAIN_FAMILIES,
    Stage,
    draw_stage,
    generator,
)
from jaxpose.errors import InputError
from jaxpose.skeletons import COCO17, Skeleton

_SPEED = 0.12  # part of the way between two poses in one frame
_KEYS = (
    *("image", "frames", "times", "keypoints", "visible", "box_xywh", "photo_from_canvas"),
    *("area", "image_id", "annotation_id"),
)


class ClipSource:
    """Clips with COCO-17 keypoints: sample i is a pure function of (seed, i).

    A batch has the arrays of `data.source.Batch` for the labelled frame, and of the others `frames`
    uint8 `[B, F, H, W, 3]` and `times` float32 `[B, F]`, frames after the labelled one.
    """

    has_frames = True

    def __init__(
        self,
        count: int,
        seed: int,
        canvas_hw: tuple[int, int] = (128, 96),
        times: tuple[float, ...] = (-1.0, 1.0),
        cover: float = 0.0,
        blur: float = 0.0,
    ) -> None:
        """Takes the fields of `data.source.SyntheticClips`.

        Raises:
          InputError: no clip, no other frame, a canvas below 32 pixels, or a part outside [0, 1].
        """
        if count < 1 or not times or min(canvas_hw) < 32 or not 0 <= cover <= 1 or blur < 0:
            raise InputError(
                f"Clips need count >= 1, times, a canvas of 32 pixels or more, cover in [0, 1] and "
                f"blur >= 0; they are {count}, {times}, {canvas_hw}, {cover} and {blur}."
            )
        self.count, self.seed, self.times = count, seed, tuple(times)
        self._canvas_hw, self.cover, self.blur = canvas_hw, cover, blur

    @property
    def canvas_hw(self) -> tuple[int, int]:
        return self._canvas_hw

    @property
    def skeleton(self) -> Skeleton:
        return COCO17

    def __len__(self) -> int:
        return self.count

    def fingerprint(self) -> str:
        """Settings, from which the clips follow."""
        h, w = self._canvas_hw
        times = ",".join(f"{time:g}" for time in self.times)
        return f"clips-v1-seed{self.seed}-{self.count}-{h}x{w}-{times}-{self.cover}-{self.blur}"

    def samples(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """Renders the clips of these indices as a batch; `mask` is all True.

        Raises:
          InputError: an index lies outside `[0, count)`.
        """
        wanted = check_indices(indices, self.count)
        rows = [self._render(int(i)) for i in wanted]
        batch = {key: np.stack([row[key] for row in rows]) for key in _KEYS}
        return {**batch, "index": wanted, "mask": np.ones(len(wanted), bool)}

    def _render(self, index: int) -> dict[str, Any]:
        rng = generator(self.seed, index)
        h, w = self._canvas_hw
        shape, look, yaw = body.sample_shape(rng), sample_appearance(rng), rng.uniform(-50, 50)
        family = PLAIN_FAMILIES[int(rng.integers(len(PLAIN_FAMILIES)))]
        ends, start = (poses.sample(rng, family), poses.sample(rng, family)), rng.uniform(0.2, 0.8)
        distance = rng.uniform(3000, 6000)
        eye = np.array([distance, rng.uniform(-300, 300), rng.uniform(900, 1700)])
        camera = s.look_at(eye, np.array([0.0, 0.0, 0.5 * shape.stature]))
        focal = h / (PADDING * MARGIN) * distance / shape.stature
        lens = np.array([[focal, 0.0, (w - 1) / 2], [0.0, focal, (h - 1) / 2], [0.0, 0.0, 1.0]])
        camera = replace(camera, K=lens)
        light, wall = drawing.sample_light(rng), -rng.uniform(1800, 6000)
        images, found = [], {}
        for number, time in enumerate((0.0, *self.times)):
            pose = _between(*ends, start + _SPEED * time)
            person = s.dress(body.forward_kinematics(pose, shape, yaw), shape, look)
            person = s.move(person, np.array([0.0, 0.0, -float(person.quads[2].min())]))
            stage = Stage([person], [], camera, light, wall)
            shot = draw_stage(generator(self.seed + 1, index), stage, (h, w))
            (labels,) = shot["people"]
            image, hidden = self._spoilt(rng, shot["image"], labels)
            images.append(image)
            if number == 0:
                found = labels
                found["visible"] = np.where(hidden & (found["visible"] == 2), 1, found["visible"])
        return {
            **found,
            "image": images[0],
            "frames": np.stack(images[1:]),
            "times": np.array(self.times, np.float32),
            "visible": found["visible"].astype(np.uint8),
            "photo_from_canvas": np.eye(2, 3, dtype=np.float32),
            "image_id": np.int64(index),
            "annotation_id": np.int64(index),
        }

    def _spoilt(
        self, rng: np.random.Generator, image: np.ndarray, labels: dict[str, Any]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Image with a board in front of the person and blur; True for keypoints behind it."""
        x, y, wide, high = labels["box_xywh"]
        size = np.sqrt(self.cover) * np.array([wide, high]) * rng.uniform(0.8, 1.2, 2)
        low = np.array([x, y]) + rng.uniform(0, 1, 2) * (np.array([wide, high]) - size)
        colour = rng.integers(40, 216, 3)
        points = labels["keypoints"]
        if self.cover:
            left, top, right, bottom = np.rint([*low, *(low + size)]).astype(int).clip(0).tolist()
            image = image.copy()
            image[top:bottom, left:right] = colour
        hidden = ((points > low) & (points < low + size)).all(axis=-1) & (self.cover > 0)
        length = rng.uniform(0, self.blur)
        angle = rng.uniform(0, np.pi)
        if length >= 1:
            reach = int(np.ceil(length))
            kernel = np.zeros((2 * reach + 1,) * 2, np.float32)
            step = length / 2 * np.array([np.cos(angle), np.sin(angle)])
            ends = [tuple(np.rint(reach + sign * step).astype(int).tolist()) for sign in (-1, 1)]
            cv2.line(kernel, ends[0], ends[1], 1.0)
            image = cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)
        return image, hidden


def _between(one: poses.Pose, other: poses.Pose, share: float) -> poses.Pose:
    """Pose at a share of the way from one pose to another."""
    values = {
        part.name: (1 - share) * getattr(one, part.name) + share * getattr(other, part.name)
        for part in fields(poses.Pose)
        if isinstance(getattr(one, part.name), np.ndarray)
    }
    return poses.clip(replace(one, **values))
