"""Changed files for every reader: each must end in a result or in a sentence.

    python -m tests.hostile.fuzz --count 10000 --seed 0
    python -m tests.hostile.fuzz --every

The first changes files at random. The second replaces every value of the JSON documents by every
kind of junk, one at a time.

A reader runs in a process with limited memory and time. Anything but a result or an `InputError`
(or `FileNotFoundError`) is a find: another exception, the end of the process, more than the memory
or the time. Finds are written to `--out`, a folder for each.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

from jaxpose.errors import InputError
from tests.hostile.mutate import mutate, replacements
from tests.hostile.reader import Files, Reader
from tests.hostile.readers import READERS

SECONDS = 10  # of computing; a reader that waits has ten times as long
MEMORY = 2**30


class Slow(BaseException):
    """A reader did not end in time."""


def changed_samples(reader: Reader, count: int, seed: int) -> list[Files]:
    """`count` samples of a reader whose first file is changed, the same for the same seed."""
    samples = reader.samples()
    made = []
    for number in range(count):
        rng = np.random.default_rng((seed, number, *reader.name.encode()))
        sample = dict(samples[int(rng.integers(len(samples)))])
        first = next(iter(sample))
        sample[first] = mutate(sample[first], rng)
        made.append(sample)
    return made


def replaced_samples(reader: Reader) -> list[Files]:
    """Samples of a reader whose first file is JSON, with each of its values replaced."""
    found = []
    for sample in reader.samples():
        first = next(iter(sample))
        found += [sample | {first: data} for data in replacements(sample[first])]
    return found


def outcome(reader: Reader, folder: Path) -> tuple[str, str]:
    """Kind of ending of a reader, "read", "refused" or "find", and its message or traceback."""

    def too_slow(*_: object) -> None:
        raise Slow

    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, too_slow)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.alarm(10 * SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(folder)
    except (InputError, FileNotFoundError) as error:
        message = str(error)
        return ("refused", message) if message else ("find", "an error without a message")
    except Slow:
        return "find", f"no end after {SECONDS} s"
    except (Exception, SystemExit):
        return "find", traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
    return "read", ""


def write(sample: Files, folder: Path) -> None:
    """Write the files of a sample into an empty folder."""
    for file in folder.iterdir():
        file.unlink()
    for name, data in sample.items():
        (folder / name).write_bytes(data)


def samples_of(reader: Reader, count: int | None, seed: int) -> list[Files]:
    """Changed samples of a reader: `count` at random, or for None each replacement."""
    return replaced_samples(reader) if count is None else changed_samples(reader, count, seed)


def run(name: str, count: int | None, seed: int, first: int, report: Path) -> None:
    """Read samples from number `first` in this process; write a line for each to `report`."""
    reader = next(reader for reader in READERS if reader.name == name)
    samples = samples_of(reader, count, seed)
    with tempfile.TemporaryDirectory() as place, report.open("a") as lines:
        folder = Path(place)
        write(reader.samples()[0], folder)
        reader.read(folder)  # everything is imported before the memory is limited
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        for number in range(first, len(samples)):
            print(json.dumps([number, "begun", ""]), file=lines, flush=True)
            write(samples[number], folder)
            print(json.dumps([number, *outcome(reader, folder)]), file=lines, flush=True)


def endings(reader: Reader, count: int | None, seed: int) -> list[tuple[int, str, str]]:
    """Number, kind and message of every sample; a process that ends is started again."""
    found: list[tuple[int, str, str]] = []
    how = ["--every"] if count is None else ["--count", str(count), "--seed", str(seed)]
    count = len(samples_of(reader, count, seed))
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "report"
        while len(found) < count:
            command = [sys.executable, "-m", "tests.hostile.fuzz", f"--worker={reader.name}"]
            command += [*how, "--first", str(len(found)), "--report", str(report)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            lines = (
                [json.loads(line) for line in report.read_text().splitlines()]
                if (report.exists())
                else []
            )
            found = [tuple(line) for line in lines if line[1] != "begun"]  # type: ignore[misc]
            begun = [line[0] for line in lines if line[1] == "begun"]
            if len(found) < count and not begun:
                raise RuntimeError(done.stderr)
            if begun and begun[-1] == len(found):
                ended = json.dumps([begun[-1], "find", f"the process ended: {done.returncode}"])
                report.write_text(report.read_text() + ended + "\n")
                found.append((begun[-1], "find", f"the process ended: {done.returncode}"))
    return found


def main() -> int:
    """Run all readers, or one in this process for `endings`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="changed files of all readers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", action="store_true", help="replace every value of JSON")
    parser.add_argument("--reader", default="", help="only readers whose name contains this")
    parser.add_argument("--out", type=Path, help="folder for the files of finds")
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        chosen = None if options.every else options.count
        run(options.worker, chosen, options.seed, options.first, options.report)
        return 0
    readers = [reader for reader in READERS if options.reader in reader.name]
    each = None if options.every else -(-options.count // len(readers))
    files = finds = 0
    for reader in readers:
        samples = samples_of(reader, each, options.seed)
        ended = endings(reader, each, options.seed)
        files += len(ended)
        kinds = Counter(kind for _, kind, _ in ended)
        print(f"{reader.name:24} {dict(kinds)}", flush=True)
        last_lines = Counter()
        for number, kind, message in ended:
            if kind == "find":
                finds += 1
                last_lines[message.strip().splitlines()[-1][:150]] += 1
                if options.out is not None:
                    folder = options.out / f"{reader.name}-{number}".replace(" ", "_")
                    folder.mkdir(parents=True, exist_ok=True)
                    write(samples[number], folder)
                    (folder / "find.txt").write_text(message)
        for line, times in last_lines.most_common():
            print(f"    {times:4} x {line}")
    print(f"{finds} finds in {files} files")
    return 1 if finds else 0


if __name__ == "__main__":
    sys.exit(main())
