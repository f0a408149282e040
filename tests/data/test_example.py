"""`tf.train.Example` without TensorFlow, against TensorFlow's own message."""

import numpy as np
import pytest

from jaxpose.data import example
from jaxpose.errors import InputError


def _record():
    import tensorflow as tf

    feature = {
        "numbers": tf.train.Feature(float_list=tf.train.FloatList(value=[1.5, -2, 3, 4])),
        "large": tf.train.Feature(int64_list=tf.train.Int64List(value=[-(2**63), 2**63 - 1])),
        "bytes": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"\x00\xff"])),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature))


def test_features_are_read_as_tensorflow_wrote_them():
    features = example.parse_features(_record().SerializeToString())
    assert set(features) == {"numbers", "large", "bytes"}
    numbers = example.numbers(features, "numbers", (2, 2), np.float32)
    np.testing.assert_array_equal(numbers, np.float32([[1.5, -2], [3, 4]]))
    large = example.numbers(features, "large", (2,), np.int64)
    np.testing.assert_array_equal(large, [-(2**63), 2**63 - 1])
    assert example.data(features, "bytes") == b"\x00\xff"


def test_sorting_changes_the_order_and_nothing_else():
    import tensorflow as tf

    record = _record()
    ordered = example.with_sorted_features(record.SerializeToString())
    assert ordered == record.SerializeToString(deterministic=True)
    assert tf.train.Example.FromString(ordered) == record


def test_what_is_absent_or_of_another_count_is_named():
    features = example.parse_features(_record().SerializeToString())
    with pytest.raises(InputError, match="'numbers' has 4 numbers, but 3 are expected"):
        example.numbers(features, "numbers", (3,), np.float32)
    with pytest.raises(InputError, match="'other' has 0 numbers"):
        example.numbers(features, "other", (1,), np.int64)
    with pytest.raises(InputError, match="'image' has 0 byte strings"):
        example.data(features, "image")


def test_other_bytes_are_refused():
    with pytest.raises(InputError, match=r"not a tf\.train\.Example"):
        example.parse_features(b"\xff\xff\xff")
