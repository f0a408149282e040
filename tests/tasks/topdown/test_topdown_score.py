"""Scores of estimates: which metric, in which unit, and what the report says of it."""

import dataclasses

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.metrics import (
    AUC,
    EPE,
    MPJPE,
    NME,
    PCK,
    CocoAP,
    CrowdPoseAP,
    Estimates,
    PCKh,
    WholeBodyAP,
)
from jaxpose.models import PoseModel
from jaxpose.models.heads import DeconvHead
from jaxpose.skeletons import AP10K17, COCO17, COCO_WHOLEBODY133, FACE68, MPII16
from jaxpose.tasks.topdown.error_images import error_images, worst_rows
from jaxpose.tasks.topdown.estimate import columns_of
from jaxpose.tasks.topdown.experiment import Evaluation
from jaxpose.tasks.topdown.score import score
from jaxpose.train.recipe import load_recipe


def estimates(skeleton, off: float, **columns) -> Estimates:
    """Four people whose keypoints are all found `off` pixels to the right."""
    number = skeleton.num_keypoints
    truth = np.random.default_rng(0).uniform(50, 150, (4, number, 2))
    return Estimates(
        skeleton=skeleton,
        index=np.arange(4),
        image_id=np.arange(4),
        annotation_id=np.arange(4),
        keypoints=truth + np.array([off, 0.0]),
        scores=np.ones((4, number)),
        truth=truth,
        visible=np.full((4, number), 2),
        box_xywh=np.tile([50.0, 50, 100, 100], (4, 1)),
        area=np.full(4, 1e4),
        **columns,
    )


def experiment_with(skeleton, *metrics, **changes):
    coco = load_recipe("coco_vitpose_b")
    model = PoseModel(coco.model.backbone, DeconvHead(skeleton.num_keypoints))
    evaluation = Evaluation(metrics=metrics, **changes)
    return dataclasses.replace(coco, skeleton=skeleton, model=model, evaluation=evaluation)


def scored(metric, skeleton, off, **columns):
    """The report of `metric` for people of `skeleton` found `off` pixels to the right."""
    people = estimates(skeleton, off, **columns)
    return score(people, experiment_with(skeleton, metric), False), people


@pytest.mark.parametrize(("off", "expected"), [(14.9, 1.0), (15.1, 0.0)])
def test_pckh_counts_in_head_sizes(off, expected):
    # Half of 0.6 x the diagonal of 30x40 is 15 px.
    boxes = np.tile(np.float32([10, 10, 40, 50]), (4, 1))
    report, _ = scored(PCKh(), MPII16, off, head_boxes=boxes)
    assert report.metrics["PCKh"] == expected
    assert "head box" in report.notes["PCKh"] and report.sigmas is None


def test_pckh_without_head_boxes_says_what_it_used():
    report, _ = scored(PCKh(), MPII16, 0.0)
    assert report.metrics["PCKh"] == 1.0
    assert "neck to head top" in report.notes["PCKh"]


def test_oks_score_states_its_sigmas():
    report, _ = scored(CocoAP(), COCO17, 0.0)
    assert report.metrics["AP"] == pytest.approx(1.0)
    assert report.sigmas == COCO17.describe_sigmas()


def test_errors_are_in_pixels_of_the_image():
    report, _ = scored(EPE(), COCO17, 7.6)
    assert report.metrics == {"EPE": pytest.approx(7.6)}
    report, _ = scored(AUC(), COCO17, 7.6)
    assert report.metrics == {"AUC": pytest.approx(14 / 20)}
    assert "30 px" in report.notes["AUC"] and report.sigmas is None


def test_nme_names_its_normaliser():
    report, people = scored(NME(), FACE68, 5.0)
    apart = np.linalg.norm(people.truth[:, 36] - people.truth[:, 45], axis=-1)
    assert report.metrics["NME"] == pytest.approx(np.mean(5 / apart))
    assert "eye corners" in report.notes["NME"]
    report, _ = scored(NME(), COCO17, 5.0)
    assert report.metrics["NME"] == pytest.approx(0.05)
    assert "box" in report.notes["NME"]


@pytest.mark.parametrize(
    ("metric", "skeleton"), [(WholeBodyAP(), COCO_WHOLEBODY133), (CrowdPoseAP(), COCO17)]
)
def test_other_ap_leads_with_ap_and_states_sigmas(metric, skeleton):
    report, _ = scored(metric, skeleton, 0.0)
    assert next(iter(report.metrics)) == "AP"
    assert report.metrics["AP"] == pytest.approx(1.0)
    assert report.sigmas == skeleton.describe_sigmas()


