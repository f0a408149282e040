"""Log of a run: a progress line, `metrics.jsonl`, and the experiment's loggers."""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from jaxpose.errors import InputError
from jaxpose.json_text import parse_json
from jaxpose.metrics.report import shown, with_nan, with_null
from jaxpose.paths import atomic_write, in_bucket
from jaxpose.train.loggers import Logger, LogLost, LogWriter, open_all


class RunLog:
    """Log that writes `metrics.jsonl` and the loggers and shows progress; a context manager.

    Args:
      directory: the run directory.
      steps: number of steps of the run.
      start_step: number of finished steps. Records of later steps (of a process that was killed
        after its last checkpoint) are dropped, so that the file has each step once.
      batch_size, unit: number and name of the samples in a step, to report the speed.
      console: the console to print to.
      writes: whether to write files; only one of several processes writes.
      loggers: logs of the figures besides `metrics.jsonl`.
      config: the experiment as JSON types, for the loggers.
    """

    def __init__(
        self,
        directory: Path,
        steps: int,
        start_step: int,
        batch_size: int,
        console: Console,
        writes: bool = True,
        unit: str = "images",
        loggers: Sequence[Logger] = (),
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self._batch_size, self._unit = batch_size, unit
        self._console = console
        self._last: tuple[int, float] | None = None
        self._lines = Lines(directory / "metrics.jsonl")
        self._writes = writes
        self._writers: list[LogWriter] = []
        self._lost: set[int] = set()
        if writes:
            _drop_after(directory / "metrics.jsonl", start_step)
            self._writers = open_all(loggers, directory, start_step, config or {})
        self._progress = Progress(
            TextColumn("step {task.completed}/{task.total}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[status]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left", markup=False),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=steps, completed=start_step, status="")
        self._steps = steps

    def __enter__(self) -> "RunLog":
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._progress.stop()
        try:
            if self._writes:
                self._to_each(lambda writer: writer.close())
                self.flush()
        except InputError:
            if kind is None:  # else the first error is the one to report
                raise

    def flush(self) -> None:
        """Write all records to disk or to the bucket."""
        with self._reported():
            self._lines.flush()

    def advance(self, step: int) -> None:
        """Move the progress bar to `step` finished steps."""
        self._progress.update(self._task, completed=step)

    def restart_clock(self, step: int) -> None:
        """Measure the speed from now on, without the compilation or evaluation before."""
        self._last = (step, time.perf_counter())

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Record scalars of training after `step` steps, and print them."""
        record = {name: float(value) for name, value in values.items()}
        now = time.perf_counter()
        if self._last is not None and step > self._last[0]:
            samples = (step - self._last[0]) * self._batch_size
            record[f"{self._unit}_per_second"] = samples / (now - self._last[1])
        self._last = (step, now)
        self._write(step, "train", record)
        rate = record.get(f"{self._unit}_per_second")
        speed = "" if rate is None else f"  {rate:,.0f} {self._unit}/s"
        status = f"loss {record['loss']:.3g}{speed}"
        self._progress.update(self._task, status=status)
        if not self._console.is_terminal:
            self._console.print(f"step {step}/{self._steps}  {status}")

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Record the figures of an evaluation after `step` steps, and print them."""
        self._write(step, "eval", dict(values))
        figures = "  ".join(
            f"{name} {shown(value, '.3f')}" for name, value in list(values.items())[:6]
        )
        self._console.print(f"step {step}: {figures}")
        lost = [name for name, value in values.items() if not math.isfinite(value)]
        if lost:
            self._console.print(
                f"Not a finite number after step {step}: {', '.join(lost)}. Such a figure is null "
                "in the files and does not make a checkpoint the best.",
                style="yellow",
            )

    def image(self, step: int, name: str, rgb: np.ndarray) -> None:
        """Send a uint8 RGB image `[H, W, 3]` to the loggers."""
        self._to_each(lambda writer: writer.image(step, name, rgb))

    def say(self, text: str) -> None:
        """Print a line above the progress bar."""
        self._console.print(text)

    def _write(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        if not self._writes:
            return
        with self._reported():
            self._lines.add(_line({"step": step, "kind": kind} | dict(values)))
        named = {f"{kind}/{name}": value for name, value in values.items()}
        self._to_each(lambda writer: writer.scalars(step, named))

    def _to_each(self, send: Callable[[LogWriter], None]) -> None:
        """Call `send` for each logger; an unreachable server ends no run and is reported once."""
        for number, writer in enumerate(self._writers):
            try:
                with self._reported():
                    send(writer)
            except LogLost as error:
                if number not in self._lost:
                    self._lost.add(number)
                    self.say(f"A logger lost figures; metrics.jsonl has them. {error}.")

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(
                f"Cannot write to {self._lines.file.parent}: {error.strerror or error}."
            ) from error


class Lines:
    """Text file that grows line by line; a kill loses no line, a power cut none before `flush`.

    Files in a bucket cannot be appended to: there the whole file is written again every 30 s and
    on `flush`.
    """

    EVERY = 30.0

    def __init__(self, file: Path) -> None:
        self.file = file
        self._whole: str | None = None
        self._unwritten, self._written_at = False, time.monotonic()

    def add(self, line: str) -> None:
        """Append a line; OSError if the file cannot be written."""
        if not in_bucket(self.file):
            with self.file.open("a") as file:
                file.write(line + "\n")
            return
        if self._whole is None:
            self._whole = self.file.read_text() if self.file.exists() else ""
        self._whole += line + "\n"
        self._unwritten = True
        if time.monotonic() - self._written_at > self.EVERY:
            self.flush()

    def flush(self) -> None:
        """Write the lines that are not written yet, and wait until all are on the disk."""
        if self._unwritten and self._whole is not None:
            atomic_write(self.file, self._whole)
            self._unwritten, self._written_at = False, time.monotonic()
        elif self._whole is None and self.file.exists():
            with self.file.open("a") as file:
                os.fsync(file.fileno())


def read_metrics(directory: Path) -> list[dict[str, Any]]:
    """Read the records of a run's `metrics.jsonl`, without incomplete lines of a killed process.

    A value that is null becomes NaN: it was not finite.
    """
    file = directory / "metrics.jsonl"
    text = file.read_text("utf-8", "replace") if file.exists() else ""
    records = []
    for line in text.splitlines():
        try:
            record = parse_json(line)
        except ValueError:
            continue
        if isinstance(record, dict) and isinstance(record.get("step"), int):
            records.append(with_nan(record))
    return records


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(with_null(record), allow_nan=False)


def _drop_after(file: Path, step: int) -> None:
    if file.exists():
        kept = [r for r in read_metrics(file.parent) if r["step"] <= step]
        atomic_write(file, "".join(_line(r) + "\n" for r in kept))
