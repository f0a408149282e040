"""Saturating power laws of a training run's loss.

Every law is linear in its coefficients once its other parameters are fixed, which `fitting` uses:

    compute      L(C)    = E + A C^-a
    parameters   L(N)    = E + A N^-a
    samples      L(D)    = E + A D^-a
    joint        L(N, D) = E + A N^-a + B D^-b          (arXiv:2203.15556, eq. 10)
    coupled      L(N, D) = E + ((N_c / N)^(a / b) + D_c / D)^b   (arXiv:2001.08361, eq. 1.5, plus E)
    broken       L(N, D) = E + A N^-a + B D^-b (1 + D / D_b)^-c  (arXiv:2210.14891, eq. 1, f = 1)
    shape        L(x, C) = E + A x^-a + (B x^b + F) C^-c  (SoViT, arXiv:2305.13035, eq. 1)

`effective_samples` adds repeated data and pretraining to the three laws of N and D.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Inputs = Mapping[str, np.ndarray]
Natural = Callable[[np.ndarray, np.ndarray, Mapping[str, float]], dict[str, float]]

EXPONENT_RANGE = (0.02, 2.5)
_RATIO_RANGE = (1e-3, 1e3)
_BREAK_RANGE = (0.03, 30.0)


@dataclass(frozen=True)
class Form:
    """Form of a law.

    Attributes:
      name: see the module.
      inputs: names of the quantities that it depends on.
      searched: names of the parameters that are searched, and the range of each (`ranges`), with
        inputs in units of their geometric means.
      coefficients: names of the linear parameters; the last is the limit E.
      columns: searched parameters `[..., e]` and scaled inputs `[n]` each -> `[..., n, c]`, the
        terms without their coefficients.
      natural: values of all parameters in the inputs' own units, from searched parameters `[e]`,
        coefficients `[c]` and the scales.
    """

    name: str
    inputs: tuple[str, ...]
    searched: tuple[str, ...]
    ranges: tuple[tuple[float, float], ...]
    coefficients: tuple[str, ...]
    columns: Callable[[np.ndarray, Inputs], np.ndarray]
    natural: Natural

    @property
    def size(self) -> int:
        """Number of parameters."""
        return len(self.searched) + len(self.coefficients)

    def scales(self, inputs: Inputs) -> dict[str, float]:
        """Unit of each input: its geometric mean; that of `unique` is that of `samples`."""
        scale = {name: float(np.exp(np.log(inputs[name]).mean())) for name in _scaled(self)}
        if "unique" in self.inputs:
            scale["unique"] = scale["samples"]
        return scale | {name: 1.0 for name in self.inputs if name not in scale}


def _scaled(form: Form) -> list[str]:
    return [name for name in form.inputs if name not in ("unique", "pretrained")]


def _power(x: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    return np.exp(-exponent[..., None] * np.log(x))


def _single(searched: np.ndarray, inputs: Inputs) -> np.ndarray:
    (x,) = inputs.values()
    power = _power(x, searched[..., 0])
    return np.stack([power, np.ones_like(power)], axis=-1)


def _joint(searched: np.ndarray, inputs: Inputs) -> np.ndarray:
    n, d = (
        _power(inputs["parameters"], searched[..., 0]),
        _power(inputs["samples"], searched[..., 1]),
    )
    return np.stack([n, d, np.ones_like(n)], axis=-1)


def _coupled(searched: np.ndarray, inputs: Inputs) -> np.ndarray:
    a, b, ratio = (searched[..., k] for k in range(3))
    n = ratio[..., None] * _power(inputs["parameters"], a / b)
    both = (n + 1 / inputs["samples"]) ** b[..., None]
    return np.stack([both, np.ones_like(both)], axis=-1)


def _broken(searched: np.ndarray, inputs: Inputs) -> np.ndarray:
    samples = inputs["samples"]
    n, d = _power(inputs["parameters"], searched[..., 0]), _power(samples, searched[..., 1])
    d = d * _power(1 + samples / searched[..., 3, None], searched[..., 2])
    return np.stack([n, d, np.ones_like(n)], axis=-1)


def _shape(searched: np.ndarray, inputs: Inputs) -> np.ndarray:
    x, c = _power(inputs["shape"], searched[..., 0]), _power(inputs["compute"], searched[..., 2])
    b = _power(inputs["shape"], -searched[..., 1])
    return np.stack([x, b * c, c, np.ones_like(c)], axis=-1)


def _by_columns(form: "Form") -> Natural:
    """Own units of a law whose terms are products of powers: the terms at inputs of 1."""

    def natural(
        searched: np.ndarray, coefficients: np.ndarray, scale: Mapping[str, float]
    ) -> dict[str, float]:
        ones = {name: np.array([1.0 / scale[name]]) for name in form.inputs}
        own = coefficients * form.columns(searched, ones)[0]
        return _named(form.searched, searched) | _named(form.coefficients, own)

    return natural


def _natural_coupled(
    searched: np.ndarray, coefficients: np.ndarray, scale: Mapping[str, float]
) -> dict[str, float]:
    a, b, ratio = map(float, searched[:3])
    outer = float(coefficients[0]) ** (1 / b)
    N_c = (ratio * outer) ** (b / a) * scale["parameters"]
    D_c, E = outer * scale["samples"], float(coefficients[1])
    return {"a": a, "b": b, "N_c": N_c, "D_c": D_c, "E": E}


def _natural_broken(
    searched: np.ndarray, coefficients: np.ndarray, scale: Mapping[str, float]
) -> dict[str, float]:
    a, b, c, at = map(float, searched[:4])
    A, B, E = map(float, coefficients)
    own = {"A": A * scale["parameters"] ** a, "B": B * scale["samples"] ** b, "E": E}
    return {"a": a, "b": b, "c": c, "D_b": at * scale["samples"]} | own


def _named(names: tuple[str, ...], values: np.ndarray) -> dict[str, float]:
    return dict(zip(names, map(float, values), strict=True))


def _powers(
    name: str,
    inputs: tuple[str, ...],
    searched: tuple[str, ...],
    coefficients: tuple[str, ...],
    columns: Callable[[np.ndarray, Inputs], np.ndarray],
) -> Form:
    """Form whose terms are products of powers."""
    ranges = (EXPONENT_RANGE,) * len(searched)
    draft = Form(name, inputs, searched, ranges, coefficients, columns, _natural_broken)
    return Form(name, inputs, searched, ranges, coefficients, columns, _by_columns(draft))


_ND = ("parameters", "samples")
COMPUTE = _powers("compute", ("compute",), ("a",), ("A", "E"), _single)
PARAMETERS = _powers("parameters", ("parameters",), ("a",), ("A", "E"), _single)
SAMPLES = _powers("samples", ("samples",), ("a",), ("A", "E"), _single)
JOINT = _powers("joint", _ND, ("a", "b"), ("A", "B", "E"), _joint)
SHAPE = _powers("shape", ("shape", "compute"), ("a", "b", "c"), ("A", "B", "F", "E"), _shape)
COUPLED = Form(
    "coupled",
    _ND,
    ("a", "b", "ratio"),
    (EXPONENT_RANGE, EXPONENT_RANGE, _RATIO_RANGE),
    ("S", "E"),
    _coupled,
    _natural_coupled,
)
BROKEN = Form(
    "broken",
    _ND,
    ("a", "b", "c", "D_b"),
    (EXPONENT_RANGE, EXPONENT_RANGE, EXPONENT_RANGE, _BREAK_RANGE),
    ("A", "B", "E"),
    _broken,
    _natural_broken,
)


@dataclass(frozen=True)
class Law:
    """Fitted law.

    Attributes:
      form: its form.
      searched: `[e]`; coefficients: `[c]`; of inputs in units of `scale`.
      scale: unit of each input.
      deviation: robust standard deviation of the residuals of log L.
    """

    form: Form
    searched: np.ndarray
    coefficients: np.ndarray
    scale: Mapping[str, float]
    deviation: float

    def __call__(self, inputs: Inputs) -> np.ndarray:
        """Value of L at inputs, arrays of one shape."""
        shape = np.broadcast_shapes(*(np.shape(inputs[name]) for name in self.form.inputs))
        scaled = {
            name: np.broadcast_to(inputs[name], shape).ravel() / self.scale[name]
            for name in self.form.inputs
        }
        return (self.form.columns(self.searched, scaled) @ self.coefficients).reshape(shape)

    @property
    def limit(self) -> float:
        """Limit E: the value that no size and no amount of data can go below."""
        return float(self.coefficients[-1])

    def parameters(self) -> dict[str, float]:
        """All parameters by name, in the inputs' own units."""
        return self.form.natural(self.searched, self.coefficients, self.scale)
