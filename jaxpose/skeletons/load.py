"""Loader of skeletons: built-in ones by name, and custom ones from a TOML or Python file."""

import re
import runpy
import traceback
from dataclasses import fields
from pathlib import Path
from typing import Any

from jaxpose.errors import InputError, nearest, not_read
from jaxpose.file_limits import read_toml
from jaxpose.skeletons.aflw19 import AFLW19
from jaxpose.skeletons.aic14 import AIC14
from jaxpose.skeletons.animal_kingdom23 import ANIMAL_KINGDOM23
from jaxpose.skeletons.animalpose20 import ANIMALPOSE20
from jaxpose.skeletons.ap10k17 import AP10K17
from jaxpose.skeletons.atrw15 import ATRW15
from jaxpose.skeletons.blazepose33 import BLAZEPOSE33
from jaxpose.skeletons.coco17 import COCO17
from jaxpose.skeletons.coco_wholebody133 import COCO_WHOLEBODY133
from jaxpose.skeletons.cofw29 import COFW29
from jaxpose.skeletons.crowdpose14 import CROWDPOSE14
from jaxpose.skeletons.deepfashion import (
    DEEPFASHION2_294,
    DEEPFASHION_FULL8,
    DEEPFASHION_LOWER4,
    DEEPFASHION_UPPER6,
)
from jaxpose.skeletons.face68 import FACE68
from jaxpose.skeletons.face70 import FACE70
from jaxpose.skeletons.face98 import FACE98
from jaxpose.skeletons.face106 import FACE106
from jaxpose.skeletons.facemesh468 import FACEMESH468
from jaxpose.skeletons.goliath308 import GOLIATH308
from jaxpose.skeletons.h36m17 import H36M17
from jaxpose.skeletons.halpe26 import HALPE26
from jaxpose.skeletons.halpe136 import HALPE136
from jaxpose.skeletons.hand21 import HAND21, RHD21
from jaxpose.skeletons.hand_region2 import HAND_REGION2
from jaxpose.skeletons.holistic543 import HOLISTIC543
from jaxpose.skeletons.horse22 import HORSE22
from jaxpose.skeletons.humanart21 import HUMANART21
from jaxpose.skeletons.humaneva15 import HUMANEVA15
from jaxpose.skeletons.interhand42 import INTERHAND42
from jaxpose.skeletons.jhmdb15 import JHMDB15
from jaxpose.skeletons.lsp14 import LSP14
from jaxpose.skeletons.mpi_inf_3dhp17 import MPI_INF_3DHP17
from jaxpose.skeletons.mpii16 import MPII16
from jaxpose.skeletons.ntu25 import NTU25
from jaxpose.skeletons.object9 import OBJECT9
from jaxpose.skeletons.openpose import BODY25, OPENPOSE18
from jaxpose.skeletons.posetrack17 import POSETRACK17
from jaxpose.skeletons.seen_from_above import FLY32, LOCUST35, ZEBRA9
from jaxpose.skeletons.skeleton import Skeleton, pairs_by_name
from jaxpose.skeletons.smpl24 import SMPL24
from jaxpose.skeletons.superanimal import SUPERANIMAL_MOUSE27, SUPERANIMAL_QUADRUPED39

BUILT_IN: dict[str, Skeleton] = {
    skeleton.name: skeleton
    for skeleton in (
        COCO17,
        MPII16,
        LSP14,
        H36M17,
        HUMANEVA15,
        MPI_INF_3DHP17,
        BLAZEPOSE33,
        OPENPOSE18,
        BODY25,
        COCO_WHOLEBODY133,
        GOLIATH308,
        AP10K17,
        HAND21,
        RHD21,
        HAND_REGION2,
        FACE68,
        FACE70,
        FACE98,
        FACE106,
        FACEMESH468,
        HOLISTIC543,
        AFLW19,
        COFW29,
        HALPE26,
        AIC14,
        CROWDPOSE14,
        HALPE136,
        HUMANART21,
        JHMDB15,
        OBJECT9,
        POSETRACK17,
        INTERHAND42,
        NTU25,
        SMPL24,
        ANIMALPOSE20,
        ANIMAL_KINGDOM23,
        ATRW15,
        HORSE22,
        FLY32,
        LOCUST35,
        ZEBRA9,
        SUPERANIMAL_QUADRUPED39,
        SUPERANIMAL_MOUSE27,
        DEEPFASHION_FULL8,
        DEEPFASHION_UPPER6,
        DEEPFASHION_LOWER4,
        DEEPFASHION2_294,
    )
}


