"""Bodies of one image or video: meshes of a frame, and tracks with a rig for files of motion."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from jaxpose.bodies.drawn import Y_UP
from jaxpose.bodies.model import Body, pose_body, rest_joints, shaped
from jaxpose.errors import InputError
from jaxpose.geometry.axes import y_up
from jaxpose.motion.timing import LONGEST_GAP, even_clock


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
        values = (self.shape, self.rotations, self.translation)
        # One body at a time: one program for any number of people.
        posed = (pose_body(self.body, *(jnp.asarray(v[row]) for v in values)) for row in rows)
        return [np.asarray(one.vertices, np.float64) for one in posed]

    def moments(self) -> tuple[list[np.ndarray], float]:
        """Rows of the bodies of a video at a constant rate, and the rate in frames per second.

        The first moment is the first frame with a body, the last one the last. A moment without a
        frame has the bodies of the frame before it, or none after more than `timing.LONGEST_GAP`;
        of two frames of one time stamp the later is taken, which is what a player shows.

        Raises:
          InputError: an image; as `motion.timing.even_clock`.
        """
        if self.seconds is None:
            raise InputError(f"{self.source} is an image, so it has no moments")
        assert self.frames is not None
        first = np.flatnonzero(np.append(True, np.diff(self.seconds) != 0))
        when = self.seconds[first]
        clock = even_clock(when, self.fps)
        last = np.searchsorted(when, clock.rows + 0.5 / clock.fps, side="right") - 1
        groups = np.split(np.arange(len(self.seconds)), first[1:])
        groups = [rows[self.frames[rows] == self.frames[rows[-1]]] for rows in groups]
        late = clock.rows - when[last] > LONGEST_GAP
        rows = [groups[at][: 0 if gone else None] for at, gone in zip(last, late, strict=True)]
        return rows, clock.fps

    def tracks(self) -> list[BodyTrack]:
        """Tracks by their numbers; each has the median of its shapes, the root where it was.

        Of two frames of one time stamp, as browsers record them, a track has the later.

        Raises:
          InputError: as `track_numbers`.
        """
        numbers = track_numbers(self.source, self.frames, self.seconds, self.track_ids)
        joints = np.asarray(rest_joints(self.body, jnp.asarray(self.shape)), np.float64)
        root = joints[:, 0] + self.translation
        assert self.seconds is not None
        rows = (np.flatnonzero(numbers == number) for number in np.unique(numbers))
        last = (own[np.append(np.diff(self.seconds[own]) > 0, True)] for own in rows)
        return [self._track(int(numbers[own[0]]), own, root) for own in last]

    def _track(self, number: int, chosen: np.ndarray, root: np.ndarray) -> BodyTrack:
        assert self.seconds is not None
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


def track_numbers(
    source: str,
    frames: np.ndarray | None,
    seconds: np.ndarray | None,
    track_ids: np.ndarray | None,
) -> np.ndarray:
    """Number `[N]` of the track of each body of a video; 0 for a lone person without track ids.

    Args:
      source, frames, seconds, track_ids: as in `BodyScene`.

    Raises:
      InputError: an image; a frame has several people and no track ids, or two of one track;
        times of a track that run backwards.
    """
    if frames is None or seconds is None:
        raise InputError(f"{source} is an image; motion is written only for videos")
    if track_ids is None and len(np.unique(frames)) < len(frames):
        raise InputError(
            f"{source} has several people in a frame and no track ids, so people cannot be matched "
            "between frames; predict with tracking"
        )
    numbers = np.zeros(len(frames), int) if track_ids is None else track_ids
    for number in np.unique(numbers):
        own = np.flatnonzero(numbers == number)
        there, bodies = np.unique(frames[own], return_counts=True)
        if bodies.max() > 1:
            raise InputError(
                f"{source}, track {number}: frame {there[bodies.argmax()]} has "
                f"{bodies.max()} of its bodies; a track is one person"
            )
        back = np.flatnonzero(np.diff(seconds[own]) < 0)
        if len(back):
            raise InputError(
                f"{source}, track {number}: its time stamps run backwards after "
                f"{seconds[own[back[0]]]:.3f} s; cut the video there"
            )
    return numbers
