"""Classification head of ImageNet models."""

from typing import ClassVar, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.models.conv import ConvNorm
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.vit import TokenFeatures


class ClassificationHead(nn.Module):
    """Linear layer on the image's class token, or on the mean of its feature map.

    Attributes:
      num_classes: number of logits.
      pool: "mean" as in ResNet (arXiv:1512.03385), "token" as in ViT (arXiv:2010.11929).
      conv_features: channels of a 1x1 convolution with norm and ReLU6 before the mean, as in
        EfficientNet-Lite; 0 for none.
    """

    num_classes: int
    pool: Literal["mean", "token"] = "mean"
    dtype: str = "float32"
    conv_features: int = 0

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"linear/.*")
    takes_tokens: ClassVar[bool] = True

    @nn.compact
    def __call__(self, features: jax.Array | TokenFeatures, train: bool = False) -> jax.Array:
        """`[B, h, w, C]`, or with a class token `TokenFeatures`, -> logits `[B, num_classes]`.

        Raises:
          InputError: `pool` is "token" and the backbone has no class token.
        """
        if isinstance(features, TokenFeatures):
            feature_map, token = features.map, features.token
        else:
            feature_map, token = features, None
        if self.pool == "token":
            if token is None:
                raise InputError('pool="token" needs a backbone with class_token=True.')
            x = token
        else:
            if self.conv_features:
                conv = ConvNorm(
                    self.conv_features,
                    1,
                    activation="relu6",
                    norm_epsilon=1e-3,
                    kernel_init_std=None,
                    dtype=self.dtype,
                    name="conv",
                )
                feature_map = conv(feature_map, train)
            x = feature_map.mean((1, 2), dtype=jnp.float32)
        linear = nn.Dense(self.num_classes, dtype=self.dtype, name="linear")
        return linear(x).astype(jnp.float32)
