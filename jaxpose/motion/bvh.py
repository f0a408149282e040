"""BVH files: read any file, move its skeleton, write motion for Blender and similar programs."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from jaxpose.errors import InputError
from jaxpose.file_limits import MOTION, POSITIONS, read_text
from jaxpose.paths import atomic_write

_END = "_end"
_PIECE = 2**20  # characters that are parsed at a time
_TURNS = 2**20  # matrices that are held at a time


@dataclass(frozen=True)
class Bvh:
    """BVH file as arrays; parents come before their children.

    Attributes:
      names: J names; the end site of joint `x` is `x_end`.
      parents: J indices, -1 for the root.
      offsets: `[J, 3]` from the parent at rest, in the file's unit.
      channels: for each joint its channels in order, such as `Xposition`, `Zrotation`.
      motion: `[T, C]` the channels of all joints; degrees and the file's unit.
      frame_time: seconds.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray
    channels: tuple[tuple[str, ...], ...]
    motion: np.ndarray
    frame_time: float


def read_bvh(path: Path | str) -> Bvh:
    """Reads a BVH file.

    Raises:
      FileNotFoundError: no such file.
      InputError: not a BVH file, or a truncated one; names the file and the word. Or it has more
        than `file_limits.MOTION` bytes or `file_limits.POSITIONS` frames times joints.
    """
    try:
        return _parsed(read_text(Path(path), MOTION))
    except InputError as error:
        if str(error).startswith(str(path)):
            raise
        raise InputError(f"{path} {error}") from None
    except (StopIteration, ValueError, IndexError, OverflowError) as error:
        reason = "it ends too early" if isinstance(error, StopIteration) else str(error)
        raise InputError(f"{path} is not a BVH file: {reason}") from error


def _parsed(text: str) -> Bvh:
    pieces = re.finditer(r"\S+", text)
    words = (piece[0] for piece in pieces)
    names: list[str] = []
    parents: list[int] = []
    offsets: list[list[float]] = []
    channels: list[tuple[str, ...]] = []
    open_joints: list[int] = []
    ends: set[int] = set()
    _expect(words, "HIERARCHY")
    while (word := next(words)) != "MOTION":
        if word in ("ROOT", "JOINT", "End"):
            name = next(words)
            if open_joints and open_joints[-1] in ends:
                raise ValueError(f"{word} {name} is below an end site")
            if word == "End":
                ends.add(len(names))
            parents.append(open_joints[-1] if open_joints else -1)
            names.append(names[parents[-1]] + _END if word == "End" else name)
            offsets.append([0.0, 0.0, 0.0])
            channels.append(())
        elif word == "{":
            open_joints.append(len(names) - 1)
        elif word == "}":
            if not open_joints:
                raise ValueError("one '}' too many")
            open_joints.pop()
        elif word == "OFFSET":
            offsets[open_joints[-1]] = [float(next(words)) for _ in range(3)]
        elif word == "CHANNELS":
            count = int(next(words))
            found = tuple([next(words).capitalize() for _ in range(count)])
            if any(not re.fullmatch("[XYZ](position|rotation)", c) for c in found):
                raise ValueError(f"unknown channels {found} of {names[open_joints[-1]]!r}")
            turns = [c for c in found if c.endswith("rotation")]
            if any(a == b for a, b in itertools.pairwise(turns)):
                raise ValueError(f"{names[open_joints[-1]]!r} turns twice about one axis: {found}")
            channels[open_joints[-1]] = found
        else:
            raise ValueError(f"unexpected word {word!r}")
    _expect(words, "Frames:")
    frames = int(next(words))
    _expect(words, "Frame")
    _expect(words, "Time:")
    last = next(pieces)
    frame_time = float(last[0])
    if frames * len(names) > POSITIONS:
        raise InputError(
            f"has {frames:,} frames of {len(names):,} joints; BVH files are read up to "
            f"{POSITIONS:,} frames times joints. Split it into shorter ones"
        )
    width = sum(len(c) for c in channels)
    values = _numbers(text, last.end())
    if values.size != frames * width:
        raise ValueError(f"{frames} frames of {width} channels, but {values.size} numbers")
    motion = values.reshape(frames, width)
    return Bvh(tuple(names), tuple(parents), np.array(offsets), tuple(channels), motion, frame_time)


