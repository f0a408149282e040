"""Writing of prepared datasets: a TFDS builder, parallel processes, a summary.

Only `jaxpose prepare` imports this module, because TFDS is slow to import. The files do not depend
on the time, the machine or the order in which processes finish: two runs over the same input write
the same bytes.
"""

import contextlib
import dataclasses
import functools
import hashlib
import io
import json
import shutil
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich import progress

from jaxpose.console import PlainConsole
from jaxpose.data import image_records, records
from jaxpose.data.canvas import Canvas, Drawn, ImageAnnotation, Skip, Turned, draw
from jaxpose.data.example import with_sorted_features
from jaxpose.data.instances import IGNORE_STRIDE, instance_shapes
from jaxpose.data.summary import SplitSummary, Summary, turned_note
from jaxpose.data.tfds import tfds
from jaxpose.errors import InputError, reason
from jaxpose.json_text import parse_json
from jaxpose.locks import only_writer
from jaxpose.paths import put_folder_in_place
from jaxpose.skeletons import Skeleton

_SKIPS_FILE = "skips.{split}.json"


Layout = Literal["people", "images"]
"""Content of a record: one person on a canvas, or one image with all its people."""

Drawing = Callable[[ImageAnnotation, Canvas], list[Drawn]]


class _SortedExampleWriter(tfds.core.ExampleWriter):
    """Writer that sorts the features of each record by name, so that its bytes are fixed."""

    def write(self, path: Any, examples: Iterable[tuple[Any, bytes]]) -> Any:
        try:
            return super().write(path, ((key, with_sorted_features(row)) for key, row in examples))
        except RuntimeError as error:  # what ArrayRecord's writer raises on a full disk
            raise OSError(str(error)) from error


class _DatasetInfo(tfds.core.DatasetInfo):  # type: ignore[misc]
    """Information on a dataset that is not one of TFDS's own."""

    def initialize_from_bucket(self) -> None:
        """Do nothing: TFDS would make a temporary folder, never remove it, and ask its bucket."""


class _PeopleBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Builder with one person per record, in the order of the keys."""

    FORMAT = records.FORMAT
    VERSION = tfds.core.Version(f"{records.FORMAT}.0.0")
    DESCRIPTION = "People cut from photos, with keypoints, prepared for jaxpose."

    def __init__(
        self,
        *,
        name: str,
        splits: Mapping[str, Any],
        skeleton: Skeleton,
        canvas: Canvas,
        sources: Mapping[str, str],
        data_dir: Path,
        has_3d: bool = False,
    ) -> None:
        self.name = name
        self._has_3d = has_3d
        self._splits = splits
        self._people_features = self.record_features(skeleton, canvas)
        self._people_metadata = tfds.core.MetadataDict(
            format=self.FORMAT,
            canvas_hw=list(canvas.hw),
            margin=canvas.margin,
            padding=canvas.padding,
            jpeg_quality=canvas.jpeg_quality,
            skeleton=records.skeleton_to_json(skeleton),
            sources=dict(sources),
            **({"has_3d": has_3d} if self.FORMAT == image_records.FORMAT else {}),
        )
        super().__init__(data_dir=data_dir, file_format="array_record")

    def _info(self) -> tfds.core.DatasetInfo:
        return _DatasetInfo(
            builder=self,
            description=self.DESCRIPTION,
            features=self._people_features,
            metadata=self._people_metadata,
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        return dict(self._splits)

    def _generate_examples(self, **kwargs: Any) -> Any:
        raise TypeError("The splits already have their generators.")

    def _example_writer(self) -> tfds.core.ExampleWriter:
        return _SortedExampleWriter(self.info.file_format)

    def record_features(self, skeleton: Skeleton, canvas: Canvas) -> tfds.features.FeaturesDict:
        return _features(skeleton, canvas)


class _ImagesBuilder(_PeopleBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Builder with one image and all its people per record, in the order of the keys."""

    FORMAT = image_records.FORMAT
    VERSION = tfds.core.Version(f"{image_records.FORMAT}.0.0")
    DESCRIPTION = "Photos with the keypoints of all people in them, prepared for jaxpose."

    def record_features(self, skeleton: Skeleton, canvas: Canvas) -> tfds.features.FeaturesDict:
        return _image_features(skeleton, canvas, self._has_3d)


