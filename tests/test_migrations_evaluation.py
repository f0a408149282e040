"""Evaluations of 0.1.0's configurations become today's."""

import pytest

from jaxpose.config import from_json
from jaxpose.config.migrations_evaluation import migrate_evaluation
from jaxpose.metrics import (
    AUC,
    EPE,
    MPJPE,
    NME,
    PCK,
    PMPJPE,
    CocoAP,
    CrowdPoseAP,
    PCKh,
    WholeBodyAP,
)
from jaxpose.tasks.lifting.experiment import LiftingEvaluation
from jaxpose.tasks.topdown.experiment import Evaluation

IMAGES = "jaxpose.tasks.topdown.experiment.Evaluation"
MOTION = "jaxpose.tasks.lifting.experiment.LiftingEvaluation"


@pytest.mark.parametrize(
    ("metric", "expected", "lower"),
    [
        ("oks", CocoAP(), False),
        ("pck", PCK(), False),
        ("pckh", PCKh(), False),
        ("auc", AUC(), False),
        ("epe", EPE(), True),
        ("nme", NME(), True),
        ("wholebody", WholeBodyAP(), False),
        ("crowdpose", CrowdPoseAP(), False),
    ],
)
def test_of_images(metric, expected, lower):
    old = {"class": IMAGES, "metric": metric, "every": 7, "flip_test": False}
    evaluation = from_json(migrate_evaluation(old | {"batch_size": 4, "pictures": 3}))
    assert evaluation == Evaluation(
        metrics=(expected,), every=7, flip_test=False, batch_size=4, examples=3
    )
    assert evaluation.lower_is_better is lower


@pytest.mark.parametrize(("metric", "best"), [("mpjpe", "MPJPE"), ("p_mpjpe", "P-MPJPE")])
def test_of_motion(metric, best):
    old = {"class": MOTION, "metric": metric, "every": 7, "flip_test": True, "batch_size": 4}
    expected = LiftingEvaluation(metrics=(MPJPE(), PMPJPE()), best=best, every=7, batch_size=4)
    assert from_json(migrate_evaluation(old)) == expected


def test_todays_form_stays():
    new = {"class": IMAGES, "metrics": [], "every": 3, "examples": 2}
    assert migrate_evaluation(new) == new
