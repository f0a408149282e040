"""Leases on the points of a study: each point has one worker, and a dead worker's lease expires.

A claim is a file beside the point's folder that its worker touches every few seconds. It expires
when its process has ended (detected at once on the same machine) or when it has not been touched
for a while (any machine that shares the file system). Claims are taken and released under a lock on
the study, which the operating system releases when its holder dies.
"""

import fcntl
import json
import os
import socket
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LOST_CLAIM = 75  # os.EX_TEMPFAIL: try again later


@contextmanager
def locked(study: Path) -> Iterator[None]:
    """Holds the study's lock inside the `with` block.

    No other process reads or changes claims or the manifest in this time.
    """
    with (study / "manifest.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Claim:
    """Point leased to this process until `release`, or until the process ends.

    Args:
      file: the claim's file.
      patience: seconds without a touch after which other workers may take the point.
    """

    def __init__(self, file: Path, patience: float) -> None:
        self._file, self._patience = file, patience
        self._token = uuid.uuid4().hex
        self._done = threading.Event()
        record = {"token": self._token, "machine": _machine(), "pid": os.getpid()}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(record | {"host": socket.gethostname()}) + "\n")
        self._thread = threading.Thread(target=self._beat, name="claim", daemon=True)
        self._thread.start()

    def release(self, study: Path) -> None:
        """Releases the point."""
        self._done.set()
        self._thread.join()
        with locked(study):
            if _read(self._file).get("token") == self._token:
                self._file.unlink()

    def _beat(self) -> None:
        while not self._done.wait(self._patience / 6):
            if _read(self._file).get("token") != self._token:
                # This process was suspended for so long that another one has taken the point. Two
                # processes must never write to one run directory: end without another write.
                print(
                    f"Another worker has taken over {self._file.stem}; this one ends.",
                    file=sys.stderr,
                    flush=True,
                )
                os._exit(LOST_CLAIM)
            os.utime(self._file)


def take(file: Path, patience: float) -> Claim | None:
    """Claims the point, or returns None while another worker holds it; call it under the lock."""
    if holder(file, patience) is not None:
        return None
    return Claim(file, patience)


def holder(file: Path, patience: float) -> str | None:
    """Description of the process that holds a point, None if none does; call it under the lock."""
    if not file.exists():
        return None
    record = _read(file)
    if record.get("machine") == _machine() and not _alive(int(record["pid"])):
        return None
    if _silence(file) > patience:
        return None
    return f"process {record.get('pid')} on {record.get('host')}"


def _silence(file: Path) -> float:
    """Seconds since the claim was last touched, by the clock of its file system."""
    probe = file.with_name(f".now-{uuid.uuid4().hex}")
    probe.touch()
    now = probe.stat().st_mtime
    probe.unlink()
    return now - file.stat().st_mtime


def _read(file: Path) -> dict[str, Any]:
    try:
        record = json.loads(file.read_text())
    except (OSError, ValueError):  # absent, or cut short by a kill
        return {}
    return record if isinstance(record, dict) else {}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _machine() -> str:
    """Identifier of the set of processes among which a process number is unique."""
    parts = [socket.gethostname()]
    for read in (
        lambda: Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        lambda: os.readlink("/proc/self/ns/pid"),
    ):
        try:
            parts.append(read())
        except OSError:  # not Linux
            parts.append("")
    return " ".join(parts)
