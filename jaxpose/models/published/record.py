"""Records of published models and detectors, and of the families they belong to."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal

from jaxpose.codecs import Codec
from jaxpose.codecs.clips import ClipCodec
from jaxpose.codecs.heatmap_volume import VolumeCodec
from jaxpose.codecs.lifting import LiftingCodec
from jaxpose.codecs.mesh_crops import MeshCodec
from jaxpose.models.actions.action_model import ActionModel, VolumeModel
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Format, Tables
from jaxpose.models.detection import DetectionModel
from jaxpose.models.lifting.lifter import Lifter
from jaxpose.models.normalisation import IMAGENET_RGB, Normalisation
from jaxpose.skeletons import Skeleton

Kind = Literal["pose", "detector", "lifter", "backbone", "action", "mesh"]

OPENMMLAB = "https://download.openmmlab.com/mmpose"
"""Server of the weights of MMPose's model zoo."""

APACHE = "Apache-2.0"


def forbids_commerce(licence: str) -> bool:
    """True if the name of a licence, such as `CC BY-NC 4.0`, forbids commercial use."""
    return re.search(r"\bNC\b|non-?commercial|research only", licence, re.IGNORECASE) is not None


def any_size(make: Callable[..., Any], *arguments: Any, **options: Any) -> Callable[..., Any]:
    """Constructor of a fully convolutional model for `PublishedPose.make`.

    A function of the number of keypoints and the images' size, without use for the size, that
    returns `make(*arguments, num_keypoints=num_keypoints, **options)`.
    """

    def made(num_keypoints: int, input_hw: tuple[int, int]) -> Any:
        del input_hw
        return make(*arguments, num_keypoints=num_keypoints, **options)

    return made


@dataclass(frozen=True)
class Weights:
    """Address of a published checkpoint.

    Attributes:
      address: `https://` address of the file.
      sha256: first digits of its SHA-256, as many as were published; empty for none.
    """

    address: str
    sha256: str = ""

    @property
    def file_name(self) -> str:
        """The file's name at its address."""
        return self.address.partition("?")[0].rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Published(ABC):
    """Facts about a model as it was published; see the classes for each kind.

    Attributes:
      name: name for users, such as `vitpose-s`.
      parameters: published number of parameters, in millions; None where no figure was found.
      gflops: published multiply-adds of one forward pass, in billions; None where none was found.
      score: published score with its metric, such as `AP 73.9`; empty where there is none.
      source: paper, table or model zoo that `parameters`, `gflops` and `score` are from.
      licence: licence of the weights; empty if not known.
      trained_on: datasets of the last training.
      weights: address of the weights; None if it is not known, or they may not be redistributed.
      golden: names of reference outputs that the model is tested against; empty for none.
      same_arrays_as: name of another record whose checkpoints have the same arrays although the
        models differ; empty for none.
      only_by_name: True if a checkpoint is taken for this model only by its published file name, or
        where the user names the model: it differs from another record in its codec alone.
      input_hw: height and width of the images in pixels; None for a lifter, which takes none.
      skeleton: skeleton of the keypoints; None for a detector, and where their names are not known.
    """

    kind: ClassVar[Kind]

    name: str
    parameters: float | None = None
    gflops: float | None = None
    score: str = ""
    source: str = ""
    licence: str = ""
    trained_on: tuple[str, ...] = ()
    weights: Weights | None = None
    golden: tuple[str, ...] = ()
    same_arrays_as: str = ""
    only_by_name: bool = False
    input_hw: tuple[int, int] | None = None
    skeleton: Skeleton | None = None

    @property
    def commercial(self) -> bool:
        """False if the licence of the weights forbids commercial use."""
        return not forbids_commerce(self.licence)

    @abstractmethod
    def model(self) -> Any:
        """Build the model as it was published."""


@dataclass(frozen=True, kw_only=True)
class PublishedPose(Published):
    """Record of a model for the keypoints of one person, face, hand or animal in a crop.

    Or of all people in a whole image, if `takes` is "images"; the codec is then an `ImageCodec`.

    Attributes:
      make: `make(num_keypoints, input_hw)` -> the model.
      codec: `codec(input_hw)` -> the codec that it was trained with; None if there is none here.
      num_keypoints: published number of keypoints.
      padding: published factor on a person's box before the crop.
      normalisation: normalisation of the crop.
      takes: "crops" of one person each, or "images" of any number of people.
    """

    kind: ClassVar[Kind] = "pose"

    make: Callable[[int, tuple[int, int]], PoseModel]
    codec: Callable[[tuple[int, int]], Codec] | None
    input_hw: tuple[int, int] = (256, 192)
    num_keypoints: int = 17
    padding: float = 1.25
    normalisation: Normalisation | None = IMAGENET_RGB
    takes: Literal["crops", "images"] = "crops"

    def model(self) -> PoseModel:
        return self.variant(self.num_keypoints, self.input_hw)

    def variant(self, num_keypoints: int, input_hw: tuple[int, int]) -> PoseModel:
        """Build the model for other keypoints or images."""
        return self.make(num_keypoints, input_hw)


