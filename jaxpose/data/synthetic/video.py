"""Short video of one synthetic person at an exercise, for demonstrations of prediction."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from jaxpose.data.synthetic import body, drawing
from jaxpose.data.synthetic import scene as s
from jaxpose.data.synthetic.clothes import sample_appearance
from jaxpose.data.synthetic.image import Stage, draw_stage, generator
from jaxpose.data.synthetic.poses import Pose
from jaxpose.deprecations import moved_names
from jaxpose.errors import InputError


def render_video(
    seed: int,
    *,
    repetitions: int = 4,
    seconds: float = 8.0,
    fps: float = 25.0,
    image_hw: tuple[int, int] = (360, 480),
) -> Iterator[dict[str, Any]]:
    """Renders a person who raises both arms sideways and lowers them again, `repetitions` times.

    Every frame is a pure function of the arguments; person, room and light are the same throughout.

    Yields:
      A dict for each of `round(seconds * fps)` frames, in the format of `render_image`:
      image uint8 `[H, W, 3]` RGB, and people: one dict with keypoints, visible, box_xywh, area,
      joints_3d and stature, in pixels of the frame.

    Raises:
      InputError: no repetition or no frame.
    """
    frames = round(seconds * fps)
    if repetitions < 1 or frames < 1:
        raise InputError(f"{repetitions} repetitions in {frames} frames: both must be at least 1.")
    rng = generator(seed, 0)
    shape, look, yaw = body.sample_shape(rng), sample_appearance(rng), rng.uniform(-15, 15)
    camera = _camera(rng, shape.stature, image_hw)
    light, wall_x = drawing.sample_light(rng), -rng.uniform(1800, 6000)
    for frame in range(frames):
        # At rest in the first and the last frame.
        raised = (1 - np.cos(2 * np.pi * repetitions * frame / max(frames - 1, 1))) / 2
        person = s.dress(body.forward_kinematics(_pose(raised), shape, yaw), shape, look)
        person = s.move(person, np.array([0.0, 0.0, -float(person.quads[2].min())]))
        stage = Stage([person], [], camera, light, wall_x)
        shot = draw_stage(generator(seed, 1), stage, image_hw)
        yield {**shot, "people": [found for found in shot["people"] if found]}


def _camera(rng: np.random.Generator, stature: float, hw: tuple[int, int]) -> s.Camera:
    """Camera in front of the person, who fills about two thirds of the height."""
    h, w = hw
    distance = rng.uniform(3500, 4500)
    eye = np.array([distance, rng.uniform(-300, 300), rng.uniform(1100, 1500)])
    camera = s.look_at(eye, np.array([0.0, 0.0, 0.55 * stature]))
    focal = 0.65 * h * distance / stature
    lens = np.array([[focal, 0.0, (w - 1) / 2], [0.0, focal, (h - 1) / 2], [0.0, 0.0, 1.0]])
    return replace(camera, K=lens)


def _pose(raised: float) -> Pose:
    """Pose with arms from hanging (0) to above the head (1), sideways; the knees bend a little."""
    arm = [90.0, 10.0 + 145.0 * raised, 0.0]
    knee = np.full(2, 4.0 + 8.0 * raised)
    return Pose(
        trunk=np.zeros((5, 3)),
        arm=np.array([arm, arm]),
        elbow=np.tile([12.0, 0.0], (2, 1)),
        wrist=np.zeros((2, 2)),
        leg=np.tile([2.0 + 4.0 * raised, 5.0, 6.0], (2, 1)),
        knee=knee,
        ankle=0.5 * knee,
    )


__getattr__ = moved_names(__name__)
