"""Pure function from crops to keypoints: forward pass, flip test, decoding."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.codec import Codec, averages
from jaxpose.codecs.decoded import Decoded
from jaxpose.models.build import DatasetImages
from jaxpose.models.frames import FrameImages


def predict_keypoints(
    model: Any,
    variables: Any,
    images: jax.Array | FrameImages,
    codec: Codec,
    permutation: np.ndarray | jax.Array,
    flip_test: bool,
    dataset_index: jax.Array | None = None,
) -> Decoded:
    """Predict the keypoints of the person in each crop, in pixels of the crop (jit-able).

    The flip test also runs the mirrored crops through the model and averages both outputs before
    they are decoded (Newell et al. 2016, arXiv:1603.06937, section 3.1); it costs a second forward
    pass. A codec that does not average has none. Evaluation and prediction share this function.

    Args:
      model: a Linen module; `model.apply(variables, images, train=False)` returns the outputs that
        `codec` decodes.
      variables: the variables of the model.
      images: `[B, h, w, 3]`, normalised; or the crops of several frames.
      codec: turns the model's outputs into keypoints.
      permutation: int32 `[K]`, which exchanges left and right keypoints.
      flip_test: whether to average with the mirrored image.
      dataset_index: integers `[B]`, the dataset of each image, for a model with experts; None for
        the dataset that is set in the model.

    Returns:
      keypoints `[B, K, 2]` in pixels of `images`, scores `[B, K]` in [0, 1], raw scores `[B, K]`.
    """
    outputs = predict_outputs(
        model, variables, images, codec, permutation, flip_test, dataset_index
    )
    return codec.decode(outputs)


def predict_outputs(
    model: Any,
    variables: Any,
    images: jax.Array | FrameImages,
    codec: Codec,
    permutation: np.ndarray | jax.Array,
    flip_test: bool,
    dataset_index: jax.Array | None = None,
) -> Any:
    """Compute the outputs that `predict_keypoints` decodes, averaged if there is a flip test.

    Arguments are those of `predict_keypoints`. The result has the shapes of the codec, such as
    heatmaps `[B, h', w', K]`.
    """

    def apply(images: Any, dataset_index: jax.Array | None) -> Any:
        inputs = images if dataset_index is None else DatasetImages(images, dataset_index)
        return model.apply(variables, inputs, train=False)

    if not flip_test or not averages(codec):
        return apply(images, dataset_index)
    # Each image is next to its mirror image, so that no image moves to another device.
    crops = images.images if isinstance(images, FrameImages) else images
    both: Any = jnp.stack([crops, crops[..., ::-1, :]], axis=1).reshape(-1, *crops.shape[1:])
    twice = None if dataset_index is None else jnp.repeat(dataset_index, 2)
    if isinstance(images, FrameImages):
        both = FrameImages(both, jnp.repeat(images.times, 2, axis=0))
    outputs = apply(both, twice)
    plain, mirrored = (
        jax.tree.map(lambda x, i=i: x.reshape(-1, 2, *x.shape[1:])[:, i], outputs) for i in (0, 1)
    )
    return codec.average(plain, codec.flip_back(mirrored, permutation))
