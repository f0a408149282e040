"""Metrics as objects: several together, what they need, and one of a user's own."""

from dataclasses import dataclass

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.metrics import (
    AUC3D,
    EPE,
    MPJPE,
    MPJVE,
    NMPJPE,
    PCK,
    PCK3D,
    PMPJPE,
    CocoAP,
    CrowdPoseAP,
    Estimates,
    Metric,
    PCKh,
    Scored,
    WholeBodyAP,
    mpjpe,
)
from jaxpose.metrics.by_action import errors_by_action, mean_over_cells
from jaxpose.metrics.metric import check_metrics, directions, score
from jaxpose.skeletons import COCO17, COCO_WHOLEBODY133, HUMANEVA15, MPII16
from jaxpose.tasks.topdown.experiment import Evaluation


@dataclass(frozen=True)
class MedianError(Metric):
    """A user's own metric: nothing else in the package has to change."""

    @property
    def figures(self):
        return {"median error": "lower"}

    def __call__(self, estimates):
        return {"median error": float(np.nanmedian(estimates.distances))}


def people(skeleton=COCO17, off=2.0, **columns):
    rng = np.random.default_rng(1)
    number = skeleton.num_keypoints
    truth = rng.uniform(0, 100, (5, number, 2))
    visible = np.full((5, number), 2)
    visible[2] = 0
    return Estimates(skeleton, truth + np.array([off, 0.0]), truth, visible, **columns)


def motion(frames=12):
    rng = np.random.default_rng(2)
    truth = rng.normal(0, 300, (frames, 15, 3))
    return Estimates(
        HUMANEVA15,
        truth + rng.normal(0, 20, truth.shape),
        truth,
        rng.random((frames, 15)) > 0.2,
        subject=np.array(["S1"] * 8 + ["S2"] * (frames - 8)),
        action=np.array(["Walk", "Walk", "Walk", "Walk", "Box", "Box", "Box", "Box"] + ["Jog"] * 4),
        clip=np.repeat(np.arange(frames // 2), 2),
    )


def test_a_metric_of_ones_own_joins_the_others():
    figures = score((EPE(), MedianError()), people(off=3.0)).figures
    assert figures == {"EPE": pytest.approx(3.0), "median error": pytest.approx(3.0)}
    assert directions((EPE(), MedianError())) == {"EPE": "lower", "median error": "lower"}


@dataclass(frozen=True)
class Silent(Metric):
    """Has no `figures`."""

    def __call__(self, estimates):
        return {}


@dataclass(frozen=True)
class Mute(Metric):
    """Has no `__call__`."""

    @property
    def figures(self):
        return {"loudness": "higher"}


@dataclass(frozen=True)
class Stranger:
    """Does not derive from `Metric`."""


@dataclass(frozen=True)
class Minimum(MedianError):
    @property
    def figures(self):
        return {"median error": "min"}


@dataclass(frozen=True)
class Unnamed(MedianError):
    @property
    def figures(self):
        return {self.title: "lower"}


@dataclass(frozen=True)
class Method(MedianError):
    def figures(self):
        return {"median error": "lower"}


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ((Silent(),), "Silent is not a metric: it does not define `figures`"),
        ((Mute(),), "Mute is not a metric: it does not define `__call__`"),
        ((Stranger(),), r"Stranger must derive from jaxpose\.metrics\.Metric"),
        ((EPE,), r"EPE is a class; metrics are objects: EPE\(\)"),
        (EPE(), r"Metrics are a tuple: write \(EPE\(\),\)"),
        ((Minimum(),), "direction of 'median error' of Minimum is 'min'; use 'lower' or 'higher'"),
        ((Unnamed(),), r"Unnamed fail: AttributeError: .*'title' \(.*test_metric\.py, line \d+"),
        ((Method(),), "`figures` of Method must be a property"),
    ],
)
def test_an_object_that_is_no_metric_is_refused(metrics, message):
    with pytest.raises(InputError, match=message):
        directions(metrics)
    with pytest.raises(InputError, match=message):
        Evaluation(metrics=metrics)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ((CocoAP(), CrowdPoseAP()), "CocoAP and CrowdPoseAP both report 'AP'"),
        ((PCK(0.2), PCK(0.2)), "Two PCK report 'PCK'"),
        ((), "at least one metric"),
    ],
)
def test_two_figures_of_one_name_are_refused(metrics, message):
    with pytest.raises(InputError, match=message):
        directions(metrics)


