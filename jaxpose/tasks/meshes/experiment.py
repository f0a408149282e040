"""Experiment on meshes: a body model from the crop of one person."""

from dataclasses import dataclass, field, replace
from typing import Literal

from jaxpose.bodies.drawn_people import SyntheticBodies
from jaxpose.bodies.labelled_people import LabelledBodies
from jaxpose.bodies.network_body import NetworkBody, read_network_body
from jaxpose.codecs.mesh_crops import MeshCodec
from jaxpose.errors import InputError
from jaxpose.losses import Loss
from jaxpose.metrics.meshes import MeshError
from jaxpose.metrics.metric import Metric
from jaxpose.models.build import PoseModel
from jaxpose.tasks.meshes.loss import MeshLoss
from jaxpose.tasks.meshes.task import MeshTask
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.train.evaluation import EvaluationBase
from jaxpose.train.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class MeshEvaluation(EvaluationBase):
    """Evaluation on held-out people, without a flip test.

    Attributes:
      metrics: `MeshError()`, or a custom metric of `metrics.meshes.MeshEstimates`.
      examples: number of people drawn with their bodies, the first ones of the dataset.
      data: a dataset to use in place of the experiment's `eval_data`.
    """

    metrics: tuple[Metric, ...] = (MeshError(),)
    flip_test: bool = False
    examples: int = 8
    data: SyntheticBodies | LabelledBodies | None = None


@dataclass(frozen=True, kw_only=True)
class MeshExperiment(Experiment):
    """Training of a model that regresses a body model from the crop of a person.

    Attributes:
      body: file of SMPL, SMPL-H or SMPL-X; None for the free body. The run keeps its path, and
        refuses the file if it changes.
      gender: gender of the file; one that states another gender is refused. None takes any.
      body_fingerprint: fingerprint of the body model; the training sets it.
      model: a backbone with a `MeshHead` of the body's joints and shape numbers.
      codec: crops and camera.
      train_data, eval_data: people with their bodies, or with keypoints alone. `SyntheticBodies`
        has the free body only.
      augmentation: of the crops; bodies are turned and mirrored with them. Half bodies are not cut.
      padding: factor from the size of a person's box to that of the crop.
      resident: keep the whole training set as uint8 canvases in device memory.
    """

    body: str | None = None
    gender: Literal["female", "male", "neutral"] | None = "neutral"
    body_fingerprint: str = ""
    model: PoseModel
    codec: MeshCodec
    train_data: SyntheticBodies | LabelledBodies
    eval_data: SyntheticBodies | LabelledBodies
    loss: Loss = field(default_factory=MeshLoss)
    augmentation: Augmentation = field(
        default_factory=lambda: Augmentation(
            rotation_degrees=15.0, scale=0.2, shift=0.1, half_body=0.0
        )
    )
    padding: float = 1.25
    evaluation: MeshEvaluation = field(default_factory=MeshEvaluation)
    more_evaluations: tuple[MeshEvaluation, ...] = ()
    resident: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        head = self.model.head
        if not (hasattr(head, "joints") and hasattr(head, "shapes")):
            raise InputError(f"model.head must be a MeshHead, not {type(head).__name__}.")
        if self.body is None:
            self.network_body()  # files are read later: other machines have not all of them
        if isinstance(self.loss, MeshLoss) and self.loss.body != self.body:
            object.__setattr__(self, "loss", replace(self.loss, body=self.body))
        if isinstance(self.loss, MeshLoss) and self.loss.focal != self.codec.focal:
            raise InputError(
                f"loss.focal is {self.loss.focal:g} and codec.focal {self.codec.focal:g}: the loss "
                "would project bodies by another camera than that of the prediction. Set both to "
                "one value."
            )
        if self.augmentation.half_body:
            raise InputError(
                "augmentation.half_body must be 0: a body is regressed from all of it."
            )
        if self.evaluation.flip_test:
            raise InputError("evaluation.flip_test must be False: bodies are not averaged.")

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the crops in pixels."""
        return self.codec.input_hw

    def network_body(self) -> NetworkBody:
        """The body model.

        Raises:
          InputError: as `bodies.network_body.read_network_body`.
        """
        head = self.model.head
        return read_network_body(
            self.body,
            joints=head.joints,
            shapes=head.shapes,
            gender=self.gender,
            fingerprint=self.body_fingerprint,
        )

    def task(self) -> MeshTask:
        return MeshTask(self)
