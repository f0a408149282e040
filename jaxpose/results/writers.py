"""Writers of results, frame by frame: JSON, JSON lines, CSV, COCO results, OpenPose's JSON.

Every writer appends results as they arrive, so memory does not grow with the video. A file takes
its name when the run has ended. If the run breaks off, by an error or Ctrl-C, an earlier file is
left as it is, and the results so far are in a separate file: `predictions.partial.json`.
"""

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import jaxpose
from jaxpose.console import printable
from jaxpose.errors import InputError, not_written, reason
from jaxpose.metrics.annotated_results import result_entry
from jaxpose.metrics.oks import person_score
from jaxpose.paths import whole_file
from jaxpose.results.entry_file import EntryFile
from jaxpose.results.image_names import ImageNames
from jaxpose.results.people import COLUMNS, People, Person
from jaxpose.skeletons import Skeleton


def head_of(skeleton: Skeleton) -> dict[str, Any]:
    """Head of a file of keypoints: version, units, names."""
    return {
        "jaxpose": jaxpose.__version__,
        "units": "keypoints and boxes in pixels of the image (pixel centres at integers), scores "
        "in [0, 1]; joints_mm in mm about the root, x right, y down, z forward as the camera looks"
        "; z_mm in mm from the root, forward as the camera looks",
        "skeleton": {"name": skeleton.name, "keypoints": list(skeleton.keypoints)},
    }


class Writer(Protocol):
    """Interface of writers, which take one result after the other."""

    @property
    def part(self) -> Path | None:
        """File with the results of a run that broke off, after `close`; None if there is none."""

    def write(self, people: People, picture: str | None = None) -> None:
        """Appends the people of an image or frame; `picture` is the name of the drawn file."""

    def close(self, *, complete: bool = True) -> None:
        """Finishes the file.

        Args:
          complete: the run has ended. If False, it broke off: its results are kept in
            `paths.part_of` the file, and an earlier file is left as it is.
        """


class _FileWriter:
    """Writer of one file."""

    def __init__(self, file: EntryFile) -> None:
        self._file = file

    @property
    def part(self) -> Path | None:
        """See `Writer`."""
        return self._file.part

    def close(self, *, complete: bool = True) -> None:
        """Ends the file; see `Writer.close`."""
        self._file.close(self._ending(), complete=complete)

    def _ending(self) -> str:
        return ""


