"""Result files of a run: reports and images of its evaluations, and training curves."""

from pathlib import Path
from typing import Any

from jaxpose import viz
from jaxpose.paths import atomic_write
from jaxpose.train.experiment import Experiment
from jaxpose.train.log import read_metrics


def write_result(folder: Path, result: Any, *, details: bool) -> list[str]:
    """Write `report.json` and `predictions.png` of an evaluation; return the file names.

    Args:
      folder: created if absent.
      result: a `tasks.task.EvalResult`.
      details: also the images of its errors, such as `keypoint_errors.png` and `worst.png`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / "report.json", result.report.to_json() + "\n")
    images = {} if result.image is None else {"predictions": result.image}
    if details:
        images |= result.details()
    for name, image in images.items():
        viz.save_image(folder / f"{name}.png", image)
    return ["report.json", *(f"{name}.png" for name in images)]


def draw_curves(directory: Path, experiment: Experiment) -> None:
    """Draw `curves.png` of a run from `metrics.jsonl`: loss, figures and rates over its steps."""
    evaluation = experiment.evaluation
    image = viz.training_curves(
        read_metrics(directory),
        best=evaluation.best,
        lower_is_better=evaluation.lower_is_better,
    )
    if image is not None:
        viz.save_image(directory / "curves.png", image)
