"""Student and teacher in one model, so that one training step has the outputs of both."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax

from jaxpose.errors import InputError
from jaxpose.models.build import PoseModel


class DistillOutputs(NamedTuple):
    """Inputs of a distillation loss: outputs and features of student and teacher.

    Attributes:
      outputs: outputs of the student's head.
      features: feature map of the student's backbone, projected to the teacher's width and resized
        to the teacher's map, `[B, h, w, C]`; None where features are not compared.
      teacher_outputs, teacher_features: the same of the teacher, without a gradient.
    """

    outputs: Any
    features: jax.Array | None
    teacher_outputs: Any
    teacher_features: jax.Array | None


def student_of(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Variables of the student, under the names of a plain model, of a `DistillationModel`'s.

    Variables of another model are returned as they are.
    """
    if "student" not in variables["params"]:
        return dict(variables)
    return {kind: tree.get("student", {}) for kind, tree in variables.items()}


class DistillationModel(nn.Module):
    """Student and teacher on the same images in training; the student alone in evaluation.

    Parameters are under `student`, `teacher` and, with features, `projection`. Freeze the teacher
    with `AdamW(frozen=("teacher/.*",))`: it then has no optimiser state either.

    Attributes:
      student, teacher: any two models for the same keypoints, or two detectors, whose heads return
        the same kind and size of output.
      features: True compares the backbones' feature maps, too, through a 1x1 projection of the
        student's (FitNets, arXiv:1412.6550, as in DWPose, arXiv:2307.15880, eq. 1).
    """

    student: PoseModel
    teacher: PoseModel
    features: bool = True

    @property
    def head(self) -> nn.Module:
        """Head of the student, which has the number of keypoints."""
        return self.student.head

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> Any:
        """`[B, H, W, 3]` -> the student's outputs; `DistillOutputs` with `train=True`.

        Raises:
          InputError: the two heads' outputs have different shapes, or features are compared and a
            backbone returns several maps.
        """
        if not train and not self.is_initializing():
            return self.student(images, train)
        features: Any = None
        target_features: Any = None
        if self.features:
            features = self.student.backbone(images, train)
            outputs = self.student.head(features, train)
            target_features = self.teacher.backbone(images, False)
            targets = self.teacher.head(target_features, False)
        else:
            outputs, targets = self.student(images, train), self.teacher(images, False)
        targets = jax.lax.stop_gradient(targets)
        shapes, wanted = (jax.tree.map(lambda x: x.shape, tree) for tree in (outputs, targets))
        if shapes != wanted:
            raise InputError(
                f"The student's outputs are {shapes}, the teacher's {wanted}: give both heads the "
                "same keypoints, size and kind."
            )
        if not self.features:
            return (
                outputs if self.is_initializing() else DistillOutputs(outputs, None, targets, None)
            )
        for name, maps in (("student", features), ("teacher", target_features)):
            if isinstance(maps, tuple):
                raise InputError(
                    f"The {name}'s backbone gives {len(maps)} feature maps; set features=False."
                )
        target_features = jax.lax.stop_gradient(target_features)
        projected = nn.Dense(target_features.shape[-1], name="projection")(features)
        if projected.shape != target_features.shape:
            projected = jax.image.resize(projected, target_features.shape, "bilinear")
        if self.is_initializing():
            return outputs
        return DistillOutputs(outputs, projected, targets, target_features)
