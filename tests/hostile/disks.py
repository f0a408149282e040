"""Disks that fill up, cannot be written or vanish: nothing is lost, and a sentence says what is.

    python -m tests.hostile.disks

Needs Linux, root and ext4: a small file system in a file is mounted, filled to the last bytes,
mounted without write access, or shut down in the middle of a command as if its cable were pulled.
After each fault the file system is mounted again and read. Each command also runs with a clock that
is a day slow on files from the future, and twice at the same time.

Every file that can be seen must be that of the earlier command or that of the new one, to the byte,
and a folder that is replaced must be whole. Results of a prediction that broke off have names of
their own and hold whole entries. A training that failed must go on and end with the bits of one
that was not disturbed; weights that were being fetched must be fetched by the next command. A
command that does not end well must say so in one sentence, with an exit status that is not 0.
"""

import argparse
import fcntl
import functools
import hashlib
import http.server
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.train.fifty_kills import answer, final_state, fork

TESTS = Path(__file__).resolve().parents[1]
_SHUTDOWN = (2 << 30) | (4 << 16) | (ord("X") << 8) | 125  # EXT4_IOC_SHUTDOWN
_NO_LOG_FLUSH = 2  # what is not on the disk yet is lost
_SECONDS = 900.0  # longest time of a command
_SIZE = 48 * 2**20  # bytes of the file system


class Drive:
    """An ext4 file system in a file, mounted in a folder."""

    def __init__(self, folder: Path) -> None:
        self._file, self.folder = folder / "drive.img", folder / "drive"
        with self._file.open("wb") as file:
            file.truncate(_SIZE)
        _system("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0", str(self._file))
        self.folder.mkdir()
        self.mount()

    def mount(self, *options: str) -> None:
        _system("mount", "-o", ",".join(("loop", *options)), str(self._file), str(self.folder))

    def unmount(self) -> None:
        for _ in range(50):
            if subprocess.run(["umount", str(self.folder)], capture_output=True).returncode == 0:
                return
            time.sleep(0.2)
        _system("umount", "-l", str(self.folder))

    def again(self, *options: str) -> None:
        """Mount again, with what has reached the disk."""
        self.unmount()
        self.mount(*options)

    def used(self) -> int:
        found = os.statvfs(self.folder)
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    def fill(self, left: int) -> None:
        """Leave so many bytes free."""
        size = 0
        with (self.folder / ".ballast").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                size += file.write(bytes(4096))
        os.truncate(self.folder / ".ballast", max(0, size - left))
        os.sync()

    def empty(self) -> None:
        (self.folder / ".ballast").unlink(missing_ok=True)

    def vanish(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY)
        fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        os.close(descriptor)


