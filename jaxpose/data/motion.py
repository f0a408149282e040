"""Motion datasets: clips of 2D keypoints and 3D joints in one `.npz` without pickles.

All frames of all clips lie one after the other in a few large arrays, so that the whole set goes to
the device as it is and windows are cut by index (`windows.py`). The arrays of the file, N frames,
S clips, K joints:

- `format`: `jaxpose-motion-1`; `skeleton`: its name; `frame`: `camera` or `world`.
- `joints_mm [N, K, 3]` float32: in the clip's camera, x right, y down, z forward; or in the world,
  for motion without a known camera, with `up` naming the vertical axis (y or z).
- `labelled [N, K]` bool: which joints are known.
- `keypoints [N, K, 2]` float32, pixels of the clip's camera, and `confidence [N, K]` float32; only
  with frame `camera`.
- `length [S]` int32, `split`, `subject`, `action`, `camera`, `name [S]` strings, `fps [S]`
  float32 (0: unknown), `image_wh [S, 2]` int32 (0: unknown).
- `K [S, 3, 3]`, `R [S, 3, 3]`, `t [S, 3]`, `distortion [S, 5]` float64, world to camera in mm; NaN
  where unknown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from jaxpose.console import PlainConsole
from jaxpose.convert.npz import read_npz
from jaxpose.counts import Counts
from jaxpose.errors import InputError, nearest
from jaxpose.geometry.bones import bone_lengths
from jaxpose.geometry.cameras import Camera
from jaxpose.paths import whole_file
from jaxpose.skeletons import Skeleton, load

FORMAT = "jaxpose-motion-1"
_BY_CLIP = ("split", "subject", "action", "camera", "name")
_METRES = 2.0  # no limb of a person or a hand is shorter than this many millimetres on average


@dataclass(frozen=True)
class Clip:
    """One person in front of one camera, or in the world's frame, without missing frames.

    Attributes:
      joints_mm: `[T, K, 3]`.
      keypoints: `[T, K, 2]` pixels, or None where there is no camera.
      confidence: `[T, K]` of the keypoints; None for ones.
      labelled: `[T, K]`; None where all finite joints are.
      split, subject, action, camera: attributes that protocols select clips by; `""` if unknown.
      name: the clip's name in messages, unique together with `camera`.
      fps: frames per second, 0 if unknown.
      image_wh: size of the image, zeros if unknown.
      view: the camera, without leading axes; None if unknown.
    """

    joints_mm: np.ndarray
    keypoints: np.ndarray | None = None
    confidence: np.ndarray | None = None
    labelled: np.ndarray | None = None
    split: str = ""
    subject: str = ""
    action: str = ""
    camera: str = ""
    name: str = ""
    fps: float = 0.0
    image_wh: tuple[int, int] = (0, 0)
    view: Camera | None = None


@dataclass(frozen=True)
class Motion:
    """Motion dataset in memory; the attributes are the arrays of the module's docstring.

    If `frame` is `world`, `keypoints` and `confidence` are None and `up` is "y" or "z".
    """

    skeleton: Skeleton
    frame: str
    up: str
    joints_mm: np.ndarray
    labelled: np.ndarray
    keypoints: np.ndarray | None
    confidence: np.ndarray | None
    length: np.ndarray
    split: np.ndarray
    subject: np.ndarray
    action: np.ndarray
    camera: np.ndarray
    name: np.ndarray
    fps: np.ndarray
    image_wh: np.ndarray
    K: np.ndarray
    R: np.ndarray
    t: np.ndarray
    distortion: np.ndarray

    @property
    def clip_of_frame(self) -> np.ndarray:
        """Clip index of each frame, `[N]` int32, to look up values that are stored per clip."""
        return np.repeat(np.arange(len(self.length), dtype=np.int32), self.length)

    @property
    def cameras(self) -> Camera:
        """Cameras of the clips, with leading axis S; NaN where unknown."""
        return Camera(self.K, self.R, self.t, self.distortion)

    def select(
        self,
        *,
        split: Iterable[str] | None = None,
        subject: Iterable[str] | None = None,
        action: Iterable[str] | None = None,
        camera: Iterable[str] | None = None,
    ) -> "Motion":
        """Selects the clips whose attributes are among the given values.

        Raises:
          InputError: a value that no clip has, or no clip is left.
        """
        asked = {"split": split, "subject": subject, "action": action, "camera": camera}
        keep = np.ones(len(self.length), bool)
        for field, values in asked.items():
            if values is None:
                continue
            known, wanted = getattr(self, field), list(values)
            for value in wanted:
                if value not in known:
                    there = sorted(set(known.tolist()))
                    raise InputError(
                        f"No clip has {field} {value!r}.{nearest(value, there)} "
                        f"There are {', '.join(there)}."
                    )
            keep &= np.isin(known, wanted)
        if not keep.any():
            raise InputError(f"No clip matches all of { ({k: v for k, v in asked.items() if v}) }.")
        frames = keep[self.clip_of_frame]
        chosen: dict[str, Any] = {}
        for part in fields(self):
            value = getattr(self, part.name)
            if isinstance(value, np.ndarray):
                of_frames = part.name in ("joints_mm", "labelled", "keypoints", "confidence")
                chosen[part.name] = value[frames if of_frames else keep]
        return replace(self, **chosen)


def motion_of(
    skeleton: Skeleton, clips: Sequence[Clip], *, frame: str = "camera", up: str = "y"
) -> Motion:
    """Joins clips into one checked dataset.

    Joints with non-finite coordinates or non-finite keypoints count as not labelled and become 0.

    Raises:
      InputError: shapes that do not fit, no clips, metres for millimetres (see `check_units`), a
        joint behind the camera.
    """
    if not clips:
        raise InputError("A motion dataset needs at least one clip.")
    for clip in clips:
        _check_clip(clip, skeleton, frame)
    joints = np.concatenate([clip.joints_mm for clip in clips]).astype(np.float32)
    labelled = np.isfinite(joints).all(axis=-1)
    given = [
        np.ones(c.joints_mm.shape[:2], bool) if c.labelled is None else c.labelled for c in clips
    ]
    labelled &= np.concatenate(given) > 0
    keypoints = confidence = None
    if frame == "camera":
        keypoints = np.concatenate([c.keypoints for c in clips if c.keypoints is not None])
        seen = [
            np.ones(c.joints_mm.shape[:2]) if c.confidence is None else c.confidence for c in clips
        ]
        finite = np.isfinite(keypoints).all(axis=-1)
        keypoints = np.where(finite[..., None], keypoints, 0).astype(np.float32)
        confidence = np.where(finite, np.concatenate(seen), 0).astype(np.float32)
    unknown = Camera(*(np.full(s, np.nan) for s in ((3, 3), (3, 3), (3,), (5,))))
    views = [unknown if c.view is None else c.view for c in clips]
    motion = Motion(
        skeleton=skeleton,
        frame=frame,
        up=up,
        joints_mm=np.where(labelled[..., None], joints, 0).astype(np.float32),
        labelled=labelled,
        keypoints=keypoints,
        confidence=confidence,
        length=np.array([len(c.joints_mm) for c in clips], np.int32),
        fps=np.array([c.fps for c in clips], np.float32),
        image_wh=np.array([c.image_wh for c in clips], np.int32),
        **{field: np.array([getattr(c, field) for c in clips]) for field in _BY_CLIP},
        **{
            field: np.stack([np.asarray(getattr(v, field), np.float64) for v in views])
            for field in Camera._fields
        },
    )
    check(motion)
    return motion


def _check_clip(clip: Clip, skeleton: Skeleton, frame: str) -> None:
    where = f"clip {clip.subject} {clip.name} {clip.camera}".strip()
    shape, count = clip.joints_mm.shape, skeleton.num_keypoints
    if clip.joints_mm.ndim != 3 or shape[1:] != (count, 3) or not shape[0]:
        raise InputError(
            f"{where}: joints are {list(shape)}, for the skeleton {skeleton.name!r} they have to "
            f"be [frames, {count}, 3]."
        )
    if (clip.keypoints is None) != (frame == "world"):
        has = "no keypoints" if clip.keypoints is None else "keypoints"
        raise InputError(f"{where}: has {has}, but the dataset's frame is {frame!r}.")
    if clip.keypoints is not None and clip.keypoints.shape != (*shape[:2], 2):
        raise InputError(
            f"{where}: {list(clip.keypoints.shape)} keypoints do not fit {list(shape)} joints."
        )


def check(motion: Motion) -> None:
    """Checks the properties that every motion dataset has.

    Raises:
      InputError: an unknown frame, lengths that do not add up, metres, joints behind the camera.
    """
    if motion.frame not in ("camera", "world") or motion.up not in ("y", "z"):
        raise InputError(
            f"A motion dataset's frame is 'camera' or 'world' and its up 'y' or 'z', not "
            f"{motion.frame!r} and {motion.up!r}."
        )
    frames = len(motion.joints_mm)
    if motion.length.sum() != frames or (motion.length < 1).any():
        raise InputError(
            f"The clips' lengths add up to {motion.length.sum()}, but there are {frames} frames."
        )
    check_units(motion.joints_mm, motion.labelled, motion.skeleton)
    if motion.frame == "camera":
        behind = (motion.labelled & (motion.joints_mm[..., 2] <= 0)).any(axis=-1)
        if behind.any():
            clip = int(motion.clip_of_frame[np.argmax(behind)])
            raise InputError(
                f"{behind.sum()} frames have joints behind the camera, the first in clip "
                f"{motion.subject[clip]} {motion.name[clip]} {motion.camera[clip]}: z has to be "
                "the distance in front of it. Is the motion in the world's frame?"
            )


def check_units(joints_mm: np.ndarray, labelled: np.ndarray, skeleton: Skeleton) -> None:
    """Checks that joints `[N, K, 3]` are in millimetres, by the median length of a limb.

    Raises:
      InputError: limbs are so short that the unit must be metres.
    """
    a, b = np.array(skeleton.limb_indices, np.int64).reshape(-1, 2).T
    both = labelled[:, a] & labelled[:, b]
    lengths = bone_lengths(joints_mm, skeleton.limb_indices)[both]
    if lengths.size and np.median(lengths) < _METRES:
        raise InputError(
            f"The median limb length is {np.median(lengths):.3g}. A person's is some hundred "
            "millimetres: these values are probably metres; multiply them by 1,000."
        )


def write_motion(path: Path, motion: Motion) -> None:
    """Writes the `.npz` and creates its folder."""
    arrays: dict[str, Any] = {
        field.name: value
        for field in fields(motion)
        if isinstance(value := getattr(motion, field.name), np.ndarray)
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file,
            format=FORMAT,
            skeleton=motion.skeleton.name,
            frame=motion.frame,
            up=motion.up,
            **arrays,
        )


def read_motion(path: Path, *, skeleton: Skeleton | None = None) -> Motion:
    """Reads and checks the dataset of a file; `skeleton` is needed for one that is not built in.

    Raises:
      InputError: no such file, another format, arrays missing, or a fault that `check` finds.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file. `jaxpose prepare` makes motion datasets.")
    try:
        arrays: dict[str, Any] = dict(read_npz(path))
    except InputError as error:
        raise InputError(f"{path}: this is no motion dataset of jaxpose: {error}") from error
    if str(arrays.pop("format", "")) != FORMAT:
        raise InputError(
            f"{path}: this is no motion dataset of jaxpose ({FORMAT}). Make one with `jaxpose "
            "prepare humaneva`, `h36m` or `mpi_inf_3dhp`."
        )
    parts: dict[str, Any] = {"keypoints": None, "confidence": None, **arrays}
    if missing := sorted({field.name for field in fields(Motion)} - set(parts)):
        raise InputError(f"{path}: lacks {', '.join(missing)}.")
    for key in ("frame", "up"):
        parts[key] = str(parts[key])
    parts["skeleton"] = skeleton or load(str(parts["skeleton"]))
    motion = Motion(**{field.name: parts[field.name] for field in fields(Motion)})
    check(motion)
    return motion


