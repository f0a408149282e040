"""Loss of one-stage models: people are assigned to places, and compared with their proposals."""

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.errors import InputError
from jaxpose.geometry.lookup import reordered, rows_at
from jaxpose.losses.coordinates import keypoint_similarity
from jaxpose.losses.loss import Loss, Terms, add_up
from jaxpose.losses.simota import Guesses, SimOTA, Truth, pair_iou


@runtime_checkable
class Proposer(Protocol):
    """Codec whose `proposals(levels)` decodes the outputs of all places (`codecs.OneStage`)."""

    def proposals(self, levels: Any) -> Any: ...


@dataclass(frozen=True)
class OneStageLoss(Loss):
    """Loss of YOLOX-Pose (after arXiv:2204.06806) and RTMO (arXiv:2312.07526, section 3.3).

    Terms: `person`, cross entropy of the probability that a place proposes a person, or varifocal
    loss (arXiv:2008.13367) for heads without objectness, with targets of `overlap ** power`;
    `objectness`, cross entropy; `boxes`, 1 - IoU²; `keypoints`, 1 - OKS; `visible`, cross entropy;
    `classified`, minus the logarithm of the likelihood of the classified coordinates (RTMO);
    `absolute`, absolute errors of boxes and of keypoints in strides. All but the first two are only
    of the assigned places.

    Attributes:
      codec: the experiment's codec, which decodes the proposals.
      sigmas: K falloffs of the keypoints as published.
      assign: assignment of people to places.
      power: exponent of the overlap in the targets of the probability.
      normalised: OKS is the mean over the labelled keypoints; otherwise their sum over K.
      person, objectness, boxes, keypoints, visible, classified: factors of the terms.
      absolute: factor of the absolute errors; 0 for none. OKS and IoU have no gradient far from a
        person, which this term has: YOLOX adds it in the last epochs, and a network from random
        numbers on few images needs it from the beginning, with a factor of 10.
      from_classifier: the vectors to keypoints learn from the classified coordinates where these
        are nearer to the truth, and the probability learns the OKS of these (RTMO's second half of
        the training).
    """

    codec: Proposer
    sigmas: tuple[float, ...]
    assign: SimOTA = field(default_factory=SimOTA)
    power: float = 0.5
    normalised: bool = True
    person: float = 1.0
    objectness: float = 1.0
    boxes: float = 5.0
    keypoints: float = 30.0
    visible: float = 1.0
    classified: float = 1.0
    absolute: float = 0.0
    from_classifier: bool = False

    def __post_init__(self) -> None:
        if not self.sigmas or min(self.sigmas) <= 0:
            raise InputError("sigmas (one for each keypoint) must be positive.")

    def with_terms(self, outputs: Any, targets: Any, weights: Any) -> tuple[jax.Array, Terms]:
        """Compute the loss and its terms.

        Args:
          outputs: `codecs.OneStageOutputs`. Terms of a second head have the prefix `more/`.
          targets: `codecs.one_stage.People`; weights: `PeopleWeights`.
        """
        parts = [self._of_levels(outputs.levels, outputs.classifier, targets, weights)]
        if outputs.more:
            value, terms = self._of_levels(outputs.more, None, targets, weights)
            parts.append((value, {f"more/{name}": term for name, term in terms.items()}))
        return add_up(parts)

    def _of_levels(
        self, levels: Any, classifier: Any, targets: Any, weights: Any
    ) -> tuple[jax.Array, Terms]:
        found = self.codec.proposals(levels)
        truth = Truth(
            targets.boxes, targets.keypoints, weights.labelled, targets.area, weights.person
        )
        guesses = (
            found.boxes,
            jnp.sqrt(_clipped(found)),
            found.keypoints,
            *(
                jnp.broadcast_to(x[None], (len(found.boxes), *x.shape))
                for x in (found.places, found.strides)
            ),
        )
        chosen = jax.vmap(lambda g, t: self.assign(g, t, self.sigmas))(Guesses(*guesses), truth)
        most = min(self.assign.candidates * truth.person.shape[1], found.boxes.shape[1])
        on, place = jax.lax.top_k(chosen.positive.astype(jnp.float32), most)  # [B, M]
        count = jnp.maximum(chosen.positive.sum(), 1).astype(jnp.float32)

        def at_place(values: jax.Array) -> jax.Array:
            return rows_at(values, place)

        person = at_place(chosen.person)
        own = Truth(*(rows_at(values, person) for values in truth))
        overlap = at_place(chosen.overlap)
        boxes = at_place(found.boxes)
        keypoints = at_place(found.keypoints)
        terms: Terms = {}
        iou = jnp.maximum(pair_iou(boxes, own.boxes), 1e-16)
        terms["boxes"] = self.boxes * jnp.sum(on * (1.0 - iou**2)) / count
        visible = _entropy(at_place(found.visible), own.labelled).mean(axis=-1)
        terms["visible"] = self.visible * jnp.sum(on * visible) / count
        if self.absolute:
            stride = rows_at(guesses[4], place)[..., None]
            apart = jnp.abs(keypoints - own.keypoints).sum(axis=-1) * own.labelled / stride
            error = jnp.abs(boxes - own.boxes).mean(axis=-1) / stride[..., 0]
            error = error + apart.mean(axis=-1)
            terms["absolute"] = self.absolute * jnp.sum(on * error) / count
        truth_keypoints, labelled = own.keypoints, own.labelled
        if classifier is not None:
            places = rows_at(guesses[3], place)
            made = classifier(at_place(found.vectors), boxes, places)
            unlikely = coordinate_likelihood(made, own.keypoints, own.area)
            per_person = (labelled * unlikely).mean(axis=-1)
            terms["classified"] = self.classified * jnp.sum(on * per_person) / count
            if self.from_classifier:
                made_points = jax.lax.stop_gradient(made.keypoints)
                far = [
                    jnp.sum((points - own.keypoints) ** 2, axis=-1)
                    for points in (made_points, keypoints)
                ]
                truth_keypoints = made_points
                labelled = labelled * (far[1] > far[0])
                overlap = self._oks(made_points, own.keypoints, own, own.labelled, True)
        oks = self._oks(keypoints, truth_keypoints, own, labelled, self.normalised)
        terms["keypoints"] = self.keypoints * jnp.sum(on * (1.0 - oks)) / count
        wanted = jax.lax.stop_gradient(jnp.maximum(overlap, 0.0) ** self.power)
        counted = _counted(weights.counted, found, chosen.positive)
        if found.objectness is None:
            rows = jnp.arange(len(place))[:, None]
            target = jnp.zeros_like(found.person).at[rows, place].add(on * wanted)
            values = varifocal(found.person, target)
            terms["person"] = self.person * jnp.sum(counted * values) / count
        else:
            values = _entropy(at_place(found.person), wanted)
            terms["person"] = self.person * jnp.sum(on * values) / count
            values = _entropy(found.objectness, chosen.positive.astype(jnp.float32))
            terms["objectness"] = self.objectness * jnp.sum(counted * values) / count
        return sum(terms.values(), jnp.zeros(())), terms

    def _oks(
        self, keypoints: jax.Array, truth: jax.Array, own: Truth, labelled: Any, normalised: bool
    ) -> jax.Array:
        """OKS `[B, M]` of keypoints `[B, M, K, 2]`."""
        similar = keypoint_similarity(keypoints - truth, own.area, self.sigmas)
        total = labelled.sum(axis=-1, keepdims=True) if normalised else labelled.shape[-1]
        return (similar * labelled / jnp.maximum(total, 1e-8)).sum(axis=-1)


