"""ED-Pose: a transformer that detects people, then the keypoints of each (arXiv:2302.01593)."""

import math
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.queries import QueryOutputs
from jaxpose.errors import InputError
from jaxpose.geometry.lookup import rows_at
from jaxpose.models.deformable import DeformableAttention
from jaxpose.models.detection import RARE
from jaxpose.models.hybrid import sine_positions
from jaxpose.models.parameter_rules import ParameterRules

# Classes of the head; the first one is not used by the published weights.
_CLASSES = 2
_LAYERS, _BOX_LAYERS = 6, 2
_HEADS, _HIDDEN = 8, 2048
_LEAST = 1e-3


class ChannelMapper(nn.Module):
    """Neck that brings maps to the same channels, with one coarser map; group norms.

    Attributes:
      features: channels.
    """

    features: int = 256

    @nn.compact
    def __call__(self, maps: tuple[jax.Array, ...], train: bool = False) -> tuple[jax.Array, ...]:
        """Maps by increasing stride -> one map more, all `[B, h, w, features]`."""
        del train

        def mapped(x: jax.Array, size: int, name: str) -> jax.Array:
            pads = ((size // 2,) * 2,) * 2
            conv = nn.Conv(
                self.features,
                (size, size),
                2 if size == 3 else 1,
                padding=pads,
                use_bias=False,
                name=f"{name}_conv",
            )
            return nn.GroupNorm(32, epsilon=1e-5, name=f"{name}_norm")(conv(x))

        found = [mapped(x, 1, f"map_{i}") for i, x in enumerate(maps)]
        return (*found, mapped(maps[-1], 3, f"map_{len(maps)}"))


class Perceptron(nn.Module):
    """Linear layers with ReLU between them."""

    hidden: int
    outputs: int
    layers: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[..., D]` -> `[..., outputs]`."""
        for i in range(self.layers - 1):
            x = nn.relu(nn.Dense(self.hidden, name=f"layer_{i}")(x))
        return nn.Dense(self.outputs, name=f"layer_{self.layers - 1}")(x)


class EncoderLayer(nn.Module):
    """Deformable attention of the maps' pixels to each other, and a perceptron; norms last."""

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        position: jax.Array,
        reference: jax.Array,
        sizes: tuple[tuple[int, int], ...],
    ) -> jax.Array:
        """`[B, N, D]` and positions `[N, D]` -> `[B, N, D]`."""
        attention = DeformableAttention(_HEADS, name="attention")
        x = x + attention(x + position[None], x, reference, sizes)
        x = nn.LayerNorm(1e-5, name="norm1")(x)
        x = x + Perceptron(_HIDDEN, x.shape[-1], 2, name="mlp")(x)
        return nn.LayerNorm(1e-5, name="norm2")(x)


class DecoderLayer(nn.Module):
    """Attention of queries to each other, deformable attention to the maps, and a perceptron."""

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        position: jax.Array,
        memory: jax.Array,
        reference: jax.Array,
        sizes: tuple[tuple[int, int], ...],
        allowed: jax.Array | None,
    ) -> jax.Array:
        """Queries `[B, Q, D]` with positions `[B, Q, D]`; `allowed` is bool `[Q, Q]` or None."""
        dim = x.shape[-1]
        head_dim = dim // _HEADS
        shape = (dim, 3, _HEADS, head_dim)
        kernel = self.param("qkv_kernel", nn.initializers.xavier_uniform(), shape, jnp.float32)
        bias = self.param("qkv_bias", nn.initializers.zeros_init(), shape[1:], jnp.float32)
        query, key, value = (
            jnp.einsum("bnd,dhe->bnhe", tokens, kernel[:, part]) + bias[part][None, None]
            for part, tokens in enumerate((x + position, x + position, x))
        )
        mask = None if allowed is None else allowed[None, None]
        attended = jax.nn.dot_product_attention(query, key, value, mask=mask).reshape(x.shape)
        x = nn.LayerNorm(1e-5, name="norm1")(x + nn.Dense(dim, name="out")(attended))
        cross = DeformableAttention(_HEADS, name="cross")
        x = x + cross(x + position, memory, reference, sizes)
        x = nn.LayerNorm(1e-5, name="norm2")(x)
        x = x + Perceptron(_HIDDEN, dim, 2, name="mlp")(x)
        return nn.LayerNorm(1e-5, name="norm3")(x)


class EDPoseHead(nn.Module):
    """Encoder, decoder of people and decoder of their keypoints (ED-Pose, section 3).

    The best pixels of the encoded maps become queries of people; after two layers, the best
    `people` of these get a query for each keypoint. A keypoint attends to its own person only.

    Attributes:
      num_keypoints: K.
      queries: number of candidates in the first layers.
      people: number of candidates in the other layers, and of people in the output.
    """

    num_keypoints: int = 17
    queries: int = 900
    people: int = 100

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"(?:class|pose)_\d+/.*")

    @nn.compact
    def __call__(self, maps: tuple[jax.Array, ...], train: bool = False) -> QueryOutputs:
        """Four maps `[B, h, w, D]` -> `codecs.queries.QueryOutputs` of `people` queries."""
        del train
        sizes = tuple((x.shape[1], x.shape[2]) for x in maps)
        memory = self._encode(maps, sizes)
        output, reference = self._propose(memory, sizes)
        norm = nn.LayerNorm(1e-5, name="decoder_norm")
        where = Perceptron(memory.shape[-1], memory.shape[-1], 2, name="reference")
        dim = memory.shape[-1]
        boxes = [Perceptron(dim, 4, 3, name=f"box_{i}") for i in range(_LAYERS)]
        chosen_by, final = (self._classes(f"class_{i - 1}") for i in (_BOX_LAYERS, _LAYERS))
        pose_layers = _LAYERS - _BOX_LAYERS
        poses = [Perceptron(dim, 2, 3, name=f"pose_{i}") for i in range(pose_layers + 1)]
        pose_size = Perceptron(dim, 2, 3, name="pose_size")
        allowed, last = None, reference
        for i in range(_LAYERS):
            position = where(box_positions(reference, dim // 2))
            layer = DecoderLayer(name=f"decoder_{i}")
            output = layer(output, position, memory, reference, sizes, allowed)
            last = reference
            if i < _BOX_LAYERS:
                reference = nn.sigmoid(boxes[i](output) + _logit(reference))
            if i == _BOX_LAYERS - 1:
                output, reference = self._expand(output, reference, chosen_by, poses[-1])
                allowed = jnp.asarray(own_person(self.people, self.num_keypoints))
            elif i >= _BOX_LAYERS:
                of_box, of_points = self._split(output)
                old_box, old_points = self._split(_logit(reference))
                moved = poses[i - _BOX_LAYERS](of_points), pose_size(of_points)
                points = nn.sigmoid(old_points + jnp.concatenate(moved, axis=-1))
                box = nn.sigmoid(old_box + boxes[i](of_box))
                reference = self._joined(box, points)
        of_box, of_points = self._split(norm(output))
        old_box, old_points = self._split(_logit(last))
        return QueryOutputs(
            final(of_box),
            nn.sigmoid(boxes[-1](of_box) + old_box),
            nn.sigmoid(poses[pose_layers - 1](of_points) + old_points[..., :2]),
        )

    def _classes(self, name: str) -> nn.Dense:
        return nn.Dense(_CLASSES, bias_init=RARE, name=name)

    def _encode(self, maps: tuple[jax.Array, ...], sizes: tuple[tuple[int, int], ...]) -> jax.Array:
        """Encoded pixels of all maps, `[B, N, D]`."""
        batch, dim = maps[0].shape[0], maps[0].shape[-1]
        shape = (len(maps), dim)
        levels = self.param("levels", nn.initializers.normal(1.0), shape, jnp.float32)
        places = [jnp.asarray(sine_positions(h, w, dim, 20.0)) for h, w in sizes]
        position = jnp.concatenate([p + levels[i][None] for i, p in enumerate(places)])
        x = jnp.concatenate([x.reshape(batch, -1, dim) for x in maps], axis=1)
        reference = jnp.asarray(np.concatenate([_middles(h, w) for h, w in sizes]))
        reference = jnp.broadcast_to(reference[None], (batch, *reference.shape))
        for i in range(_LAYERS):
            x = EncoderLayer(name=f"encoder_{i}")(x, position, reference, sizes)
        return x

    def _propose(
        self, memory: jax.Array, sizes: tuple[tuple[int, int], ...]
    ) -> tuple[jax.Array, jax.Array]:
        """Queries `[B, queries, D]`, and their boxes `[B, queries, 4]` as shares."""
        if memory.shape[1] < self.queries:
            raise InputError(
                f"ED-Pose chooses {self.queries} of the maps' places, but these have only "
                f"{memory.shape[1]}: use larger images, or fewer queries."
            )
        proposals = np.concatenate(
            [
                np.concatenate([_middles(h, w), np.full((h * w, 2), 0.05 * 2.0**level)], axis=1)
                for level, (h, w) in enumerate(sizes)
            ]
        ).astype(np.float32)
        inside = ((proposals > 0.01) & (proposals < 0.99)).all(axis=1, keepdims=True)
        logits = np.where(inside, np.log(proposals / (1 - proposals)), np.inf).astype(np.float32)
        dim = memory.shape[-1]
        x = jnp.where(jnp.asarray(inside)[None], memory, 0.0)
        x = nn.LayerNorm(1e-5, name="memory_norm")(nn.Dense(dim, name="memory")(x))
        likely = self._classes("proposal_class")(x).max(axis=-1)
        boxes = Perceptron(dim, 4, 3, name="proposal_box")(x) + jnp.asarray(logits)[None]
        _, best = jax.lax.top_k(likely, self.queries)
        query, box = (rows_at(values, best) for values in (x, boxes))
        return query, nn.sigmoid(box)

    def _expand(
        self, output: jax.Array, boxes: jax.Array, classes: nn.Module, pose: nn.Module
    ) -> tuple[jax.Array, jax.Array]:
        """The most probable people, each with a query for every keypoint."""
        _, best = jax.lax.top_k(classes(output).max(axis=-1), self.people)
        person, box = (rows_at(values, best) for values in (output, boxes))
        shape, init = (self.num_keypoints, output.shape[-1]), nn.initializers.normal(1.0)
        names = self.param("keypoint", init, shape, jnp.float32)
        size = self.param("keypoint_size", init, (self.num_keypoints, 2), jnp.float32)
        points = person[:, :, None] + names[None, None]
        middle = nn.sigmoid(_logit(box[..., None, :2]) + pose(points))
        extent = nn.sigmoid(size)[None, None] * box[..., None, 2:]
        return (
            self._joined(person, points),
            self._joined(box, jnp.concatenate([middle, extent], axis=-1)),
        )

    def _split(self, values: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Values `[B, people * (1 + K), D]` of boxes `[B, P, D]` and keypoints `[B, P, K, D]`."""
        shape = (values.shape[0], self.people, self.num_keypoints + 1, values.shape[-1])
        grouped = values.reshape(shape)
        return grouped[:, :, 0], grouped[:, :, 1:]

    def _joined(self, box: jax.Array, points: jax.Array) -> jax.Array:
        grouped = jnp.concatenate([box[:, :, None], points], axis=2)
        return grouped.reshape(box.shape[0], -1, box.shape[-1])


def own_person(people: int, keypoints: int) -> np.ndarray:
    """Bool `[Q, Q]`: the queries that each may attend to, those of its person and, for boxes, all.

    Queries are a box and its keypoints for each person in turn.
    """
    number = np.arange(people * (keypoints + 1))
    person, box = number // (keypoints + 1), number % (keypoints + 1) == 0
    same: np.ndarray = person[:, None] == person[None]
    return same | (box[:, None] & box[None])


def box_positions(boxes: jax.Array, features: int) -> jax.Array:
    """Sines and cosines of boxes `[..., 4]` (x, y, w, h) -> `[..., 4 * features]` of y, x, w, h."""
    pairs = 2 * (np.arange(features) // 2)
    periods = jnp.asarray(10000.0 ** (pairs / features), jnp.float32)
    order = jnp.stack([boxes[..., i] for i in (1, 0, 2, 3)], axis=-1)
    shape = (1,) * boxes.ndim + (features,)
    angles = (2 * math.pi * order)[..., None] / periods.reshape(shape)
    even = (np.arange(features) % 2 == 0).reshape(shape)
    waves = jnp.where(even, jnp.sin(angles), jnp.cos(angles))
    return waves.reshape(*boxes.shape[:-1], 4 * features)


def _logit(share: jax.Array) -> jax.Array:
    """Inverse of the sigmoid, with both shares at least 0.001."""
    share = jnp.clip(share, 0.0, 1.0)
    return jnp.log(jnp.maximum(share, _LEAST) / jnp.maximum(1 - share, _LEAST))


def _middles(height: int, width: int) -> np.ndarray:
    """Middles (x, y) of a map's pixels as shares, float32 `[h * w, 2]`."""
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    return np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32)
