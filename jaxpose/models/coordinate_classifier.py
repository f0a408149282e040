"""Dynamic coordinate classifier of RTMO: keypoints of a person from one vector and one box."""

from typing import ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.models.gau import GatedAttentionUnit
from jaxpose.models.parameter_rules import ParameterRules

# Longest wavelength of the bins' encoding, in pixels over 2 pi.
TEMPERATURE = 300.0
_EPSILON = 1e-5


class Classified(NamedTuple):
    """Distributions of a person's keypoints over the bins of a box, float32.

    Attributes:
      x: probabilities `[B, N, K, bins[0]]`, and y: `[B, N, K, bins[1]]`.
      keypoints: means of the distributions `[B, N, K, 2]` in pixels of the input.
      deviation: scale of the error that the model expects of each keypoint, `[B, N, K]`, as a part
        of the square root of the person's area.
      bins_x: pixels of the bins `[B, N, bins[0]]`, and bins_y: `[B, N, bins[1]]`.
    """

    x: jax.Array
    y: jax.Array
    keypoints: jax.Array
    deviation: jax.Array
    bins_x: jax.Array
    bins_y: jax.Array


class CoordinateClassifier(nn.Module):
    """Dynamic coordinate classifier (RTMO, Lu et al. 2023, arXiv:2312.07526, section 3.2).

    Bins cover the person's box, enlarged by `padding`; each is encoded by its distance from the
    place that proposed the person. Keypoints attend to each other in a gated attention unit, and
    are compared with the encoded bins.

    Attributes:
      num_keypoints: K.
      features: width of the keypoints' features and of the bins' encodings.
      bins: numbers of bins along x and along y.
      padding: factor on the box.
    """

    num_keypoints: int
    features: int = 128
    bins: tuple[int, int] = (192, 256)
    padding: float = 1.25

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"(x|y)_(kernel|bias)")

    def setup(self) -> None:
        count = self.num_keypoints * self.features
        self.expand = nn.Dense(count, name="expand")
        self.norm = Statistics(count, name="norm")
        self.attention = GatedAttentionUnit(self.features, positions=True, name="attention")
        self.expected = nn.Dense(self.num_keypoints, name="deviation")
        self.deviation_gain = self.param(
            "deviation_gain", nn.initializers.constant(0.1), (1,), jnp.float32
        )
        init, shape = nn.initializers.lecun_normal(), (self.features, self.features)
        self.x_kernel, self.y_kernel = (
            self.param(f"{axis}_kernel", init, shape, jnp.float32) for axis in "xy"
        )
        self.x_bias, self.y_bias = (
            self.param(f"{axis}_bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
            for axis in "xy"
        )

    def observe(self, vectors: jax.Array, weights: jax.Array) -> dict[str, jax.Array]:
        """Update the norm's running statistics with vectors `[B, N, D]`; return the new ones.

        The statistics are weighted means over B and N by `weights` `[B, N]`.
        """
        statistics: dict[str, jax.Array] = self.norm.observe(self.expand(vectors), weights)
        return statistics

    def __call__(self, vectors: jax.Array, boxes: jax.Array, places: jax.Array) -> Classified:
        """Classify vectors `[B, N, D]` with boxes `[B, N, 4]` and places `[B, N, 2]`, in pixels."""
        batch, number, _ = vectors.shape
        tokens = self.norm(self.expand(vectors.astype(jnp.float32)))
        tokens = self.attention(tokens.reshape(-1, self.num_keypoints, self.features))
        tokens = tokens.reshape(batch, number, self.num_keypoints, self.features)
        middle = (boxes[..., :2] + boxes[..., 2:]) / 2
        size = (boxes[..., 2:] - boxes[..., :2]) * self.padding
        shares, bins = [], []
        for axis, (kernel, bias) in enumerate(
            ((self.x_kernel, self.x_bias), (self.y_kernel, self.y_bias))
        ):
            spread = jnp.linspace(-0.5, 0.5, self.bins[axis], dtype=jnp.float32)[None, None]
            away = spread * size[..., axis, None]
            bins.append(away + middle[..., axis, None])
            encoded = encode_bins(away + (middle - places)[..., axis, None], self.features)
            # As the product of tokens with `encoded @ kernel + bias`, with fewer multiplications:
            # a box has more bins than a person has keypoints.
            queries = jnp.einsum("bnkf,ef->bnke", tokens, kernel)
            logits = jnp.einsum("bnke,bnie->bnki", queries, encoded)
            logits = logits + (tokens @ bias)[..., None]
            shares.append(nn.softmax(jnp.clip(logits, -5e4, 5e4), axis=-1))
        means = [(p * b[:, :, None]).sum(axis=-1) for p, b in zip(shares, bins, strict=True)]
        deviation = nn.sigmoid(self.expected(vectors)) * self.deviation_gain[0]
        return Classified(
            shares[0], shares[1], jnp.stack(means, axis=-1), deviation, bins[0], bins[1]
        )


class Statistics(nn.Module):
    """Batch norm whose statistics are of other samples than those that it normalises.

    Keypoints are classified at few places, which are chosen after the model ran; the statistics are
    those of the places that the model finds probable.
    """

    channels: int
    momentum: float = 0.9

    def setup(self) -> None:
        shape = (self.channels,)
        self.scale = self.param("scale", nn.initializers.ones_init(), shape, jnp.float32)
        self.bias = self.param("bias", nn.initializers.zeros_init(), shape, jnp.float32)
        self.mean = self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32)
        self.var = self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, N, C]` -> `[B, N, C]`, normalised by the running statistics."""
        gain = self.scale * jax.lax.rsqrt(self.var.value + _EPSILON)
        return (x - self.mean.value[None, None]) * gain[None, None] + self.bias[None, None]

    def observe(self, x: jax.Array, weights: jax.Array) -> dict[str, jax.Array]:
        """Update the running statistics with `[B, N, C]`, weighted by `[B, N]`; return x's own."""
        share = (weights / jnp.maximum(weights.sum(), 1e-6))[..., None]
        mean = (share * x).sum((0, 1))
        var = (share * jnp.square(x - mean[None, None])).sum((0, 1))
        if not self.is_initializing():
            keep = self.momentum
            self.mean.value = keep * self.mean.value + (1 - keep) * mean
            self.var.value = keep * self.var.value + (1 - keep) * var
        return {"mean": mean, "var": var}


def encode_bins(positions: jax.Array, features: int) -> jax.Array:
    """Cosines, then sines of positions `[...]` in pixels at `features / 2` frequencies."""
    half = features // 2
    periods = TEMPERATURE ** (np.arange(half) / half)
    shape = (1,) * positions.ndim + (half,)
    angles = positions[..., None] / jnp.asarray(periods, jnp.float32).reshape(shape)
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)
