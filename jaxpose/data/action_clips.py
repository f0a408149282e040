"""Datasets of actions: clips of keypoints with a class each, in one `.npz` without pickles.

All frames of all clips lie one after the other, so that the whole set goes to the device as it is
and frames are sampled by index. The arrays of the file, N frames, S clips, P people, K keypoints:

- `format`: `jaxpose-actions-1`; `skeleton`: its name; `classes [C]`: names by class number.
- `keypoints [N, P, K, D]` float32: D = 2 pixels of the image, or D = 3 millimetres; 0
  where not seen.
- `scores [N, P, K]` float32; 0 where not seen, and for people who are absent.
- `length [S]`, `label [S]` int32, `split`, `subject`, `name [S]` strings, `fps [S]` float32 (0:
  unknown), `image_wh [S, 2]` int32 (0: unknown).
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
from jaxpose.paths import whole_file
from jaxpose.skeletons import Skeleton, load
from jaxpose.skeletons.mapping import mapped

FORMAT = "jaxpose-actions-1"
_BY_FRAME = ("keypoints", "scores")


@dataclass(frozen=True)
class ActionClip:
    """Clip of one action.

    Attributes:
      keypoints: `[T, P, K, D]` in pixels or millimetres, any number of people; NaN where not seen.
      label: class number.
      scores: `[T, P, K]`; None for 1 where keypoints are finite.
      split, subject: attributes that protocols select clips by; `""` if unknown.
      name: name of the clip in messages.
      fps: frames per second, 0 if unknown.
      image_wh: size of the image in pixels, zeros if unknown.
    """

    keypoints: np.ndarray
    label: int
    scores: np.ndarray | None = None
    split: str = ""
    subject: str = ""
    name: str = ""
    fps: float = 0.0
    image_wh: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class ActionClips:
    """Dataset of actions in memory; the attributes are the arrays of the module's docstring."""

    skeleton: Skeleton
    classes: tuple[str, ...]
    keypoints: np.ndarray
    scores: np.ndarray
    length: np.ndarray
    label: np.ndarray
    split: np.ndarray
    subject: np.ndarray
    name: np.ndarray
    fps: np.ndarray
    image_wh: np.ndarray

    def __len__(self) -> int:
        return len(self.length)

    @property
    def first(self) -> np.ndarray:
        """First frame of each clip, `[S]` int64."""
        return np.cumsum(self.length, dtype=np.int64) - self.length

    @property
    def dimensions(self) -> int:
        """2 for pixels, 3 for 3D joints."""
        return int(self.keypoints.shape[-1])

    @property
    def people(self) -> int:
        """Largest number of people of a clip, P."""
        return int(self.keypoints.shape[1])

    def clip(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints `[T, P, K, D]` and scores `[T, P, K]` of one clip."""
        start = int(self.first[index])
        frames = slice(start, start + int(self.length[index]))
        return self.keypoints[frames], self.scores[frames]

    def select(
        self, *, split: Iterable[str] | None = None, subject: Iterable[str] | None = None
    ) -> "ActionClips":
        """Select the clips whose attributes are among the given values; None takes all.

        Raises:
          InputError: a value that no clip has, or no clip is left.
        """
        keep = np.ones(len(self), bool)
        for field, values in (("split", split), ("subject", subject)):
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
            raise InputError("No clip has both the split and the subject that are asked for.")
        frames = np.repeat(keep, self.length)
        chosen: dict[str, Any] = {}
        for part in fields(self):
            value = getattr(self, part.name)
            if isinstance(value, np.ndarray):
                chosen[part.name] = value[frames if part.name in _BY_FRAME else keep]
        return replace(self, **chosen)

    def on_skeleton(self, skeleton: Skeleton) -> "ActionClips":
        """Convert the keypoints to another skeleton by their names, as `skeletons.mapping` does.

        Raises:
          InputError: a keypoint of `skeleton` cannot be made; the message lists all of them.
        """
        if skeleton.keypoints == self.skeleton.keypoints:
            return replace(self, skeleton=skeleton)
        keypoints, scores = mapped(self.keypoints, self.scores, self.skeleton, skeleton)
        keypoints = np.where((scores > 0)[..., None], keypoints, 0)
        return replace(
            self,
            skeleton=skeleton,
            keypoints=keypoints.astype(np.float32),
            scores=scores.astype(np.float32),
        )


def actions_of(
    skeleton: Skeleton, classes: Sequence[str], clips: Sequence[ActionClip], *, people: int = 2
) -> ActionClips:
    """Join clips into one checked dataset.

    Of more than `people` people in a clip, those with the highest sums of scores are kept, in their
    order; fewer are filled up with people who are not seen.

    Raises:
      InputError: no clips, shapes that do not fit, a class number without a name.
    """
    if not clips:
        raise InputError("A dataset of actions needs at least one clip.")
    dimensions = {clip.keypoints.shape[-1] for clip in clips if clip.keypoints.ndim == 4}
    if len(dimensions) > 1 or not dimensions <= {2, 3}:
        raise InputError(
            f"Clips have keypoints of {sorted(dimensions)} coordinates; all must have 2, or all 3."
        )
    parts = [_with_people(clip, skeleton, people) for clip in clips]
    dataset = ActionClips(
        skeleton=skeleton,
        classes=tuple(map(str, classes)),
        keypoints=np.concatenate([keypoints for keypoints, _ in parts]),
        scores=np.concatenate([scores for _, scores in parts]),
        length=np.array([len(clip.keypoints) for clip in clips], np.int32),
        label=np.array([clip.label for clip in clips], np.int32),
        fps=np.array([clip.fps for clip in clips], np.float32),
        image_wh=np.array([clip.image_wh for clip in clips], np.int32),
        **{
            field: np.array([getattr(clip, field) for clip in clips])
            for field in ("split", "subject", "name")
        },
    )
    check(dataset)
    return dataset


def _with_people(
    clip: ActionClip, skeleton: Skeleton, people: int
) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints `[T, people, K, D]` without NaN, and scores `[T, people, K]`, float32."""
    shape, count = clip.keypoints.shape, skeleton.num_keypoints
    if clip.keypoints.ndim != 4 or shape[2] != count or not shape[0]:
        raise InputError(
            f"Clip {clip.name!r} has keypoints {list(shape)}; for skeleton {skeleton.name!r} they "
            f"must be [frames, people, {count}, 2 or 3], with at least one frame."
        )
    keypoints = np.asarray(clip.keypoints, np.float32)
    finite = np.isfinite(keypoints).all(axis=-1)
    given = finite if clip.scores is None else np.nan_to_num(np.asarray(clip.scores, np.float32))
    if given.shape != shape[:3]:
        raise InputError(
            f"Clip {clip.name!r} has scores {list(given.shape)} for keypoints {list(shape)}."
        )
    scores = np.where(finite, given, 0).astype(np.float32)
    keypoints = np.where((scores > 0)[..., None], np.nan_to_num(keypoints), 0)
    if shape[1] > people:
        best = np.sort(np.argsort(-scores.sum(axis=(0, 2)), kind="stable")[:people])
        return keypoints[:, best], scores[:, best]
    more = ((0, 0), (0, people - shape[1]), (0, 0))
    return np.pad(keypoints, (*more, (0, 0))), np.pad(scores, more)


def check(clips: ActionClips) -> None:
    """Check the properties that every dataset of actions has.

    Raises:
      InputError: lengths that do not add up, a class number without a name, arrays of other shapes.
    """
    shape, count = clips.keypoints.shape, clips.skeleton.num_keypoints
    if clips.keypoints.ndim != 4 or shape[2] != count or clips.scores.shape != shape[:3]:
        raise InputError(
            f"Keypoints {list(shape)} and scores {list(clips.scores.shape)} are not those of "
            f"skeleton {clips.skeleton.name!r} of {count} keypoints."
        )
    if clips.length.sum() != shape[0] or (clips.length < 1).any():
        raise InputError(
            f"The clips' lengths add up to {clips.length.sum()}, but there are {shape[0]} frames."
        )
    wrong = (clips.label < 0) | (clips.label >= len(clips.classes))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise InputError(
            f"{wrong.sum()} clips have a class number without a name, the first is "
            f"{clips.name[at]!r} with class {clips.label[at]} of {len(clips.classes)} classes."
        )


def write_actions(path: Path, clips: ActionClips) -> None:
    """Write the `.npz` and create its folder."""
    arrays: dict[str, Any] = {
        field.name: value
        for field in fields(clips)
        if isinstance(value := getattr(clips, field.name), np.ndarray)
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file,
            format=FORMAT,
            skeleton=clips.skeleton.name,
            classes=np.array(clips.classes),
            **arrays,
        )


def read_actions(path: Path, *, skeleton: Skeleton | None = None) -> ActionClips:
    """Read and check the dataset of a file; `skeleton` is needed for one that is not built in.

    Raises:
      InputError: no such file, another format, arrays missing, or a fault that `check` finds.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file. `jaxpose prepare actions` makes one.")
    try:
        arrays: dict[str, Any] = dict(read_npz(path))
    except InputError as error:
        raise InputError(f"{path}: this is no dataset of actions: {error}") from error
    if str(arrays.pop("format", "")) != FORMAT:
        raise InputError(
            f"{path}: this is no dataset of actions of jaxpose ({FORMAT}). Make one with `jaxpose "
            "prepare actions`."
        )
    if missing := sorted({field.name for field in fields(ActionClips)} - set(arrays)):
        raise InputError(f"{path}: lacks {', '.join(missing)}.")
    arrays["skeleton"] = skeleton or load(str(arrays["skeleton"]))
    arrays["classes"] = tuple(map(str, np.ravel(arrays["classes"])))
    clips = ActionClips(**{field.name: arrays[field.name] for field in fields(ActionClips)})
    check(clips)
    return clips


@dataclass(frozen=True)
class ActionSummary:
    """Summary of a dataset of actions that `jaxpose prepare` prints.

    Attributes:
      classes: number of clips and frames by (split, class name).
      notes: remarks on the source.
      left_out: number of clips that were left out, by reason.
    """

    classes: Mapping[tuple[str, str], tuple[int, int]]
    notes: Sequence[str] = ()
    left_out: Mapping[str, int] | None = None

    @classmethod
    def of(
        cls,
        clips: ActionClips,
        notes: Sequence[str] = (),
        left_out: Mapping[str, int] | None = None,
    ) -> "ActionSummary":
        """Count the clips and frames of a dataset."""
        counted = {}
        for split in sorted(set(clips.split.tolist())):
            for label, name in enumerate(clips.classes):
                own = (clips.split == split) & (clips.label == label)
                if own.any():
                    counted[split, name] = int(own.sum()), int(clips.length[own].sum())
        return cls(counted, notes, left_out)

    @property
    def counts(self) -> list[Counts]:
        """Counts of the clips, given, kept and left out."""
        done = sum(clips for clips, _ in self.classes.values())
        return [Counts("clips", done, excluded=self.left_out or {})]

    def print(self, console: Console | None = None) -> None:
        """Print the summary as a table."""
        console = console or PlainConsole()
        table = Table(title="actions", show_edge=False)
        table.add_column("split")
        table.add_column("class")
        table.add_column("clips", justify="right")
        table.add_column("frames", justify="right")
        for (split, name), (clips, frames) in self.classes.items():
            table.add_row(split, name, f"{clips:,}", f"{frames:,}")
        console.print(table)
        for note in self.notes:
            console.print(f"note: {note}")
