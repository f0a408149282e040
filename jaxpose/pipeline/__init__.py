"""The Python face of the package: from pictures to people in one call."""

from jaxpose.infer.clips import Track, tracks_of
from jaxpose.infer.people import COLUMNS, People, Person, dataframe
from jaxpose.infer.smooth import Smoothing
from jaxpose.infer.track import Tracking
from jaxpose.pipeline.options import Options
from jaxpose.pipeline.pipeline import Pipeline
from jaxpose.pipeline.results import Results

__all__ = [
    "COLUMNS",
    "Options",
    "People",
    "Person",
    "Pipeline",
    "Results",
    "Smoothing",
    "Track",
    "Tracking",
    "dataframe",
    "tracks_of",
]
