"""DWPose-s on COCO-WholeBody (arXiv:2307.15880, section 3.2): the second stage.

It starts from the run of `wholebody_dwpose_s`, in the folder runs/wholebody_dwpose_s, whose student
is the teacher here. The backbone and its statistics are frozen, and a new head learns the teacher's
logits, without labels, in a fifth of the epochs.
"""

from dataclasses import replace

from jaxpose.losses import Distillation, SimCCDistillation
from jaxpose.models.build import PoseModel
from jaxpose.models.distillation import DistillationModel
from jaxpose.models.feature_pyramid import FixedStatistics
from jaxpose.tasks.topdown.experiment import TopDownExperiment
from jaxpose.train.optimizers import AdamW
from jaxpose.train.recipe import load_recipe


def get_config() -> TopDownExperiment:
    """54 epochs of the head alone, at the first stage's rate."""
    first = load_recipe("wholebody_dwpose_s")
    assert isinstance(first, TopDownExperiment) and isinstance(first.model, DistillationModel)
    optimizer = first.optimizer
    assert isinstance(optimizer, AdamW)
    teacher = first.model.student
    student = PoseModel(FixedStatistics(teacher.backbone), teacher.head)
    return replace(
        first,
        model=DistillationModel(student, teacher, features=False),
        teacher_from="runs/wholebody_dwpose_s",
        init_from="runs/wholebody_dwpose_s",
        reset_head=True,
        loss=Distillation(None, SimCCDistillation()),
        optimizer=replace(optimizer, frozen=("teacher/.*", "student/backbone/.*")),
        steps=first.steps // 5,
    )