def load(name_or_path: str | Path) -> Skeleton:
    """Loads a built-in skeleton by name or a custom one from a file.

    Case, `-` and `_` in a name such as `coco17` do not matter.

    A Python file defines exactly one `Skeleton` under any name, for example `SKELETON =
    COCO17.with_uniform_sigma(0.05)`. A TOML file gives the fields of `Skeleton`:

    ```toml
    name = "cane5"                                  # default: the file's name
    keypoints = ["grip", "left_hand", "right_hand", "middle", "tip"]
    pairs = [["left_hand", "right_hand"]]           # default: by the prefixes left_ and right_
    limbs = [["grip", "middle"], ["middle", "tip"]] # default: none, only points are drawn
    upper_body = ["grip", "left_hand", "right_hand"] # default: none, half-body augmentation is off
    lower_body = ["middle", "tip"]
    sigmas = "uniform:0.05"                         # or a list; default: none, and OKS needs one
    side_colors = [[86, 180, 233], [230, 159, 0], [240, 228, 66]]   # left, right, centre
    keypoint_colors = []                            # one RGB per keypoint instead of by side
    source = "our own labels, 2025"
    ```

    Raises:
      InputError: no such name or file, or a fault in the file; the message states it.
    """
    text = str(name_or_path)
    path = Path(text)
    if path.suffix not in (".toml", ".py"):
        return _by_name(text)
    if not path.is_file():
        raise InputError(f"{path}: no such skeleton file. Built in are {', '.join(BUILT_IN)}.")
    return _from_toml(path) if path.suffix == ".toml" else _from_python(path)


def _by_name(name: str) -> Skeleton:
    plain = {re.sub("[-_]", "", key): key for key in BUILT_IN}
    wanted = re.sub("[-_]", "", name.lower())
    if wanted in plain:
        return BUILT_IN[plain[wanted]]
    raise InputError(
        f"unknown skeleton {name!r}.{nearest(name.lower(), BUILT_IN)} Built in are"
        f" {', '.join(BUILT_IN)}; a custom skeleton is a .toml or .py file."
    )


def _from_toml(path: Path) -> Skeleton:
    try:
        table = read_toml(path)
    except OSError as error:
        raise not_read(path, error) from None
    known = [field.name for field in fields(Skeleton)]
    for key in table:
        if key not in known:
            raise InputError(
                f"{path}: unknown key {key!r}.{nearest(key, known)} Keys are {', '.join(known)}."
            )
    if "keypoints" not in table:
        raise InputError(f"{path}: `keypoints`, the list of names, is missing.")
    values: dict[str, Any] = {"name": path.stem, **table}
    sigmas = values.pop("sigmas", None)
    try:
        if "pairs" not in values and _are_names(values["keypoints"]):
            values["pairs"] = pairs_by_name(values["keypoints"])
        skeleton = Skeleton(**values)
        return skeleton if sigmas is None else skeleton.with_sigmas(sigmas)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _from_python(path: Path) -> Skeleton:
    try:
        names = runpy.run_path(str(path))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (Exception, SystemExit) as error:
        if isinstance(error, SyntaxError):
            line, what = error.lineno, f"SyntaxError: {error.msg}"
        else:
            frames = traceback.extract_tb(error.__traceback__)
            line = next((f.lineno for f in reversed(frames) if f.filename == str(path)), None)
            what = f"{type(error).__name__}: {error}"
        raise InputError(f"{path}{f', line {line}' if line else ''}: {what}.") from error
    # A file may import a built-in skeleton as a starting point; it is not counted.
    built_in = {id(skeleton) for skeleton in BUILT_IN.values()}
    found = {
        id(value): value
        for value in names.values()
        if isinstance(value, Skeleton) and id(value) not in built_in
    }
    if len(found) != 1:
        listed = f" ({', '.join(repr(s.name) for s in found.values())})" if found else ""
        raise InputError(
            f"{path}: it must define exactly one `Skeleton`, but defines {len(found)}{listed}."
        )
    return next(iter(found.values()))