@dataclass(frozen=True)
class MotionSummary:
    """Summary of a motion dataset that `jaxpose prepare` prints.

    Attributes:
      frames: number of clips and frames by (split, subject).
      notes: remarks on the source.
      left_out: number of frames that were left out, by reason.
    """

    frames: dict[tuple[str, str], tuple[int, int]]
    notes: list[str]
    left_out: Mapping[str, int] | None = None

    @classmethod
    def of(
        cls, motion: Motion, notes: Sequence[str] = (), left_out: Mapping[str, int] | None = None
    ) -> "MotionSummary":
        """Counts clips and frames of a dataset."""
        groups = sorted(set(zip(motion.split.tolist(), motion.subject.tolist(), strict=True)))
        frames = {}
        for split, subject in groups:
            own = (motion.split == split) & (motion.subject == subject)
            frames[split, subject] = int(own.sum()), int(motion.length[own].sum())
        return cls(frames, list(notes), left_out)

    @property
    def counts(self) -> list[Counts]:
        """Counts of the frames, of each camera and subject."""
        done = sum(frames for _, frames in self.frames.values())
        return [Counts("frames", done, excluded=self.left_out or {})]

    def print(self, console: Console | None = None) -> None:
        """Prints the summary as a table."""
        console = console or PlainConsole()
        table = Table(title="motion", show_edge=False)
        table.add_column("split")
        table.add_column("subject")
        table.add_column("clips", justify="right")
        table.add_column("frames", justify="right")
        for (split, subject), (clips, frames) in self.frames.items():
            table.add_row(split, subject, f"{clips:,}", f"{frames:,}")
        console.print(table)
        for note in self.notes:
            console.print(f"note: {note}")
