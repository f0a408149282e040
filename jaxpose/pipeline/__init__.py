"""The Python face of the package: from pictures to people in one call."""

from jaxpose.pipeline.options import Options
from jaxpose.pipeline.pipeline import Pipeline
from jaxpose.pipeline.results import Results
from jaxpose.results.people import COLUMNS, People, Person, dataframe
from jaxpose.tasks.lifting.tracks import Track, tracks_of
from jaxpose.tracking.smoothing import Smoothing
from jaxpose.tracking.tracker import Tracking

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
