"""Settings of a fit from the options of `jaxpose fit`."""

from dataclasses import replace

from jaxpose.bodies.fit import Fitting
from jaxpose.cli.fit_command import Fit
from jaxpose.cli.options import filled
from jaxpose.errors import InputError

WITH_PRIOR = Fitting(pixel_sigma=0.015, starts=32)
"""Defaults with a prior learnt from poses: three times the time, errors an eighth smaller."""


def check_gender_option(options: Fit) -> None:
    """Raises `InputError` for a `--gender` without a body model's file."""
    if options.gender is not None and options.body is None:
        raise InputError(
            "--gender is for --body with the file of a body model, and the free body has none: "
            "leave it out."
        )


def fitting_of(options: Fit) -> Fitting:
    """Settings of the fit; those that are not given depend on whether there is a `--prior`."""
    settings = filled(options, Fitting() if options.prior is None else WITH_PRIOR)
    return replace(
        settings,
        starts=options.starts or settings.starts,
        pixel_sigma=options.pixel_sigma or settings.pixel_sigma,
    )