@dataclass(frozen=True, kw_only=True)
class PublishedDetector(Published):
    """Record of a detector: a model for the boxes of people, or of hands.

    Images may have another size, of multiples of 32.

    Attributes:
      make: `make(num_classes)` -> the model.
      num_classes: published number of classes; class 0 is the person, or the hand.
      finds: objects of class 0, in words.
      normalisation: normalisation of the images.
      box_ap: published AP of boxes of all classes on COCO val2017; None where no figure was found.
      person_ap: published AP of persons' boxes on the same; None where no figure was found.
    """

    kind: ClassVar[Kind] = "detector"

    make: Callable[[int], DetectionModel]
    input_hw: tuple[int, int]
    normalisation: Normalisation
    num_classes: int = 80
    finds: str = "people"
    box_ap: float | None = None
    person_ap: float | None = None

    def model(self) -> DetectionModel:
        return self.make(self.num_classes)


@dataclass(frozen=True, kw_only=True)
class PublishedLifter(Published):
    """Record of a lifter: a model from 2D keypoints over time to 3D.

    Scores are mean joint position errors in mm on Human3.6M, subjects 9 and 11.

    Attributes:
      make: `make(num_keypoints)` -> the model.
      frames: frames of its input.
      codec: codec of its inputs and outputs; None if there is none here, which `limit` explains.
      num_keypoints: published number of keypoints of the input.
      limit: one sentence about a use that these weights do not permit; empty for no limit.
    """

    kind: ClassVar[Kind] = "lifter"

    make: Callable[[int], Lifter]
    frames: int
    codec: LiftingCodec | None
    num_keypoints: int = 17
    limit: str = ""

    def model(self) -> Lifter:
        return self.make(self.num_keypoints)

    def variant(self, num_keypoints: int, input_hw: tuple[int, int]) -> Lifter:
        """Build the model for other keypoints; it takes no images, so `input_hw` has no effect."""
        del input_hw
        return self.make(num_keypoints)


@dataclass(frozen=True, kw_only=True)
class PublishedBackbone(Published):
    """Record of an ImageNet classifier, whose backbone a pose model can start from.

    Attributes:
      make: `make(num_classes)` -> the classifier.
      num_classes: published number of classes.
    """

    kind: ClassVar[Kind] = "backbone"

    make: Callable[[int], PoseModel]
    input_hw: tuple[int, int] = (224, 224)
    num_classes: int = 1000

    def model(self) -> PoseModel:
        return self.make(self.num_classes)


@dataclass(frozen=True, kw_only=True)
class PublishedAction(Published):
    """Record of a classifier of actions from keypoints over time.

    Attributes:
      make: `make(num_classes)` -> the model.
      num_classes: published number of classes.
      frames: frames of a clip.
      codec: codec of its inputs; None if there is none here, which `limit` explains.
      num_keypoints: number of keypoints of the input.
      limit: one sentence about a use that these weights do not permit; empty for no limit.
    """

    kind: ClassVar[Kind] = "action"

    make: Callable[[int], ActionModel | VolumeModel]
    num_classes: int
    frames: int
    codec: ClipCodec | VolumeCodec | None = None
    num_keypoints: int = 25
    limit: str = ""

    def model(self) -> ActionModel | VolumeModel:
        return self.make(self.num_classes)


@dataclass(frozen=True, kw_only=True)
class PublishedMesh(Published):
    """Record of a model that regresses the parameters of a body or hand model from a crop.

    Attributes:
      make: function that builds the model.
      codec: crops and camera that it was trained with.
      body: body model of the parameters, "smpl" or "mano"; its file is not part of the weights.
      padding: published factor on a box before the crop.
    """

    kind: ClassVar[Kind] = "mesh"

    make: Callable[[], PoseModel]
    body: str
    codec: MeshCodec = field(default_factory=partial(MeshCodec, blurred=True))
    input_hw: tuple[int, int] = (256, 192)
    padding: float = 1.0

    def model(self) -> PoseModel:
        return self.make()


Keypointed = PublishedPose | PublishedLifter
"""Record of a model with keypoints, which `jaxpose convert` can identify from a checkpoint."""


@dataclass(frozen=True)
class Family:
    """Models of one kind: their conversion tables and the records of those that were published.

    A family is one file with a module-level `Family`, and one line in `families`.

    Attributes:
      name: name of the family.
      mmpose: tables for the names of MMPose 0.x and 1.x, and MMPretrain.
      mmdet: tables for the names of MMDetection.
      formats: other projects' formats that only this family has; a marker that matches fewer
        checkpoints is first.
      published: records of the published models.
      unpublished: other depths, widths and heads, without published weights but used in training;
        `jaxpose convert` tries them after all published ones.
    """

    name: str
    mmpose: Tables = field(default_factory=dict)
    mmdet: Tables = field(default_factory=dict)
    formats: tuple[Format, ...] = ()
    published: tuple[Published, ...] = ()
    unpublished: tuple[Keypointed, ...] = ()
