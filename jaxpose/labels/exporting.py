"""Predictions, records and other labels as files of a labelling tool."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from jaxpose import geometry
from jaxpose.data.records import RecordSource
from jaxpose.errors import InputError, nearest
from jaxpose.labels.cvat import write_cvat
from jaxpose.labels.deeplabcut import write_deeplabcut
from jaxpose.labels.frames import with_frames
from jaxpose.labels.label_studio import write_label_studio
from jaxpose.labels.labelme import write_labelme
from jaxpose.labels.labels import Instance, LabelledImage, Labels, VideoFrame
from jaxpose.labels.nwb import write_nwb
from jaxpose.labels.sleap_writing import write_sleap
from jaxpose.labels.yolo_pose import write_yolo_pose
from jaxpose.paths import part_of
from jaxpose.results.image_names import ImageNames
from jaxpose.results.people import People
from jaxpose.skeletons import Skeleton

WRITERS: dict[str, Callable[[Labels, Skeleton, Path], None]] = {
    "deeplabcut": write_deeplabcut,
    "sleap": write_sleap,
    "labelme": write_labelme,
    "label-studio": write_label_studio,
    "cvat": write_cvat,
    "yolo-pose": write_yolo_pose,
    "nwb": write_nwb,
}

_ROWS = 64


def write_labels(
    tool: str, labels: Labels, skeleton: Skeleton, out: Path, frames: Path | None = None
) -> Labels:
    """Write labels, whose keypoints are the skeleton's, as files of a tool; return them.

    Args:
      tool: one of `WRITERS`.
      labels: the labels.
      skeleton: skeleton of the labels.
      out: the folder, new or empty.
      frames: folder into which frames of videos are written as images, such as `out`; None to write
        none.

    Raises:
      InputError: no such tool, the folder has files, or the labels do not fit the tool.
    """
    if tool not in WRITERS:
        raise InputError(
            f"There is no labelling tool {tool!r}.{nearest(tool, WRITERS)} Choose from "
            f"{', '.join(WRITERS)}"
        )
    if _has_files(out):
        raise InputError(f"{out} exists and is not an empty folder; choose another one.")
    if frames is not None:
        labels = with_frames(labels, frames)
    out.mkdir(parents=True, exist_ok=True)
    WRITERS[tool](labels, skeleton, out)
    return labels


def _has_files(folder: Path) -> bool:
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


class LabelsWriter:
    """Writer of predictions as labels of a tool, to correct them there.

    All frames stay in memory until `close`. Frames of a video are `VIDEO/img0007.png`; tracks are
    individuals.

    Attributes:
      part: the folder of a run that broke off, after `close`; None if there is none.
    """

    part: Path | None = None

    def __init__(
        self,
        tool: str,
        out: Path,
        skeleton: Skeleton,
        names: ImageNames | None = None,
        min_score: float = 0.0,
    ) -> None:
        """Begins without frames.

        Args:
          tool: one of `WRITERS`.
          out: the folder.
          skeleton: skeleton of the predictions.
          names: names of the sources.
          min_score: score below which a keypoint is not labelled.

        Raises:
          InputError: the folder, or that of a run that broke off, has files.
        """
        for folder in (out, part_of(out)):
            if _has_files(folder):
                raise InputError(f"{folder} exists and is not an empty folder; remove it first.")
        self._tool, self._out, self._skeleton = tool, out, skeleton
        self._names = names or ImageNames()
        self._min_score = min_score
        self._images: list[LabelledImage] = []

    def write(self, people: People, picture: str | None = None) -> None:
        """Adds the people of an image or frame."""
        self._images.append(labelled_image(people, self._names, self._min_score))

    def close(self, *, complete: bool = True) -> None:
        """Writes the files, if there was any image.

        Args:
          complete: the run has ended. If False, it broke off: its labels are in `paths.part_of` the
            folder.
        """
        if not self._images:
            return
        out = self._out if complete else part_of(self._out)
        labels = Labels("jaxpose", out, self._skeleton.keypoints, tuple(self._images))
        write_labels(self._tool, labels, self._skeleton, out)
        if not complete:
            self.part = out


def labelled_image(people: People, names: ImageNames, min_score: float = 0.0) -> LabelledImage:
    """Labels of an image's or a frame's predicted people.

    Args:
      people: the predictions.
      names: names of the sources.
      min_score: score below which a keypoint is not labelled.
    """
    frame = None
    if people.index is None:
        name = names.file_name(people.source)
    else:
        frame = VideoFrame(Path(people.source), people.index, seconds=people.seconds)
        name = f"{names.stem(people.source)}/img{people.index:04d}.png"
    instances = []
    for number, person in enumerate(people):
        visible = np.where(person.scores >= min_score, 2, 0)
        points = np.where(visible[:, None] > 0, person.keypoints, np.nan).astype(np.float64)
        track = person.track_id
        box = person.box_xywh.astype(np.float64)
        instances.append(
            Instance(
                points,
                visible,
                f"{people.source}, person {number}",
                "" if track is None else f"individual{track}",
                box if (box[2:] > 0).all() else None,
                person.scores.astype(np.float64),
            )
        )
    path = Path(people.source)
    return LabelledImage(path, name, tuple(instances), people.image_hw, frame=frame)


def labels_of_people(
    source: Path, people: Iterable[People], images: Path | None, min_score: float = 0.0
) -> tuple[Labels, Skeleton]:
    """Labels of predictions that were read from a file, and their skeleton.

    Args:
      source: the file.
      people: its images or frames, at least one.
      images: folder of the images, in place of the paths in the file.
      min_score: score below which a keypoint is not labelled.
    """
    found = list(people)
    names = ImageNames([Path(one.source) for one in found])
    read = [labelled_image(one, names, min_score) for one in found]
    skeleton = found[0].skeleton
    labels = Labels("jaxpose", source, skeleton.keypoints, tuple(read), skeleton.limbs)
    return (labels if images is None else moved(labels, images)), skeleton


def labels_of_records(folder: Path, split: str, images: Path) -> tuple[Labels, Skeleton]:
    """Labels of a prepared dataset of single people, and its skeleton.

    Args:
      folder: the dataset.
      split: its split.
      images: folder of the original images, of which a record has only the name.

    Raises:
      InputError: no such dataset or split, or one of whole images.
    """
    source = RecordSource(folder, split)
    skeleton = source.skeleton
    found: dict[str, list[Instance]] = {}
    for start in range(0, len(source), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(source)))
        batch = source.samples(rows)
        points = geometry.apply_affine(
            batch["photo_from_canvas"].astype(np.float64), batch["keypoints"].astype(np.float64)
        )
        corners = batch["box_xywh"].astype(np.float64)
        corners = np.stack([corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1)
        ends = geometry.apply_affine(batch["photo_from_canvas"].astype(np.float64), corners)
        for row, name in enumerate(source.image_names(rows)):
            visible = batch["visible"][row].astype(int)
            place = np.where(visible[:, None] > 0, points[row], np.nan)
            box = np.concatenate([ends[row, 0], ends[row, 1] - ends[row, 0]])
            where = f"{folder}, record {rows[row]}"
            found.setdefault(name, []).append(Instance(place, visible, where, "", box))
    labelled = [LabelledImage(images / name, name, tuple(own)) for name, own in found.items()]
    labels = Labels("jaxpose", folder, skeleton.keypoints, tuple(labelled), skeleton.limbs)
    return labels, skeleton


def moved(labels: Labels, images: Path) -> Labels:
    """The labels with the images of another folder."""
    found = tuple(replace(image, path=images / image.name) for image in labels.images)
    return replace(labels, images=found)
