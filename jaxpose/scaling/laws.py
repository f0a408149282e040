"""Saturating power laws, fitted by variable projection.

Every law is linear in its coefficients once its exponents are fixed:

    compute      L(C)    = E + A C^-a
    parameters   L(N)    = E + A N^-a
    samples      L(D)    = E + A D^-a
    joint        L(N, D) = E + A N^-a + B D^-b          (arXiv:2203.15556, eq. 10)
    shape        L(x, C) = E + A x^-a + (B x^b + F) C^-c  (SoViT, arXiv:2305.13035, eq. 1)

So only the exponents are searched, on a grid that is then refined; for each of its nodes the
coefficients are the non-negative least-squares solution (variable projection: Golub and Pereyra
1973, SIAM J. Numer. Anal. 10, 413). No initial values are needed, and the search cannot end in a
local minimum. Residuals are those of log L under Huber's loss, by reweighting.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

HUBER = 1.345
"""Residuals beyond this many robust standard deviations have a constant gradient (Huber 1964)."""

Inputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Form:
    """Form of a law.

    Attributes:
      name: see the module.
      inputs: names of the quantities that it depends on.
      exponents, coefficients: the names of its parameters; the last coefficient is the limit E.
      columns: exponents `[..., e]` and log inputs `[n]` each -> `[..., n, c]`, the terms without
        their coefficients.
    """

    name: str
    inputs: tuple[str, ...]
    exponents: tuple[str, ...]
    coefficients: tuple[str, ...]
    columns: Callable[..., np.ndarray]

    @property
    def size(self) -> int:
        """Number of parameters."""
        return len(self.exponents) + len(self.coefficients)


def _power(log_x: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    return np.exp(-exponent[..., None] * log_x)


def _single(exponents: np.ndarray, log_x: np.ndarray) -> np.ndarray:
    power = _power(log_x, exponents[..., 0])
    return np.stack([power, np.ones_like(power)], axis=-1)


def _joint(exponents: np.ndarray, log_n: np.ndarray, log_d: np.ndarray) -> np.ndarray:
    n, d = _power(log_n, exponents[..., 0]), _power(log_d, exponents[..., 1])
    return np.stack([n, d, np.ones_like(n)], axis=-1)


def _shape(exponents: np.ndarray, log_x: np.ndarray, log_c: np.ndarray) -> np.ndarray:
    x, c = _power(log_x, exponents[..., 0]), _power(log_c, exponents[..., 2])
    return np.stack([x, _power(log_x, -exponents[..., 1]) * c, c, np.ones_like(c)], axis=-1)


COMPUTE = Form("compute", ("compute",), ("a",), ("A", "E"), _single)
PARAMETERS = Form("parameters", ("parameters",), ("a",), ("A", "E"), _single)
SAMPLES = Form("samples", ("samples",), ("a",), ("A", "E"), _single)
JOINT = Form("joint", ("parameters", "samples"), ("a", "b"), ("A", "B", "E"), _joint)
SHAPE = Form("shape", ("shape", "compute"), ("a", "b", "c"), ("A", "B", "F", "E"), _shape)

EXPONENT_RANGE = (0.02, 2.5)


@dataclass(frozen=True)
class Law:
    """Fitted law.

    Attributes:
      form: its form.
      exponents: `[e]`; coefficients: `[c]` of inputs in units of `scale`.
      scale: by input, the geometric mean of the fitted points.
      deviation: robust standard deviation of the residuals of log L.
    """

    form: Form
    exponents: np.ndarray
    coefficients: np.ndarray
    scale: Mapping[str, float]
    deviation: float

    def __call__(self, inputs: Inputs) -> np.ndarray:
        """Value of L at inputs, arrays of one shape."""
        shape = np.broadcast_shapes(*(np.shape(inputs[name]) for name in self.form.inputs))
        logs = [
            np.log(np.broadcast_to(inputs[name], shape).ravel() / self.scale[name])
            for name in self.form.inputs
        ]
        return (self.form.columns(self.exponents, *logs) @ self.coefficients).reshape(shape)

    @property
    def limit(self) -> float:
        """Limit E: the value that no size and no amount of data can go below."""
        return float(self.coefficients[-1])

    def parameters(self) -> dict[str, float]:
        """All parameters by name, coefficients in the inputs' own units."""
        values = dict(zip(self.form.exponents, map(float, self.exponents), strict=True))
        ones = [np.log([1.0 / self.scale[name]]) for name in self.form.inputs]
        factors = self.form.columns(self.exponents, *ones)[0]
        coefficients = self.coefficients * factors
        return values | dict(zip(self.form.coefficients, map(float, coefficients), strict=True))


