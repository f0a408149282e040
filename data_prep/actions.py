"""Preparation of a dataset of actions (`jaxpose.data.action_clips`), from one of six sources.

    jaxpose prepare actions --videos my_videos --out data/my_actions.npz
    jaxpose prepare actions --results my_results --out data/my_actions.npz
    jaxpose prepare actions --mmaction ntu60_3danno.pkl --protocol xsub --skeleton ntu25 --out ...
    jaxpose prepare actions --ntu nturgb+d_skeletons --protocol ntu60-xsub --out data/ntu60.npz
    jaxpose prepare actions --kinetics kinetics-skeleton/kinetics_val --split val ...
    jaxpose prepare actions --motion data/humaneva.npz --frames 100 --out data/pieces.npz

- `--videos`: a folder with a folder of videos for each class, `squat/anna_1.mp4`. People are found,
  followed and their keypoints predicted by the models of `--from` and `--quality`.
- `--results`: the same with files of `jaxpose predict`, `squat/anna_1.json`, one for each video.
- `--mmaction`: a pickle of MMAction2 or PYSKL. It is read without running any code in it.
- `--ntu`: the `.skeleton` files of NTU RGB+D or NTU RGB+D 120.
- `--kinetics`: a folder of the JSON files of Kinetics-skeleton.
- `--motion`: a motion dataset (`jaxpose prepare humaneva` or `h36m`); its actions are the classes,
  and its clips are cut into pieces of `--frames`. The last number of an action, that of a trial, is
  left out of the class.

For videos and results, the subject is the part of a file's name before its first `_`. The
clips of every fifth subject, in the order of the alphabet, are the split "val", the others "train",
so that no person is in both.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from jaxpose.data.action_clips import ActionClip, ActionSummary, actions_of, write_actions
from jaxpose.data.action_files import (
    ActionFiles,
    class_names,
    read_class_names,
    read_kinetics,
    read_mmaction,
    read_ntu,
)
from jaxpose.data.motion import read_motion
from jaxpose.errors import InputError
from jaxpose.media.video import VIDEO_SUFFIXES
from jaxpose.results.people import People
from jaxpose.results.readers import read_results
from jaxpose.skeletons import COCO17, NTU25, OPENPOSE18, Skeleton, load
from jaxpose.tasks.actions.people_clips import clip_of

_HELD_OUT = 5  # every so manyth subject is held out


def prepare(
    out: Annotated[Path, typer.Option(help="Dataset of actions to write (.npz).")],
    videos: Annotated[
        Path | None, typer.Option(help="Folder with a folder of videos for each class.")
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(help="Folder with a folder of files of `jaxpose predict` for each class."),
    ] = None,
    mmaction: Annotated[
        Path | None, typer.Option(help="Pickle of clips of MMAction2 or PYSKL.")
    ] = None,
    ntu: Annotated[Path | None, typer.Option(help="Folder of NTU's .skeleton files.")] = None,
    kinetics: Annotated[
        Path | None, typer.Option(help="Folder of Kinetics-skeleton's JSON files.")
    ] = None,
    motion: Annotated[
        Path | None, typer.Option(help="Motion dataset of `jaxpose prepare humaneva` or `h36m`.")
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="For --ntu: ntu60-xsub, ntu60-xview, ntu120-xsub or ntu120-xset. For --mmaction: "
            "a name of the file's splits without _train and _val."
        ),
    ] = None,
    skeleton: Annotated[
        str | None,
        typer.Option(
            help="Skeleton of the keypoints: a name or a file. If absent, that of the dataset; "
            "for --mmaction coco17 for 2D and ntu25 for 3D keypoints."
        ),
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="Text file with the name of each class in a line.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of the clips of --kinetics.")] = "train",
    people: Annotated[int, typer.Option(min=1, help="Largest number of people of a clip.")] = 2,
    frames: Annotated[
        int, typer.Option(min=1, help="Frames of a piece of a clip of --motion.")
    ] = 100,
    model: Annotated[
        str | None,
        typer.Option("--from", help="Pose model for --videos; that of the quality if absent."),
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(help="Person detector beside --from; without it each image is one person."),
    ] = None,
    quality: Annotated[
        str | None, typer.Option(help="Default models for --videos: fast, balanced or accurate.")
    ] = None,
) -> ActionSummary:
    """Prepare a dataset of actions from videos, results or published files."""
    sources = {
        "--videos": videos,
        "--results": results,
        "--mmaction": mmaction,
        "--ntu": ntu,
        "--kinetics": kinetics,
        "--motion": motion,
    }
    if sum(source is not None for source in sources.values()) != 1:
        raise InputError(f"Give exactly one of {', '.join(sources)}.")
    if out.suffix != ".npz":
        raise InputError(f"{out}: a dataset of actions is an .npz file.")
    known = read_class_names(classes) if classes else None
    given = load(skeleton) if skeleton else None
    found: ActionFiles
    names: tuple[str, ...] | None
    if videos is not None or results is not None:
        if known is not None:
            raise InputError("The classes are the names of the folders: leave --classes out.")
        of_video = _predicted(model, detector, quality) if videos is not None else _read
        suffixes = tuple(VIDEO_SUFFIXES) if videos is not None else (".json", ".jsonl")
        found, names, chosen = _labelled_folders(videos or results, suffixes, of_video, people)
        chosen = given or chosen
    elif motion is not None:
        found, names, chosen = _of_motion(motion, frames)
    else:
        if mmaction is not None:
            found = read_mmaction(mmaction, protocol)
            flat = bool(found.clips) and found.clips[0].keypoints.shape[-1] == 2
            chosen = given or (COCO17 if flat else NTU25)
        elif ntu is not None:
            found, chosen = read_ntu(ntu, protocol or "ntu60-xsub"), given or NTU25
        else:
            assert kinetics is not None
            found, chosen = read_kinetics(kinetics, split), given or OPENPOSE18
        where = str(mmaction or ntu or kinetics)
        names = class_names([clip.label for clip in found.clips], known, where)
    if not found.clips:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in found.left_out.items())
        raise InputError(f"No clip is left ({reasons or 'none was found'}).")
    dataset = actions_of(chosen, names, found.clips, people=people)
    write_actions(out, dataset)
    return ActionSummary.of(dataset, left_out=found.left_out)


def _labelled_folders(
    folder: Path | None, suffixes: tuple[str, ...], results_of, people: int
) -> tuple[ActionFiles, tuple[str, ...], Skeleton]:
    assert folder is not None
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder.")
    names = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))
    files = {
        name: sorted(p for p in (folder / name).iterdir() if p.suffix.lower() in suffixes)
        for name in names
    }
    if not names or not any(files.values()):
        raise InputError(
            f"{folder} needs a folder for each class with files in it ({', '.join(suffixes)}), "
            f"such as {folder.name}/squat/anna_1{suffixes[0]}."
        )
    subjects = sorted({_subject(path) for paths in files.values() for path in paths})
    held_out = set(subjects[_HELD_OUT - 1 :: _HELD_OUT])
    left_out: Counter[str] = Counter()
    clips, skeletons = [], []
    for label, name in enumerate(names):
        for path in files[name]:
            frames: list[People] = results_of(path)
            keypoints, scores = clip_of(frames, people) if frames else (np.zeros((0, 0)), None)
            if not keypoints.size:
                left_out["no person"] += 1
                continue
            skeletons.append(frames[0].skeleton)
            height, width = frames[0].image_hw
            clips.append(
                ActionClip(
                    keypoints,
                    label,
                    scores=scores,
                    split="val" if _subject(path) in held_out else "train",
                    subject=_subject(path),
                    name=f"{name}/{path.stem}",
                    fps=float(frames[0].fps or 0.0),
                    image_wh=(width, height),
                )
            )
    first = skeletons[0] if skeletons else COCO17
    if other := [one for one in skeletons if one.keypoints != first.keypoints]:
        raise InputError(
            f"The files have different skeletons, {first.name} and {other[0].name}: predict all of "
            "them with one model."
        )
    return ActionFiles(clips, left_out), names, first


def _subject(path: Path) -> str:
    """Part of a file's name before the first underscore; the whole name without one."""
    return path.stem.partition("_")[0]


