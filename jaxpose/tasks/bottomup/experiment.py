"""An experiment on whole images: the keypoints of everybody in each."""

from dataclasses import dataclass, field

from jaxpose.codecs.center_offsets import CenterOffsets
from jaxpose.data.source import Dataset
from jaxpose.errors import InputError
from jaxpose.models.build import PoseModel
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.bottomup.augment import ImageAugmentation
from jaxpose.tasks.bottomup.task import BottomUpTask
from jaxpose.train.experiment import Experiment


@dataclass(frozen=True)
class Evaluation:
    """When and how held-out images are scored: COCO's AP and AR, over all people of each image.

    Attributes:
      every: steps from one evaluation to the next.
      flip_test: average with the outputs of the mirrored image.
      batch_size: images in one forward pass.
      pictures: images of estimates beside the truth that are kept.
    """

    every: int = 1000
    flip_test: bool = True
    batch_size: int = 16
    pictures: int = 4

    @property
    def best(self) -> str:
        """The figure that picks the best checkpoint."""
        return "AP"

    @property
    def lower_is_better(self) -> bool:
        """Whether that figure is an error."""
        return False


@dataclass(frozen=True, kw_only=True)
class BottomUpExperiment(Experiment):
    """Training of a model that finds the keypoints of all people in an image.

    Attributes:
      skeleton: the keypoints; it needs OKS sigmas.
      codec: what people are encoded as, and decoded from.
      train_data, eval_data: sources of whole images, such as `Images` and `SyntheticScenes`.
      resident: keep the whole training set as uint8 images in device memory.
    """

    skeleton: Skeleton
    model: PoseModel
    codec: CenterOffsets
    train_data: Dataset
    eval_data: Dataset
    augmentation: ImageAugmentation = field(default_factory=ImageAugmentation)
    evaluation: Evaluation = field(default_factory=Evaluation)
    resident: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        outputs = self.model.head.num_keypoints
        if outputs != self.skeleton.num_keypoints:
            raise InputError(
                f"model.head.num_keypoints is {outputs}, but skeleton {self.skeleton.name!r} has "
                f"{self.skeleton.num_keypoints} keypoints. Set them to the same number."
            )
        if self.skeleton.sigmas is None:
            raise InputError(
                f"Skeleton {self.skeleton.name!r} has no OKS sigmas, which scoring needs. Give it "
                "sigmas (a list, or one uniform value)."
            )

    def task(self) -> BottomUpTask:
        return BottomUpTask(self)

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the model's images in pixels."""
        return self.codec.input_hw