def test_figures_that_are_not_declared_may_not_collide_either():
    @dataclass(frozen=True)
    class Sly(MedianError):
        def __call__(self, estimates):
            return super().__call__(estimates) | {"EPE": 0.0}

    with pytest.raises(InputError, match="EPE and Sly both report 'EPE'"):
        score((EPE(), Sly()), people())
    with pytest.raises(InputError, match="No metric reported 'AP', which picks"):
        score((EPE(),), people(), best="AP")


def test_other_thresholds_have_names_of_their_own():
    assert list(directions((PCK(), PCK(0.05), PCKh(), PCKh(0.1)))) == [
        *("PCK", "PCK@0.05", "PCKh", "PCKh@0.1")
    ]
    with pytest.raises(InputError, match=r"PCK\.threshold .* must be positive"):
        PCK(0.0)


def test_every_figure_that_can_be_best_is_reported():
    ready = {
        "image_id": np.arange(5),
        "box_xywh": np.tile([0.0, 0, 100, 100], (5, 1)),
        "area": np.full(5, 5e3),
    }
    for metric, skeleton in (
        (CocoAP(), COCO17),
        (CrowdPoseAP(), COCO17),
        (WholeBodyAP(), COCO_WHOLEBODY133),
        (PCK(), COCO17),
        (PCKh(), MPII16),
    ):
        found = people(skeleton, scores=np.ones((5, skeleton.num_keypoints)), **ready)
        assert set(metric.figures) <= set(score((metric,), found).figures)
    for metric in (MPJPE(), PMPJPE(), NMPJPE(), MPJVE(), PCK3D(), AUC3D()):
        assert set(metric.figures) <= set(score((metric,), motion()).figures)


def test_metrics_of_motion_are_the_functions_by_action():
    found = motion()
    table = errors_by_action(
        found.keypoints, found.truth, found.visible, found.subject, found.action
    )
    scored = score((MPJPE(), PMPJPE()), found)
    assert scored.by_action == table
    whole = mpjpe.mpjpe(found.keypoints, found.truth, found.visible)
    assert scored.figures == {**mean_over_cells(table), "MPJPE over frames": whole}
    assert list(scored.figures) == ["MPJPE", "P-MPJPE", "MPJPE over frames"]
    assert next(iter(score((MPJPE(), PMPJPE()), found, "P-MPJPE").figures)) == "P-MPJPE"
    scale = score((NMPJPE(),), found).figures["N-MPJPE"]
    assert scored.figures["P-MPJPE"] < scale < scored.figures["MPJPE"] * 1.01
    assert PCK3D(50.0).figures == {"PCK3D@50": "higher"}


def test_there_is_no_velocity_between_clips():
    found = motion()
    both = found.visible[1::2] & found.visible[::2]
    speed = np.diff(found.keypoints - found.truth, axis=0)[::2]
    lengths = np.linalg.norm(speed, axis=-1)
    cells = [lengths[rows][both[rows]].mean() for rows in (slice(0, 2), slice(2, 4), slice(4, 6))]
    scored = score((MPJVE(),), found)
    assert scored.figures["MPJVE"] == pytest.approx(np.mean(cells))
    assert scored.notes["MPJVE"] == "mm per frame"
    across = mpjpe.mpjve(found.keypoints, found.truth, found.visible)
    within = mpjpe.mpjve(found.keypoints, found.truth, found.visible, found.clip)
    assert within == pytest.approx(lengths[both].mean()) and within != across


def test_what_the_data_lacks_is_named():
    check_metrics((CocoAP(),), COCO17, dimensions=2)
    with pytest.raises(InputError, match="CocoAP needs box_xywh and area of every sample"):
        check_metrics((CocoAP(),), COCO17, dimensions=2, columns=("image_id", "scores"))
    check_metrics((PCKh(),), MPII16, dimensions=2, columns=())
    with pytest.raises(InputError, match="PCKh needs head_boxes"):
        check_metrics((PCKh(),), COCO17, dimensions=2, columns=())
    with pytest.raises(InputError, match="MPJVE needs clip"):
        check_metrics((MPJVE(),), HUMANEVA15, dimensions=3, columns=("subject", "action"))
    with pytest.raises(InputError, match="have no 'area'"):
        people().column("area")


def test_estimates_of_odd_shapes_are_refused():
    good = people()
    with pytest.raises(InputError, match="one shape"):
        Estimates(COCO17, good.keypoints[..., :1], good.truth, good.visible)
    with pytest.raises(InputError, match="do not fit skeleton 'mpii16' of 16"):
        Estimates(MPII16, good.keypoints, good.truth, good.visible)
    with pytest.raises(InputError, match="'area' of the estimates has 4 rows for 5 samples"):
        people(area=np.ones(4))
    assert np.isnan(good.distances[2]).all() and good.columns() == frozenset()
    assert isinstance(score((EPE(),), good), Scored)
