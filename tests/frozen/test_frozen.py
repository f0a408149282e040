"""Runs, releases and configurations written by version 0.1.0 load, and give the same bits.

What lies beside this file was written by `make.py` with version 0.1.0 and never changes:

- `runs-0.1.0/`: run directories as `jaxpose train` left them when it was stopped halfway.
- `releases-0.1.0/`: folders as `jaxpose convert` and `Detector.save` wrote them.
- `data-0.1.0.tar.xz`: the prepared datasets that the runs name, records and motion.
- `configs-0.1.0.json.gz`: the JSON form of every shipped recipe, and of experiments, models, codecs
  and skeletons that hold every class which could stand in a `config.json`.
- `classes-0.1.0.json`: the path and the fields of every one of these classes, and of those that
  are parts of networks and no configuration names.
- `expected-0.1.0.npz` and `.json`: what version 0.1.0 computed from these files.

Values that are only read are compared exactly everywhere. Values that are computed are compared bit
for bit where the processor and the packages are those that computed them, elsewhere within
`ELSEWHERE`: another processor adds up in another order.
"""

import gzip
import hashlib
import importlib.metadata
import json
import platform
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

# All that these tests take from the package: where something moves, only these lines change.
from jaxpose.cli.main import app
from jaxpose.config import from_json, to_json
from jaxpose.detect import Detector
from jaxpose.geometry.cameras import pinhole
from jaxpose.hub.load import Trained, load
from jaxpose.tasks.lifting.track_lifter import TrackLifter
from jaxpose.tasks.topdown.predictor import Predictor
from jaxpose.train.loop import train
from jaxpose.train.run_dir import load_run

VERSION = "0.1.0"
HERE = Path(__file__).resolve().parent
RUNS = sorted(p.name.split(".")[0] for p in (HERE / f"runs-{VERSION}").glob("*.tar.xz"))
RELEASES = sorted(p.name.split(".")[0] for p in (HERE / f"releases-{VERSION}").glob("*.tar.xz"))
DETECTORS = [name for name in RELEASES if name.startswith("detector")]
# Relative to the largest value of an array. Float32 resolves 1e-7, and a network is some ten
# additions deep; steps of AdamW enlarge what is small.
ELSEWHERE = 1e-3
CHECKPOINTS = ("best", "last")
# Runs that the normal suite does not train further; each of their parts is in another one.
LONG = ("distilled", "simcc", "heatmap", "trajectory")

# Releases whose random weights give maps with two maxima that are equal but for rounding: another
# processor may choose the other one.
TIED = ("converted",)

Arrays = dict[str, np.ndarray]


# --------------------------------------------------------------------------------------------------
# What is computed from the files. `make.py` calls these functions, too, and stores the results.


