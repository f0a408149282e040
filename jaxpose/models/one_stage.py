"""One-stage models of many people: a detector's backbone and neck, and a head with keypoints."""

from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.codecs.one_stage import BoundModule, OneStageOutputs, Places
from jaxpose.geometry.lookup import rows_at
from jaxpose.models.coordinate_classifier import CoordinateClassifier
from jaxpose.models.csp import Style
from jaxpose.models.detection import RARE, DetectionModel, Tower, predict
from jaxpose.models.normalisation import PIXELS_BGR, Normalisation, renormalise
from jaxpose.models.parameter_rules import ParameterRules

# Groups of the convolutions for boxes and poses in RTMO's head.
_GROUPS = 8
# Most probable places of an image from which the classifier's statistics are computed in training.
_OBSERVED = 128


class OneStageModel(DetectionModel):
    """One-stage model of people with keypoints; parameters as those of a `DetectionModel`.

    Attributes:
      normalisation: normalisation of the weights' images.
    """

    normalisation: Normalisation = PIXELS_BGR

    def __call__(self, images: jax.Array, train: bool = False) -> Any:
        """Normalised RGB `[B, H, W, 3]` -> the head's outputs, such as `codecs.OneStageOutputs`.

        H and W are multiples of 32. `train=True` updates batch-norm statistics.
        """
        maps = self.backbone(renormalise(images, self.normalisation), train)
        return self.head(self.neck(maps, train), train)


class YOLOXPoseHead(nn.Module):
    """Decoupled head of YOLOX with two more branches, of keypoints and their visibility.

    As in MMPose's YOLOX-Pose, after YOLO-Pose (Maji et al. 2022, arXiv:2204.06806).

    Attributes:
      num_keypoints: K.
      features: channels of its convolutions.
      style: style of all convolutions.
    """

    num_keypoints: int
    features: int
    style: Style = Style()

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        output=r"(?:person|objectness|box|keypoints|visible)_\d+/.*"
    )

    @nn.compact
    def __call__(self, maps: tuple[jax.Array, ...], train: bool = False) -> OneStageOutputs:
        """Maps `[B, h, w, C]` -> `codecs.OneStageOutputs`."""
        people = Tower(self.features, style=self.style, name="person_tower")(maps, train)
        boxes = Tower(self.features, style=self.style, name="box_tower")(maps, train)
        poses = Tower(self.features, 4, style=self.style, name="pose_tower")(maps, train)
        count = self.num_keypoints
        return OneStageOutputs(
            tuple(
                Places(
                    person=predict(1, f"person_{i}", RARE)(people[i]),
                    boxes=predict(4, f"box_{i}")(boxes[i]),
                    visible=predict(count, f"visible_{i}")(poses[i]),
                    keypoints=predict(2 * count, f"keypoints_{i}")(poses[i]),
                    objectness=predict(1, f"objectness_{i}", RARE)(boxes[i]),
                )
                for i in range(len(maps))
            )
        )


class RTMOHead(nn.Module):
    """Head of RTMO (Lu et al. 2023, arXiv:2312.07526, section 3): poses by classified coordinates.

    Half of the channels of each map are for the probability, the other half for the pose. The
    vectors to keypoints are only used in training, to assign people to places. Statistics of the
    classifier's norm are those of the most probable places, weighted by their probabilities; the
    published training takes those of the assigned places, which it chooses within the model.

    Attributes:
      num_keypoints: K.
      features: channels of the branch for the probability.
      group_features: channels of each of the eight groups of the branch for the pose.
      pose_features: length of a pose's vector.
      classifier_features, bins: see `CoordinateClassifier`.
      style: style of all convolutions.
    """

    num_keypoints: int
    features: int
    group_features: int
    pose_features: int
    classifier_features: int = 128
    bins: tuple[int, int] = (192, 256)
    style: Style = Style()

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        output=r"(?:person|box|keypoints|visible)_\d+/.*|classifier/[xy]_\w+"
    )

    @nn.compact
    def __call__(self, maps: tuple[jax.Array, ...], train: bool = False) -> OneStageOutputs:
        """Maps `[B, h, w, C]` -> `codecs.OneStageOutputs` with a classifier."""
        halves = [jnp.split(x, 2, axis=-1) for x in maps]
        first, second = (tuple(half[i] for half in halves) for i in (0, 1))
        people = Tower(self.features, style=self.style, name="person_tower")(first, train)
        width = _GROUPS * self.group_features
        poses = Tower(width, 4, style=self.style, groups=_GROUPS, name="pose_tower")(second, train)
        count = self.num_keypoints
        levels = tuple(
            Places(
                person=predict(1, f"person_{i}", RARE)(people[i]),
                boxes=predict(4, f"box_{i}")(poses[i]),
                visible=predict(count, f"visible_{i}")(poses[i]),
                keypoints=predict(2 * count, f"keypoints_{i}")(poses[i]),
                vectors=predict(self.pose_features, f"vectors_{i}")(poses[i]),
            )
            for i in range(len(maps))
        )
        return OneStageOutputs(levels, self._classifier(levels, train))

    def _classifier(self, levels: tuple[Places, ...], train: bool) -> BoundModule:
        settings = (self.num_keypoints, self.classifier_features, self.bins)
        classifier = CoordinateClassifier(*settings, name="classifier")

        def rows(name: str) -> jax.Array:
            maps = [getattr(level, name) for level in levels]
            return jnp.concatenate([x.reshape(x.shape[0], -1, x.shape[-1]) for x in maps], axis=1)

        vectors = rows("vectors").astype(jnp.float32)
        probability = jax.lax.stop_gradient(nn.sigmoid(rows("person")[..., 0]))
        statistics = {}
        if self.is_initializing():
            box = jnp.zeros((len(vectors), 1, 4))
            classifier(vectors[:, :1], box, box[..., :2])
        elif train:
            likely, place = jax.lax.top_k(probability, min(_OBSERVED, probability.shape[1]))
            chosen = rows_at(vectors, place)
            statistics = {"norm": classifier.observe(chosen, likely)}
        variables = classifier.variables
        if statistics:
            variables = {"params": variables["params"], "batch_stats": statistics}
        return BoundModule(CoordinateClassifier(*settings), variables)
