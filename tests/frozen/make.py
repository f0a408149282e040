"""Write the files of this folder. Run once, with version 0.1.0 of the package, and never again.

    python tests/frozen/make.py ../shared

It is kept to show what is in the files; a later version of the package need not be able to run it.
`../shared` is the folder of golden files, of which one list of names and shapes is used.

Everything is computed under the settings of `tests/conftest.py`, which is imported first: eight
fake CPU devices, and XLA's optimisation level 0, on which the bits of a result depend. The expected
values come from the functions of `test_frozen.py` that the tests call.
"""
# ruff: noqa: E402  (what is imported first sets the environment that JAX reads)

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "convert"), str(TESTS / "frozen")]

# isort: off
import conftest  # noqa: F401
import test_frozen as frozen

# isort: on
import json
import math
import os
import shutil
import tarfile
import tempfile
from typing import Any

import jax
import numpy as np
from make_configs import write_configs
from make_runs import HW, MAPS, STEPS, command, pyramid, write_data, write_runs
from torch_file import write as write_pth

import jaxpose
from jaxpose import models
from jaxpose.codecs import IntegralRegression, Megvii, Regression
from jaxpose.codecs.lifting import LiftingCodec
from jaxpose.codecs.simcc import rtmpose as rtmpose_codec
from jaxpose.config import to_json
from jaxpose.convert.release import Card, save_release
from jaxpose.detect import Detector
from jaxpose.models import DeconvHead, PoseModel, abstract_variables
from jaxpose.models.lifting.dstformer import DSTFormer
from jaxpose.models.lifting.lifter import JointHead, Lifter
from jaxpose.skeletons import COCO17, H36M17


def drawn(name: str, shape: tuple[int, ...], seed: int, inputs: int) -> np.ndarray:
    """An array that a file keeps small: one of 16 rows of 37 numbers, again and again.

    Kernels keep the scale of what passes, up to a power of two.
    """
    pattern = np.round(256 * frozen.noise(seed % 16, 37) - 128) / 128
    if "kernel" in name or ("weight" in name and len(shape) > 1):
        pattern = pattern * 2.0 ** -round(math.log2(max(inputs, 1)) / 2) * 2
    elif name.endswith(("scale", "var", "weight")):
        pattern = 1 + pattern / 4
    else:
        pattern = pattern / 8
    return np.resize(pattern, shape).astype(np.float32)


def variables_of(model: Any, input_hw: tuple[int, int] | None) -> Any:
    """Drawn variables of a model."""
    paths, tree = jax.tree_util.tree_flatten_with_path(abstract_variables(model, input_hw))
    arrays = [
        drawn(path[-1].key, leaf.shape, seed, math.prod(leaf.shape[:-1]))
        for seed, (path, leaf) in enumerate(paths)
    ]
    return jax.tree_util.tree_unflatten(tree, arrays)


def released() -> dict[str, tuple[Any, Any]]:
    """Model and codec of the releases that hold what `jaxpose convert` says of a checkpoint."""
    resnet = models.ResNet((1, 1), bottleneck=False, width=4)
    return {
        "regression": (PoseModel(resnet, models.RegressionHead(17)), Regression(HW)),
        "rle": (PoseModel(resnet, models.RLEHead(17, 2, 8)), Regression(HW)),
        "integral": (
            PoseModel(resnet, models.IntegralRegressionHead(17, (4,), debias=True)),
            IntegralRegression(HW, (16, 12)),
        ),
        "rtmcc": (
            PoseModel(
                models.CSPNeXt(0.167, 0.125),
                models.RTMCCHead(17, (64, 64), hidden=16, key_dim=8),
            ),
            rtmpose_codec((64, 64)),
        ),
        "megvii": (PoseModel(pyramid(6, 8), DeconvHead(17, (6,))), Megvii(HW, MAPS, 5)),
        "sequence": (
            Lifter(DSTFormer(17, 2, frames=6, dim=8, depth=1, heads=2), JointHead(17, 8)),
            LiftingCodec(17, frame="screen", drop_root=False, fps=50.0),
        ),
    }


