"""Efficient frontier: the best size for a budget of compute, and the value it reaches.

With a sample of a model of N parameters costing `k N^m` FLOPs (m is near 1 for large transformers,
less for small ones, where head and patches matter), a budget C pays for `D = C / (k N^m)` samples,
and the joint law has its minimum over N in closed form (arXiv:2203.15556, eq. 4, for m = 1):

    N*^(a + m b) = a A / (m b B) (C / k)^b        L*(C) - E ~ C^(-a b / (a + m b))
"""

from dataclasses import dataclass

import numpy as np

from jaxpose.scaling.laws import Law


@dataclass(frozen=True)
class Price:
    """FLOPs of one training sample as a power of the parameters: `k N^m`."""

    k: float
    m: float

    def __call__(self, parameters: np.ndarray) -> np.ndarray:
        """FLOPs of one sample."""
        return self.k * np.asarray(parameters, np.float64) ** self.m


# Limits for a law without a best size: beyond any model, with finite powers.
_SIZES = (1e-30, 1e60)


def price(parameters: np.ndarray, flops: np.ndarray) -> Price:
    """Fits a power of the parameters to the FLOPs per sample, in logarithms."""
    slope, offset = np.polyfit(np.log(parameters), np.log(flops), 1)
    return Price(float(np.exp(offset)), float(slope))


def exponents(law: Law, price: Price) -> dict[str, float]:
    """Exponents in compute of the best size, the best number of samples, and the loss above E."""
    a, b = (law.parameters()[name] for name in ("a", "b"))
    size = b / (a + price.m * b)
    return {"size": size, "samples": 1 - price.m * size, "loss": a * size}


def best_size(law: Law, price: Price, compute: np.ndarray) -> np.ndarray:
    """Number of parameters with the lowest value of the joint law, for each budget.

    Zero for a law in which size does not matter, infinity for one in which only size does.
    """
    values = law.parameters()
    a, b, A, B = (values[name] for name in ("a", "b", "A", "B"))
    m = price.m
    power = 1 / (a + m * b)
    ratio = a * A / (m * b * B) if B else _unbounded(A)
    return ratio**power * (np.asarray(compute, np.float64) / price.k) ** (b * power)


def _unbounded(A: float) -> float:
    """Best size where more data does not help: infinite, or 0 if size does not matter either."""
    return np.inf if A else 0.0


def best_value(law: Law, price: Price, compute: np.ndarray) -> np.ndarray:
    """Value at the best size for each budget."""
    compute = np.asarray(compute, np.float64)
    size = np.clip(best_size(law, price, compute), *_SIZES)
    return law({"parameters": size, "samples": compute / price(size)})


def best_shape(law: Law, compute: np.ndarray) -> np.ndarray:
    """Value of a shape's dimension that minimises a law of the form `shape`.

    `x*^(a + b) = a A C^c / (b B)` (SoViT, arXiv:2305.13035): it grows as `C^(c / (a + b))`.
    """
    values = law.parameters()
    a, b, c = law.searched
    A, B = values["A"], values["B"]
    ratio = a * A / (b * B) if B else _unbounded(A)
    return (ratio * np.asarray(compute, np.float64) ** c) ** (1 / (a + b))


def shape_exponent(law: Law) -> float:
    """Exponent in compute of `best_shape`."""
    a, b, c = law.searched
    return float(c / (a + b))