def write_dataset(
    out: str | Path,
    *,
    name: str,
    splits: Mapping[str, Sequence[ImageAnnotation]],
    skipped: Mapping[str, Sequence[Skip]],
    skeleton: Skeleton,
    canvas: Canvas,
    sources: Mapping[str, Path],
    processes: int | None = None,
    overwrite: bool = False,
    notes: Sequence[str] = (),
    beam_options: Sequence[str] | None = None,
    layout: Layout = "people",
    upright: bool = False,
) -> Summary:
    """Write a dataset folder and return a summary of its content.

    The folder gets its final name only when it is complete.

    Args:
      out: the folder to create.
      name: the dataset's name in lower_case, part of its files' names.
      splits: the images of each split, with the people in them.
      skipped: people that the reader of the annotations has already left out.
      skeleton: the keypoint set of all people.
      canvas: size and padding of the crops.
      sources: the annotation files, by a name that does not depend on their folder.
      processes: parallel processes for reading, cutting and encoding; by default one per core. The
        result does not depend on their number.
      overwrite: replace a dataset that already exists at `out`.
      notes: remarks for the summary.
      beam_options: Apache Beam pipeline options; if not None, Beam does the work.
      layout: content of a record; "images" stores whole images, each with all its people.
      upright: labels were made on upright images, so there is no remark on images that EXIF turns.

    Raises:
      InputError: `out` exists, the layout does not support the canvas or Beam, no person is left to
        write, or the disk is full.
    """
    out = Path(out).absolute()
    if layout == "images":
        _check_images(canvas, beam_options)
    log = {split: _Log(split, list(skipped.get(split, ()))) for split in splits}
    for split, images in splits.items():
        if not images:
            raise _nothing_written(split, log[split].skips)
    with _working_folder(out, overwrite) as work:
        if beam_options is not None:
            generators = {s: _beam_people(splits[s], canvas, work, s) for s in splits}
        else:
            drawing: Drawing = draw
            if layout == "images":
                drawing = functools.partial(
                    image_records.draw_image,
                    num_keypoints=skeleton.num_keypoints,
                    has_3d=_any_3d(splits),
                )
            generators = {s: log[s].records(splits[s], canvas, processes, drawing) for s in splits}
        builder = (_PeopleBuilder if layout == "people" else _ImagesBuilder)(
            name=name,
            splits=generators,
            skeleton=skeleton,
            canvas=canvas,
            sources={key: _sha256(path) for key, path in sorted(sources.items())},
            data_dir=work,
            has_3d=_any_3d(splits),
        )
        # TFDS prints messages about downloads, and nothing is downloaded.
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare(download_config=_download_config(beam_options))
        folder = Path(builder.data_dir)
        if beam_options is not None:
            for split in splits:
                log[split].read_back(work, builder.info.splits[split].num_examples)
        if layout == "images":
            for split in splits:
                counts = np.array(log[split].counts, np.int32).reshape(-1, 2)
                np.save(folder / image_records.COUNTS_FILE.format(split=split), counts)
        turned = [one for part in log.values() for one in part.turned]
        notes = [*notes, *([] if upright else turned_note(turned))]
        summary = _summarise(folder, log.values(), notes)
        for split in splits:
            _verify(folder, split, layout)
        put_folder_in_place(folder, out)
    return summary


@contextlib.contextmanager
def _working_folder(out: Path, overwrite: bool) -> Iterator[Path]:
    """Empty folder beside `out` that is removed at the end; only one process has it."""
    work = out.with_name(f".{out.name}.incomplete")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with only_writer(out, work.with_suffix(".lock")):
            _check_free(out, overwrite)
            shutil.rmtree(work, ignore_errors=True)  # what a killed run has left
            try:
                work.mkdir()
                yield work
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"The dataset could not be written to {out}: {reason(error)}. All partial "
            "files were removed."
        ) from error
    except BrokenProcessPool as error:
        raise InputError(
            "The system ended a process that crops images, most likely because memory ran out. "
            "Use fewer processes, with --processes."
        ) from error