def write_releases(shared: Path) -> None:
    """Releases with drawn weights, one converted from PyTorch's names, and a detector."""
    for name, (model, codec) in released().items():
        lifter = isinstance(codec, LiftingCodec)
        skeleton = H36M17 if lifter else COCO17
        input_hw = None if lifter else codec.input_hw
        config = {
            "name": name,
            "model": to_json(model),
            "codec": to_json(codec),
            "skeleton": to_json(skeleton),
            "num_keypoints": skeleton.num_keypoints,
        }
        if not lifter:
            config["input_hw"] = list(input_hw)
        lifts = "one person's keypoints on the screen, frames: 6" if lifter else ""
        card = Card(name, "drawn", input_hw, skeleton.keypoints, lifts=lifts)
        save_release(f"releases/{name}", variables_of(model, input_hw), config, card)
    listing = json.loads((shared / "golden/rtmpose_s_256x192.json").read_text())
    state_dict = {
        key: drawn(key.replace("running_var", "var"), tuple(shape), seed, math.prod(shape[1:]))
        for seed, (key, shape) in enumerate(listing["state_dict"].items())
        if shape
    }
    write_pth(Path("rtmpose-s.pth"), state_dict)
    command("convert", "rtmpose-s.pth", "releases/converted")
    model = models.yolox("nano", 2)
    detector = Detector(
        model, variables_of(model, (64, 96)), (64, 96), threshold=0.15, max_people=6, name="frozen"
    )
    detector.save("releases/detector", source="drawn")


def pack(archive: Path, *paths: str, root: Path) -> None:
    """The files of `paths`, which are relative to `root`, without dates and owners."""
    archive.parent.mkdir(exist_ok=True)

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.mtime, info.uid, info.gid, info.uname, info.gname = 0, 0, 0, "", ""
        return info

    with tarfile.open(archive, "w:xz", preset=9) as file:
        for path in paths:
            file.add(root / path, path, filter=plain)
    print(f"{archive.stat().st_size / 1024:7.1f} KiB {archive.name}")


def write_expected() -> None:
    """Results of the functions of the tests, as they are now."""
    digests, arrays, metrics, ends = {}, {}, {}, {}
    keys = [(f"runs/{name}", which) for name in frozen.RUNS for which in frozen.CHECKPOINTS]
    keys += [(f"releases/{name}", "") for name in frozen.RELEASES]
    for path, which in keys:
        key = f"{path} {which}".strip()
        digests[key], of_key = frozen.outputs(path, which or "best")
        arrays |= {f"{key}: {part}": value for part, value in of_key.items()}
    for name in frozen.RUNS:
        metrics[name] = frozen.scores(f"runs/{name}", Path("eval").absolute())
        written = json.loads((Path("runs") / name / "report.json").read_text())["metrics"]
        assert metrics[name] == written, name
    for name in frozen.RUNS:
        ends[name] = frozen.resumed(f"runs/{name}")
        assert ends[name]["step"] == STEPS
    np.savez_compressed(frozen.HERE / f"expected-{frozen.VERSION}.npz", **arrays)
    content = {
        "machine": frozen.machine(),
        "digests": digests,
        "metrics": metrics,
        "resumed": ends,
    }
    file = frozen.HERE / f"expected-{frozen.VERSION}.json"
    file.write_text(json.dumps(content, indent=1) + "\n")


def main(shared: Path) -> None:
    """Write every file."""
    assert jaxpose.__version__ == frozen.VERSION
    shared = shared.resolve()
    os.environ["JAXPOSE_CACHE"] = tempfile.mkdtemp()
    write_configs()
    # Orbax notes the path of each checkpoint.
    work = Path("/tmp/jaxpose-frozen")
    work.mkdir()
    os.chdir(work)
    write_data()
    write_runs()
    write_releases(shared)
    here, version = frozen.HERE, frozen.VERSION
    for kind in ("runs", "releases"):
        shutil.rmtree(here / f"{kind}-{version}", ignore_errors=True)
        for folder in sorted((work / kind).iterdir()):
            pack(here / f"{kind}-{version}/{folder.name}.tar.xz", folder.name, root=work / kind)
    pack(here / f"data-{version}.tar.xz", "people", "motion.npz", root=work)
    frozen.RUNS = sorted(p.name for p in (work / "runs").iterdir())
    frozen.RELEASES = sorted(p.name for p in (work / "releases").iterdir())
    frozen.DETECTORS = ["detector"]
    write_expected()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
