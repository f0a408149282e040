"""Head of DCPose: heatmaps of three frames, joined by deformable convolutions."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.conv import ConvNorm
from jaxpose.models.deformable_conv import DeformableConv
from jaxpose.models.heads import Final
from jaxpose.models.parameter_rules import ParameterRules


class ResidualSteps(nn.Module):
    """Residual steps block: four branches of one to four 3x3 convolutions, each fed by the others.

    Cai et al. 2020, arXiv:2003.04030, fig. 3.

    Attributes:
      features: output channels.
      dtype: compute dtype.
    """

    features: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, features]`."""

        def conv(x: jax.Array, features: int, size: int, name: str, activation="relu"):
            return ConvNorm(
                features, size, activation=activation, bias=True, dtype=self.dtype, name=name
            )(x, train)

        each = x.shape[-1] * 26 // 64
        parts = jnp.split(conv(x, 4 * each, 1, "reduce"), 4, axis=-1)
        before: list[jax.Array] = []
        ends = []
        for branch, part in enumerate(parts):
            steps: list[jax.Array] = []
            for step in range(branch + 1):
                y = part if step == 0 else steps[-1]
                # The same step of the branch above, where it has one.
                y = y + before[step] if step < len(before) else y
                steps.append(conv(y, each, 3, f"branch_{branch}_step_{step}"))
            before = steps
            ends.append(steps[-1])
        y = conv(jnp.concatenate(ends, axis=-1), self.features, 1, "expand", "none")
        if x.shape[-1] != self.features:
            x = conv(x, self.features, 1, "shortcut", "none")
        return nn.relu(x + y)


class DCPoseHead(nn.Module):
    """Dual consecutive network (Liu et al. 2021, arXiv:2103.07254, fig. 2).

    Rough heatmaps of the previous, the current and the next frame give support heatmaps (pose
    temporal merger) and features of their differences (pose residual fusion), which move and weight
    the taps of five dilated convolutions over the support heatmaps (pose correction network).

    Attributes:
      num_keypoints: K.
      dilations: of the convolutions.
      width: channels of the features that move the taps.
      times: of the frames: the current, the previous, and the next one.
      dtype: compute dtype; the outputs are float32.
    """

    num_keypoints: int
    dilations: tuple[int, ...] = (3, 6, 9, 12, 15)
    width: int = 64
    times: tuple[float, ...] = (0.0, -1.0, 1.0)
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"(rough|warp_\d+)/.*")

    @nn.compact
    def __call__(self, features: jax.Array, times: jax.Array, train: bool = False) -> jax.Array:
        """Features `[B, 3, h, w, C]`, times `[B, 3]` -> heatmaps `[B, h, w, K]`."""
        batch, frames, height, width, _ = features.shape
        count = self.num_keypoints
        flat = features.reshape(batch * frames, height, width, -1)
        maps = Final(count, dtype=self.dtype, name="rough")(flat)
        maps = maps.reshape(batch, frames, height, width, count)
        current, previous, following = maps[:, 0], maps[:, 1], maps[:, 2]
        # The maps of one keypoint lie side by side, as in the published code.
        # The nearer of both frames counts more.
        apart = jnp.abs(times[:, 1:])
        shares = (apart[:, ::-1] / apart.sum(axis=1, keepdims=True))[:, :, None, None, None]
        one, other = current - previous, current - following
        differences = [one, shares[:, 0] * one, other, shares[:, 1] * other]
        x = jnp.stack(differences, axis=-1).reshape(batch, height, width, 4 * count)
        for i in (0, 1):
            x = ResidualSteps(2 * count, self.dtype, name=f"differences_{i}")(x, train)
        weighted = [current, shares[:, 0] * previous, shares[:, 1] * following]
        support = jnp.stack(weighted, axis=-1).reshape(batch, height, width, 3 * count)
        support = ResidualSteps(count, self.dtype, name="support_0")(support, train)
        y = jnp.concatenate([x, support], axis=-1)
        for i in (0, 1):
            y = ResidualSteps(self.width, self.dtype, name=f"combine_{i}")(y, train)
        total = jnp.zeros((batch, height, width, count))
        for i, dilation in enumerate(self.dilations):
            moves = self._taps(y, 18 * count, dilation, f"moves_{i}")
            weights = self._taps(y, 9 * count, dilation, f"weights_{i}")
            warp = DeformableConv(
                count, count, dilation, bias=True, dtype=self.dtype, name=f"warp_{i}"
            )
            total += warp(
                support,
                moves.reshape(batch, height, width, count, 9, 2),
                weights.reshape(batch, height, width, count, 9),
            )
        return total / len(self.dilations)

    def _taps(self, x: jax.Array, features: int, dilation: int, name: str) -> jax.Array:
        """Dilated 3x3 convolution to moves or weights of taps, float32."""
        conv = nn.Conv(
            features,
            (3, 3),
            kernel_dilation=dilation,
            padding=dilation,
            use_bias=False,
            dtype=self.dtype,
            kernel_init=nn.initializers.normal(0.001),
            name=name,
        )
        return conv(x).astype(jnp.float32)
