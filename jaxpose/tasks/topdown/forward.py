"""One pure function from crops to keypoints: forward pass, flip test, decoding."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.codec import Codec
from jaxpose.codecs.decoded import Decoded
from jaxpose.models.build import DatasetImages


def predict_keypoints(
    model: Any,
    variables: Any,
    images: jax.Array,
    codec: Codec,
    permutation: np.ndarray | jax.Array,
    flip_test: bool,
    dataset_index: jax.Array | None = None,
) -> Decoded:
    """Keypoints of the person in each crop, in pixels of the crop (jit-able).

    The flip test runs the mirrored crops through the model as well and averages both outputs before
    they are decoded (Newell et al. 2016, arXiv:1603.06937, section 3.1); it costs a second forward
    pass. Evaluation and prediction share this function.

    Args:
      model: a Linen module; `model.apply(variables, images, train=False)` gives what `codec` reads.
      variables: its variables.
      images: `[B, h, w, 3]`, normalised.
      codec: turns the model's outputs into keypoints.
      permutation: int32 `[K]`, where each keypoint of a mirrored image comes from.
      flip_test: whether to average with the mirrored image.
      dataset_index: integers `[B]`, the data set of each image, for a model with experts; None for
        the data set that the model is set to.

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
    images: jax.Array,
    codec: Codec,
    permutation: np.ndarray | jax.Array,
    flip_test: bool,
    dataset_index: jax.Array | None = None,
) -> Any:
    """What `predict_keypoints` decodes: the model's outputs, averaged if there is a flip test.

    Args as of `predict_keypoints`; what comes back has the shapes of the codec, such as heatmaps
    `[B, h', w', K]`.
    """

    def apply(images: jax.Array, dataset_index: jax.Array | None) -> Any:
        inputs = images if dataset_index is None else DatasetImages(images, dataset_index)
        return model.apply(variables, inputs, train=False)

    if not flip_test:
        return apply(images, dataset_index)
    # Each image next to its mirror image, so that a batch split over devices stays where it is.
    both = jnp.stack([images, images[:, :, ::-1]], axis=1)
    twice = None if dataset_index is None else jnp.repeat(dataset_index, 2)
    outputs = apply(both.reshape(-1, *images.shape[1:]), twice)
    plain, mirrored = (
        jax.tree.map(lambda x, i=i: x.reshape(-1, 2, *x.shape[1:])[:, i], outputs) for i in (0, 1)
    )
    return codec.average(plain, codec.flip_back(mirrored, permutation))