def varifocal(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Varifocal loss (arXiv:2008.13367, eq. 2) with alpha 0.75 and gamma 2, same shape.

    Places with a target count by it, the others by their probability; logits are cut at 10.
    """
    negative = (targets <= 1e-4).astype(jnp.float32)
    weight = 0.75 * jax.nn.sigmoid(logits) ** 2 * negative + targets
    return _entropy(jnp.clip(logits, -10.0, 10.0), targets) * weight


def coordinate_likelihood(made: Any, keypoints: jax.Array, area: jax.Array) -> jax.Array:
    """Minus the logarithm of the likelihood of classified coordinates, `[B, M, K]`.

    A Laplace distribution around the true keypoint, of the deviation that the model expects, is
    weighted by the model's distribution over the bins (RTMO, arXiv:2312.07526, eq. 6-8).

    Args:
      made: `models.Classified`.
      keypoints: true keypoints `[B, M, K, 2]`.
      area: areas of the people `[B, M]` in square pixels.
    """
    deviation = jnp.maximum(made.deviation, 1e-3)[..., None]
    scale = jnp.maximum(jnp.sqrt(area), 1.0)[..., None, None] * deviation
    product = jnp.ones(keypoints.shape[:-1])
    for axis, (shares, bins) in enumerate(((made.x, made.bins_x), (made.y, made.bins_y))):
        apart = jnp.abs(keypoints[..., axis, None] - bins[..., None, :])
        density = jnp.exp(-apart / scale / 2) / deviation
        product = product * (shares * density).sum(axis=-1)
    return -jnp.log(product + 1e-4)


def _entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Cross entropy of probabilities with targets in [0, 1], same shape."""
    return jax.nn.softplus(logits) - targets * logits


def _clipped(found: Any) -> jax.Array:
    """Probabilities of logits that are cut at 10000, where infinite ones would give NaN."""
    logits = [found.person] + ([] if found.objectness is None else [found.objectness])
    product = jnp.ones_like(found.person)
    for values in logits:
        product = product * jax.nn.sigmoid(jnp.clip(values, -1e4, 1e4))
    return product


def _counted(counted: jax.Array, found: Any, positive: jax.Array) -> jax.Array:
    """Weights `[B, N]`: 0 in regions where people are not labelled, except where one is assigned.

    `counted` is `[B, h, w]` on the finest map; a coarser place has the value at its middle.
    """
    levels = []
    for stride in np.unique(found.strides):
        middles = found.places[found.strides == stride] + stride / 2
        cells = np.floor(middles / found.strides[0]).astype(int)
        column, row = (np.clip(np.unique(cells[:, i]), 0, counted.shape[2 - i] - 1) for i in (0, 1))
        level = reordered(reordered(counted, row, axis=1), column, axis=2)
        levels.append(level.reshape(len(counted), -1))
    return jnp.maximum(jnp.concatenate(levels, axis=1), positive.astype(jnp.float32))