def fit(form: Form, inputs: Inputs, values: np.ndarray) -> Law:
    """Fits a law of that form to `values` `[n]`, positive, at `inputs` `[n]` each."""
    laws = fit_many(form, inputs, np.asarray(values, np.float64)[None])
    return laws[0]


def fit_many(form: Form, inputs: Inputs, values: np.ndarray, near: Law | None = None) -> list[Law]:
    """Fits each row of `values` `[m, n]` at the same inputs, all at once.

    `near` is a law close to all of them; the search then stays near it instead of covering the
    whole range.
    """
    scale = {name: float(np.exp(np.log(inputs[name]).mean())) for name in form.inputs}
    logs = [np.log(np.asarray(inputs[name], np.float64) / scale[name]) for name in form.inputs]
    weights = values**-2.0  # relative residuals, which equal those of log L while they are small
    if near is None:
        exponents = _search(form, logs, values, weights)
    else:
        start = np.broadcast_to(near.exponents, (len(values), len(near.exponents)))
        exponents = _refine(form, logs, values, weights, start, width=0.5, rounds=6)
    for _ in range(3 if near is None else 1):
        predicted = _predict(form, logs, exponents, values, weights)[1]
        weights = _log_huber_weights(predicted, values)
        exponents = _refine(form, logs, values, weights, exponents, width=0.3, rounds=6)
    coefficients, predicted = _predict(form, logs, exponents, values, weights)
    deviation = _robust_deviation(np.log(predicted / values), values.shape[1] - form.size)
    return [
        Law(form, e, c, scale, float(s))
        for e, c, s in zip(exponents, coefficients, deviation, strict=True)
    ]


def _robust_deviation(residuals: np.ndarray, freedom: int) -> np.ndarray:
    """Robust standard deviation along the last axis by Huber's weights.

    freedom: degrees of freedom of the residuals.
    """
    n = residuals.shape[-1]
    spread = np.sqrt((residuals**2).mean(-1))
    middle = 1.4826 * np.median(np.abs(residuals), -1)
    cut = HUBER * np.maximum(middle, 0.3 * spread) * np.sqrt(n / max(freedom, 1))
    clipped = np.clip(residuals, -cut[..., None], cut[..., None])
    # A normal variable clipped at 1.345 keeps 0.843 of its deviation; without clipping, all of it.
    bites = (np.abs(residuals) > cut[..., None]).mean(-1)
    kept = 1 - (1 - 0.8433) * np.minimum(1.0, bites / 0.1787)
    return np.sqrt((clipped**2).sum(-1) / max(freedom, 1)) / kept


