"""Human pose estimation in JAX: models, codecs, training and inference as pure functions."""

from typing import TYPE_CHECKING, Any

from jaxpose import deprecations

if TYPE_CHECKING:
    from jaxpose.pipeline import Pipeline as Pipeline

__version__ = "0.1.0"

deprecations.install()


def __getattr__(name: str) -> Any:
    """`Pipeline`, imported when it is first used: `import jaxpose` stays light."""
    if name == "Pipeline":
        from jaxpose.pipeline import Pipeline

        return Pipeline
    raise AttributeError(f"module 'jaxpose' has no attribute {name!r}")
