"""Fits of laws by variable projection, in float64.

Only the parameters of a law that are not linear are searched; for each of their values the
coefficients are the non-negative least-squares solution (variable projection: Golub and Pereyra
1973, SIAM J. Numer. Anal. 10, 413). The search begins at the best of many points that cover the
whole range, so that no initial values are needed, and goes on by Levenberg's and Marquardt's method
in logarithms. Residuals are those of log L under Huber's loss, by reweighting.
"""

import itertools

import numpy as np

from jaxpose.scaling.laws import Form, Inputs, Law

HUBER = 1.345
"""Residuals beyond this many robust standard deviations have a constant gradient (Huber 1964)."""
_NODES, _STARTS = 150, 6
_DAMPING = np.array([0.0, 1e-4, 1e-2, 1.0, 1e2])


def fit(form: Form, inputs: Inputs, values: np.ndarray) -> Law:
    """Fits a law of that form to `values` `[n]`, positive, at `inputs` `[n]` each."""
    laws = fit_many(form, inputs, np.asarray(values, np.float64)[None])
    return laws[0]


def fit_many(form: Form, inputs: Inputs, values: np.ndarray, near: Law | None = None) -> list[Law]:
    """Fits each row of `values` `[m, n]` at the same inputs, all at once.

    `near` is a law close to all of them; the search then starts there instead of covering the
    whole range.
    """
    scale = form.scales(inputs)
    scaled = {name: np.asarray(inputs[name], np.float64) / scale[name] for name in form.inputs}
    weights = values**-2.0  # relative residuals, which equal those of log L while they are small
    if near is None:
        searched = _search(form, scaled, values, weights)
    else:
        start = np.broadcast_to(near.searched, (len(values), len(near.searched)))
        searched = _descend(form, scaled, values, weights, start, rounds=12)
    for _ in range(3 if near is None else 1):
        predicted = _predict(form, scaled, searched, values, weights)[1]
        weights = _log_huber_weights(predicted, values)
        searched = _descend(form, scaled, values, weights, searched, rounds=8)
    coefficients, predicted = _predict(form, scaled, searched, values, weights)
    deviation = _robust_deviation(np.log(predicted / values), values.shape[1] - form.size)
    return [
        Law(form, e, c, scale, float(s))
        for e, c, s in zip(searched, coefficients, deviation, strict=True)
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


def _search(form: Form, scaled: Inputs, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Best of several descents for each row: `[m, e]`. They start at the best nodes of a cover."""
    nodes = _cover(form)
    columns = form.columns(nodes, scaled)  # [g, n, c]
    best = np.empty((len(values), nodes.shape[1]))
    for row in range(len(values)):
        cost = _cost(_residuals(columns, values[row], weights[row])[0])
        starts = nodes[np.argsort(cost)[:_STARTS]]
        many = np.broadcast_to(values[row], (len(starts), values.shape[1]))
        ends = _descend(form, scaled, many, weights[row], starts, rounds=15)
        residuals, _ = _residuals(form.columns(ends, scaled), many, weights[row])
        best[row] = ends[np.argmin(_cost(residuals))]
    return best


def _cover(form: Form) -> np.ndarray:
    """Points that cover the ranges of the searched parameters evenly in logarithms: `[g, e]`.

    The sequence of irrational steps of Roberts (2018), which has no gaps in any dimension.
    """
    low, high = np.log(np.array(form.ranges)).T
    dims = len(low)
    root = 2.0
    for _ in range(40):  # root^(dims + 1) = root + 1
        root = (1 + root) ** (1 / (dims + 1))
    steps = root ** -np.arange(1.0, dims + 1)
    places = (0.5 + np.arange(_NODES * dims)[:, None] * steps) % 1
    return np.exp(low + places * (high - low))


def _descend(
    form: Form,
    scaled: Inputs,
    values: np.ndarray,
    weights: np.ndarray,
    searched: np.ndarray,
    rounds: int,
) -> np.ndarray:
    """Levenberg and Marquardt's method from each row's `searched` `[m, e]`, in logarithms.

    The residuals are those after the projection, so that their derivatives, by differences,
    contain the change of the coefficients. Each round tries several dampings and keeps the best.
    """
    low, high = np.log(np.array(form.ranges)).T
    dims, step = searched.shape[1], 1e-5
    logs = np.log(searched)
    values, weights = values[:, None], np.broadcast_to(weights, values.shape)[:, None]
    moves = np.concatenate([np.zeros((1, dims)), np.eye(dims) * step])
    dampings, identity = _DAMPING, np.eye(dims)
    active = np.arange(len(logs))
    for _ in range(rounds):
        here, v, w = logs[active], values[active], weights[active]
        inward = np.where(here[:, None] + moves > high, -moves, moves)
        columns = form.columns(np.exp(here[:, None] + inward), scaled)  # [m, 1 + e, n, c]
        residuals, _ = _residuals(columns, v, w)
        signs = inward[:, 1:].sum(-1)[..., None]
        slopes = (residuals[:, 1:] - residuals[:, :1]) / signs  # [m, e, n]
        gram = slopes @ np.swapaxes(slopes, -1, -2)
        gradient = (slopes @ residuals[:, 0, :, None])[..., 0]
        size = np.maximum(np.trace(gram, axis1=-2, axis2=-1), 1e-300)[:, None, None] / dims
        diagonal = gram * identity + 1e-9 * size * identity
        damped = (
            gram[:, None]
            + dampings[:, None, None] * diagonal[:, None]
            + 1e-12 * (size * identity)[:, None]
        )
        change = -np.linalg.solve(damped, gradient[:, None, :, None])[..., 0]  # [m, t, e]
        tried = np.clip(here[:, None] + np.clip(change, -1.5, 1.5), low, high)
        after, _ = _residuals(form.columns(np.exp(tried), scaled), v, w)
        costs, before = _cost(after), _cost(residuals[:, 0])
        chosen = costs.argmin(1)
        cost = costs[np.arange(len(active)), chosen]
        better = cost < before
        logs[active[better]] = tried[better, chosen[better]]
        active = active[cost < before * (1 - 1e-9)]
        if not len(active):
            break
    return np.exp(logs)


def _predict(
    form: Form,
    scaled: Inputs,
    searched: np.ndarray,
    values: np.ndarray,
    weights: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients `[m, c]` and predictions `[m, n]` at each row's searched parameters."""
    columns = form.columns(searched, scaled)
    _, coefficients = _residuals(columns, values, weights)
    predicted = (columns @ coefficients[..., None])[..., 0]
    return coefficients, np.maximum(predicted, 1e-12 * values)


def _cost(residuals: np.ndarray) -> np.ndarray:
    return (residuals**2).sum(-1)


def _residuals(
    columns: np.ndarray, values: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted non-negative least squares for many sets of columns at once.

    The solution is exact: where the unrestricted one has a negative coefficient, every subset of
    the coefficients, of which there are at most four, is tried.

    Args:
      columns: `[..., n, c]`.   values, weights: `[..., n]`, broadcast against it.

    Returns:
      The weighted residuals `[..., n]` and the coefficients `[..., c]`.
    """
    root = np.sqrt(weights)
    scaled = columns * root[..., None]
    shape = scaled.shape[:-1]
    target = np.broadcast_to(values * root, shape)
    gram = np.swapaxes(scaled, -1, -2) @ scaled
    moment = (np.swapaxes(scaled, -1, -2) @ target[..., None])[..., 0]
    count = columns.shape[-1]
    best = _subset_solution(gram, moment, list(range(count)))[0]
    negative = (best < 0).any(-1)
    if negative.any():
        best[negative] = _best_subset(gram[negative], moment[negative])
    # Not the target's squares minus the gain: that loses all digits where the fit is close.
    return (scaled @ best[..., None])[..., 0] - target, best


def _best_subset(gram: np.ndarray, moment: np.ndarray) -> np.ndarray:
    """Best non-negative coefficients `[r, c]` of problems `[r]`, over all subsets but the whole."""
    count = moment.shape[-1]
    best_gain, best = np.full(len(gram), -np.inf), np.zeros(moment.shape)
    for chosen in itertools.product((False, True), repeat=count):
        support = [k for k in range(count) if chosen[k]]
        if not 0 < len(support) < count:
            continue
        solution, gain = _subset_solution(gram, moment, support)
        better = (solution >= 0).all(-1) & (gain > best_gain)
        best_gain = np.where(better, gain, best_gain)
        best = np.where(better[..., None], solution, best)
    return best


def _subset_solution(
    gram: np.ndarray, moment: np.ndarray, support: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Solution with only the coefficients of `support`, and the squares that it explains."""
    part = gram[..., support, :][..., :, support]
    diagonal = np.sqrt(np.einsum("...kk->...k", part)) + 1e-300
    scaled = part / (diagonal[..., :, None] * diagonal[..., None, :])
    right = moment[..., support] / diagonal
    solution = np.linalg.solve(scaled + 1e-12 * np.eye(len(support)), right[..., None])[..., 0]
    whole = np.zeros(moment.shape)
    whole[..., support] = solution / diagonal
    return whole, (solution * right).sum(-1)
