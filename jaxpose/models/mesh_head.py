"""Head that regresses a body or hand model: a query attends to the image's patches."""

from typing import ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.geometry.rotations import matrix_from_6d
from jaxpose.models.heads import Final
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.part_tokens import part_tokens
from jaxpose.models.vit_block import MLP

SMPL_FACING = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
"""Rotation of SMPL's root that stands and faces the camera, as six numbers (`MeshHead.facing`)."""

# As published: variance 1 / (3 inputs), so that narrow decoders attend from the start, too.
_kernel_init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class MeshOutputs(NamedTuple):
    """Parameters of a body model, see `bodies.pose_body`.

    Attributes:
      rotations: `[B, J, 3, 3]` of the joints in their parents' frames; the root's in the camera's.
      shape: `[B, S]`.
      camera: `[B, 3]` scale and shift in the crop, see `geometry.weak_cameras`.
    """

    rotations: jax.Array
    shape: jax.Array
    camera: jax.Array


class MeshHead(nn.Module):
    """Transformer decoder with one query, whose result is added to the mean parameters.

    HMR 2.0 (Goel et al. 2023, arXiv:2305.20091) and HaMeR (Pavlakos et al. 2024, arXiv:2312.05251).

    Attributes:
      joints: rotations of the body model, the root's included.
      shapes: shape numbers.
      depth: layers of self-attention, attention to the patches, and an MLP.
      width: of the query.
      heads, head_dim: of the attention.
      mlp_hidden: hidden units.
      facing: six numbers of the root's rotation at the start of training: where the first two axes
        of a body go that stands and faces the camera. The other joints start without rotation.
      positions: add a learned position to each patch, for backbones that add none. It begins as
        sines and cosines of the patch's row and column.
      parts: attend to the tokens of so many keypoints (`part_tokens`) and not to the patches; 0: to
        the patches. Their heatmaps are a 1x1 convolution of the features, which begins as the last
        layer of the pose network of `init_from`.
      dtype: compute dtype; the outputs are float32.
    """

    joints: int = 24
    shapes: int = 10
    depth: int = 6
    width: int = 1024
    heads: int = 8
    head_dim: int = 64
    mlp_hidden: int = 1024
    facing: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    positions: bool = False
    parts: int = 0
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        no_decay=("query", "positions", "mean_pose", "mean_shape", "mean_camera"),
        output=r"(pose|shape|camera)/.*",
    )

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> MeshOutputs:
        """`[B, h, w, C]` -> rotations, shape and camera, float32."""
        grid = features.shape[1:3]
        patches = features.reshape(features.shape[0], -1, features.shape[-1])
        if self.parts:
            heatmaps = Final(self.parts, dtype=self.dtype, name="parts")(features)
            tokens = part_tokens(features, heatmaps)
            norm = nn.LayerNorm(dtype=jnp.float32, name="parts_norm")
            patches = jnp.concatenate([norm(tokens.features), tokens.places, tokens.peaks], axis=-1)
            grid = (1, self.parts)
        patches = patches.astype(self.dtype)
        if self.positions:
            places = self.param("positions", _waves, patches.shape[1:], grid)
            patches = patches + places[None].astype(self.dtype)
        query = self.param(
            "query", nn.initializers.truncated_normal(0.02), (self.width,), jnp.float32
        )
        query = query[None, None].astype(self.dtype)
        x = jnp.broadcast_to(query, (patches.shape[0], 1, self.width))
        if self.parts:
            # All places at once: attention alone learns slowly to collect them.
            flat = patches.reshape(len(patches), 1, -1)
            x = x + nn.Dense(self.width, dtype=self.dtype, name="collected")(flat)
        for layer in range(self.depth):
            x = _Layer(
                self.heads, self.head_dim, self.mlp_hidden, self.dtype, name=f"layer_{layer}"
            )(x, patches)
        token = x[:, 0].astype(jnp.float32)
        pose = self._refined(token, "pose", 6 * self.joints)
        rotations = matrix_from_6d(pose.reshape(-1, self.joints, 6))
        return MeshOutputs(
            rotations, self._refined(token, "shape", self.shapes), self._refined(token, "camera", 3)
        )

    def _refined(self, token: jax.Array, name: str, size: int) -> jax.Array:
        """Mean parameters `[size]`, which are not trained, plus a linear function of the query."""
        inits = {"pose": self._mean_pose, "camera": _near}
        init = inits.get(name, nn.initializers.zeros_init())
        mean = self.param(f"mean_{name}", init, (size,), jnp.float32)
        # As published: a small gain, so that training starts at the mean parameters.
        small = nn.initializers.variance_scaling(1e-4, "fan_avg", "uniform")
        offset = nn.Dense(size, kernel_init=small, name=name)(token)
        return offset + jax.lax.stop_gradient(mean)[None]

    def _mean_pose(self, key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype) -> jax.Array:
        """Six numbers for each joint: the root faces the camera, the others have no rotation."""
        del key
        rest = jnp.tile(jnp.asarray([1, 0, 0, 0, 1, 0], dtype), shape[0] // 6)
        return rest.at[:6].set(jnp.asarray(self.facing, dtype))


class _Layer(nn.Module):
    """Self-attention, attention to the patches and an MLP, each after a norm and added."""

    heads: int
    head_dim: int
    mlp_hidden: int
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, patches: jax.Array) -> jax.Array:
        shape = (self.heads, self.head_dim)

        def projection(features: tuple[int, ...], name: str) -> nn.DenseGeneral:
            return nn.DenseGeneral(
                features, use_bias=False, dtype=self.dtype, kernel_init=_kernel_init, name=name
            )

        def out(name: str) -> nn.DenseGeneral:
            return nn.DenseGeneral(
                x.shape[-1], axis=(-2, -1), dtype=self.dtype, kernel_init=_kernel_init, name=name
            )

        def norm(name: str) -> nn.LayerNorm:
            return nn.LayerNorm(epsilon=1e-5, dtype=self.dtype, name=name)

        qkv = projection((3, *shape), "self_qkv")(norm("norm1")(x))
        q, k, v = (qkv[:, :, i] for i in range(3))
        x = x + out("self_out")(jax.nn.dot_product_attention(q, k, v))
        q = projection(shape, "query")(norm("norm2")(x))
        kv = projection((2, *shape), "key_value")(patches)
        x = x + out("cross_out")(jax.nn.dot_product_attention(q, kv[:, :, 0], kv[:, :, 1]))
        return x + MLP(self.mlp_hidden, self.dtype, name="mlp")(norm("norm3")(x))


def _waves(key: jax.Array, shape: tuple[int, int], grid: tuple[int, int]) -> jax.Array:
    """Sines and cosines `[h w, C]` of rows and of columns, a quarter of the channels each."""
    del key
    count = -(-shape[1] // 4)
    rates = 10_000.0 ** (-jnp.arange(count) / count)
    rows, columns = (jnp.arange(size, dtype=jnp.float32)[:, None] * rates[None] for size in grid)
    rows = jnp.repeat(rows, grid[1], axis=0)
    columns = jnp.tile(columns, (grid[0], 1))
    waves = [jnp.sin(rows), jnp.cos(rows), jnp.sin(columns), jnp.cos(columns)]
    return jnp.concatenate(waves, axis=1)[:, : shape[1]]


def _near(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype) -> jax.Array:
    """Camera before which a person fills the crop, as in HMR (Kanazawa et al. 2018)."""
    del key, shape
    return jnp.asarray([0.9, 0, 0], dtype)
