"""Import of TensorFlow Datasets in any environment: it is slow, and for `jaxpose prepare` only."""

import importlib.util
import os
from typing import TYPE_CHECKING

from jaxpose.requirements import imported

if TYPE_CHECKING:
    import tensorflow_datasets as tfds
else:
    # Colab's image of August 2026 has a tensorflow-metadata generated for protobuf 6, and protobuf
    # 5, which refuses to load it, though it can. This is protobuf's own switch for that check.
    _SWITCH = "TEMPORARILY_DISABLE_PROTOBUF_VERSION_CHECK"
    _before = os.environ.get(_SWITCH, "")
    os.environ[_SWITCH] = "true"
    try:
        _extra = "data" if importlib.util.find_spec("tensorflow") else "tensorflow"
        for _name in ("importlib_resources", "tensorflow_datasets.core"):
            imported(_name, purpose="preparing a dataset", extra=_extra)
        import tensorflow_datasets as tfds
    finally:
        os.environ[_SWITCH] = _before

__all__ = ["tfds"]
