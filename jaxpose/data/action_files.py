"""Readers of published datasets of actions: pickles of MMAction2 and PYSKL, NTU, Kinetics."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.data.action_clips import ActionClip
from jaxpose.data.pickles import read_pickle
from jaxpose.errors import InputError, not_read
from jaxpose.file_limits import ANNOTATIONS, read_text
from jaxpose.json_text import parse_json

_NTU_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")
_NTU_JOINTS = 25
# Training subjects of NTU RGB+D's cross-subject protocol, and those that NTU RGB+D 120 adds.
_NTU60_SUBJECTS = frozenset(
    (1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38)
)
_NTU120_SUBJECTS = _NTU60_SUBJECTS | frozenset(
    (
        *(45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85),
        *(86, 89, 91, 92, 93, 94, 95, 97, 98, 100, 103),
    )
)
NTU_PROTOCOLS = ("ntu60-xsub", "ntu60-xview", "ntu120-xsub", "ntu120-xset")


@dataclass(frozen=True)
class ActionFiles:
    """Clips that were read from a dataset's own files.

    Attributes:
      clips: the clips.
      left_out: number of clips that were left out, by reason.
    """

    clips: list[ActionClip]
    left_out: Mapping[str, int] = field(default_factory=dict)


def class_names(labels: Sequence[int], names: Sequence[str] | None, where: str) -> tuple[str, ...]:
    """Names of the classes of clips: the given ones, or the numbers 0 to the largest label.

    Raises:
      InputError: a label is negative or has no name; without names, a number in between is the
        label of no clip.
    """
    used = sorted(set(labels))
    if used and used[0] < 0:
        raise InputError(f"{where}: a class number is {used[0]}; numbers begin with 0.")
    if names is not None:
        if used and used[-1] >= len(names):
            raise InputError(
                f"{where}: a clip has class {used[-1]}, but there are {len(names)} names, for the "
                f"classes 0 to {len(names) - 1}."
            )
        return tuple(names)
    absent = sorted(set(range(used[-1] + 1)) - set(used)) if used else []
    if absent:
        shown = ", ".join(map(str, absent[:8])) + (" and others" if len(absent) > 8 else "")
        raise InputError(
            f"{where}: class numbers have gaps: no clip has {shown}. If these classes exist, give "
            "a file with the names of all classes, one in each line (--classes); otherwise number "
            "the classes anew."
        )
    return tuple(str(i) for i in range(used[-1] + 1)) if used else ()


def read_class_names(path: Path) -> tuple[str, ...]:
    """Read the names of classes, one in each line of a text file.

    Raises:
      InputError: no such file, no names, or one name twice.
    """
    try:
        names = [line.strip() for line in read_text(path, ANNOTATIONS).splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text: {error}.") from error
    names = [name for name in names if name]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if not names or twice:
        raise InputError(
            f"{path}: {'the name ' + repr(twice[0]) + ' is there twice' if twice else 'is empty'}. "
            "It must have the name of one class in each line."
        )
    return tuple(names)


def read_mmaction(path: Path, protocol: str | None = None) -> ActionFiles:
    """Read a pickle of MMAction2 or PYSKL, without running any code in it.

    It is a list of clips, or a dictionary of `annotations` and of `split`, which maps names such as
    `xsub_train` to names of clips. A clip has `frame_dir`, `label`, `keypoint [M, T, V, C]`,
    `keypoint_score [M, T, V]` (2D only) and `img_shape` (height, width). 3D joints are metres in
    these files, and become millimetres.

    Args:
      path: the file.
      protocol: name of a split before `_train` and `_val`; None if there is only one.

    Raises:
      InputError: another content, several protocols and none is chosen, or no such protocol.
    """
    content = read_pickle(path)
    annotations, splits = content, {}
    if isinstance(content, dict):
        annotations, splits = content.get("annotations"), content.get("split", {})
    if not isinstance(annotations, list) or not isinstance(splits, dict):
        raise InputError(
            f"{path}: a list of clips, or a dictionary of 'annotations' and 'split', is expected."
        )
    split_of = _splits(path, splits, protocol)
    left_out: Counter[str] = Counter()
    clips = []
    for number, clip in enumerate(annotations):
        if not isinstance(clip, dict):
            raise InputError(f"{path}: clip {number} is no dictionary, but {type(clip).__name__}.")
        name = str(clip.get("frame_dir", number))
        if split_of and name not in split_of:
            left_out["in no split of the protocol"] += 1
        elif clip.get("label") is None:
            left_out["no label"] += 1
        elif clip.get("keypoint") is None:
            left_out["no keypoints"] += 1
        elif not np.size(clip["keypoint"]):
            left_out["no person"] += 1
        else:
            clips.append(_mmaction_clip(path, clip, name, split_of.get(name, "")))
    return ActionFiles(clips, left_out)


def _splits(path: Path, splits: Mapping[str, Any], protocol: str | None) -> dict[str, str]:
    """Split "train" or "val" of each clip's name under a protocol; empty without splits."""
    protocols = sorted({name.rpartition("_")[0] for name in splits})
    if not splits and protocol is None:
        return {}
    if protocol is None and len(protocols) > 1:
        raise InputError(
            f"{path} has the protocols {', '.join(protocols)}: choose one with --protocol."
        )
    chosen = protocols[0] if protocol is None else protocol
    found = {
        str(name): split.rpartition("_")[2]
        for split, names in splits.items()
        if split.rpartition("_")[0] == chosen
        for name in names
    }
    if not found:
        raise InputError(
            f"{path} has no protocol {chosen!r}, only {', '.join(protocols) or 'none'}."
        )
    return found