def _read(path: Path) -> list[People]:
    return read_results(path)


def _predicted(model: str | None, detector: str | None, quality: str | None):
    """Function from a video to the people of its frames."""
    from jaxpose.pipeline.pipeline import Pipeline

    pipeline = Pipeline.load(model, detector, **({} if quality is None else {"quality": quality}))

    def results_of(path: Path) -> list[People]:
        with pipeline(str(path)) as frames:
            return list(frames)

    return results_of


def _of_motion(path: Path, frames: int) -> tuple[ActionFiles, tuple[str, ...], Skeleton]:
    """Pieces of the clips of a motion dataset, 3D joints in mm; a shorter rest is left out."""
    motion = read_motion(path)
    actions = [re.sub(r"[ _]?\d+$", "", action) for action in motion.action.tolist()]
    names = tuple(sorted(set(actions)))
    left_out: Counter[str] = Counter()
    clips = []
    starts = np.cumsum(motion.length) - motion.length
    for i, start in enumerate(starts.tolist()):
        length = int(motion.length[i])
        left_out["shorter than a piece"] += length < frames
        for begin in range(start, start + length - frames + 1, frames):
            rows = slice(begin, begin + frames)
            seen = motion.labelled[rows, None]
            clips.append(
                ActionClip(
                    motion.joints_mm[rows, None],
                    names.index(actions[i]),
                    scores=seen.astype(np.float32),
                    split=str(motion.split[i]),
                    subject=str(motion.subject[i]),
                    name=f"{motion.name[i]} {motion.camera[i]} frame {begin - start}",
                    fps=float(motion.fps[i]),
                )
            )
    return ActionFiles(clips, +left_out), names, motion.skeleton
