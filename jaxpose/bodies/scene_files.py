"""Files of a scene by their suffix: meshes, motion, and bodies from all sides."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.bodies.gltf import save_animated_glb, save_glb
from jaxpose.bodies.saving import save_bvh, save_obj
from jaxpose.bodies.scene import BodyScene
from jaxpose.errors import InputError
from jaxpose.viz.animation import GIF_FPS, save_animation
from jaxpose.viz.meshes import turning_meshes
from jaxpose.viz.people import person_colors

FORMATS = (".obj", ".glb", ".bvh", ".gif", ".mp4")
GIF_IMAGES = 500
"""Most images of a GIF of bodies, which are in memory; one of a longer video has fewer a second."""
_TURN, _TURN_FPS = 60, 15.0  # images of one turn around the bodies of an image


def save_scene(path: Path, scene: BodyScene, frame: int | None = None) -> None:
    """Writes the bodies of an image, of one frame of a video, or of a whole video.

    `.obj` and `.glb` hold the meshes of an image or frame; a `.glb` of a whole video is animated.
    `.bvh` is the motion of the only track. `.gif` and `.mp4` are drawn from a camera that moves
    once around the bodies: in 4 s around those of an image or frame, else while the video plays.

    Args:
      path: the suffix chooses the form (`FORMATS`).
      scene: at least one body.
      frame: number of a frame of a video. None: the whole video, and for `.obj` its first frame
        with a body.

    Raises:
      InputError: another suffix; a frame without a body; motion of an image or of several tracks;
        as `BodyScene.tracks` and the writers.
    """
    kind = path.suffix.lower()
    whole = scene.frames is not None and frame is None
    if kind in (".gif", ".mp4"):
        moments = ([scene.rows(frame)] * _TURN, _TURN_FPS) if not whole else scene.moments()
        step = image_step(path, len(moments[0]), moments[1])
        _save_turning(path, scene, moments[0][::step], moments[1] / step)
    elif kind == ".bvh":
        (track, *others) = scene.tracks()
        if others:
            numbers = ", ".join(str(one.number) for one in (track, *others))
            raise InputError(f"{path} holds one person; {scene.source} has the tracks {numbers}")
        save_bvh(path, scene.body, track, scene.fps)
    elif kind == ".glb" and whole:
        save_animated_glb(path, scene.body, scene.faces, scene.tracks())
    elif kind in (".glb", ".obj"):
        rows = scene.rows(frame)
        names = [f"person_{number}" for number in scene.people[rows]]
        save = save_glb if kind == ".glb" else save_obj
        save(path, scene.meshes(rows), scene.faces, names)
    else:
        raise InputError(f"{path}: bodies can be written as {', '.join(FORMATS)}")


def image_step(path: Path, count: int, fps: float) -> int:
    """Step from one drawn frame of a video to the next: 1, or more for a `.gif`.

    Args:
      path: a `.gif` or `.mp4`.
      count: number of frames.
      fps: frames per second.
    """
    if path.suffix.lower() != ".gif":
        return 1
    return int(np.ceil(max(fps / GIF_FPS, count / GIF_IMAGES)))


class _Meshes(Sequence[list[np.ndarray]]):
    """Meshes of each moment, made when they are asked for: those of a video fill the memory."""

    def __init__(self, scene: BodyScene, rows: Sequence[np.ndarray]) -> None:
        self._scene, self._rows = scene, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: Any) -> Any:
        return self._scene.meshes(self._rows[at])


def _save_turning(path: Path, scene: BodyScene, rows: Sequence[np.ndarray], fps: float) -> None:
    """Writes a turn around the bodies; `rows` are those of each image."""
    colors = [person_colors(scene.numbers[own]) for own in rows]
    save_animation(path, turning_meshes(_Meshes(scene, rows), scene.faces, colors=colors), fps)