def _system(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@dataclass(frozen=True)
class Work:
    """A command whose results lie on the drive.

    Attributes:
      name: its name in the table.
      earlier: arguments that make the earlier results.
      later: arguments of the command that is disturbed.
      out: folder of the results on the drive.
      whole: the folder is replaced as a whole.
      resumes: the same command goes on after a fault.
      exact: the command writes the same bytes each time.
      again: the same command, run after a fault, ends well with the same results.
      cache: the folder is the cache of downloads.
    """

    name: str
    earlier: list[str]
    later: list[str]
    out: str
    whole: bool = False
    resumes: bool = False
    exact: bool = True
    again: bool = False
    cache: bool = False


def _run(arguments: list[str], log: Path, clock: float = 0.0, cache: Path | None = None) -> int:
    """Begin a command in a process of its own, with `clock` seconds added to the time.

    `{pid}` in an argument is the number of the process.
    """

    def live() -> None:
        from jaxpose.cli.main import app

        if cache is not None:
            os.environ["JAXPOSE_CACHE"] = str(cache)
        target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(target, 1)
        os.dup2(target, 2)
        if clock:
            real, real_ns = time.time, time.time_ns
            time.time = lambda: real() + clock
            time.time_ns = lambda: real_ns() + int(clock * 1e9)
        app([argument.replace("{pid}", str(os.getpid())) for argument in arguments])

    return fork(live)


def _end(pid: int, meanwhile: Callable[[], bool] = lambda: True) -> int:
    """Exit status of a process; `meanwhile` is called until it returns True."""
    begun, done = time.monotonic(), False
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        done = done or meanwhile()
        if time.monotonic() - begun > _SECONDS:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise AssertionError("no end")
        time.sleep(0.002)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of all files that are not hidden."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def entries(path: Path) -> list[str]:
    """Entries of a file of results, "whole" for a video or an image; fails if it is damaged."""
    if path.suffix in (".jsonl", ".csv"):
        lines = path.read_bytes().decode().split("\n")
        assert lines.pop() == "", f"{path.name} ends within a line"
        return lines
    if path.suffix == ".json":
        document = json.loads(path.read_text())
        if isinstance(document, dict):
            document = document.get("frames", [document])
        return [json.dumps(entry) for entry in document]
    if path.suffix in (".mp4", ".jpg", ".png"):
        from jaxpose.media.sources import open_media

        assert list(open_media(path)), f"{path.name} cannot be read"
        return ["whole"]
    return []


class Case:
    """A command and its good results: the earlier ones, and those of an undisturbed run."""

    def __init__(self, work: Work, drive: Drive, keep: Path) -> None:
        self.work, self.drive = work, drive
        self.out = drive.folder / work.out
        self.log = keep / f"{work.name}.log"
        self._store = keep / f"{work.name}-earlier"
        if work.earlier:
            self._must(work.earlier)
        before = drive.used()
        if self.out.exists():
            shutil.copytree(self.out, self._store, symlinks=True)
        begun, self.most = time.monotonic(), before
        assert self._must(work.later, self._watch) == 0
        self.seconds = time.monotonic() - begun
        self.grows = max(self.most - before, 2**14)
        self.earlier, self.later = digests(self._store), digests(self.out)
        self.entries = {name: entries(self.out / name) for name in self.later}
        if work.resumes:
            self.state = answer(functools.partial(final_state, self.out))

    def _watch(self) -> bool:
        self.most = max(self.most, self.drive.used())
        return False

    def run(self, arguments: list[str], log: Path | None = None, clock: float = 0.0) -> int:
        """Begin a command in a process of its own."""
        return _run(arguments, log or self.log, clock, self.out if self.work.cache else None)

    def _must(self, arguments: list[str], meanwhile: Callable[[], bool] = lambda: True) -> int:
        status = _end(self.run(arguments), meanwhile)
        assert status == 0, f"{arguments}\n{self.said()}"
        return status

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def reset(self) -> None:
        """Only the earlier results are on the drive."""
        self.drive.empty()
        shutil.rmtree(self.out, ignore_errors=True)
        if self._store.exists():
            shutil.copytree(self._store, self.out, symlinks=True)
        for rest in self.drive.folder.glob(".*"):
            shutil.rmtree(rest) if rest.is_dir() else rest.unlink()
        os.sync()

    def check(self, status: int, gone: bool) -> str:
        """Fails unless nothing is lost; returns what was said, in short.

        If the drive is `gone`, a command may have ended before its last images were on the disk.
        """
        said = self.said()
        assert "Traceback" not in said, said
        errors = [line for line in said.splitlines() if line.startswith("Error: ")]
        if status == 0:
            assert not errors, said
        else:
            assert len(errors) == 1, f"status {status}\n{said}"
        self.check_files(status == 0 and not gone)
        if self.work.resumes or self.work.again:
            self.drive.empty()
            again = self.log.with_suffix(".again")
            code = _end(self.run(self.work.later, again))
            assert code == 0, again.read_text()
        if self.work.again:
            self.check_files(True)
        if self.work.resumes:
            found = answer(functools.partial(final_state, self.out))
            differing = [name for name in self.state if found.get(name) != self.state[name]]
            assert not differing, f"after going on, these differ: {differing}"
        start = said.find("Error: ")
        return "done" if status == 0 else " ".join(said[start:].split("Add --help")[0].split())

    def check_files(self, done: bool) -> None:
        found = digests(self.out)
        if self.work.resumes:
            return  # compared at the end
        if self.work.whole:
            if done and not self.work.exact:
                assert found.keys() == self.later.keys(), sorted(found)
                return
            expected = (self.later,) if done else (self.earlier, self.later)
            assert found in expected, f"{sorted(found)} is neither of {expected}"
            return
        for name, digest in found.items():
            known = {self.later.get(name)} | (set() if done else {self.earlier.get(name)})
            if digest in known:
                continue
            whole = name.replace(".partial.", ".")
            assert name != whole and not done, f"{name} is cut or changed"
            some, every = entries(self.out / name), self.entries[whole]
            assert some and every and some == every[: len(some)], f"{name} is cut or changed"
        missing = set(self.later if done else self.earlier) - set(found)
        assert not missing, f"lost: {missing}"


def full(case: Case, share: float) -> int:
    case.reset()
    case.drive.fill(int(share * case.grows))
    return _end(case.run(case.work.later))


def read_only(case: Case) -> int:
    case.reset()
    case.drive.again("ro")
    try:
        return _end(case.run(case.work.later))
    finally:
        case.drive.again()


def vanished(case: Case, share: float) -> int:
    """The drive is gone once `share` of the bytes are written, or of the time is over."""
    case.reset()
    before, begun = case.drive.used(), time.monotonic()

    def pull() -> bool:
        grown = case.drive.used() - before
        if grown < share * case.grows and time.monotonic() - begun < case.seconds:
            return False
        case.drive.vanish()
        return True

    status = _end(case.run(case.work.later), pull)
    case.drive.again()
    return status


def set_back(case: Case) -> int:
    case.reset()
    for path in case.drive.folder.rglob("*"):
        os.utime(path, (time.time() + 3600, time.time() + 3600))
    return _end(case.run(case.work.later, clock=-86400.0))


def twice(case: Case) -> int:
    """Two at the same time; the status of the one that was refused, if one was."""
    case.reset()
    other = case.log.with_suffix(".other")
    pids = [case.run(case.work.later), case.run(case.work.later, other)]
    codes = [_end(pid) for pid in pids]
    assert 0 in codes, case.said() + other.read_text()
    assert "Traceback" not in case.said() + other.read_text(), case.said() + other.read_text()
    case.check_files(True)
    if codes[0] == 0:
        case.log.write_text(other.read_text())
    return codes[1] if codes[0] == 0 else codes[0]


FAULTS: dict[str, Callable[[Case], int]] = {
    **{f"full, {share:.0%} fits": functools.partial(full, share=share) for share in (0, 0.3, 0.8)},
    "read-only": read_only,
    **{
        f"vanished at {share:.0%}": functools.partial(vanished, share=share)
        for share in (0.05, 0.5, 0.95)
    },
    "clock set back": set_back,
    "two processes": twice,
}


def _stand_ins(folder: Path) -> None:
    """Inputs of the commands, which lie on another disk."""
    sys.path[:0] = [str(TESTS)]
    import doc_stand_ins as stand_ins

    stand_ins.pose_release(folder / "model")
    for name in ("a", "b"):
        os.makedirs(folder / name)
        stand_ins.images(folder / name / "images")
        stand_ins.people(stand_ins.COCO17)(folder / name / "people.json")
        stand_ins.video(folder / name / "v.mp4")
        shutil.copytree(folder / "model", folder / name / "model")
    for path in (folder / "b" / "images").iterdir():  # other content under the same names
        image = stand_ins.cv2.imread(str(path))
        stand_ins.cv2.imwrite(str(path), 255 - image)


def _serve(folder: Path) -> str:
    """Address of a server of a folder's files, in a thread of this process."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def works(inputs: Path, drive: Path) -> list[Work]:
    """The commands."""
    address = _serve(inputs)
    a, b = inputs / "a", inputs / "b"
    train = ["train", str(TESTS / "tiny.py"), "--workdir", str(drive / "run")]

    def predict(one: Path) -> list[str]:
        what = [str(one / "images"), str(one / "v.mp4"), "--from", str(inputs / "model")]
        form = ["--format", "json,jsonl,csv,coco,openpose", "--sheet"]
        return ["predict", *what, "--boxes", "full", "--out", str(drive / "out"), *form]

    def prepare(one: Path) -> list[str]:
        what = ["--annotations", str(one / "people.json"), "--images", str(one / "images")]
        more = ["--split", "val", "--processes", "1", "--overwrite"]
        return ["prepare", "coco", *what, "--out", str(drive / "data"), *more]

    def convert(run: Path, *more: str) -> list[str]:
        return ["convert", str(run), str(drive / "release"), "--overwrite", *more]

    def export(*more: str) -> list[str]:
        how = ["--to", "stablehlo", "--no-check", "--overwrite", *more]
        return ["export", str(inputs / "model"), "--out", str(drive / "exported"), *how]

    def fetch(one: str) -> list[str]:
        what = [str(inputs / one / "images"), "--from", f"{address}/{one}/model"]
        out = str(inputs.with_name("fetched-{pid}"))
        return ["predict", *what, "--boxes", "full", "--no-draw", "--out", out]

    return [
        Work("train", [*train, "--set", "steps=4"], train, "run", resumes=True),
        Work("predict", predict(a), predict(b), "out"),
        Work("prepare", prepare(a), prepare(b), "data", whole=True),
        Work(
            "convert", convert(inputs / "run"), convert(inputs / "run", "--half"), "release", True
        ),
        Work("export", export(), export("--batch", "2"), "exported", whole=True, exact=False),
        Work("fetch", fetch("a"), fetch("b"), "cache", again=True, cache=True),
    ]


def main() -> int:
    """Run all commands with all faults; print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", default="", help="only commands whose name contains this")
    parser.add_argument("--fault", default="", help="only faults whose name contains this")
    options = parser.parse_args()
    os.environ["JAX_PLATFORMS"] = "cpu"
    console = Console(width=160)
    table = Table("command", "fault", "status", "outcome", box=None)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="jaxpose-disks-") as place:
        folder = Path(place)
        os.environ["JAXPOSE_CACHE"] = str(folder / "cache")
        import jaxpose.cli.main  # noqa: F401  so that forked processes begin quickly

        chosen = [w for w in works(folder / "inputs", folder / "drive") if options.work in w.name]
        if {work.name for work in chosen} - {"train", "convert"}:
            assert _end(fork(functools.partial(_stand_ins, folder / "inputs"))) == 0
        if "convert" in {work.name for work in chosen}:
            run = str(folder / "inputs" / "run")
            train = ["train", str(TESTS / "tiny.py"), "--workdir", run, "--set", "steps=2"]
            assert _end(_run(train, folder / "log")) == 0
        for work in chosen:
            drive = Drive(folder)
            try:
                case = Case(work, drive, folder)
                for name, fault in FAULTS.items():
                    if options.fault not in name:
                        continue
                    status: int | str = "-"
                    try:
                        status = fault(case)
                        outcome = case.check(status, name.startswith("vanished"))
                    except AssertionError as error:
                        failed += 1
                        outcome = f"FAILED: {str(error)[-1500:]}"
                    table.add_row(work.name, name, str(status), outcome.replace(place, ""))
                    console.print(work.name, name, status, outcome[:4000], markup=False)
            finally:
                drive.unmount()
                shutil.rmtree(drive.folder, ignore_errors=True)
    console.print(table)
    console.print(f"{failed} of {table.row_count} failed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
