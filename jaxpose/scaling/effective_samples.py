"""Effective samples: repeated data are worth less than new data, a pretrained start is worth more.

A run that sees U distinct samples in D / U epochs has as much from them as from

    D' = U (1 + R* (1 - exp(-R / R*))),   R = D / U - 1        (arXiv:2305.16264, eq. 5)

new samples; R* is the number of repetitions after which more of them are worth little. A pretrained
start multiplies D' by t. Any law of N and D becomes a law of D' by `with_repeats` and `with_start`.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from jaxpose.scaling.laws import Form, Inputs

REPEATS_RANGE = (0.3, 300.0)
START_RANGE = (0.1, 1e3)


def effective_samples(
    samples: np.ndarray, unique: np.ndarray, repeats: np.ndarray | float
) -> np.ndarray:
    """Number of new samples that are worth as much: D' of the module.

    Args:
      samples: D, samples seen.   unique: U, distinct samples; those beyond D are not seen.
      repeats: R*, as an array that broadcasts against both.
    """
    seen = np.minimum(unique, samples)
    return seen * (1 - repeats * np.expm1(-(samples / seen - 1) / repeats))


def with_repeats(form: Form) -> Form:
    """Law of effective samples in place of samples: one more input, `unique`, and R*."""

    def columns(searched: np.ndarray, inputs: Inputs) -> np.ndarray:
        repeats = searched[..., -1, None]
        samples = effective_samples(inputs["samples"], inputs["unique"], repeats)
        return form.columns(searched[..., :-1], {**inputs, "samples": samples})

    return _extended(form, "repeats", "unique", "R*", REPEATS_RANGE, columns)


def with_start(form: Form) -> Form:
    """Law in which samples after a pretrained start count t times: one more input, `pretrained`."""

    def columns(searched: np.ndarray, inputs: Inputs) -> np.ndarray:
        factor = searched[..., -1, None] ** inputs["pretrained"]
        inner = {**inputs, "samples": inputs["samples"] * factor}
        if "unique" in inputs:
            inner["unique"] = inputs["unique"] * factor
        return form.columns(searched[..., :-1], inner)

    return _extended(form, "start", "pretrained", "t", START_RANGE, columns)


def _extended(
    form: Form, suffix: str, extra: str, name: str, limits: tuple[float, float], columns
) -> Form:
    def natural(
        searched: np.ndarray, coefficients: np.ndarray, scale: Mapping[str, float]
    ) -> dict[str, float]:
        inner = form.natural(searched[:-1], coefficients, scale)
        return inner | {name: float(searched[-1])}

    return dataclasses.replace(
        form,
        name=f"{form.name}+{suffix}",
        inputs=(*form.inputs, extra),
        searched=(*form.searched, name),
        ranges=(*form.ranges, limits),
        columns=columns,
        natural=natural,
    )
