"""Configuration of motion: prepared or drawn clips, and cameras to project them with."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from jaxpose.data.motion import Motion, read_motion
from jaxpose.data.synthetic.motion import synthetic_motion
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera
from jaxpose.multiview.calibration import read_h36m
from jaxpose.paths import as_path, local_copy


@dataclass(frozen=True)
class CameraSet:
    """Real cameras that project motion recorded without a camera.

    Attributes:
      path: Human3.6M's cameras as JSON with `intrinsics` and `extrinsics`.
      subjects: subjects whose cameras are used; training draws among all of them, evaluation takes
        all of them in turn.
      image_wh: size of the images.
      area_mm: largest distance of people from the world's origin along x and y, mm.
    """

    path: str
    subjects: tuple[str, ...]
    image_wh: tuple[int, int] = (1000, 1000)
    area_mm: float = 1000.0

    def open(self) -> dict[str, Camera]:
        """Cameras of each subject; raises InputError as `read_h36m`."""
        with local_copy(as_path(self.path)) as file:
            return {name: read_h36m(file, name).cameras for name in self.subjects}


@dataclass(frozen=True)
class MotionDataset:
    """Clips of a file written by `jaxpose prepare`, selected by their attributes.

    An empty tuple takes all. `rig` is needed for motion in the world's frame, and only there. Of
    the subjects in `unlabelled` only keypoints are used: their joints count as unknown.
    """

    path: str
    split: tuple[str, ...] = ()
    subject: tuple[str, ...] = ()
    action: tuple[str, ...] = ()
    camera: tuple[str, ...] = ()
    rig: CameraSet | None = None
    unlabelled: tuple[str, ...] = ()

    def open(self) -> Motion:
        """Clips in memory; raises InputError as `read_motion` and `Motion.select` do."""
        with local_copy(as_path(self.path)) as file:
            motion = read_motion(file)
        motion = motion.select(
            split=self.split or None,
            subject=self.subject or None,
            action=self.action or None,
            camera=self.camera or None,
        )
        if not self.unlabelled:
            return motion
        if absent := set(self.unlabelled) - set(motion.subject.tolist()):
            raise InputError(f"{self.path}: no clip of {', '.join(sorted(absent))} is selected.")
        hidden = np.isin(motion.subject, self.unlabelled)[motion.clip_of_frame]
        return replace(motion, labelled=motion.labelled & ~hidden[:, None])

    def check_rig(self, motion: Motion) -> None:
        """Raise InputError if the motion needs cameras and there is no rig, or the reverse."""
        if (motion.frame == "world") != (self.rig is not None):
            raise InputError(
                f"{self.path} has motion in the frame of the {motion.frame}. Motion in the world "
                "frame needs a camera rig; motion in another frame must not have one."
            )

    def fingerprint(self) -> str:
        """Identifies the content: the files and the selection of clips."""
        chosen: tuple = self.split, self.subject, self.action, self.camera
        if self.unlabelled:
            chosen = *chosen, self.unlabelled
        digest = hashlib.sha256(repr(chosen).encode())
        for path in (self.path, *((self.rig.path,) if self.rig else ())):
            digest.update(as_path(path).read_bytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class SyntheticMotion:
    """Drawn people who walk, run, wave, reach and squat: clips of `synthetic_motion`.

    Attributes:
      clips: number of clips; each has another person and another camera.
      frames: frames of each clip, at 25 per second.
      seed: seed of all clips.
      split: name of the split; splits of one seed have different clips.
    """

    clips: int = 200
    frames: int = 75
    seed: int = 0
    split: str = "train"

    def open(self) -> Motion:
        """Clips in memory; raises InputError for no clip or no frame."""
        return synthetic_motion(self.seed, clips=self.clips, frames=self.frames, split=self.split)

    def fingerprint(self) -> str:
        """Digest of the settings, from which the clips follow."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]
