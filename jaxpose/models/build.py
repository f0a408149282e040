"""Model of a backbone and a head, and its variables."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.models.vit import TokenFeatures


class DatasetImages(NamedTuple):
    """Images `[B, H, W, 3]`, and integers `[B]`: the dataset of each image."""

    images: jax.Array
    dataset_index: jax.Array


class PoseModel(nn.Module):
    """Model from images to the head's outputs. Parameters are under `backbone` and `head`."""

    backbone: nn.Module
    head: nn.Module

    def __call__(self, images: Any, train: bool = False):
        """Normalised RGB `[B, H, W, 3]` -> the head's outputs, float32.

        Heatmap heads return `[B, h, w, K]`, SimCC heads a pair (x `[B, K, Wx]`, y `[B, K, Wy]`).
        `DatasetImages` in place of the images is the same as `mixed`.
        `train=True` updates batch-norm statistics (`mutable=["batch_stats"]`) and, for backbones
        with drop path, needs `rngs={"dropout": key}`.

        Raises:
          InputError: if the backbone has a class token and the head is for poses.
        """
        if isinstance(images, DatasetImages):
            return self.mixed(*images, train)
        features = self.backbone(images, train)
        if isinstance(features, TokenFeatures) and not getattr(self.head, "takes_tokens", False):
            raise InputError(
                f"{type(self.head).__name__} takes a map of patches, but this ViT also returns a "
                "class token. Build the ViT of a pose model with class_token=False; "
                'load_pretrained then drops the token of ImageNet weights. With output="map" the '
                "token stays within the ViT, as weights need that were trained with it."
            )
        return self.head(features, train)

    def mixed(self, images: jax.Array, dataset_index: jax.Array, train: bool = False):
        """Run the model with integers `[B]`, the dataset of each image, for a ViT with experts.

        `model.apply(variables, images, dataset_index, method="mixed")`.
        """
        return self.head(self.backbone(images, train, dataset_index), train)


def init_variables(model: nn.Module, key: jax.Array, input_hw: tuple[int, int] | None) -> dict:
    """Initialise `{"params": ..., "batch_stats": ...}` for images of `input_hw`, in float32.

    A model that does not take images has a method `input_shape()`; `input_hw` is then None.

    Every model gets `batch_stats`, empty for one without statistics, so that callers need no
    special case. The function is compiled, because a traced initialisation skips the forward pass.
    """
    if hasattr(model, "input_shape"):
        shape = model.input_shape()
    else:
        assert input_hw is not None
        shape = 1, *input_hw, 3

    def init(key: jax.Array) -> dict:
        variables = model.init(key, jnp.zeros(shape, jnp.float32))
        return {"params": variables["params"], "batch_stats": variables.get("batch_stats", {})}

    return jax.jit(init)(key)


def abstract_variables(model: nn.Module, input_hw: tuple[int, int] | None) -> dict:
    """Shapes and dtypes of `init_variables`, without any computation."""
    return jax.eval_shape(lambda key: init_variables(model, key, input_hw), jax.random.key(0))


def count_parameters(variables: dict) -> int:
    """Number of trainable values (`params`), without running statistics."""
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
