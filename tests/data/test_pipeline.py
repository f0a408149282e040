"""tf.data batches: the samples of the index stream, whatever the source, resume and share."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from jaxpose.data import pipeline
from jaxpose.data.index import sample_indices
from jaxpose.data.pipeline import sequential, stream
from jaxpose.data.records import RecordSource
from jaxpose.errors import InputError


def _first(batches, count):
    return list(itertools.islice(batches, count))


def test_the_stream_is_the_index_stream(numbered):
    source = numbered(11)
    for step, batch in _first(stream(source, seed=5, start_step=0, batch_size=4), 6):
        indices = sample_indices(5, step, 4, 11)
        np.testing.assert_array_equal(batch["index"], indices)
        np.testing.assert_array_equal(batch["image"][:, 0, 0, 0], indices)
        assert batch["mask"].all()


def test_it_resumes_at_any_step(numbered):
    source = numbered(11)
    whole = _first(stream(source, seed=1, start_step=0, batch_size=4), 5)
    rest = _first(stream(source, seed=1, start_step=3, batch_size=4), 2)
    assert [step for step, _ in rest] == [3, 4]
    for (_, a), (_, b) in zip(whole[3:], rest, strict=True):
        assert a.keys() == b.keys()
        for key in a:
            np.testing.assert_array_equal(a[key], b[key])
    ((step, _),) = _first(stream(source, seed=1, start_step=10**12, batch_size=4), 1)
    assert step == 10**12


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_each_batch(numbered, processes):
    source = numbered(11)
    parts = [
        _first(
            stream(
                source,
                seed=2,
                start_step=1,
                batch_size=8,
                process_index=i,
                process_count=processes,
            ),
            3,
        )
        for i in range(processes)
    ]
    for steps in zip(*parts, strict=True):
        together = np.concatenate([batch["index"] for _, batch in steps])
        np.testing.assert_array_equal(together, sample_indices(2, steps[0][0], 8, 11))


@pytest.mark.parametrize(("count", "batch"), [(8, 4), (9, 4), (3, 8)])
def test_sequential_visits_all_once_and_fills_up(numbered, count, batch):
    batches = list(sequential(numbered(count), batch))
    assert len(batches) == -(-count // batch)
    assert all(b["image"].shape[0] == batch for b in batches)
    index = np.concatenate([b["index"] for b in batches])
    mask = np.concatenate([b["mask"] for b in batches])
    np.testing.assert_array_equal(index[mask], np.arange(count))


def test_sequential_shares_each_batch(numbered):
    parts = [list(sequential(numbered(5), 4, process_index=i, process_count=2)) for i in range(2)]
    assert [len(part) for part in parts] == [2, 2]
    index = np.concatenate(
        [b["index"][b["mask"]] for pair in zip(*parts, strict=True) for b in pair]
    )
    np.testing.assert_array_equal(index, np.arange(5))


def test_an_unreadable_sample_is_named(numbered):
    with pytest.raises(InputError, match="sample 3"):
        list(sequential(numbered(8, broken=3), 4))


def test_bad_arguments_are_named(numbered):
    with pytest.raises(InputError, match="multiple of 3"):
        stream(numbered(4), seed=0, start_step=0, batch_size=4, process_count=3)
    with pytest.raises(InputError, match="empty"):
        stream(numbered(0), seed=0, start_step=0, batch_size=4)
    with pytest.raises(InputError, match="no batches"):
        sequential(numbered(0), 4)


def test_tensorflow_sees_no_accelerator(numbered):
    import tensorflow as tf

    _first(stream(numbered(4), seed=0, start_step=0, batch_size=4), 1)
    assert tf.config.get_visible_devices("GPU") == []
    assert tf.config.get_visible_devices("TPU") == []


def test_only_records_need_tensorflow(numbered, prepared, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # as if it were absent
    pipeline._tensorflow.cache_clear()
    ((_, batch),) = _first(stream(numbered(8), seed=0, start_step=0, batch_size=8), 1)
    assert sorted(batch["index"]) == list(range(8))
    with pytest.raises(InputError, match=r'needs tensorflow: pip install "jaxpose\[tensorflow\]"'):
        next(sequential(RecordSource(prepared, "train"), 2))
    pipeline._tensorflow.cache_clear()


def test_samples_are_made_ahead_in_order_and_a_closed_stream_makes_no_more(numbered):
    made, source = [], numbered(64)
    samples = source.samples
    source.samples = lambda indices: made.append(int(indices[0])) or samples(indices)
    batches = sequential(source, 4, threads=1)
    assert [int(next(batches)["index"][0]) for _ in range(3)] == [0, 4, 8]
    batches.close()
    assert made == sorted(made) and len(made) <= 3 + pipeline.AHEAD + 1


def test_importing_the_pipeline_loads_no_tensorflow():
    code = (
        "import sys, jaxpose.data.pipeline, jaxpose.data.records, jaxpose.data.resident\n"
        "assert not {'tensorflow', 'tensorflow_datasets', 'cv2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
