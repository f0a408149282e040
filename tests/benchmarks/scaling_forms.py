"""Known laws of every form with noise and repeats: their parameters, and which form is caught.

    python -m tests.benchmarks.scaling_forms [--trials 200]

Each trial draws a law and measures a study of it: five sizes at six budgets, two seeds each, noise
of 0.5 %; laws of repeated data see 1, 4, 12 or 40 epochs. The first table shows how often the 90 %
interval holds each true parameter. The second shows how often the backtests rank a wrong form
below the true one: all budgets from the third on are predicted from those below.
"""

import time
from typing import Annotated

import numpy as np
import typer

from jaxpose.scaling import backtests
from jaxpose.scaling.bootstrap import bootstrap
from jaxpose.scaling.effective_samples import effective_samples, with_repeats
from jaxpose.scaling.laws import BROKEN, COUPLED, JOINT
from jaxpose.scaling.observations import Observations

FORMS = {
    form.name: form for plain in (JOINT, COUPLED, BROKEN) for form in (plain, with_repeats(plain))
}
BUDGETS = np.geomspace(1e17, 3e19, 6)
EPOCHS = np.array([1.0, 4.0, 12.0, 40.0])


def random_law(name, rng):
    """Parameters of a law of that form, whose terms are of one size in the middle of the study."""
    plain, _, repeats = name.partition("+")
    n, d = 3e7 * rng.uniform(0.7, 1.4), 1e10 * rng.uniform(0.7, 1.4)
    law = {"a": rng.uniform(0.3, 0.6), "b": rng.uniform(0.25, 0.5), "E": rng.uniform(0.5, 1.5)}
    size = rng.uniform(0.5, 1.5)
    if plain == "coupled":
        law |= {"N_c": n * size ** (1 / law["a"]), "D_c": d * size ** (1 / law["b"])}
    else:
        law |= {"A": size * n ** law["a"], "B": size * d ** law["b"]}
    if plain == "broken":
        law |= {"b": rng.uniform(0.05, 0.15), "c": rng.uniform(0.5, 0.8), "D_b": d}
        law["B"] = size * d ** law["b"] * 2 ** law["c"]
    return law | ({"R*": rng.uniform(4, 25)} if repeats else {})


def value(name, law, inputs):
    """L of the law, by formulas written apart from those of the package."""
    n, d = inputs["parameters"], inputs["samples"]
    if "R*" in law:
        d = effective_samples(d, inputs["unique"], law["R*"])
    if name.startswith("coupled"):
        both = (law["N_c"] / n) ** (law["a"] / law["b"]) + law["D_c"] / d
        return law["E"] + both ** law["b"]
    broken = (1 + d / law["D_b"]) ** -law["c"] if name.startswith("broken") else 1.0
    return law["E"] + law["A"] * n ** -law["a"] + law["B"] * d ** -law["b"] * broken


def study(name, law, rng, seeds=2, noise=0.005, budgets=BUDGETS, sizes=5):
    """Runs of a study of the law, as observations."""
    centre = 3e7 * (budgets / np.sqrt(budgets[0] * budgets[-1])) ** 0.5
    n = (centre[:, None] * np.geomspace(1 / 4, 4, sizes)).ravel()
    compute = np.repeat(budgets, sizes)
    n, compute = np.tile(n, seeds), np.tile(compute, seeds)
    samples = compute / (6 * n) * 1e10 / (budgets[0] * budgets[-1]) ** 0.5 * 6 * 3e7
    runs = np.arange(len(n) // seeds)
    epochs = np.tile(EPOCHS[(runs + runs // sizes) % len(EPOCHS)], seeds)
    epochs = epochs if "repeats" in name else np.ones(len(n))
    inputs = {"parameters": n, "samples": samples, "unique": samples / epochs}
    exact = value(name, law, inputs)
    return Observations(
        name=np.array([f"r{i}" for i in range(len(n))]),
        size=np.array([f"{x:.3g}" for x in n]),
        parameters=n,
        samples=samples,
        compute=compute,
        flops=compute / samples,
        epochs=epochs,
        pretrained=np.zeros(len(n)),
        value=exact * np.exp(noise * rng.normal(size=len(n))),
    )


def covered(name, trials, seed=0, resamples=200):
    """Share of trials in which the 90 % interval holds each true parameter."""
    rng = np.random.default_rng(seed)
    hits = {}
    for trial in range(trials):
        law = random_law(name, rng)
        runs = study(name, law, rng)
        form = FORMS[name]
        ensemble = bootstrap(form, runs.inputs(form), runs.value, resamples, seed=trial)
        for parameter, true in law.items():
            low, high = ensemble.interval(parameter)
            hits.setdefault(parameter, []).append(low <= true <= high)
    return {parameter: float(np.mean(held)) for parameter, held in hits.items()}


def caught(name, trials, seed=1, resamples=100):
    """Share of trials in which the backtests rank each wrong form below the true one.

    Two forms are compared on the runs that both predicted, by the sum of log densities. Also the
    record of the stacked intervals: runs inside, all runs, and mean half width.
    """
    rng = np.random.default_rng(seed)
    below, records = {}, []
    for _ in range(trials):
        runs = study(name, random_law(name, rng), rng)
        forms = backtests.candidates(runs)
        cases = backtests.backtest(runs, forms, resamples)
        for form in forms:
            both = [c for c in cases if form.name in c.draws and name in c.draws]
            gain = sum(c.log_density(form.name) - c.log_density(name) for c in both)
            if form.name != name:
                below.setdefault(form.name, []).append(gain < 0)
        predicted = backtests.predictions(cases, [form.name for form in forms])
        records.append(backtests.record(cases, predicted))
    shares = {form: float(np.mean(rows)) for form, rows in below.items()}
    hits, count = (sum(getattr(r, field) for r in records) for field in ("hits", "cases"))
    return shares, hits / count, float(np.mean([r.width for r in records]))


def main(
    trials: Annotated[int, typer.Option(help="Studies for the intervals of the parameters.")] = 200,
    backtested: Annotated[int, typer.Option(help="Studies for the backtests.")] = 60,
) -> None:
    """Print both tables."""
    for name in FORMS:
        begun = time.process_time()
        shares = covered(name, trials)
        mean = np.mean(list(shares.values()))
        held = ", ".join(f"{parameter} {share:.1%}" for parameter, share in shares.items())
        seconds = time.process_time() - begun
        print(f"{name}: {held}; mean {mean:.1%} ({seconds:.0f} CPU s)", flush=True)
    for name in FORMS:
        begun = time.process_time()
        shares, inside, width = caught(name, backtested)
        wrong = ", ".join(f"{form} {share:.0%}" for form, share in shares.items())
        seconds = time.process_time() - begun
        print(
            f"true {name}, ranked below it: {wrong}; next budgets inside their intervals "
            f"{inside:.1%}, half width {width:.1%} ({seconds:.0f} CPU s)",
            flush=True,
        )


if __name__ == "__main__":
    typer.run(main)