def _mmaction_clip(path: Path, clip: Mapping[str, Any], name: str, split: str) -> ActionClip:
    try:
        keypoints = np.asarray(clip["keypoint"], np.float32)
        if keypoints.ndim != 4 or keypoints.shape[-1] not in (2, 3):
            raise ValueError(
                f"keypoint is {list(keypoints.shape)}, not [people, frames, K, 2 or 3]"
            )
        scores = clip.get("keypoint_score")
        if keypoints.shape[-1] == 3:
            keypoints = 1000.0 * keypoints
        if scores is None:
            # People who are absent, and joints that were not found, are zeros.
            scores = (keypoints != 0).any(axis=-1)
        scores = np.asarray(scores, np.float32)
        if scores.shape != keypoints.shape[:3]:
            raise ValueError(f"keypoint_score is {list(scores.shape)} for {list(keypoints.shape)}")
        height, width = clip.get("img_shape") or clip.get("original_shape") or (0, 0)
        label = int(clip["label"])
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: clip {name!r} cannot be read: {error}.") from error
    return ActionClip(
        keypoints.transpose(1, 0, 2, 3),
        label,
        scores=scores.transpose(1, 0, 2),
        split=split,
        name=name,
        image_wh=(int(width), int(height)),
    )


def read_ntu(folder: Path, protocol: str = "ntu60-xsub") -> ActionFiles:
    """Read the `.skeleton` files of NTU RGB+D and NTU RGB+D 120: 25 joints in millimetres.

    Clips in which no person is recorded are left out. A person has the same place in all frames.

    Args:
      folder: folder of files such as `S001C001P001R001A001.skeleton`.
      protocol: one of `NTU_PROTOCOLS`; it decides which clips are "train" and which "val".

    Raises:
      InputError: no such files, a damaged file, or an unknown protocol.
    """
    if protocol not in NTU_PROTOCOLS:
        raise InputError(f"The protocol is {protocol!r}; choose {', '.join(NTU_PROTOCOLS)}.")
    files = sorted(folder.glob("*.skeleton"))
    if not files:
        raise InputError(f"{folder} has no files such as S001C001P001R001A001.skeleton.")
    left_out: Counter[str] = Counter()
    clips = []
    for file in files:
        parts = _NTU_NAME.fullmatch(file.stem)
        if parts is None:
            raise InputError(f"{file}: the name must be like S001C001P001R001A001.skeleton.")
        setup, camera, subject, _, action = map(int, parts.groups())
        if protocol.startswith("ntu60") and action > 60:
            left_out["of NTU RGB+D 120 only"] += 1
            continue
        joints = _ntu_joints(file)
        if not joints.shape[1]:
            left_out["no person"] += 1
            continue
        train = {
            "ntu60-xsub": subject in _NTU60_SUBJECTS,
            "ntu60-xview": camera != 1,
            "ntu120-xsub": subject in _NTU120_SUBJECTS,
            "ntu120-xset": setup % 2 == 0,
        }[protocol]
        clips.append(
            ActionClip(
                joints,
                action - 1,
                split="train" if train else "val",
                subject=f"P{subject:03}",
                name=file.stem,
                fps=30.0,
            )
        )
    return ActionFiles(clips, left_out)


