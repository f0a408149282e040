"""Prepared datasets on disk: content of the records, and reading without TensorFlow.

A dataset is a TFDS dataset in ArrayRecord format, so TFDS reads it too
(`tfds.builder_from_directory(path).as_data_source()`). A record is one person on a canvas (format
1, here) or one image with all its people (format 2, `image_records`). The folder also has
`metadata.json` (TFDS's metadata: canvas, skeleton, sources) and `summary.json` (counts, digests).
"""

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from jaxpose.data import example
from jaxpose.data.index import sample_indices
from jaxpose.data.source import Batch, check_indices
from jaxpose.errors import InputError, nearest
from jaxpose.json_text import parse_json
from jaxpose.media import image
from jaxpose.paths import as_path, check_reachable, in_bucket, kept_on_disk
from jaxpose.requirements import imported
from jaxpose.skeletons import Skeleton

FORMAT = 1
"""Number of the record format of single people."""

INFO_FILE, METADATA_FILE, SUMMARY_FILE = "dataset_info.json", "metadata.json", "summary.json"

_AGAIN = "Run `jaxpose prepare` again."


def numeric_features(num_keypoints: int) -> dict[str, tuple[tuple[int, ...], type]]:
    """Shape and type of each numeric array of a record.

    `Batch` describes the arrays of a batch. A record also has `image_hw`, the size of the original
    image, and `head_xyxy`, the corners of the head's box in its pixels, zeros if not annotated.
    """
    return {
        "keypoints": ((num_keypoints, 2), np.float32),
        "visible": ((num_keypoints,), np.uint8),
        "box_xywh": ((4,), np.float32),
        "photo_from_canvas": ((2, 3), np.float32),
        "area": ((), np.float32),
        "image_id": ((), np.int64),
        "annotation_id": ((), np.int64),
        "photo_hw": ((2,), np.int64),
        "head_xyxy": ((4,), np.float32),
    }


BATCH_FEATURES = (
    "keypoints",
    "visible",
    "box_xywh",
    "photo_from_canvas",
    "area",
    "image_id",
    "annotation_id",
)
"""Numeric arrays of a record that are part of a batch."""


def skeleton_to_json(skeleton: Skeleton) -> dict[str, Any]:
    """Convert the full definition of a skeleton to plain JSON values."""
    return dataclasses.asdict(skeleton)


def skeleton_from_json(definition: dict[str, Any]) -> Skeleton:
    """Read a skeleton from a dataset's metadata.

    Raises:
        InputError: the definition has unknown keys or contradicts itself.
    """
    try:
        return Skeleton(**definition)
    except TypeError as error:
        raise InputError(f"The dataset's skeleton cannot be read ({error}). {_AGAIN}") from error


@dataclasses.dataclass(frozen=True)
class Shard:
    """File of a split and the number of records in it."""

    path: Path
    length: int


