"""An experiment as one frozen value: model, codec, loss, data, optimiser, schedule.

A recipe is a Python file with `get_config()`, whose class says what is trained: `Experiment` for
keypoints in pictures, `LiftingExperiment` for joints in space. What it holds are the objects that
run (`PoseModel(...)`, `Heatmap(...)`, `Records(...)`), so there is no lookup between a
configuration and what it configures, and a misspelt argument is Python's own error. `values` adds
what objects alone do not have: dotted overrides with checked types, a JSON form from which the
experiment is rebuilt without its recipe, and a list of differences between two experiments.
"""

from jaxpose.config.images import Evaluation, Experiment
from jaxpose.config.lifting import LiftingEvaluation, LiftingExperiment
from jaxpose.config.recipe import AnyExperiment, load_recipe
from jaxpose.config.settings import Mesh, Optimizer, Training
from jaxpose.config.values import config_fields, differences, from_json, override, to_json

__all__ = [
    "AnyExperiment",
    "Evaluation",
    "Experiment",
    "LiftingEvaluation",
    "LiftingExperiment",
    "Mesh",
    "Optimizer",
    "Training",
    "config_fields",
    "differences",
    "from_json",
    "load_recipe",
    "override",
    "to_json",
]