def _log_huber_weights(predicted: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Weights under which squared residuals of L equal Huber's loss of the residuals of log L."""
    log_ratio = np.log(predicted / values)
    difference = predicted - values
    small = np.abs(log_ratio) < 1e-9
    slope = np.where(small, 1 / values, log_ratio / np.where(small, 1.0, difference))
    deviation = 1.4826 * np.median(np.abs(log_ratio), axis=-1, keepdims=True)
    floor = 0.3 * np.sqrt((log_ratio**2).mean(-1, keepdims=True))
    cut = HUBER * np.maximum(np.maximum(deviation, floor), 1e-12)
    return slope**2 * np.minimum(1.0, cut / np.maximum(np.abs(log_ratio), 1e-300))


def _search(
    form: Form, logs: list[np.ndarray], values: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Best node of a grid over the exponents for each row, refined: `[m, e]`."""
    count = {1: 60, 2: 22, 3: 12}[len(form.exponents)]
    axis = np.geomspace(*EXPONENT_RANGE, count)
    nodes = np.array(list(itertools.product(axis, repeat=len(form.exponents))))
    best = np.empty((len(values), len(form.exponents)))
    columns = form.columns(nodes, *logs)  # [g, n, c]
    for row in range(len(values)):
        cost, _ = _solve(columns, values[row], weights[row])
        best[row] = nodes[np.argmin(cost)]
    step = np.log(axis[1] / axis[0])
    return _refine(form, logs, values, weights, best, width=step, rounds=9)


def _refine(
    form: Form,
    logs: list[np.ndarray],
    values: np.ndarray,
    weights: np.ndarray,
    exponents: np.ndarray,
    width: float,
    rounds: int,
) -> np.ndarray:
    """Pattern search in log exponents around each row's: steps to the best, or halves the steps."""
    moves = np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=exponents.shape[1])))
    middle = len(moves) // 2
    widths = np.full(len(values), width)
    for _ in range(2 * rounds):
        tried = np.exp(np.log(exponents)[:, None] + widths[:, None, None] * moves[None])
        tried = np.clip(tried, *EXPONENT_RANGE)  # [m, t, e]
        columns = form.columns(tried, *logs)  # [m, t, n, c]
        cost, _ = _solve(columns, values[:, None], weights[:, None])
        # Ties stay where they are.
        cost[:, middle] *= 1 - 1e-12
        chosen = cost.argmin(1)
        exponents = tried[np.arange(len(tried)), chosen]
        widths = np.where(chosen == middle, widths / 2.5, widths)
    return exponents


def _predict(
    form: Form,
    logs: list[np.ndarray],
    exponents: np.ndarray,
    values: np.ndarray,
    weights: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients `[m, c]` and predictions `[m, n]` at each row's exponents."""
    columns = form.columns(exponents, *logs)
    _, coefficients = _solve(columns, values, weights)
    predicted = (columns @ coefficients[..., None])[..., 0]
    return coefficients, np.maximum(predicted, 1e-12 * values)


def _solve(
    columns: np.ndarray, values: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted non-negative least squares for many sets of columns at once.

    With at most four coefficients, every subset of positive coefficients is tried, so the solution
    is exact.

    Args:
      columns: `[..., n, c]`.   values, weights: `[..., n]`, broadcast against it.

    Returns:
      The sum of weighted squares `[...]` and the coefficients `[..., c]`.
    """
    root = np.sqrt(weights)
    scaled, target = columns * root[..., None], values * root
    gram = np.swapaxes(scaled, -1, -2) @ scaled
    moment = (np.swapaxes(scaled, -1, -2) @ np.broadcast_to(target, scaled.shape[:-1])[..., None])[
        ..., 0
    ]
    best_gain = np.full(gram.shape[:-2], -np.inf)
    best = np.zeros(moment.shape)
    count = columns.shape[-1]
    for chosen in itertools.product((False, True), repeat=count):
        support = [k for k in range(count) if chosen[k]]
        if not support:
            continue
        part = gram[..., support, :][..., :, support]
        diagonal = np.sqrt(np.einsum("...kk->...k", part))
        scaled_part = part / (diagonal[..., :, None] * diagonal[..., None, :])
        scaled_part = scaled_part + 1e-12 * np.eye(len(support))
        right = moment[..., support] / diagonal
        solution = np.linalg.solve(scaled_part, right[..., None])[..., 0]
        gain = (solution * right).sum(-1)
        better = (solution >= 0).all(-1) & (gain > best_gain)
        best_gain = np.where(better, gain, best_gain)
        whole = np.zeros(best.shape)
        whole[..., support] = solution / diagonal
        best = np.where(better[..., None], whole, best)
    # Not the target's squares minus the gain: that loses all digits where the fit is close.
    residual = (scaled @ best[..., None])[..., 0] - target
    return (residual**2).sum(-1), best
