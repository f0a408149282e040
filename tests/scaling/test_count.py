"""Parameters and multiply-adds of every published model, against the published figures."""

import pytest

from jaxpose.models.published.catalogue import CATALOGUE
from jaxpose.scaling.count import cost

# Published figures differ from a count of matmuls and convolutions for reasons of their own.
EXPLAINED: dict[str, str] = {}


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_size_and_work_are_as_published(entry):
    counted = cost(entry.model(), entry.input_hw)
    if entry.parameters is not None:
        assert counted.parameters / 1e6 == pytest.approx(entry.parameters, rel=0.01)
    if entry.gflops is not None and entry.name not in EXPLAINED:
        assert counted.multiply_adds / 1e9 == pytest.approx(entry.gflops, rel=0.01)
