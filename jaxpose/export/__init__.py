"""Export of models to the formats of other runtimes: StableHLO, SavedModel, TFLite and ONNX."""

from jaxpose.export.formats import Exported, load

__all__ = ["Exported", "load"]