def _numbers(text: str, start: int) -> np.ndarray:
    """Numbers of a text from a position on, `[N]`; a piece after the other, to save memory."""
    parts = [np.zeros(0)]
    while start < len(text):
        end = start + _PIECE
        while end < len(text) and not text[end].isspace():
            end += 1
        parts.append(np.fromiter(map(float, text[start:end].split()), float))
        start = end
    return np.concatenate(parts)


def _expect(words: Iterator[str], wanted: str) -> None:
    word = next(words)
    if word != wanted:
        raise ValueError(f"{wanted!r} expected, {word!r} found")


def forward_kinematics(bvh: Bvh) -> np.ndarray:
    """Positions `[T, J, 3]` of all joints and end sites, in the file's unit and axes."""
    positions = np.zeros((len(bvh.motion), len(bvh.names), 3))
    step = max(1, _TURNS // max(1, len(bvh.names)))
    for start in range(0, len(positions), step):
        positions[start : start + step] = _positions(bvh, bvh.motion[start : start + step])
    return positions


def _positions(bvh: Bvh, motion: np.ndarray) -> np.ndarray:
    """Positions `[T, J, 3]` of the frames of `motion [T, C]`."""
    frames = len(motion)
    positions = np.zeros((frames, len(bvh.names), 3))
    turns = np.tile(np.eye(3), (len(bvh.names), frames, 1, 1))
    column = 0
    for joint, (parent, names) in enumerate(zip(bvh.parents, bvh.channels, strict=True)):
        values = motion[:, column : column + len(names)]
        column += len(names)
        place = np.tile(bvh.offsets[joint], (frames, 1))
        axes, angles = "", []
        for index, name in enumerate(names):
            if name.endswith("position"):
                place[:, "XYZ".index(name[0])] = values[:, index]
            else:
                axes += name[0]
                angles.append(values[:, index])
        if axes:
            turn = Rotation.from_euler(axes, np.stack(angles, -1), degrees=True).as_matrix()
            turns[joint] = turn.reshape(frames, 3, 3)
        if parent >= 0:
            place = positions[:, parent] + np.einsum("tij,tj->ti", turns[parent], place)
            turns[joint] = turns[parent] @ turns[joint]
        positions[:, joint] = place
    return positions


def write_bvh(path: Path | str, bvh: Bvh) -> None:
    """Writes a BVH file; the end sites are the joints without channels."""
    children: dict[int, list[int]] = {}
    for joint, parent in enumerate(bvh.parents):
        children.setdefault(parent, []).append(joint)

    def lines(joint: int, depth: int) -> list[str]:
        pad, inner = "\t" * depth, "\t" * (depth + 1)
        kind = "ROOT" if bvh.parents[joint] < 0 else "JOINT"
        title = f"{kind} {bvh.names[joint]}" if bvh.channels[joint] else "End Site"
        offset = " ".join(f"{value:.6f}" for value in bvh.offsets[joint])
        found = [f"{pad}{title}", f"{pad}{{", f"{inner}OFFSET {offset}"]
        if bvh.channels[joint]:
            names = bvh.channels[joint]
            found.append(f"{inner}CHANNELS {len(names)} {' '.join(names)}")
        for child in children.get(joint, []):
            found += lines(child, depth + 1)
        return [*found, f"{pad}}}"]

    head = ["HIERARCHY", *lines(0, 0), "MOTION", f"Frames: {len(bvh.motion)}"]
    head.append(f"Frame Time: {bvh.frame_time:.12g}")
    rows = [" ".join(f"{value:.6f}" for value in row) for row in bvh.motion]
    atomic_write(Path(path), "\n".join([*head, *rows]) + "\n")
