"""Made-up studies: manifests and results of a known law, without training."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from jaxpose.config import to_json
from jaxpose.scaling.manifest import Manifest, Point, folder, write_manifest
from jaxpose.scaling.worker import RESULT, Result
from jaxpose.train.recipe import load_recipe

TINY = str(Path(__file__).resolve().parents[1] / "tiny.py")

SIZES, BUDGETS = (20_000, 60_000, 180_000, 540_000), (1e11, 3e11, 9e11, 2.7e12, 8.1e12)
HELD_OUT = (1_000_000, 8e13)


def law(parameters, samples):
    return 0.002 + 0.5 * parameters**-0.5 + 0.25 * samples**-0.5


def point(parameters, compute, people=1e9, **more):
    samples = round(compute / (30 * parameters))
    return Point(
        name=f"n{parameters}-f{compute:g}",
        set=more.pop("set", ()),
        size=f"n{parameters}",
        shape=more.pop("shape", {}),
        parameters=parameters,
        flops=30.0 * parameters,
        steps=max(1, samples // 16),
        samples=samples,
        epochs=samples / people,
        **more,
    )


def samples_of_held_out():
    return point(*HELD_OUT).samples


def write_study(path, points, noise=0.003, score=lambda loss: 1 - 20 * loss):
    experiment = to_json(load_recipe(TINY))
    write_manifest(path, Manifest("made up", experiment, "AP", tuple(points)))
    rng = np.random.default_rng(0)
    for p in points:
        loss = law(p.parameters, p.samples) * np.exp(noise * rng.normal())
        where = folder(path, p)
        where.mkdir(parents=True)
        result = Result({"AP": score(loss)}, loss, None, 1.0, "cpu")
        (where / RESULT).write_text(json.dumps(asdict(result)))
    return path


def whole_sweep(**more):
    points = [point(n, c, **more) for n in SIZES for c in BUDGETS]
    return [*points, point(*HELD_OUT, held_out=True, **more)]
