"""Human pose estimation in JAX: models, codecs, training and inference as pure functions.

    model = jaxpose.load("rtmpose-s")        # a published name, a path or an address
    pipeline = jaxpose.Pipeline.load("rtmpose-s", detector="rtmdet-nano-person")
    people = pipeline("image.jpg")

`import jaxpose` imports nothing heavy: names are imported when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from jaxpose import deprecations

if TYPE_CHECKING:
    from jaxpose import codecs as codecs
    from jaxpose import data as data
    from jaxpose import losses as losses
    from jaxpose import metrics as metrics
    from jaxpose import models as models
    from jaxpose import skeletons as skeletons
    from jaxpose.hub.catalogue import list_models as list_models
    from jaxpose.hub.load import load as load
    from jaxpose.pipeline import Holistic as Holistic
    from jaxpose.pipeline import Pipeline as Pipeline

__version__ = "0.1.0"

_NAMESPACES = ("codecs", "data", "losses", "metrics", "models", "skeletons")
# Names from other modules.
_NAMES = {
    "Holistic": "jaxpose.pipeline",
    "Pipeline": "jaxpose.pipeline",
    "list_models": "jaxpose.hub.catalogue",
    "load": "jaxpose.hub.load",
}

deprecations.install()


def __getattr__(name: str) -> Any:
    """A namespace or a name of `_NAMES`, imported at its first use."""
    if name in _NAMESPACES:
        return importlib.import_module(f"jaxpose.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'jaxpose' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*(n for n in globals() if n.startswith("__")), *_NAMESPACES, *_NAMES})
