"""Scores of estimates: which metric, in which unit, and what the report says of it."""

import dataclasses
import typing

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.models import PoseModel
from jaxpose.models.heads import DeconvHead
from jaxpose.skeletons import COCO17, COCO_WHOLEBODY133, FACE68
from jaxpose.tasks.topdown.estimate import Estimates
from jaxpose.tasks.topdown.experiment import _BEST, Evaluation
from jaxpose.tasks.topdown.score import score
from jaxpose.train.recipe import load_recipe


class Heads:
    """A source with a head box of 30x40 pixels for everybody."""

    def head_boxes(self, indices):
        return np.tile(np.float32([10, 10, 40, 50]), (len(indices), 1))


@pytest.fixture
def experiment():
    return load_recipe("mpii_hrnet_w32")


def estimates(off: float) -> Estimates:
    """Four people whose 16 keypoints are all found `off` pixels to the right."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(50, 150, (4, 16, 2))
    return Estimates(
        index=np.arange(4),
        image_id=np.arange(4),
        annotation_id=np.arange(4),
        keypoints=truth + np.array([off, 0.0]),
        scores=np.ones((4, 16)),
        truth=truth,
        visible=np.full((4, 16), 2),
        box_xywh=np.tile([50.0, 50, 100, 100], (4, 1)),
        area=np.full(4, 1e4),
        pictures=[],
    )


@pytest.mark.parametrize(("off", "expected"), [(14.9, 1.0), (15.1, 0.0)])
def test_pckh_counts_in_head_sizes(experiment, off, expected):
    # Half of 0.6 x the diagonal of 30x40 is 15 px.
    report = score(estimates(off), experiment, True, Heads())
    assert report.metrics["PCKh"] == expected
    assert "head box" in report.notes["PCKh"] and report.sigmas is None


def test_pckh_without_head_boxes_says_what_it_used(experiment):
    found = estimates(0.0)
    report = score(found, experiment, False, object())
    assert report.metrics["PCKh"] == 1.0
    assert "neck to head top" in report.notes["PCKh"]


def test_oks_score_states_its_sigmas_and_takes_the_whole_truth(experiment):
    coco = load_recipe("coco_vitpose_b")
    found = estimates(0.0)
    wide = {
        name: np.concatenate([getattr(found, name)] * 2, axis=1)[:, :17]
        for name in ("keypoints", "scores", "truth", "visible")
    }
    report = score(dataclasses.replace(found, **wide), coco, False, object())
    assert report.metrics["AP"] == pytest.approx(1.0)
    assert report.sigmas == coco.skeleton.describe_sigmas()


def scored(metric, skeleton, off):
    """The report of `metric` for people of `skeleton` found `off` pixels to the right."""
    coco = load_recipe("coco_vitpose_b")
    number = skeleton.num_keypoints
    model = PoseModel(coco.model.backbone, DeconvHead(number))
    evaluation = dataclasses.replace(coco.evaluation, metric=metric)
    recipe = dataclasses.replace(coco, skeleton=skeleton, model=model, evaluation=evaluation)
    truth = np.random.default_rng(0).uniform(50, 150, (4, number, 2))
    people = dataclasses.replace(
        estimates(0.0),
        keypoints=truth + np.array([off, 0.0]),
        truth=truth,
        scores=np.ones((4, number)),
        visible=np.full((4, number), 2),
    )
    return score(people, recipe, False, object()), people


def test_errors_are_in_pixels_of_the_photo():
    report, _ = scored("epe", COCO17, 7.6)
    assert report.metrics == {"EPE": pytest.approx(7.6)}
    report, _ = scored("auc", COCO17, 7.6)
    assert report.metrics == {"AUC": pytest.approx(14 / 20)}
    assert "30 px" in report.notes["AUC"] and report.sigmas is None


def test_nme_names_its_normaliser():
    report, people = scored("nme", FACE68, 5.0)
    apart = np.linalg.norm(people.truth[:, 36] - people.truth[:, 45], axis=-1)
    assert report.metrics["NME"] == pytest.approx(np.mean(5 / apart))
    assert "eye corners" in report.notes["NME"]
    report, _ = scored("nme", COCO17, 5.0)
    assert report.metrics["NME"] == pytest.approx(0.05)
    assert "box" in report.notes["NME"]


@pytest.mark.parametrize(
    ("metric", "skeleton"), [("wholebody", COCO_WHOLEBODY133), ("crowdpose", COCO17)]
)
def test_other_ap_leads_with_ap_and_states_sigmas(metric, skeleton):
    report, _ = scored(metric, skeleton, 0.0)
    assert next(iter(report.metrics)) == Evaluation(metric).best == "AP"
    assert report.metrics["AP"] == pytest.approx(1.0)
    assert report.sigmas == skeleton.describe_sigmas()


def test_every_metric_has_a_leading_figure():
    metrics = typing.get_args(typing.get_type_hints(Evaluation)["metric"])
    assert set(metrics) == set(_BEST)
    for metric in ("epe", "nme", "auc"):
        assert next(iter(scored(metric, COCO17, 1.0)[0].metrics)) == Evaluation(metric).best


def test_metrics_that_the_skeleton_does_not_define_are_refused():
    with pytest.raises(InputError, match="133 keypoints"):
        scored("wholebody", COCO17, 0.0)
    with pytest.raises(InputError, match="no OKS sigmas"):
        scored("crowdpose", FACE68, 0.0)
