"""Reading of `tf.train.Example` without TensorFlow, by a declaration for plain protobuf.

Field numbers and types are those of tensorflow/core/example/{example,feature}.proto, the format
that TFDS writes. The declaration is in a separate pool, so it does not conflict with
TensorFlow's if both are loaded.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from jaxpose.errors import InputError

_Field = descriptor_pb2.FieldDescriptorProto
_LISTS = (("Bytes", _Field.TYPE_BYTES), ("Float", _Field.TYPE_FLOAT), ("Int64", _Field.TYPE_INT64))


@functools.cache
def _example_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="example", package="jaxpose", syntax="proto3")
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (kind, value_type) in enumerate(_LISTS, start=1):
        values = file.message_type.add(name=f"{kind}List")
        values.field.add(name="value", number=1, type=value_type, label=_Field.LABEL_REPEATED)
        feature.field.add(
            name=f"{kind.lower()}_list",
            number=number,
            type=_Field.TYPE_MESSAGE,
            type_name=f".jaxpose.{kind}List",
            label=_Field.LABEL_OPTIONAL,
            oneof_index=0,
        )
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL)
    entry.field.add(
        name="value",
        number=2,
        type=_Field.TYPE_MESSAGE,
        type_name=".jaxpose.Feature",
        label=_Field.LABEL_OPTIONAL,
    )
    features.field.add(
        name="feature",
        number=1,
        type=_Field.TYPE_MESSAGE,
        type_name=".jaxpose.Features.FeatureEntry",
        label=_Field.LABEL_REPEATED,
    )
    example = file.message_type.add(name="Example")
    example.field.add(
        name="features",
        number=1,
        type=_Field.TYPE_MESSAGE,
        type_name=".jaxpose.Features",
        label=_Field.LABEL_OPTIONAL,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("jaxpose.Example"))


def parse_features(record: bytes) -> Mapping[str, Any]:
    """Parse the features of one serialised `tf.train.Example`, by name.

    Raises:
        InputError: the bytes are not an Example.
    """
    try:
        return _example_class().FromString(record).features.feature
    except message.DecodeError as error:
        raise InputError("the bytes are not a tf.train.Example") from error


def numbers(
    features: Mapping[str, Any], name: str, shape: tuple[int, ...], dtype: Any
) -> np.ndarray:
    """Read the numbers of feature `name` as an array of the given shape.

    Raises:
        InputError: the feature is absent or has another number of values.
    """
    kind = "float_list" if np.issubdtype(dtype, np.floating) else "int64_list"
    values = getattr(features[name], kind).value if name in features else ()
    expected = int(np.prod(shape, dtype=int))
    if len(values) != expected:
        raise InputError(f"{name!r} has {len(values)} numbers, but {expected} are expected")
    return np.array(values, dtype).reshape(shape)


def data(features: Mapping[str, Any], name: str) -> bytes:
    """Read the bytes of feature `name`.

    Raises:
        InputError: the feature is absent or is not one string of bytes.
    """
    values: Sequence[bytes] = features[name].bytes_list.value if name in features else ()
    if len(values) != 1:
        raise InputError(f"{name!r} has {len(values)} byte strings, but one is expected")
    return values[0]


def with_sorted_features(record: bytes) -> bytes:
    """Sort the features of a serialised Example by name.

    The order of a protobuf map is not defined and TFDS does not sort it; a sorted record has the
    same bytes in every run.
    """
    return _example_class().FromString(record).SerializeToString(deterministic=True)
