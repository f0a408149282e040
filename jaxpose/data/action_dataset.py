"""Configuration of datasets of actions: clips of a prepared file, or drawn exercises."""

import hashlib
from dataclasses import dataclass

import numpy as np

from jaxpose.data.action_clips import ActionClip, ActionClips, actions_of, read_actions
from jaxpose.data.synthetic.motion import FPS, IMAGE_WH, synthetic_motion
from jaxpose.paths import as_path, local_copy


@dataclass(frozen=True)
class ActionDataset:
    """Clips of a file written by `jaxpose prepare actions`; an empty tuple takes all."""

    path: str
    split: tuple[str, ...] = ()
    subject: tuple[str, ...] = ()

    def open(self) -> ActionClips:
        """Clips in memory; raises InputError as `read_actions` and `ActionClips.select` do."""
        with local_copy(as_path(self.path)) as file:
            clips = read_actions(file)
        return clips.select(split=self.split or None, subject=self.subject or None)

    def fingerprint(self) -> str:
        """Digest that identifies the content: the file and the selection of clips."""
        digest = hashlib.sha256(repr((self.split, self.subject)).encode())
        digest.update(as_path(self.path).read_bytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class SyntheticActions:
    """Drawn people who walk, run, wave, reach and squat, as 2D keypoints of Human3.6M's joints.

    Attributes:
      clips: number of clips, which have the classes in turn; each has another person and camera.
      frames: frames of each clip, at 25 per second.
      seed: seed of all clips.
      split: name of the split; splits of one seed have different clips.
      noise: standard deviation of the noise on the keypoints in pixels, of images of 1000 x 1000.
    """

    clips: int = 200
    frames: int = 60
    seed: int = 0
    split: str = "train"
    noise: float = 0.0

    def open(self) -> ActionClips:
        """Clips in memory; raises InputError for no clip or no frame."""
        motion = synthetic_motion(
            self.seed, clips=self.clips, frames=self.frames, split=self.split, noise=self.noise
        )
        keypoints = motion.keypoints
        assert keypoints is not None  # every drawn clip has a camera
        classes = list(dict.fromkeys(motion.action.tolist()))
        parts = np.split(keypoints[:, None], np.cumsum(motion.length)[:-1])
        clips = [
            ActionClip(
                part,
                classes.index(action),
                split=self.split,
                subject="drawn",
                name=name,
                fps=FPS,
                image_wh=IMAGE_WH,
            )
            for part, action, name in zip(
                parts, motion.action.tolist(), motion.name.tolist(), strict=True
            )
        ]
        return actions_of(motion.skeleton, classes, clips, people=1)

    def fingerprint(self) -> str:
        """Digest of the settings, from which the clips follow."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]
