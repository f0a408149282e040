"""Uncertainty of a fitted law, by repeating the fit on resampled data (bootstrap)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from jaxpose.scaling.fitting import fit, fit_many
from jaxpose.scaling.laws import Form, Inputs, Law

LEVEL = 0.9


@dataclass(frozen=True)
class Ensemble:
    """Law and its bootstrap replicates.

    Attributes:
      law: fitted to the data.
      replicates: fitted to resampled data.
    """

    law: Law
    replicates: tuple[Law, ...]

    def interval(self, name: str, level: float = LEVEL) -> tuple[float, float]:
        """Percentile interval of a parameter."""
        return _percentiles(np.array([law.parameters()[name] for law in self.replicates]), level)

    def band(self, inputs: Inputs, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper bound of the law itself at `inputs`."""
        curves = np.stack([law(inputs) for law in self.replicates])
        low, high = np.quantile(curves, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return low, high

    def draws(self, inputs: Inputs, seed: int = 1) -> np.ndarray:
        """Logarithms of possible values of new runs at `inputs` `[n]` each: `[replicates, n]`.

        They contain the uncertainty of the parameters and the noise of a run.
        """
        curves = np.stack([law(inputs) for law in self.replicates])
        noise = np.random.default_rng(seed).normal(size=curves.shape) * self.law.deviation
        return np.log(np.maximum(curves, 1e-300)) + noise

    def prediction(
        self, inputs: Mapping[str, float], level: float = LEVEL
    ) -> tuple[float, float, float]:
        """Predicted value of a new run at `inputs`, with bounds that include the noise of a run."""
        at = {name: np.array([value]) for name, value in inputs.items()}
        return float(self.law(at)[0]), *_percentiles(np.exp(self.draws(at)[:, 0]), level)


def bootstrap(
    form: Form, inputs: Inputs, values: np.ndarray, resamples: int = 400, seed: int = 0
) -> Ensemble:
    """Fits a law and its replicates by the residual bootstrap in log space.

    Residuals are scaled up for the degrees of freedom of the fit. Each resample also draws the size
    of the noise (chi-squared); without this, the intervals from a few points would be too narrow.

    Args:
      inputs: `[n]` each.   values: `[n]`, positive; n must exceed the form's parameters.
    """
    law = fit(form, inputs, values)
    predicted = law(inputs)
    count, freedom = len(values), len(values) - form.size
    residuals = np.log(values / predicted)
    residuals = (residuals - residuals.mean()) * np.sqrt(count / freedom)
    rng = np.random.default_rng(seed)
    noise = rng.choice(residuals, size=(resamples, count))
    noise *= np.sqrt(freedom / rng.chisquare(freedom, size=(resamples, 1)))
    replicates = fit_many(form, inputs, predicted * np.exp(noise), near=law)
    return Ensemble(law, tuple(replicates))


def _percentiles(values: np.ndarray, level: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