def test_several_metrics_share_a_report_and_best_comes_first():
    people = estimates(COCO17, 3.0)
    experiment = experiment_with(COCO17, CocoAP(), PCK(0.2), PCK(0.1), EPE(), best="PCK")
    report = score(people, experiment, True)
    assert list(report.metrics)[:4] == ["PCK", "AP", "PCK@0.1", "EPE"]
    alone = {}
    for metric in (CocoAP(), PCK(0.2), EPE()):
        alone |= scored(metric, COCO17, 3.0)[0].metrics
    assert {name: report.metrics[name] for name in alone} == alone
    assert report.metrics["PCK@0.1/ankle"] >= 0 and "0.1 of" in report.notes["PCK@0.1"]
    assert experiment.evaluation.best == "PCK" and not experiment.evaluation.lower_is_better


@pytest.mark.parametrize(
    ("skeleton", "metric", "message"),
    [
        (COCO17, WholeBodyAP(), "133 keypoints"),
        (FACE68, CrowdPoseAP(), "no OKS sigmas"),
        (FACE68, CocoAP(), "no OKS sigmas, so CocoAP is not defined"),
        (FACE68, PCK(), "skeleton 'face68' has no left_shoulder"),
        (COCO17, MPJPE(), "MPJPE measures 3D joints"),
    ],
)
def test_metrics_that_the_skeleton_does_not_define_are_refused(skeleton, metric, message):
    with pytest.raises(InputError, match=message):
        experiment_with(skeleton, metric)
    good = experiment_with(skeleton, EPE())
    other = Evaluation(name="other", metrics=(metric,))
    with pytest.raises(InputError, match=message):
        dataclasses.replace(good, more_evaluations=(other,))


class Source:
    """Four people; head boxes for everybody, or zeros."""

    def __init__(self, box):
        self._box = np.float32(box)

    def __len__(self):
        return 4

    def head_boxes(self, indices):
        return np.tile(self._box, (len(indices), 1))


def test_head_boxes_are_looked_for_only_where_a_metric_reads_them():
    boxes = Source([10, 10, 40, 50])
    assert "head_boxes" not in columns_of(boxes, experiment_with(AP10K17, EPE()))
    asking = experiment_with(AP10K17, PCKh())
    assert "head_boxes" in columns_of(boxes, asking)
    assert "head_boxes" not in columns_of(Source([0, 0, 0, 0]), asking)


def test_data_that_cannot_feed_a_metric_is_refused_before_training():
    tiny = load_recipe("tests/tiny.py")
    experiment = dataclasses.replace(tiny, evaluation=Evaluation(metrics=(PCKh(),), batch_size=8))
    task = experiment.task()
    with pytest.raises(InputError, match="PCKh needs head_boxes of every sample"):
        task.evaluator(task.open("eval"), None, False)


def test_the_worst_people_come_first_and_unlabelled_ones_not_at_all():
    errors = np.array([[0.1, np.nan], [0.3, 0.9], [np.nan, np.nan], [0.4, 0.4]])
    assert worst_rows(errors, 2).tolist() == [1, 3]
    assert worst_rows(errors, 9).tolist() == [1, 3, 0]


def test_images_of_errors_are_of_the_worst():
    tiny = load_recipe("tests/tiny.py")
    source = tiny.eval_data.open()
    batch = source.samples(np.arange(6))
    one = np.zeros((6, 17, 2))
    one[4] += 9.0
    people = Estimates(
        skeleton=COCO17,
        index=batch["index"],
        image_id=batch["image_id"],
        annotation_id=batch["annotation_id"],
        keypoints=batch["keypoints"] + one,
        truth=batch["keypoints"].astype(np.float64),
        visible=batch["visible"],
        scores=np.ones((6, 17)),
        box_xywh=np.tile([0.0, 0, 40, 60], (6, 1)),
        area=np.ones(6),
    )
    evaluation = dataclasses.replace(tiny.evaluation, examples=2)
    images = error_images(people, source, dataclasses.replace(tiny, evaluation=evaluation))
    assert set(images) == {"keypoint_errors", "worst"}
    assert all(image.dtype == np.uint8 and image.std() > 10 for image in images.values())
    none = dataclasses.replace(tiny, evaluation=dataclasses.replace(evaluation, examples=0))
    assert set(error_images(people, source, none)) == {"keypoint_errors"}
