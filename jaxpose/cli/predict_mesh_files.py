"""Files of meshes and motion of `jaxpose predict --mesh-format`, for each image and video."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxpose.bodies import Body
from jaxpose.bodies.saving import save_bvh
from jaxpose.bodies.scene import BodyScene
from jaxpose.bodies.scene_files import save_scene
from jaxpose.cli.options import chosen_words
from jaxpose.cli.predict_command import Predict
from jaxpose.counts import Counts
from jaxpose.errors import InputError
from jaxpose.media.image import is_image_file
from jaxpose.media.sources import Media
from jaxpose.results.image_names import ImageNames
from jaxpose.results.people import People
from jaxpose.tasks.meshes.predictor import Bodies

KINDS = ("glb", "bvh", "gif", "obj")


def mesh_kinds(options: Predict, media: Media, *, tracked: bool) -> list[str]:
    """Kinds of files that `--mesh-format` asks for.

    Args:
      options: of the command.
      media: what is read.
      tracked: people in videos have numbers that stay.

    Raises:
      InputError: an unknown kind; no `--mesh`; a kind that none of the sources has; motion without
        tracks.
    """
    words = chosen_words("--mesh-format", options.mesh_formats, KINDS)
    if words and options.mesh is None:
        raise InputError("--mesh-format belongs to --mesh: give it, or leave it out.")
    if "bvh" in words and media.still:
        raise InputError(
            "--mesh-format bvh is the motion of a video, and only images are given: leave it out."
        )
    if "obj" in words and not media.still and not any(map(is_image_file, media.paths)):
        raise InputError(
            "--mesh-format obj is the mesh of an image, and only videos are given: take glb."
        )
    if {"bvh", "glb"} & set(words) and not (media.still or tracked):
        raise InputError(
            "--mesh-format bvh and glb follow people through a video: leave --no-track out."
        )
    return words


class _Frame(NamedTuple):
    """Number of people of an image or frame, and the fields of `People` that motion needs."""

    people: int
    frame: int | None
    seconds: float | None
    track_ids: np.ndarray | None
    fps: float | None


class MeshFiles:
    """Writer of the files of each image and video, once its last frame is there.

    Attributes:
      notes: a sentence for each file that could not be written.
    """

    def __init__(
        self, kinds: list[str], folder: Path, names: ImageNames, body: Body, faces: np.ndarray
    ) -> None:
        """Into `folder`, under the names of the table."""
        self._kinds, self._folder, self._names = kinds, folder, names
        self._body, self._faces = body, faces
        self._source = ""  # that is read; frames and bodies are its
        self._frames: list[_Frame] = []
        self._bodies: list[Bodies] = []
        self._written: Counter[str] = Counter()
        self.notes: list[str] = []

    def add(self, people: People, bodies: Bodies) -> None:
        """Adds the bodies of an image or frame."""
        if people.source != self._source:
            self.end()
            self._source = people.source
        if len(people):
            own = people.index, people.seconds, people.track_ids, people.fps
            self._frames.append(_Frame(len(people), *own))
            self._bodies.append(bodies)

    def end(self) -> None:
        """Writes the files of the source that was read."""
        frames, parts = self._frames, self._bodies
        self._frames, self._bodies = [], []
        if not frames:
            return
        scene = _scene(self._body, self._faces, self._source, frames, parts)
        for kind in self._kinds:
            if kind == ("bvh" if scene.frames is None else "obj"):
                continue
            try:
                self._write(kind, scene)
            except InputError as error:  # the other files are there, and more sources to read
                self.notes.append(f"No .{kind} of {self._source}: {str(error).rstrip('.')}.")

    def counts(self) -> list[Counts]:
        """Number of files that were written and that could not be."""
        done, failed = sum(self._written.values()), len(self.notes)
        faults = {"cannot be written": failed}
        return [Counts("mesh files", done, faults)] if done or failed else []

    def __str__(self) -> str:
        """Number of files of each kind, such as `2 .glb, 3 .bvh`."""
        return ", ".join(f"{self._written[kind]} .{kind}" for kind in self._kinds)

    def _write(self, kind: str, scene: BodyScene) -> None:
        stem = self._names.stem(self._source)
        if kind != "bvh":
            save_scene(self._folder / f"{stem}.{kind}", scene)
            self._written[kind] += 1
            return
        for track in scene.tracks():
            path = self._folder / f"{stem}_track_{track.number}.bvh"
            save_bvh(path, self._body, track, scene.fps)
            self._written[kind] += 1


def _scene(
    body: Body, faces: np.ndarray, source: str, frames: list[_Frame], parts: list[Bodies]
) -> BodyScene:
    """The bodies of one image or video."""
    merged = Bodies(*(np.concatenate(values) for values in zip(*parts, strict=True)))
    counts = [frame.people for frame in frames]
    people = np.concatenate([np.arange(count) for count in counts])
    scene = BodyScene(body, faces, source, *merged, people)
    if frames[0].seconds is None:
        return scene
    ids = [frame.track_ids for frame in frames if frame.track_ids is not None]
    return replace(
        scene,
        frames=np.repeat([frame.frame for frame in frames], counts),
        seconds=np.repeat([frame.seconds for frame in frames], counts),
        track_ids=np.concatenate(ids) if len(ids) == len(frames) else None,
        fps=frames[0].fps,
    )
