"""Graph networks: convolutions over a skeleton's graph and over frames, in turn."""

from typing import ClassVar, Literal

import flax.linen as nn
import jax

from jaxpose.errors import InputError
from jaxpose.models.actions.graph_conv import GraphConv, Mixing
from jaxpose.models.actions.temporal_conv import MultiScaleConv, TemporalConv
from jaxpose.models.norm import BatchNorm
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.skeletons.graph import SkeletonGraph

Temporal = Literal["single", "two scales", "four scales"]


class GraphUnit(nn.Module):
    """Graph convolution, convolution over frames, shortcut, ReLU; see `GraphNetwork`."""

    features: int
    graph: SkeletonGraph
    mixing: Mixing
    temporal: Temporal
    stride: int = 1
    shortcut: bool = True
    dropout: float = 0.0
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[N, T, K, C]` -> `[N, ceil(T / stride), K, features]`."""
        y = GraphConv(self.features, self.graph, self.mixing, self.dtype, name="graph_conv")(
            x, train
        )
        y = self._over_frames()(y, train)
        y = nn.Dropout(self.dropout, deterministic=not train)(y)
        if not self.shortcut:
            return nn.relu(y)
        if x.shape[-1] != self.features or self.stride > 1:
            x = TemporalConv(self.features, 1, self.stride, dtype=self.dtype, name="shortcut")(
                x, train
            )
        return nn.relu(y + x)

    def _over_frames(self) -> nn.Module:
        if self.temporal == "single":
            return TemporalConv(self.features, 9, self.stride, dtype=self.dtype, name="temporal")
        four = self.temporal == "four scales"
        return MultiScaleConv(
            self.features,
            3 if four else 5,
            (1, 2, 3, 4) if four else (1, 2),
            self.stride,
            mix=four,
            dtype=self.dtype,
            name="temporal",
        )


class GraphNetwork(nn.Module):
    """Backbone of ST-GCN (Yan et al. 2018, arXiv:1801.07455) and of the networks made from it.

    Attributes:
      graph: the skeleton's graph.
      in_features: values of a keypoint: 2 or 3.
      mixing: form of the graph convolutions; see `GraphConv`.
      temporal: form of the convolutions over frames: "single" with a kernel of 9 frames, or
        parallel ones with kernels of 5 frames and two dilations, or of 3 frames and four.
      norm_people: number of people whose coordinates have their own statistics in the first norm.
        The first norm's inputs are the coordinates of one frame of so many people.
      units: number of units of each stage; a stage has half the frames of the one before.
      width: channels of the first stage; each stage has twice those of the one before.
      dropout: rate after the convolutions over frames.
    """

    graph: SkeletonGraph
    in_features: int = 3
    mixing: Mixing = "weighted"
    temporal: Temporal = "single"
    norm_people: int = 1
    units: tuple[int, ...] = (4, 3, 3)
    width: int = 64
    dropout: float = 0.0
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"input_norm/.*", stages=r"unit_(\d+)/.*"
    )

    @property
    def num_keypoints(self) -> int:
        """Number of keypoints of the graph, K."""
        return self.graph.num_keypoints

    @nn.compact
    def __call__(self, keypoints: jax.Array, train: bool = False) -> jax.Array:
        """`[N, T, K, D]`, one person after the other, -> `[N, T', K, C]`.

        T' is T divided by 2, rounded up, for every stage after the first.

        Raises:
          InputError: the shape does not fit the graph and the number of people.
        """
        shape, people = keypoints.shape, self.norm_people
        wanted = (self.num_keypoints, self.in_features)
        if keypoints.ndim != 4 or shape[2:] != wanted or shape[0] % people:
            raise InputError(
                f"This network was built for keypoints [N, T, {wanted[0]}, {wanted[1]}] of "
                f"{people} people in each clip, but got {list(shape)}."
            )
        x = keypoints.reshape(-1, people, *shape[1:]).transpose(0, 2, 1, 3, 4)
        x = BatchNorm(dtype=self.dtype, name="input_norm")(x.reshape(*x.shape[:2], -1), train)
        x = x.reshape(-1, shape[1], people, *wanted).transpose(0, 2, 1, 3, 4).reshape(shape)
        number = 0
        for stage, units in enumerate(self.units):
            for i in range(units):
                x = GraphUnit(
                    self.width * 2**stage,
                    self.graph,
                    self.mixing,
                    self.temporal,
                    stride=2 if stage and i == 0 else 1,
                    shortcut=number > 0,
                    dropout=self.dropout,
                    dtype=self.dtype,
                    name=f"unit_{number}",
                )(x, train)
                number += 1
        return x