class _Log:
    """Counts of written and skipped people of one split, and its images that EXIF turns."""

    def __init__(self, split: str, skips: list[Skip]) -> None:
        self.turned: list[Turned] = []
        self.split, self.skips, self.written = split, skips, 0
        self.counts: list[tuple[int, int]] = []  # per image: people with labels, all people

    def records(
        self,
        images: Sequence[ImageAnnotation],
        canvas: Canvas,
        processes: int | None,
        drawing: Drawing,
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        with _progress() as bar:
            task = bar.add_task(self.split, total=len(images))
            for drawn in _draw_all(images, canvas, processes, drawing):
                for one in drawn:
                    if isinstance(one, Skip):
                        self.skips.append(one)
                        continue
                    if isinstance(one, Turned):
                        self.turned.append(one)
                        continue
                    self.written += 1
                    if "labelled" in one[1]:
                        self.counts.append((one[1]["labelled"], one[1]["people"]))
                    yield one
                bar.advance(task)
        if not self.written:
            raise _nothing_written(self.split, self.skips)

    def read_back(self, folder: Path, written: int) -> None:
        """Read the skips and remarks that Beam's workers wrote to a file."""
        file = folder / _SKIPS_FILE.format(split=self.split)
        if file.exists():
            content = parse_json(file.read_text())
            self.skips += [Skip(**entry) for entry in content["skips"]]
            self.turned += [Turned(**entry) for entry in content["turned"]]
        self.written = written

    def summary(self) -> SplitSummary:
        people = sum(number for _, number in self.counts) if self.counts else None
        return SplitSummary.of(self.written, people, self.skips)


def _nothing_written(split: str, skips: Sequence[Skip]) -> InputError:
    reasons = Counter(skip.reason for skip in skips)
    said = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common())
    first = f" The first one: {skips[0].who}." if skips else ""
    return InputError(
        f"No person is left to write into split {split!r}: "
        f"{said or 'the annotations contain no person'}.{first}"
    )


def _draw_all(
    images: Sequence[ImageAnnotation],
    canvas: Canvas,
    processes: int | None,
    drawing: Drawing = draw,
) -> Iterator[list[Drawn]]:
    """Apply `drawing` to every image in order, in several processes that work a little ahead."""
    processes = min(processes or records.usable_cores(), len(images))
    if processes <= 1:
        yield from (drawing(image, canvas) for image in images)
        return
    # Processes are spawned, not forked: TensorFlow's threads do not survive a fork.
    with ProcessPoolExecutor(processes, get_context("spawn"), _start_worker) as pool:
        pending: deque[Future[list[Drawn]]] = deque()
        try:
            for image in images:
                pending.append(pool.submit(drawing, image, canvas))
                if len(pending) >= 16 * processes:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _start_worker() -> None:
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles Ctrl-C
    cv2.setNumThreads(1)


def _beam_people(
    images: Sequence[ImageAnnotation], canvas: Canvas, folder: Path, split: str
) -> Any:
    """Beam transform that yields the records; skips and remarks go to a file in `folder`."""
    try:
        import apache_beam as beam
    except ImportError as error:
        raise InputError(
            "Apache Beam is not installed: pip install apache-beam, or leave out --beam."
        ) from error
    skips_file = str(folder / _SKIPS_FILE.format(split=split))

    def is_record(one: Drawn) -> bool:
        return not isinstance(one, Skip | Turned)

    def write_rest(rest: list[Skip | Turned]) -> None:
        skips = [dataclasses.asdict(one) for one in rest if isinstance(one, Skip)]
        turned = [dataclasses.asdict(one) for one in rest if isinstance(one, Turned)]
        ordered = {
            "skips": sorted(skips, key=lambda skip: skip["who"]),
            "turned": sorted(turned, key=lambda one: one["name"]),
        }
        with beam.io.filesystems.FileSystems.create(skips_file) as file:
            file.write(json.dumps(ordered).encode())

    class People(beam.PTransform):
        def expand(self, pipeline: Any) -> Any:
            drawn = (
                pipeline
                | "Images" >> beam.Create(list(images))
                | "Spread" >> beam.Reshuffle()
                | "Draw" >> beam.FlatMap(draw, canvas)
            )
            _ = (
                drawn
                | "Rest" >> beam.Filter(lambda one: not is_record(one))
                | "Gather" >> beam.combiners.ToList()
                | "Write" >> beam.Map(write_rest)
            )
            return drawn | "Records" >> beam.Filter(is_record)

    return People()


