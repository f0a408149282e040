"""Settings of hypothesis, and what every property of a reader has in common."""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings

from jaxpose.errors import InputError

few = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def read_or_refused(read: Callable[[], Any]) -> Any:
    """The result of a reader; None if it refused with a sentence."""
    try:
        return read()
    except InputError as error:
        assert str(error).strip()
        return None
