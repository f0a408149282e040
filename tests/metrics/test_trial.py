"""Trial of metrics on made-up samples: all of jaxpose pass, and faults of others are named."""

from dataclasses import dataclass

import numpy as np
import pytest

from jaxpose import metrics
from jaxpose.errors import InputError
from jaxpose.metrics import (
    AUC,
    AUC3D,
    EPE,
    MPJPE,
    MPJVE,
    NME,
    NMPJPE,
    PCK,
    PCK3D,
    PMPJPE,
    CocoAP,
    CrowdPoseAP,
    MeanOKS,
    Metric,
    PCKh,
    Scored,
    TwoHands,
    WholeBodyAP,
)
from jaxpose.metrics.trial import made_up, made_up_people, try_metrics
from jaxpose.skeletons import (
    COCO17,
    COCO_WHOLEBODY133,
    CROWDPOSE14,
    HUMANEVA15,
    INTERHAND42,
    MPII16,
)
from jaxpose.tasks.lifting.score import COLUMNS as MOTION

IMAGES = ("index", "image_id", "annotation_id", "scores", "box_xywh", "area")
TRIALS = [
    *((metric, COCO17, 2, IMAGES) for metric in (CocoAP(), MeanOKS(), PCK(), AUC(), EPE(), NME())),
    (CrowdPoseAP(), CROWDPOSE14, 2, IMAGES),
    (WholeBodyAP(), COCO_WHOLEBODY133, 2, IMAGES),
    (PCKh(), MPII16, 2, (*IMAGES, "head_boxes")),
    (TwoHands(), INTERHAND42, 2, (*IMAGES, "depth", "hands", "truth_3d")),
    *(
        (metric, HUMANEVA15, 3, MOTION)
        for metric in (MPJPE(), PMPJPE(), NMPJPE(), MPJVE(), PCK3D(), AUC3D())
    ),
]


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: type(trial[0]).__name__)
def test_the_metrics_of_the_package_measure_made_up_samples(trial):
    metric, skeleton, dimensions, columns = trial
    estimates = made_up(skeleton, dimensions, columns)
    assert estimates.columns() == frozenset(columns)
    try_metrics((metric,), estimates)
    result = metric(estimates)
    figures = result.figures if isinstance(result, Scored) else result
    assert np.isfinite([figures[name] for name in metric.figures]).all()


def test_each_metric_of_the_package_has_a_trial():
    classes = {
        value
        for value in vars(metrics).values()
        if isinstance(value, type) and issubclass(value, Metric) and value is not Metric
    }
    assert classes == {type(metric) for metric, *_ in TRIALS}


@pytest.mark.parametrize("metric", [CocoAP(), CrowdPoseAP(), MeanOKS()])
def test_metrics_of_whole_images_measure_made_up_people(metric):
    people = made_up_people(COCO17)
    try_metrics((metric,), people)
    result = metric(people)
    figures = result.figures if isinstance(result, Scored) else result
    assert figures[next(iter(metric.figures))] > 0.9


@dataclass(frozen=True)
class MedianError(Metric):
    """A metric with a fault."""

    fault: str = ""

    @property
    def figures(self):
        return {"median error": "lower"}

    def __call__(self, estimates):
        value = float(np.nanmedian(estimates.distances))
        match self.fault:
            case "exception":
                return {"median error": estimates.distance}
            case "column":
                return {"median error": estimates.column("clip").mean()}
            case "samples":
                raise InputError("Fewer than 1,000 people.")
            case "None":
                return None
            case "number":
                return value
            case "array":
                return {"median error": estimates.distances[0]}
            case "text":
                return {"median error": "3 px"}
            case "name":
                return {"median": value}
        return {"median error": np.float32(value)}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            "exception",
            r"MedianError fails on 3 made-up samples: AttributeError: .* no attribute 'distance' "
            r"\(.*test_trial\.py, line \d+\)",
        ),
        ("column", r"MedianError cannot be computed: .* have no 'clip' .* Let its `needs` list"),
        ("None", "MedianError must return a dict of numbers by figure, but it returned None"),
        ("number", r"must return a dict of numbers by figure, but it returned \d"),
        ("array", r"a number for each figure, but 'median error' is an array of shape \[17\]"),
        ("text", "but 'median error' is '3 px'"),
        ("name", "lists 'median error' in `figures`, but does not return it; it returned: median"),
    ],
)
def test_a_fault_of_a_metric_is_a_sentence(fault, message):
    with pytest.raises(InputError, match=message):
        try_metrics((EPE(), MedianError(fault)), made_up(COCO17, 2, IMAGES))


@pytest.mark.parametrize("fault", ["", "samples"])
def test_a_metric_that_refuses_only_the_made_up_samples_passes(fault):
    assert try_metrics((MedianError(fault),), made_up(COCO17, 2, IMAGES)) is None
