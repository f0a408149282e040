"""The dataset in device memory: same samples as the source, one compilation, sharded batches."""

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxpose.data import resident
from jaxpose.errors import InputError


@pytest.mark.parametrize(("count", "chunk"), [(1, 4), (7, 3), (8, 4), (9, 256)])
def test_load_holds_every_sample_in_order(numbered, count, chunk):
    source = numbered(count)
    arrays = resident.load(source, chunk=chunk)
    expected = resident.device_part(source.samples(np.arange(count)))
    assert set(arrays) == set(resident.DEVICE_KEYS)
    for key, value in expected.items():
        np.testing.assert_array_equal(np.asarray(arrays[key]), value)
        assert arrays[key].dtype == value.dtype


def test_take_gives_the_samples_asked_for(numbered):
    arrays = resident.load(numbered(10), chunk=4)
    batch = resident.take(arrays, np.array([3, 3, 9, 0]))
    np.testing.assert_array_equal(batch["index"], [3, 3, 9, 0])
    np.testing.assert_array_equal(np.asarray(batch["image"])[:, 0, 0, 0], [3, 3, 9, 0])
    assert batch["image"].dtype == np.uint8


def test_batches_are_laid_out_over_the_mesh(numbered):
    mesh = Mesh(np.array(jax.devices()), ("data",))
    rows = NamedSharding(mesh, PartitionSpec("data"))
    arrays = resident.load(numbered(16), mesh=mesh)
    assert arrays["image"].sharding.is_fully_replicated
    batch = resident.take(arrays, np.arange(16), sharding=rows)
    assert batch["image"].sharding.is_equivalent_to(rows, batch["image"].ndim)
    np.testing.assert_array_equal(batch["index"], np.arange(16))


def test_an_unreadable_sample_stops_the_load(numbered):
    with pytest.raises(InputError, match="sample 5"):
        resident.load(numbered(8, broken=5))


def test_only_the_arrays_asked_for_are_kept(numbered):
    arrays = resident.load(numbered(5), keys=["image", "image_id"])
    assert set(arrays) == {"image", "image_id"}
    assert arrays["image_id"].dtype == np.int32