def digest(variables: Any) -> str:
    """SHA-256 of a tree of arrays: their paths, types, shapes and bytes."""
    sha = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
        array = np.ascontiguousarray(leaf)
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        sha.update(f"{name} {array.dtype} {array.shape}\n".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def noise(seed: int, *shape: int) -> np.ndarray:
    """Uniform in [0, 1); NumPy promises that this stream never changes."""
    return np.random.RandomState(seed).random_sample(shape)


def photo(height: int = 90, width: int = 120) -> np.ndarray:
    """uint8 RGB `[H, W, 3]`, smooth and noisy."""
    rows, columns = np.mgrid[:height, :width]
    waves = np.stack([columns % 64 * 3, rows % 50 * 4, (rows + columns) % 90 * 2], axis=-1)
    return (waves + 40 * noise(1, height, width, 3)).astype(np.uint8)


BOXES = [[10.0, 5.0, 60.0, 80.0], [50.5, 20.25, 40.0, 60.0], [-8.0, 30.0, 50.0, 40.0]]


def outputs(where: str, checkpoint: str = "best") -> tuple[str, Arrays]:
    """Digest of the weights read there, and estimates, in crops and with the flip test.

    Of large outputs of a model every seventh value; what is decoded depends on all of them.

    Args:
      where: a run or a release.
      checkpoint: of a run.
    """
    if Path(where).name in DETECTORS:
        return detections(where)
    trained = load(where, checkpoint)
    if trained.estimator.takes == "tracks":
        return digest(trained.variables), lifted(trained)
    model, variables, codec = trained.model, trained.variables, trained.codec
    images = (4 * noise(0, 2, *codec.input_hw, 3) - 2).astype(np.float32)
    raw = jax.jit(lambda v, x: model.apply(v, x))(variables, images)
    decoded = jax.jit(codec.decode)(raw)
    predictor = Predictor(
        model, variables, codec, trained.skeleton, padding=trained.estimator.padding, batch_size=3
    )
    people = predictor(photo(), BOXES)
    arrays = {f"raw {i}": thinned(leaf) for i, leaf in enumerate(jax.tree.leaves(raw))}
    arrays |= {"decoded": decoded[0], "scores": decoded[1], "raw scores": decoded[2]}
    arrays |= {"people": people.keypoints, "people's scores": people.scores}
    if Path(where).name == "distilled" and (Path(where) / "checkpoints").is_dir():
        # It is loaded as its student; the digest is of both networks.
        variables = load_run(Path(where), checkpoint).variables
    return digest(variables), {name: np.asarray(value) for name, value in arrays.items()}


def thinned(values: Any) -> np.ndarray:
    """The array, or every seventh of more than a thousand values."""
    return np.asarray(values) if values.size <= 1000 else np.asarray(values).ravel()[::7]


def lifted(trained: Trained) -> Arrays:
    """Outputs of a lifter for a window, and for a track with and without refitting."""
    model, codec, skeleton = trained.model, trained.codec, trained.skeleton
    window = (2 * noise(2, 2, *model.input_shape()[1:]) - 1).astype(np.float32)
    arrays = {"raw 0": jax.jit(lambda v, x: model.apply(v, x))(trained.variables, window)}
    frames = np.arange(14)[:, None, None]
    sway = 20 * np.sin(frames / 4 + 6 * noise(3, 1, skeleton.num_keypoints, 2))
    track = 150 + 200 * noise(4, 1, skeleton.num_keypoints, 2) + sway
    lifter = TrackLifter(model, trained.variables, codec, skeleton)
    view = pinhole([[800.0, 0, 320], [0, 800, 240], [0, 0, 1]], np.eye(3), np.zeros(3))
    known = {"image_wh": (640, 480), "fps": 50.0}
    if codec.input_statistics is not None:
        arrays["refitted"] = lifter(track, **known)
    arrays["lifted"] = lifter(track, refit=False, camera=view, **known)
    return {name: np.asarray(value) for name, value in arrays.items()}


def detections(where: str) -> tuple[str, Arrays]:
    """Boxes and scores of a detector, before suppression and after."""
    detector = Detector.load(where)
    canvases = np.stack([photo(*detector.input_hw)])
    boxes, scores = detector.places(canvases)
    (found,) = detector([photo()])
    arrays = {"places": boxes, "places' scores": scores}
    arrays |= {"boxes": found.boxes_xywh, "scores": found.scores}
    return digest(detector.variables), {name: np.asarray(v) for name, v in arrays.items()}


def scores(run: str, out: Path) -> dict[str, float]:
    """The metrics of a run's best checkpoint on its own held-out data."""
    result = CliRunner().invoke(app, ["eval", run, "--out", str(out)])
    assert result.exit_code == 0, result.output
    return json.loads((out / "report.json").read_text())["metrics"]


def resumed(run: str) -> dict[str, Any]:
    """The rest of a run that was stopped: its losses, and a digest of what it ended with.

    The run goes on in its directory.
    """
    train(load_run(run, "last").experiment, Path(run).absolute(), Console(quiet=True))
    lines = (json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines())
    losses = {line["step"]: line["loss"] for line in lines if line["kind"] == "train"}
    end = load_run(run, "last")
    return {
        "step": end.step,
        "losses": [losses[step] for step in sorted(losses)],
        "digest": digest(end.variables),
    }


def machine() -> dict[str, str]:
    """Conditions that the bits of a computation depend on, beside the program."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    flags = next((line.split(":")[1].split() for line in lines if line.startswith("flags")), [])
    vector = " ".join(sorted(f for f in flags if f.startswith(("avx", "amx", "fma", "sse"))))
    packages = ("jax", "jaxlib", "flax", "optax", "numpy", "opencv-python-headless")
    return {"processor": f"{platform.machine()} {vector}"} | {
        name: importlib.metadata.version(name) for name in packages
    }


def unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")


# --------------------------------------------------------------------------------------------------
# Tests


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with the runs, the releases and the data, which name each other from there."""
    folder = tmp_path_factory.mktemp("frozen")
    unpack(HERE / f"data-{VERSION}.tar.xz", folder)
    for kind, names in (("runs", RUNS), ("releases", RELEASES)):
        for name in names:
            unpack(HERE / f"{kind}-{VERSION}/{name}.tar.xz", folder / kind)
    return folder


@pytest.fixture(autouse=True)
def at_home(home, monkeypatch):
    monkeypatch.chdir(home)


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return json.loads((HERE / f"expected-{VERSION}.json").read_text())


@pytest.fixture(scope="module")
def expected_arrays() -> Arrays:
    with np.load(HERE / f"expected-{VERSION}.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def exact(expected) -> bool:
    """True if bits can be compared here."""
    return expected["machine"] == machine()


@pytest.fixture(scope="module")
def configs() -> dict[str, Any]:
    return json.loads(gzip.decompress((HERE / f"configs-{VERSION}.json.gz").read_bytes()))


def assert_same(name: str, actual: Any, wanted: Any, exact: bool) -> None:
    """Shapes and types, and bits or values."""
    actual, wanted = np.asarray(actual), np.asarray(wanted)
    assert (actual.shape, actual.dtype) == (wanted.shape, wanted.dtype), name
    if exact:
        assert actual.tobytes() == wanted.tobytes(), f"{name}: {np.abs(actual - wanted).max()}"
    else:
        tolerance = ELSEWHERE * max(np.abs(wanted).max(initial=0.0), 1e-3)
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=tolerance, err_msg=name)


def test_every_kind_is_there():
    assert len(RUNS) == 6 and len(RELEASES) == 12 and len(DETECTORS) == 1


def test_bits_are_compared_here(expected):
    here = machine()
    other = [key for key, value in expected["machine"].items() if here[key] != value]
    if other:
        pytest.skip(f"values are compared within {ELSEWHERE}: another {', '.join(other)}")
    assert here == expected["machine"]


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
@pytest.mark.parametrize("name", RUNS)
def test_a_run_predicts_as_it_did(name, checkpoint, expected, expected_arrays, exact):
    key = f"runs/{name}"
    read, arrays = outputs(key, checkpoint)
    assert read == expected["digests"][f"{key} {checkpoint}"]
    for part, value in arrays.items():
        assert_same(part, value, expected_arrays[f"{key} {checkpoint}: {part}"], exact)


@pytest.mark.parametrize("name", RELEASES)
def test_a_release_predicts_as_it_did(name, expected, expected_arrays, exact):
    key = f"releases/{name}"
    read, arrays = outputs(key)
    assert read == expected["digests"][key]
    for part, value in arrays.items():
        if exact or name not in TIED or part not in ("decoded", "people"):
            assert_same(part, value, expected_arrays[f"{key}: {part}"], exact)


def test_nothing_expected_is_left_out(expected, expected_arrays):
    keys = {f"runs/{name} {which}" for name in RUNS for which in CHECKPOINTS}
    keys |= {f"releases/{name}" for name in RELEASES}
    assert set(expected["digests"]) == keys
    assert {name.partition(":")[0] for name in expected_arrays} == keys


@pytest.mark.parametrize("name", RUNS)
def test_a_run_scores_what_it_did(name, expected, exact, tmp_path):
    metrics, wanted = scores(f"runs/{name}", tmp_path), expected["metrics"][name]
    assert list(metrics) == list(wanted)
    for metric, value in metrics.items():
        assert_same(metric, value, wanted[metric], exact)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in LONG else []) for n in RUNS]
)
def test_a_stopped_run_goes_on_to_the_same_bits(name, expected, exact, tmp_path, home, monkeypatch):
    unpack(HERE / f"runs-{VERSION}/{name}.tar.xz", tmp_path / "runs")
    for part in ("people", "motion.npz", "releases"):
        (tmp_path / part).symlink_to(home / part)
    monkeypatch.chdir(tmp_path)
    end, wanted = resumed(f"runs/{name}"), expected["resumed"][name]
    assert end["step"] == wanted["step"]
    assert_same("loss", end["losses"], wanted["losses"], exact)
    if exact:
        assert end["digest"] == wanted["digest"]


