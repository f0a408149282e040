"""Laws fitted to data from known laws: do the intervals hold the truth, and is there a bias?

    python -m tests.benchmarks.scaling_fit [--trials 200]

Coverage: isoFLOP sweeps of five sizes at five budgets, from laws with random exponents, with
noise of 0.5 %. Bias: exact data on sizes chosen off the optimum, by the parabola method and by the
joint law.
"""

import time
from typing import Annotated

import numpy as np
import typer

from jaxpose.scaling import frontier, isoflop
from jaxpose.scaling.bootstrap import bootstrap
from jaxpose.scaling.fitting import fit
from jaxpose.scaling.laws import COMPUTE, JOINT

CHINCHILLA = {"a": 0.34, "b": 0.28, "A": 406.4, "B": 410.7, "E": 1.69}
"""arXiv:2203.15556, eq. 10."""
BUDGETS = np.geomspace(1e18, 1e21, 5)
SPREAD = np.geomspace(1 / 4, 4, 5)


def value(law, parameters, samples):
    """E + A N^-a + B D^-b."""
    return law["E"] + law["A"] * parameters ** -law["a"] + law["B"] * samples ** -law["b"]


def best(law, compute):
    """The best size at C = 6 N D."""
    a, b = law["a"], law["b"]
    return (a * law["A"] / (b * law["B"]) * (compute / 6) ** b) ** (1 / (a + b))


def sweep(law, budgets=BUDGETS, spread=SPREAD, offset=1.0):
    """Sizes around `offset` times the best one at each budget, and their samples: `[c, s]` each."""
    offset = np.broadcast_to(offset, budgets.shape)
    parameters = (best(law, budgets) * offset)[:, None] * spread[None]
    return parameters, budgets[:, None] / 6 / parameters


def random_law(rng):
    """A law like published ones, whose two terms are of a size at 1e19 FLOPs."""
    a, b = rng.uniform(0.25, 0.5, 2)
    size, limit = rng.uniform(0.3, 1.0), rng.uniform(0.5, 2.0)
    n = 1e8 * rng.uniform(0.5, 2.0)
    return {"a": a, "b": b, "A": size * n**a, "B": size * (1e19 / 6 / n) ** b, "E": limit}


def covered(trials, seed=0, noise=0.005, resamples=200):
    """Whether the 90 % intervals held the true exponents: bool `[trials, 2]`."""
    rng = np.random.default_rng(seed)
    hits = []
    for trial in range(trials):
        law = random_law(rng)
        parameters, samples = (x.ravel() for x in sweep(law))
        exact = value(law, parameters, samples)
        measured = exact * np.exp(noise * rng.normal(size=exact.shape))
        inputs = {"parameters": parameters, "samples": samples}
        ensemble = bootstrap(JOINT, inputs, measured, resamples, seed=trial)
        held = []
        for name in ("a", "b"):
            low, high = ensemble.interval(name)
            held.append(low <= law[name] <= high)
        hits.append(held)
    return np.array(hits)


def covered_in_compute(trials, seed=1, noise=0.005, resamples=200):
    """As `covered`, for the exponent of E + A C^-a from ten budgets: bool `[trials, 1]`."""
    rng = np.random.default_rng(seed)
    compute, hits = np.geomspace(1e17, 1e21, 10), []
    for trial in range(trials):
        a, limit = rng.uniform(0.1, 0.4), rng.uniform(0.2, 2.0)
        exact = limit + rng.uniform(0.5, 2.0) * (compute / 1e18) ** -a
        measured = exact * np.exp(noise * rng.normal(size=exact.shape))
        low, high = bootstrap(COMPUTE, {"compute": compute}, measured, resamples, trial).interval(
            "a"
        )
        hits.append([low <= a <= high])
    return np.array(hits)


def bias(offset):
    """The best size and its exponent over the truth, by parabolas and by the joint law.

    Args:
      offset: where the sizes are centred, as a multiple of the best size, one or one a budget.

    Returns:
      For each method the ratio of its best size at 1e24 FLOPs to the true one, and its exponent.
    """
    law = CHINCHILLA
    parameters, samples = sweep(law, offset=offset)
    values = value(law, parameters, samples)
    curves = list(zip(parameters, values, strict=True))
    by_parabola = isoflop.best_sizes(BUDGETS, curves)
    inputs = {"parameters": parameters.ravel(), "samples": samples.ravel()}
    fitted = fit(JOINT, inputs, values.ravel())
    price = frontier.price(inputs["parameters"], 6 * inputs["parameters"])
    target = 1e24
    true = best(law, target)
    return {
        "truth": (1.0, law["b"] / (law["a"] + law["b"])),
        "parabola": (
            by_parabola["factor"] * target ** by_parabola["exponent"] / true,
            by_parabola["exponent"],
        ),
        "joint law": (
            float(frontier.best_size(fitted, price, target)) / true,
            frontier.exponents(fitted, price)["size"],
        ),
    }


OFFSETS = {
    "centred": 1.0,
    "all too large, 3x": 3.0,
    "all too small, 3x": 1 / 3,
    "from 3x too large to 3x too small": np.geomspace(3, 1 / 3, len(BUDGETS)),
    "from 3x too small to 3x too large": np.geomspace(1 / 3, 3, len(BUDGETS)),
}


def main(
    trials: Annotated[int, typer.Option(help="Data sets for the coverage.")] = 200,
) -> None:
    """Print coverage and bias."""
    for name, coverage in (("joint", covered), ("compute", covered_in_compute)):
        begun = time.perf_counter()
        hits = coverage(trials)
        share = ", ".join(f"{x:.1%}" for x in hits.mean(0))
        seconds = time.perf_counter() - begun
        print(
            f"{name} law: true exponents in the 90 % interval in {share} of {trials} trials", end=""
        )
        print(f" ({seconds:.0f} s)")
    print("best size at 1e24 FLOPs over the true one, and exponent:")
    for name, offset in OFFSETS.items():
        results = "; ".join(
            f"{method} {ratio:.3f}, {exponent:.4f}"
            for method, (ratio, exponent) in bias(offset).items()
        )
        print(f"  {name}: {results}")


if __name__ == "__main__":
    typer.run(main)
