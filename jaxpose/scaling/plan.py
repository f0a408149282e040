"""Sweep plans: the sizes to train, the length of each run, and shared parts of runs."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jaxpose.config import override, to_json
from jaxpose.errors import InputError
from jaxpose.scaling.manifest import Manifest, Point
from jaxpose.scaling.shapes import Size
from jaxpose.scaling.training_cost import experiment_cost
from jaxpose.train.check_parts import check_parts
from jaxpose.train.experiment import Experiment
from jaxpose.train.schedules import ENDLESS

FEWEST_STEPS = 10
MAX_EPOCHS = 4.0
"""Up to about four epochs, repeated data are almost as useful as new data (arXiv:2305.16264)."""


def plan(
    experiment: Experiment,
    recipe: str,
    sizes: Sequence[Size],
    *,
    flops: Sequence[float] = (),
    samples: Sequence[float] = (),
    seeds: Sequence[int] = (0,),
    cooldown: float | None = None,
    held_out: bool = False,
    max_epochs: float = MAX_EPOCHS,
) -> Manifest:
    """Plans runs of every size at every budget and seed.

    With budgets in FLOPs every size trains until it has spent each of them: isoFLOP curves
    (arXiv:2203.15556, section 3.2). With budgets in samples all sizes train on the same data.

    Args:
      experiment: the experiment that the points vary; the plan sets its schedule.
      recipe: its name, for people to read.
      sizes: see `shapes`.
      flops, samples: the budgets; give one of the two.
      seeds: one run for each.
      cooldown: with a part of a run's length in (0, 1), the runs of one size share a trunk with a
        schedule that does not depend on the length, and each continues from it with a cooldown of
        that part of its length (arXiv:2405.18392).
      held_out: these points test the laws fitted to the others.
      max_epochs: largest number of times that a run may repeat its data.

    Raises:
      InputError: no budget or two kinds of them, or budgets that sizes cannot spend: every one is
        listed with the reason.
    """
    if bool(flops) == bool(samples):
        raise InputError("A plan needs budgets of one kind: --flops or --samples.")
    budgets = sorted([*flops, *samples])
    if not all(0 < budget < math.inf for budget in budgets):
        raise InputError(f"Budgets must be positive numbers: {', '.join(map(str, budgets))}.")
    if not max_epochs > 0:
        raise InputError(f"--max-epochs must be above 0, and is {max_epochs:g}.")
    if not seeds or min(seeds) < 0:
        raise InputError(f"--seeds must be whole numbers from 0 on: {', '.join(map(str, seeds))}.")
    _check_unique(sizes)
    experiment = _with_trunk_schedule(experiment, cooldown)
    points: list[Point] = []
    faults: list[str] = []
    for size in sizes:
        sized = override(experiment, size.set)
        check_parts(sized)
        counts = experiment_cost(sized)
        people = len(sized.task().open("train"))
        batch = sized.batch_size
        for seed in seeds:
            runs = []
            for budget in budgets:
                steps = round(budget / (counts.flops if flops else 1) / batch)
                point = Point(
                    name=f"{size.name}-{'f' if flops else 'n'}{_short(budget)}-s{seed}",
                    set=size.set,
                    size=size.name,
                    shape=dict(size.shape),
                    parameters=counts.trainable,
                    flops=float(counts.flops),
                    steps=steps,
                    samples=steps * batch,
                    epochs=steps * batch / people,
                    held_out=held_out,
                )
                faults += _faults(point, sized, max_epochs)
                runs.append(point)
            points += _with_settings(runs, sized, seed, cooldown, f"{size.name}-s{seed}")
    if faults:
        more = f"\n  and {len(faults) - 8} more" if len(faults) > 8 else ""
        raise InputError("The plan cannot be carried out:\n  " + "\n  ".join(faults[:8]) + more)
    _check_runs(points)
    metric = experiment.evaluation.best
    return Manifest(recipe, to_json(experiment), metric, tuple(points))


def extend(manifest: Manifest, more: Manifest) -> Manifest:
    """Adds the points of another plan of the same experiment to a study.

    Raises:
      InputError: the experiments differ, or a point of the same name does.
    """
    if manifest.experiment != more.experiment:
        raise InputError(
            "The study was planned from another experiment (recipe, --set or schedule). Points of "
            "two experiments cannot be fitted together: plan a new study."
        )
    known = {point.name: point for point in manifest.points}
    for point in more.points:
        if point.name in known and known[point.name] != point:
            raise InputError(
                f"The study already has a point {point.name!r}, with other settings: plan a new "
                "study, or give the size another name."
            )
    new = tuple(point for point in more.points if point.name not in known)
    return replace(manifest, points=manifest.points + new)


def _check_unique(sizes: Sequence[Size]) -> None:
    names = [size.name for size in sizes]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not sizes or twice:
        raise InputError(
            f"Two sizes have the same name: {', '.join(twice)}." if twice else "A plan needs sizes."
        )


def _check_runs(points: Sequence[Point]) -> None:
    """Checks that every run is planned once: a copy would count as a second measurement.

    Raises:
      InputError: names the runs that are equal, or that would have one folder.
    """
    first: dict[tuple[str, ...], str] = {}
    for point in points:
        # Budgets that differ by less than a step, or in digits that the name does not have.
        for key in ((point.name,), point.set):
            if key in first:
                raise InputError(
                    f"{first[key]} and {point.name} would be the same run, or have the same "
                    "name: give every seed once, and budgets that differ by a step or more "
                    "and in their first six digits."
                )
            first[key] = point.name


def _with_trunk_schedule(experiment: Experiment, cooldown: float | None) -> Any:
    if cooldown is None:
        return experiment
    if not 0 < cooldown < 1:
        raise InputError(f"--cooldown is a part of the run in (0, 1), and is {cooldown:g}.")
    schedule = getattr(experiment.optimizer, "schedule", None)
    if schedule not in ENDLESS:
        raise InputError(
            f"Runs of several lengths share a trunk only if the learning rate does not depend on "
            f"the length, and schedule {schedule!r} does: --set optimizer.schedule=rsqrt (or "
            "constant)."
        )
    return override(experiment, ["optimizer.cooldown_steps=0"])


def _faults(point: Point, experiment: Experiment, max_epochs: float) -> list[str]:
    """Reasons why a run of that length gives no information about scaling."""
    warmup = getattr(experiment.optimizer, "warmup_steps", 0)
    least = max(FEWEST_STEPS, 2 * warmup)
    if point.steps < least:
        return [
            f"{point.name}: {point.steps} steps, but at least {least} are needed with a warm-up of "
            f"{warmup}: a larger budget, a smaller size or batch, or a "
            "shorter warm-up"
        ]
    if point.epochs > max_epochs:
        return [
            f"{point.name}: repeats its data {point.epochs:.1f} times, more than {max_epochs:g}: a "
            "smaller budget, a larger size, more data, or --max-epochs"
        ]
    return []


def _with_settings(
    runs: Sequence[Point],
    experiment: Experiment,
    seed: int,
    cooldown: float | None,
    name: str,
) -> list[Point]:
    """Runs with all their overrides, each after the part of the trunk that it continues."""
    points: list[Point] = []
    trunk: Point | None = None
    for run in runs:
        cooled = 0 if cooldown is None else max(1, round(cooldown * run.steps))
        if cooled:
            shared = run.steps - cooled
            if trunk is None or shared > trunk.steps:
                trunk = _lengthened(run, shared, name, trunk)
                points.append(_complete(trunk, experiment, seed, 0))
        after = trunk.name if trunk else None
        points.append(replace(_complete(run, experiment, seed, cooled), after=after))
    return points


def _lengthened(run: Point, steps: int, name: str, before: Point | None) -> Point:
    batch = run.samples // run.steps
    return replace(
        run,
        name=f"{name}-trunk{steps}",
        steps=steps,
        samples=steps * batch,
        epochs=run.epochs * steps / run.steps,
        after=before.name if before else None,
        trunk=True,
        held_out=False,
    )


def _complete(point: Point, experiment: Experiment, seed: int, cooled: int) -> Point:
    changes = [
        f"steps={point.steps}",
        f"seed={seed}",
        f"evaluation.every={point.steps}",
        f"log_every={max(1, min(experiment.log_every, point.steps // 20))}",
    ]
    if cooled:
        changes.append(f"optimizer.cooldown_steps={cooled}")
    return replace(point, set=(*point.set, *changes))


def _short(budget: float) -> str:
    return f"{budget:g}".replace("e+", "e")
