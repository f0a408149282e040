"""Bodies of one image or video: meshes of a frame, and tracks with a rig for files of motion."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from jaxpose.bodies.drawn import Y_UP
from jaxpose.bodies.model import Body, pose_body, shaped
from jaxpose.errors import InputError
from jaxpose.geometry.axes import y_up
from jaxpose.motion.timing import even_clock


class BodyTrack(NamedTuple):
    """One person over time, as a rig whose shape does not change.

    Frames: the rest pose is x left, y up, z forward; the world is x right, y up, z towards the
    camera, which is at the origin.

    Attributes:
      number: id of the track; of an image, the number of the person.
      vertices: `[V, 3]` in the rest pose, mm.
      joints: `[J, 3]` in the rest pose, mm.
      rotations: `[T, J, 3, 3]` of the joints in the frames of their parents, the root's in the
        world.
      root: `[T, 3]` positions of the root in the world, mm.
      seconds: `[T]` times, rising.
    """

    number: int
    vertices: np.ndarray
    joints: np.ndarray
    rotations: np.ndarray
    root: np.ndarray
    seconds: np.ndarray

    def at(self, seconds: np.ndarray) -> "BodyTrack":
        """The track at other times `[N]`, interpolated; the first or last pose outside."""
        within = np.clip(seconds, self.seconds[0], self.seconds[-1])
        if len(self.seconds) == 1:
            rotations = np.repeat(self.rotations, len(within), axis=0)
            return self._replace(
                rotations=rotations, root=np.repeat(self.root, len(within), 0), seconds=seconds
            )
        turns = [
            Slerp(self.seconds, Rotation.from_matrix(own))(within).as_matrix()
            for own in self.rotations.swapaxes(0, 1)
        ]
        root = np.stack([np.interp(within, self.seconds, axis) for axis in self.root.T], axis=1)
        return self._replace(rotations=np.stack(turns, axis=1), root=root, seconds=seconds)

    def even(self, stated: float | None = None) -> tuple["BodyTrack", float]:
        """The track at a constant rate, and the rate in frames per second.

        Args:
          stated: the rate that the video states.

        Raises:
          InputError: as `motion.timing.even_clock`.
        """
        clock = even_clock(self.seconds, stated)
        if clock.places is None:
            return self.at(clock.rows), clock.fps
        # Time stamps are rounded: a frame is exactly at its row.
        return self._replace(seconds=clock.rows[clock.places]).at(clock.rows), clock.fps


@dataclass(frozen=True)
class BodyScene:
    """N bodies in one image, or in the frames of one video, in the camera's frame.

    Attributes:
      body: the model.
      faces: int `[F, 3]`.
      source: the image or video.
      shape: `[N, S]`.
      rotations: `[N, J, 3, 3]`, see `pose_body`.
      translation: `[N, 3]` mm.
      people: int `[N]`, number of the person in its image or frame.
      frames: int `[N]`, rising; None for an image.
      seconds: `[N]` times of the frames; None for an image.
      track_ids: int `[N]`, or None without tracks.
      fps: frames per second that the video states, or None.
    """

    body: Body
    faces: np.ndarray
    source: str
    shape: np.ndarray
    rotations: np.ndarray
    translation: np.ndarray
    people: np.ndarray
    frames: np.ndarray | None = None
    seconds: np.ndarray | None = None
    track_ids: np.ndarray | None = None
    fps: float | None = None

    @cached_property
    def numbers(self) -> np.ndarray:
        """Number `[N]` of each body: of its track, or of the person in its frame."""
        return self.people if self.track_ids is None else self.track_ids

    def rows(self, frame: int | None = None) -> np.ndarray:
        """Rows of the bodies of a frame of a video, or of an image.

        Args:
          frame: number of the frame; None for the first one with a body.

        Raises:
          InputError: no body is in that frame; a frame of an image.
        """
        if self.frames is None:
            if frame is not None:
                raise InputError(f"{self.source} is an image, so it has no frame {frame}")
            return np.arange(len(self.people))
        frame = int(self.frames[0]) if frame is None else frame
        rows = np.flatnonzero(self.frames == frame)
        if not len(rows):
            raise InputError(f"{self.source} has no body in frame {frame}")
        return rows

    def meshes(self, rows: np.ndarray) -> list[np.ndarray]:
        """Vertices `[V, 3]` of these bodies, mm in the camera's frame."""
        values = (jnp.asarray(v[rows]) for v in (self.shape, self.rotations, self.translation))
        return list(np.asarray(pose_body(self.body, *values).vertices, np.float64))

    def tracks(self) -> list[BodyTrack]:
        """Tracks by their numbers; each has the median of its shapes, the root where it was.

        Raises:
          InputError: an image; a frame has several people and no track ids; times of a track that
            do not rise.
        """
        if self.frames is None or self.seconds is None:
            raise InputError(f"{self.source} is an image, and motion is written of a video")
        numbers = self.numbers
        if self.track_ids is None and len(np.unique(self.frames)) < len(self.frames):
            raise InputError(
                f"{self.source} has several people in a frame and no track ids, so people cannot "
                "be matched between frames; predict with tracking"
            )
        if self.track_ids is None:
            numbers = np.zeros(len(self.frames), int)
        rest = np.asarray(shaped(self.body, jnp.asarray(self.shape)), np.float64)
        regressor = np.asarray(self.body.regressor, np.float64)
        root = rest.swapaxes(1, 2) @ regressor[0] + self.translation
        return [self._track(int(number), numbers == number, root) for number in np.unique(numbers)]

    def _track(self, number: int, chosen: np.ndarray, root: np.ndarray) -> BodyTrack:
        assert self.seconds is not None
        late = np.flatnonzero(np.diff(self.seconds[chosen]) <= 0)
        if len(late):
            raise InputError(
                f"{self.source}, track {number}: its time stamps do not rise at "
                f"{self.seconds[chosen][late[0]]:.3f} s; a track has one body at a time"
            )
        turn = Y_UP if self.body.name == "drawn" else np.eye(3)
        shape = np.median(self.shape[chosen], axis=0)
        vertices = np.asarray(shaped(self.body, jnp.asarray(shape)), np.float64) @ turn.T
        rotations = np.asarray(self.rotations[chosen], np.float64) @ turn.T
        above = rotations[:, :1].swapaxes(-1, -2)
        above = y_up(above, "-y").swapaxes(-1, -2)  # the columns are directions in the world
        return BodyTrack(
            number,
            vertices,
            np.asarray(self.body.regressor, np.float64) @ vertices,
            np.concatenate([above, turn @ rotations[:, 1:]], axis=1),
            y_up(root[chosen], "-y"),
            np.asarray(self.seconds[chosen], np.float64),
        )
