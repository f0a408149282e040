"""A student beside its teacher, so that one training step sees what both say of an image."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax

from jaxpose.errors import InputError
from jaxpose.models.build import PoseModel


class DistillOutputs(NamedTuple):
    """What a distillation loss compares.

    Attributes:
      outputs: of the student's head.
      features: of the student's backbone, projected to the teacher's width and brought to the
        size of the teacher's map, `[B, h, w, C]`; None where features are not compared.
      teacher_outputs, teacher_features: of the teacher, without a gradient.
    """

    outputs: Any
    features: jax.Array | None
    teacher_outputs: Any
    teacher_features: jax.Array | None


class DistillationModel(nn.Module):
    """`student`, trained with `teacher` looking on; in evaluation it is the student alone.

    Parameters live under `student`, `teacher` and, with features, `projection`. Keep the teacher
    still with `AdamW(frozen=("teacher/.*",))`: it then has no optimiser state either.

    Attributes:
      student, teacher: any two models for the same keypoints whose heads give the same kind and
        size of output.
      features: whether the backbones' feature maps are compared, too, through a 1x1 projection of
        the student's (FitNets, arXiv:1412.6550, as in DWPose, arXiv:2307.15880, eq. 1).
    """

    student: PoseModel
    teacher: PoseModel
    features: bool = True

    @property
    def head(self) -> nn.Module:
        """The student's head, which says how many keypoints there are."""
        return self.student.head

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> Any:
        """`[B, H, W, 3]` -> the student's outputs; `DistillOutputs` with `train=True`.

        Raises:
          InputError: the two heads' outputs have different shapes, or a backbone gives several
            maps where one is to be compared.
        """
        if not train and not self.is_initializing():
            return self.student(images, train)
        seen = self.student.backbone(images, train)
        outputs = self.student.head(seen, train)
        known = self.teacher.backbone(images, False)
        taught = jax.lax.stop_gradient(self.teacher.head(known, False))
        given, wanted = (jax.tree.map(lambda x: x.shape, tree) for tree in (outputs, taught))
        if given != wanted:
            raise InputError(
                f"The student's outputs are {given}, the teacher's {wanted}: give both heads the "
                "same keypoints, size and kind."
            )
        if not self.features:
            return (
                outputs if self.is_initializing() else DistillOutputs(outputs, None, taught, None)
            )
        for name, maps in (("student", seen), ("teacher", known)):
            if isinstance(maps, tuple):
                raise InputError(
                    f"The {name}'s backbone gives {len(maps)} feature maps; set features=False."
                )
        known = jax.lax.stop_gradient(known)
        projected = nn.Dense(known.shape[-1], name="projection")(seen)
        if projected.shape != known.shape:
            projected = jax.image.resize(projected, known.shape, "bilinear")
        return (
            outputs if self.is_initializing() else DistillOutputs(outputs, projected, taught, known)
        )
