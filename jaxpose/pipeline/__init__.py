"""From images and videos to people in one call: the public Python interface."""

from jaxpose.pipeline.holistic import Holistic, HolisticOptions
from jaxpose.pipeline.lifting import LiftedVideo
from jaxpose.pipeline.options import Options
from jaxpose.pipeline.pipeline import Pipeline
from jaxpose.pipeline.results import Results
from jaxpose.results.holistic import HolisticPeople
from jaxpose.results.people import COLUMNS, People, Person, dataframe
from jaxpose.tasks.lifting.tracks import Lifting, Track, tracks_of
from jaxpose.tracking.smoothing import Smoothing
from jaxpose.tracking.tracker import Tracking

__all__ = [
    "COLUMNS",
    "Holistic",
    "HolisticOptions",
    "HolisticPeople",
    "LiftedVideo",
    "Lifting",
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
