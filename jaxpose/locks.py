"""Lock on a folder that only one process may write at a time."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from jaxpose.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def only_writer(folder: Path, lock: Path | None = None) -> Iterator[None]:
    """Holds the lock of a folder inside the `with` block.

    The operating system releases the lock when its process ends, also after a kill; no clock is
    involved. Folders in a bucket, file systems without locks and Windows are not locked.

    Args:
      folder: the folder.
      lock: path of the file that is locked; None for one in the folder, which then exists.

    Raises:
      InputError: another process writes into the folder.
    """
    file = lock or folder / ".jaxpose-lock"
    descriptor = None if fcntl is None else _locked(file, folder)
    try:
        yield
    finally:
        if descriptor is not None:
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
            os.close(descriptor)


def _locked(file: Path, folder: Path) -> int | None:
    """Descriptor of the locked file, or None where files cannot be locked."""
    while True:
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError:  # in a bucket, or the folder cannot be written: its first file reports that
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), file.stat()):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"{os.getpid()} on {socket.gethostname()}".encode())
                return descriptor
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace")
            os.close(descriptor)
            raise InputError(
                f"Another process{f' ({holder})' if holder else ''} is writing into {folder}. Wait "
                "for it to end, or choose another folder."
            ) from None
        except FileNotFoundError:
            pass  # another process has released and removed the file: make it again
        except OSError:
            os.close(descriptor)
            return None
        os.close(descriptor)