class JsonWriter(_FileWriter):
    """One JSON object: common entries first, then a list with an entry for each frame."""

    def __init__(
        self,
        path: Path,
        head: Mapping[str, Any],
        *,
        name: str = "frames",
        tail: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        """Begins the file.

        Args:
          path: path of the file.
          head: JSON types written before the list.
          name: name of the list.
          tail: called at the end for entries after the list.
        """
        self._tail = tail
        opening = json.dumps(dict(head), indent=1, allow_nan=False).removesuffix("}").rstrip()
        comma = "," if head else ""
        super().__init__(EntryFile(path, f'{opening}{comma}\n "{name}": [', between=","))

    def write(self, people: People, picture: str | None = None) -> None:
        """Appends an entry: `file`, `picture` if there is one, and `People.to_dict`."""
        self._file.write(f"\n {json.dumps(entry(people, picture), allow_nan=False)}")

    def _ending(self) -> str:
        tail = "".join(
            f",\n {json.dumps(key)}: {json.dumps(value, allow_nan=False)}"
            for key, value in self._tail().items()
        )
        return f"\n ]{tail}\n}}\n"


class JsonLinesWriter(_FileWriter):
    """Writes a line of JSON for each frame at once: for long videos and for `tail -f`.

    Until it is closed, the file is `paths.part_of` its path: `predictions.partial.jsonl`.
    """

    def __init__(self, path: Path) -> None:
        """Begins the file."""
        super().__init__(EntryFile(path, live=True))

    def write(self, people: People, picture: str | None = None) -> None:
        """Appends a line in the form of a `JsonWriter` entry."""
        self._file.write(json.dumps(entry(people, picture), allow_nan=False) + "\n")


class CsvWriter(_FileWriter):
    """Table with a line for each keypoint (`people.COLUMNS`); names are escaped as `printable`."""

    def __init__(self, path: Path) -> None:
        """Begins the file with the names of the columns."""
        super().__init__(EntryFile(path, ",".join(COLUMNS) + "\r\n"))
        self._table = csv.DictWriter(self._file, COLUMNS)

    def write(self, people: People, picture: str | None = None) -> None:
        """Appends the lines of a frame's people."""
        for row in people.rows():
            names = {key: printable(row[key]) for key in ("source", "keypoint")}
            self._table.writerow({**row, **names})


class CocoWriter(_FileWriter):
    """COCO's format of results (cocodataset.org/#format-results): an entry for each person.

    `image_id` and `file_name` are those of `ImageNames`; frames of a video have an id each, and
    `frame` as well. The entries are those that `jaxpose eval` scores.
    """

    def __init__(
        self, path: Path, names: ImageNames | None = None, *, whole_images: bool = False
    ) -> None:
        """Begins the file; `whole_images` is that of `metrics.oks.person_score`."""
        super().__init__(EntryFile(path, "[", between=","))
        self._whole_images = whole_images
        self._names = names or ImageNames()

    def write(self, people: People, picture: str | None = None) -> None:
        """Appends a frame's people."""
        image_id = self._names.image_id(people.source, people.index)
        for person in people:
            boxed = 1.0 if person.box_score is None else person.box_score
            score = person_score(person.scores, boxed, whole_images=self._whole_images)
            record = {
                **result_entry(image_id, person.keypoints, person.scores, float(score)),
                "file_name": self._names.file_name(people.source),
                # Not "bbox": of results with one, pycocotools takes the size of a person from it.
                "box_xywh": [round(float(v), 2) for v in person.box_xywh],
            }
            if people.index is not None:
                record["frame"] = people.index
            if person.track_id is not None:
                record["track_id"] = person.track_id
            self._file.write(f"\n {json.dumps(record, allow_nan=False)}")

    def _ending(self) -> str:
        return "\n]\n"


# BODY_25 (CMU-Perceptual-Computing-Lab/openpose, doc/02_output.md) by our names; two are means.
_BODY_25: tuple[tuple[str, ...], ...] = (
    ("nose",),
    ("left_shoulder", "right_shoulder"),
    *((f"right_{name}",) for name in ("shoulder", "elbow", "wrist")),
    *((f"left_{name}",) for name in ("shoulder", "elbow", "wrist")),
    ("left_hip", "right_hip"),
    *((f"right_{name}",) for name in ("hip", "knee", "ankle")),
    *((f"left_{name}",) for name in ("hip", "knee", "ankle")),
    ("right_eye",),
    ("left_eye",),
    ("right_ear",),
    ("left_ear",),
    *((f"left_{name}",) for name in ("big_toe", "small_toe", "heel")),
    *((f"right_{name}",) for name in ("big_toe", "small_toe", "heel")),
)


class OpenPoseWriter:
    """OpenPose's JSON, a file for each frame: `<name>_000000000012_keypoints.json`.

    Names are unique, and keep the folders that the images have below their common one.

    People are written as BODY_25: keypoints by their names, neck and mid-hip as means with the
    lower of both scores, and 0, 0, 0 for missing keypoints, as OpenPose does. `person_id` is the
    track's.
    """

    part: Path | None = None

    def __init__(self, folder: Path, skeleton: Skeleton, names: ImageNames | None = None) -> None:
        """Creates the folder.

        Raises:
          InputError: the skeleton is not a body, or the folder cannot be created.
        """
        self._folder = folder
        self._names = names or ImageNames()
        self._written: set[Path] = set()
        self._columns = [
            [skeleton.index(name) for name in names]
            if all(name in skeleton.keypoints for name in names)
            else []
            for names in _BODY_25
        ]
        if sum(map(bool, self._columns)) < 8:
            raise InputError(
                f"OpenPose's files are for bodies, but skeleton {skeleton.name!r} has hardly a "
                "keypoint of one; choose another format"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder} cannot be created: {reason(error)}.") from error

    def write(self, people: People, picture: str | None = None) -> None:
        """Writes the file of an image (number 0) or of a frame.

        Raises:
          InputError: it cannot be written, or was written before.
        """
        others = ("face", "hand_left", "hand_right")
        content = {
            "version": 1.3,
            "people": [
                {
                    "person_id": [-1 if person.track_id is None else person.track_id],
                    "pose_keypoints_2d": self._body(person),
                    **{f"{name}_keypoints_2d": [] for name in others},
                    "pose_keypoints_3d": [],
                    **{f"{name}_keypoints_3d": [] for name in others},
                }
                for person in people
            ],
        }
        stem = self._names.stem(people.source)
        path = self._folder / f"{stem}_{people.index or 0:012d}_keypoints.json"
        if path in self._written:
            raise InputError(f"{path} would be written twice: {people.source} came twice")
        self._written.add(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path, to_disk=False) as partial:
                partial.write_text(json.dumps(content, allow_nan=False))
        except OSError as error:
            raise not_written(path, error) from error

    def close(self, *, complete: bool = True) -> None:
        """Does nothing: every file is complete already."""

    def _body(self, person: Person) -> list[float]:
        values: list[float] = []
        for columns in self._columns:
            if columns:
                x, y = person.keypoints[columns].mean(axis=0)
                score = person.scores[columns].min()
                values += [round(float(v), 3) for v in (x, y, score)]
            else:
                values += [0.0, 0.0, 0.0]
        return values


FORMATS = ("json", "jsonl", "csv", "coco", "openpose")
"""Names of the formats that `writer` supports."""


def writer(
    kind: str,
    out: Path,
    skeleton: Skeleton,
    head: Mapping[str, Any],
    *,
    name: str = "frames",
    tail: Callable[[], Mapping[str, Any]] = dict,
    names: ImageNames | None = None,
    whole_images: bool = False,
) -> Writer:
    """Writer of one of `FORMATS` into the folder `out`; see the classes.

    Args:
      kind: one of `FORMATS`.
      out: the folder.
      skeleton: skeleton of the keypoints.
      head: entries before the list, in JSON.
      name: name of the list, in JSON.
      tail: called at the end for entries after the list, in JSON.
      names: names and ids of the sources; None enters them as they come.
      whole_images: the model finds the people of whole images, for their scores in COCO's form.

    Raises:
      InputError: the folder cannot be written, or the skeleton does not fit the format.
    """
    if kind == "json":
        return JsonWriter(out / "predictions.json", head, name=name, tail=tail)
    if kind == "jsonl":
        return JsonLinesWriter(out / "predictions.jsonl")
    if kind == "csv":
        return CsvWriter(out / "predictions.csv")
    if kind == "coco":
        return CocoWriter(out / "coco_results.json", names, whole_images=whole_images)
    return OpenPoseWriter(out / "openpose", skeleton, names)


def entry(people: People, picture: str | None = None) -> dict[str, Any]:
    """Entry of an image or frame in the JSON formats."""
    named = {} if picture is None else {"picture": picture}
    return {"file": people.source, **named, **people.to_dict()}