class RecordFiles:
    """Records of one split as bytes, with random access.

    Args:
      path: the dataset's folder.
      split: the split's name.
      part: see `source.Records`; samples are numbered from 0 in any case.
      threads: decoding threads; by default one per CPU core this process may use.

    Raises:
      InputError: the dataset or split does not exist or has another format, a file is missing or
        incomplete, or the part is not in (0, 1].
    """

    format: ClassVar[int]
    kind: ClassVar[str]

    def __init__(
        self, path: str | Path, split: str, *, part: float = 1.0, threads: int | None = None
    ) -> None:
        self.path = _on_this_machine(as_path(path))
        self.split = split
        info = _read_json(self.path, INFO_FILE)
        self.metadata = _read_json(self.path, METADATA_FILE)
        self.summary = _read_json(self.path, SUMMARY_FILE)
        if self.metadata.get("format") != self.format:
            raise InputError(
                f"{self.path} has record format {self.metadata.get('format')!r}, but {self.kind} "
                f"need format {self.format}. {_AGAIN}"
            )
        self._shards = _shards(self.path, split, info)
        _check_sizes(self.path, self.summary)
        self._ends = np.cumsum([shard.length for shard in self._shards])
        self._rows = _part_of(int(self._ends[-1]), part)
        self._skeleton = skeleton_from_json(self.metadata["skeleton"])
        self._threads = threads or usable_cores()

    @property
    def canvas_hw(self) -> tuple[int, int]:
        height, width = self.metadata["canvas_hw"]
        return height, width

    @property
    def skeleton(self) -> Skeleton:
        return self._skeleton

    def __len__(self) -> int:
        return len(self._rows)

    def fingerprint(self) -> str:
        """SHA-256 over the dataset's digests at its writing, with the split and the used part."""
        used = "" if len(self._rows) == self._ends[-1] else f"-{len(self._rows)}"
        return f"{self.summary['fingerprint']}-{self.split}{used}"

    def fill_rows(self, fill: Callable[[int], None], indices: np.ndarray) -> None:
        """Call `fill(row)` for each row of `indices`, in several threads.

        Raises:
          InputError: an error that `fill` raised, with the record and its file.
        """

        def one(row: int) -> None:
            try:
                fill(row)
            except InputError as error:
                raise self._damaged(int(self._rows[indices[row]]), str(error)) from error

        if self._threads > 1 and len(indices) > 1:
            list(self._pool.map(one, range(len(indices))))
        else:
            for row in range(len(indices)):
                one(row)

    def read(self, indices: np.ndarray) -> list[bytes]:
        """Read the serialised records at `indices [B]`, in that order.

        Raises:
            InputError: a record is damaged; the message names the record and its file.
        """
        rows: list[bytes] = [b""] * len(indices)
        indices = self._rows[indices]
        shard_of = np.searchsorted(self._ends, indices, side="right")
        for shard in np.unique(shard_of):
            places = np.flatnonzero(shard_of == shard)
            positions = indices[places] - (self._ends[shard] - self._shards[shard].length)
            try:
                found = self._reader(int(shard)).read(positions.tolist())
            except Exception as error:
                raise self._first_unreadable(int(shard), indices[places], error) from error
            for slot, row in zip(places, found, strict=True):
                rows[slot] = row
        return rows

    @functools.cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._threads, thread_name_prefix="decode")

    @functools.cached_property
    def _readers(self) -> dict[int, Any]:
        return {}

    def _reader(self, shard: int) -> Any:
        if shard not in self._readers:
            array_record_module = imported(
                "array_record.python.array_record_module",
                purpose="reading a prepared dataset",
                extra="data",
            )
            # Read-ahead helps sequential reading only; reads here are at random positions.
            self._readers[shard] = array_record_module.ArrayRecordReader(
                str(self._shards[shard].path), options="readahead_buffer_size:0"
            )
        return self._readers[shard]

    def _first_unreadable(self, shard: int, indices: np.ndarray, error: Exception) -> InputError:
        start = int(self._ends[shard]) - self._shards[shard].length
        for index in indices:
            try:
                self._reader(shard).read([int(index) - start])
            except Exception as cause:
                return self._damaged(int(index), str(cause))
        return self._damaged(int(indices[0]), str(error))

    def _damaged(self, index: int, reason: str) -> InputError:
        shard = int(np.searchsorted(self._ends, index, side="right"))
        position = index - (int(self._ends[shard]) - self._shards[shard].length)
        return InputError(
            f"Record {index} of split {self.split!r} cannot be read: {reason} "
            f"(file {self._shards[shard].path}, position {position}). {_AGAIN}"
        )


