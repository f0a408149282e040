"""Head of InterNet: volumes of two hands, the depth between the wrists, and handedness."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.codecs.hand_volumes import HandOutputs
from jaxpose.errors import InputError
from jaxpose.models.heads import DeconvHead
from jaxpose.models.parameter_rules import ParameterRules


class HandVolumeHead(nn.Module):
    """Deconvolutions for each hand, and two small networks on the mean of the features.

    Moon et al., InterHand2.6M, ECCV 2020, section 4.

    Attributes:
      num_keypoints: joints of both hands, the right hand's first.
      deconv_channels: channels of the deconvolutions.
      depth: voxels along the axis of depth.
      root_bins: bins of the depth between the wrists.
      hidden: width of the hidden layers of the two small networks.
      dtype: compute dtype; the outputs are float32.
    """

    num_keypoints: int = 42
    deconv_channels: tuple[int, ...] = (256, 256, 256)
    depth: int = 64
    root_bins: int = 64
    hidden: int = 512
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        output=r"(right|left)/final/.*|(root|hands)_1/.*"
    )

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> HandOutputs:
        """`[B, h, w, C]` -> `codecs.hand_volumes.HandOutputs`, maps of `2**n` times the size.

        n is the number of deconvolutions.

        Raises:
          InputError: the number of keypoints is odd.
        """
        if self.num_keypoints % 2:
            raise InputError(f"Two hands have an even number of joints, not {self.num_keypoints}.")
        joints = self.num_keypoints // 2
        volumes = []
        for hand in ("right", "left"):
            head = DeconvHead(joints * self.depth, self.deconv_channels, 1, (), self.dtype)
            maps = head.copy(name=hand)(features, train)
            volumes.append(maps.reshape(*maps.shape[:3], joints, self.depth))
        wide = jnp.promote_types(self.dtype, jnp.float32)
        mean = features.mean((1, 2), dtype=wide)
        share = nn.softmax(self._network(mean, self.root_bins, "root"), axis=-1)
        bins = jnp.arange(self.root_bins, dtype=wide)
        return HandOutputs(
            jnp.concatenate(volumes, axis=3),
            (share * bins[None]).sum(axis=-1, keepdims=True),
            self._network(mean, 2, "hands"),
        )

    def _network(self, x: jax.Array, features: int, name: str) -> jax.Array:
        init = nn.initializers.normal(0.01)
        x = nn.Dense(self.hidden, dtype=self.dtype, kernel_init=init, name=f"{name}_0")(x)
        x = nn.Dense(features, dtype=self.dtype, kernel_init=init, name=f"{name}_1")(nn.relu(x))
        return x.astype(jnp.promote_types(self.dtype, jnp.float32))