def _ntu_joints(file: Path) -> np.ndarray:
    """Joints `[T, P, 25, 3]` in millimetres of all bodies of a file; NaN where not recorded."""
    try:
        lines = iter(read_text(file, ANNOTATIONS).splitlines())
        frames = int(next(lines))
        bodies: dict[str, np.ndarray] = {}
        for frame in range(frames):
            for _ in range(int(next(lines))):
                body = next(lines).split()[0]
                if int(next(lines)) != _NTU_JOINTS:
                    raise ValueError(f"a body of frame {frame} has not {_NTU_JOINTS} joints")
                rows = [next(lines).split()[:3] for _ in range(_NTU_JOINTS)]
                empty = np.full((frames, _NTU_JOINTS, 3), np.nan, np.float32)
                bodies.setdefault(body, empty)[frame] = np.asarray(rows, np.float32) * 1000.0
    except OSError as error:
        raise not_read(file, error) from error
    except (ValueError, StopIteration, IndexError, MemoryError) as error:
        why = str(error) or "it ends too early"
        raise InputError(f"{file}: this is no intact skeleton file of NTU RGB+D: {why}.") from error
    if not bodies:
        return np.zeros((max(frames, 1), 0, _NTU_JOINTS, 3), np.float32)
    return np.stack(list(bodies.values()), axis=1)


def read_kinetics(folder: Path, split: str) -> ActionFiles:
    """Read a folder of Kinetics-skeleton's JSON files: OpenPose's 18 keypoints of each frame.

    Coordinates are fractions of the image, so its size counts as 1 x 1. Clips without a label or
    without a person are left out. People are in the order of their files: by score, frame by frame.

    Raises:
      InputError: no such files, or a damaged file.
    """
    files = sorted(folder.glob("*.json"))
    if not files:
        raise InputError(f"{folder} has no JSON files.")
    left_out: Counter[str] = Counter()
    clips = []
    for file in files:
        try:
            content = parse_json(read_text(file, ANNOTATIONS))
            label, data = int(content["label_index"]), content["data"]
            people = max((len(frame["skeleton"]) for frame in data), default=0)
            keypoints = np.zeros((len(data), people, 18, 2), np.float32)
            scores = np.zeros(keypoints.shape[:3], np.float32)
            for t, frame in enumerate(data):
                for p, person in enumerate(frame["skeleton"]):
                    keypoints[t, p] = np.reshape(person["pose"], (18, 2))
                    scores[t, p] = person["score"]
        except OSError as error:
            raise not_read(file, error) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{file}: this is no file of Kinetics-skeleton: {error!r}.") from error
        if label < 0:
            left_out["no label"] += 1
        elif not people:
            left_out["no person"] += 1
        else:
            clips.append(
                ActionClip(
                    keypoints, label, scores=scores, split=split, name=file.stem, image_wh=(1, 1)
                )
            )
    return ActionFiles(clips, left_out)
