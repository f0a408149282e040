"""Prepared data read from a bucket; a folder stands in for one (see train/test_buckets.py)."""

import numpy as np

from jaxpose import paths
from jaxpose.data.records import RecordSource


def test_records_in_a_bucket_are_those_on_disk(prepared, tmp_path, monkeypatch):
    expected = RecordSource(prepared, "train")
    monkeypatch.setattr(paths, "SCHEMES", (str(prepared),))
    monkeypatch.setenv("JAXPOSE_CACHE", str(tmp_path / "cache"))
    found = RecordSource(prepared, "train")
    assert found.path.is_relative_to(tmp_path / "cache")
    assert found.fingerprint() == expected.fingerprint()
    every = np.arange(len(expected))
    for name, values in expected.samples(every).items():
        np.testing.assert_array_equal(values, found.samples(every)[name], err_msg=name)
    # The copy stays: nothing but the summary, which names the content, is looked at again.
    for file in prepared.glob("*array_record*"):
        file.unlink()
    assert len(RecordSource(prepared, "train").samples(every)["index"]) == len(every)