def _download_config(beam_options: Sequence[str] | None) -> tfds.download.DownloadConfig:
    tfds.disable_progress_bar()  # `_progress` replaces it
    if beam_options is None:
        return tfds.download.DownloadConfig()
    from apache_beam.options.pipeline_options import PipelineOptions

    return tfds.download.DownloadConfig(beam_options=PipelineOptions(list(beam_options)))


def _features(skeleton: Skeleton, canvas: Canvas) -> tfds.features.FeaturesDict:
    arrays = records.numeric_features(skeleton.num_keypoints)
    return tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(*canvas.hw, 3), encoding_format="jpeg"),
            "photo": tfds.features.Text(),
            **{
                name: tfds.features.Tensor(shape=shape, dtype=np.dtype(dtype))
                for name, (shape, dtype) in arrays.items()
            },
        }
    )


def _image_features(skeleton: Skeleton, canvas: Canvas, has_3d: bool) -> tfds.features.FeaturesDict:
    points = skeleton.num_keypoints
    shapes = instance_shapes(points, has_3d)
    height, width = (side // IGNORE_STRIDE for side in canvas.hw)

    def array(shape: tuple[int | None, ...], dtype: Any) -> tfds.features.Tensor:
        stored = np.uint8 if dtype is np.bool_ else dtype
        return tfds.features.Tensor(shape=shape, dtype=np.dtype(stored))

    return tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(*canvas.hw, 3), encoding_format="jpeg"),
            "ignore": tfds.features.Image(shape=(height, width, 1), encoding_format="png"),
            "photo": tfds.features.Text(),
            "photo_from_canvas": array((2, 3), np.float32),
            "photo_hw": array((2,), np.int64),
            **{name: array((), np.int64) for name in ("image_id", "labelled", "people")},
            **{name: array((None, *shape), dtype) for name, (shape, dtype) in shapes.items()},
        }
    )


def _any_3d(splits: Mapping[str, Sequence[ImageAnnotation]]) -> bool:
    people = (person for images in splits.values() for image in images for person in image.people)
    return any(person.keypoints_3d is not None for person in people)


def _check_images(canvas: Canvas, beam_options: Sequence[str] | None) -> None:
    if any(side % IGNORE_STRIDE for side in canvas.hw):
        raise InputError(
            f"A canvas for whole images must have sides that are multiples of {IGNORE_STRIDE}; it "
            f"is {canvas.hw[0]}x{canvas.hw[1]}."
        )
    if beam_options is not None:
        raise InputError("Whole images cannot be prepared with Beam: leave out --beam.")


def _progress() -> progress.Progress:
    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("images", markup=False),
        progress.TimeRemainingColumn(),
        console=PlainConsole(stderr=True),
    )


def _check_free(out: Path, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        with contextlib.suppress(OSError):
            out.rmdir()
        return
    if not (out / records.INFO_FILE).is_file():
        raise InputError(f"{out} exists and is not a prepared dataset; choose another --out.")
    if not overwrite:
        raise InputError(
            f"{out} already contains a dataset; choose another --out, or add --overwrite."
        )


def _summarise(folder: Path, logs: Iterable[_Log], notes: Sequence[str]) -> Summary:
    files = {
        file.name: {"bytes": file.stat().st_size, "sha256": _sha256(file)}
        for file in sorted(folder.iterdir())
    }
    digests = json.dumps({name: entry["sha256"] for name, entry in files.items()})
    summary = Summary(
        splits={log.split: log.summary() for log in logs},
        notes=list(notes),
        files=files,
        fingerprint=hashlib.sha256(digests.encode()).hexdigest(),
    )
    content = dataclasses.asdict(summary)
    for name, split in summary.splits.items():
        content["splits"][name]["counts"] = [one.to_dict() for one in split.counts]
    text = json.dumps(content, indent=1) + "\n"
    (folder / records.SUMMARY_FILE).write_text(text)
    return summary


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verify(folder: Path, split: str, layout: Layout) -> None:
    """Read the first and last sample of a split, to detect a writer that failed silently."""
    reader = records.RecordSource if layout == "people" else image_records.ImageSource
    source = reader(folder, split, threads=1)
    source.samples([0, len(source) - 1])