class RecordSource(RecordFiles):
    """Source of one split of a prepared dataset of single people, with random access.

    Arguments and errors are those of `RecordFiles`.
    """

    format = FORMAT
    kind = "single people"

    def __init__(
        self, path: str | Path, split: str, *, part: float = 1.0, threads: int | None = None
    ) -> None:
        super().__init__(path, split, part=part, threads=threads)
        self._layout = numeric_features(self._skeleton.num_keypoints)

    def samples(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """Read and decode a batch of records; see `Batch`.

        Raises:
            InputError: a record is damaged; the message names the record and its file.
        """
        indices = check_indices(indices, len(self))
        rows = self.read(indices)
        batch: Batch = {
            name: np.empty((len(rows), *self._layout[name][0]), self._layout[name][1])
            for name in BATCH_FEATURES
        }
        batch["image"] = np.empty((len(rows), *self.canvas_hw, 3), np.uint8)

        def fill(row: int) -> None:
            features = example.parse_features(rows[row])
            for name in BATCH_FEATURES:
                batch[name][row] = example.numbers(features, name, *self._layout[name])
            batch["image"][row] = decode_canvas(example.data(features, "image"), self.canvas_hw)

        self.fill_rows(fill, indices)
        batch["index"] = indices
        batch["mask"] = np.ones(len(rows), bool)
        return batch

    def image_names(self, indices: Sequence[int] | np.ndarray) -> list[str]:
        """Name in the source of the image that each person was cropped from."""
        rows = self.read(check_indices(indices, len(self)))
        return [example.data(example.parse_features(row), "photo").decode() for row in rows]

    def head_boxes(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Head boxes float32 `[B, 4]`, two corners in px of the original image; else zeros."""
        rows = map(example.parse_features, self.read(check_indices(indices, len(self))))
        return np.stack([example.numbers(row, "head_xyxy", (4,), np.float32) for row in rows])


def usable_cores() -> int:
    """Number of CPU cores this process may use; taskset or a container may limit it."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def decode_canvas(data: bytes, canvas_hw: tuple[int, int]) -> np.ndarray:
    """Decode the JPEG of a record to uint8 RGB `[H, W, 3]`.

    Raises:
        InputError: the JPEG is damaged or has another size.
    """
    import cv2

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB) if data else None
    if image is None:
        raise InputError("its JPEG is damaged")
    if image.shape != (*canvas_hw, 3):
        raise InputError(f"its JPEG has {image.shape[0]}x{image.shape[1]} pixels")
    return image


def _part_of(count: int, part: float) -> np.ndarray:
    """Rows of a part, int64; a larger part begins with the rows of a smaller one."""
    if not 0.0 < part <= 1.0:
        raise InputError(f"The part of a dataset must be a fraction in (0, 1], not {part:g}.")
    if part == 1.0 or not count:
        return np.arange(count, dtype=np.int64)
    return sample_indices(0, 0, max(1, round(part * count)), count)


def _on_this_machine(folder: Path) -> Path:
    """Copy a dataset in a bucket to disk, once per content; ArrayRecord cannot read buckets."""
    if not in_bucket(folder):
        return folder
    check_reachable(folder)
    summary = _read_json(folder, SUMMARY_FILE)
    names = [*summary["files"], INFO_FILE, METADATA_FILE, SUMMARY_FILE]
    return kept_on_disk(folder, names, summary["fingerprint"])


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    if not folder.exists():
        raise InputError(f"{image.missing(folder)}. `jaxpose prepare` makes datasets.")
    file = folder / name
    try:
        content = parse_json(file.read_bytes())
    except FileNotFoundError:
        below = sorted(str(f.parent) for f in folder.glob(f"*/{INFO_FILE}"))
        hint = f" These folders have one: {', '.join(below)}." if below else ""
        raise InputError(f"{folder} is not a prepared dataset: it has no {name}.{hint}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read: {error}. {_AGAIN}") from error
    if not isinstance(content, dict):
        raise InputError(f"{file} does not contain a JSON object. {_AGAIN}")
    return content


def _shards(folder: Path, split: str, info: dict[str, Any]) -> list[Shard]:
    by_name = {entry["name"]: entry for entry in info.get("splits", [])}
    if split not in by_name:
        raise InputError(
            f"{folder} has no split {split!r}.{nearest(split, by_name)} "
            f"Splits: {', '.join(sorted(by_name)) or 'none'}."
        )
    lengths = [int(length) for length in by_name[split]["shardLengths"]]
    template = by_name[split]["filepathTemplate"]
    names = [
        template.format(
            DATASET=info["name"],
            SPLIT=split,
            FILEFORMAT=info["fileFormat"],
            SHARD_X_OF_Y=f"{number:05d}-of-{len(lengths):05d}",
        )
        for number in range(len(lengths))
    ]
    return [Shard(folder / n, length) for n, length in zip(names, lengths, strict=True) if length]


def _check_sizes(folder: Path, summary: dict[str, Any]) -> None:
    """Check the length of every file, to detect an interrupted copy; digests would take longer."""
    for name, entry in summary["files"].items():
        file = folder / name
        if not file.is_file():
            raise InputError(
                f"{folder} has no file {name}. Copy it again, or run `jaxpose prepare`."
            )
        if file.stat().st_size != entry["bytes"]:
            raise InputError(
                f"{file} has {file.stat().st_size} bytes, but {entry['bytes']} were written. "
                "Copy it again, or run `jaxpose prepare`."
            )


def record_format(path: str | Path) -> Any:
    """Read the number of the record format of a dataset's folder.

    Raises:
      InputError: the folder is not a prepared dataset.
    """
    return _read_json(_on_this_machine(as_path(path)), METADATA_FILE).get("format")
