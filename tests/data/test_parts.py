"""A part of a prepared data set."""

import numpy as np
import pytest

from jaxpose.data.records import RecordSource
from jaxpose.data.source import Records
from jaxpose.errors import InputError


def test_parts_lie_in_one_another_and_count_from_0(prepared):
    whole = RecordSource(prepared, "train")
    ids = whole.samples(np.arange(6))["annotation_id"].tolist()
    before: list[int] = []
    for part, count in ((0.01, 1), (0.5, 3), (0.99, 6)):
        source = Records(str(prepared), "train", part).open()
        batch = source.samples(np.arange(count))
        found = batch["annotation_id"].tolist()
        assert len(source) == count and batch["index"].tolist() == list(range(count))
        assert found[: len(before)] == before and set(found) <= set(ids)
        before = found
    assert Records(str(prepared), "train", 0.5).open().fingerprint() != whole.fingerprint()
    assert Records(str(prepared), "train").open().fingerprint() == whole.fingerprint()
    with pytest.raises(InputError, match=r"fraction in \(0, 1\], not 1.5"):
        Records(str(prepared), "train", 1.5).open()