def leaves(record: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted key and the value of every number and text of a JSON form, but for classes."""
    if isinstance(record, dict):
        for key, value in record.items():
            if key != "class":
                yield from leaves(value, f"{where}.{key}" if where else key)
    elif isinstance(record, list):
        for i, value in enumerate(record):
            yield from leaves(value, f"{where}[{i}]")
    else:
        yield where, record


def classes_in(record: Any) -> Iterator[tuple[str, list[str]]]:
    """The path and the keys of every class of a JSON form."""
    if isinstance(record, dict):
        if "class" in record:
            yield record["class"], [key for key in record if key != "class"]
        for value in record.values():
            yield from classes_in(value)
    elif isinstance(record, list):
        for value in record:
            yield from classes_in(value)


# The figure that picked the best checkpoint.
BEST = {
    "oks": "AP",
    "pck": "PCK",
    "pckh": "PCKh",
    "auc": "AUC",
    "epe": "EPE",
    "nme": "NME",
    "wholebody": "AP",
    "crowdpose": "AP",
    "mpjpe": "MPJPE",
    "p_mpjpe": "P-MPJPE",
}


def test_every_configuration_is_rebuilt(configs):
    for kind, records in configs.items():
        for name, record in records.items():
            value = from_json(record, schema=1)
            again = to_json(value)
            assert from_json(again) == value, f"{kind} {name}"
            now = dict(leaves(again))
            before = dict(leaves(record))
            # Version 0.1.0 named one metric and the pictures that it drew.
            metric = before.pop("evaluation.metric", None)
            if metric is not None:
                before["evaluation.best"] = BEST[metric]
            if "evaluation.pictures" in before:
                before["evaluation.examples"] = before.pop("evaluation.pictures")
            lost = {key: v for key, v in before.items() if key not in now or now[key] != v}
            assert not lost, f"{kind} {name}: {lost}"


def test_runs_and_releases_hold_known_classes(home, configs):
    known = {path for path, _ in classes_in(configs)}
    for kind, names in (("runs", RUNS), ("releases", RELEASES)):
        for name in names:
            record = json.loads((home / kind / name / "config.json").read_text())
            assert {path for path, _ in classes_in(record)} <= known, name


def test_every_configurable_class_stands_in_a_configuration(configs):
    listed = json.loads((HERE / f"classes-{VERSION}.json").read_text())
    seen: dict[str, list[str]] = {}
    for path, keys in classes_in(configs):
        assert seen.setdefault(path, keys) == keys, path
    assert seen == listed["configurable"]
    assert not set(seen) & set(listed["parts of networks"])
