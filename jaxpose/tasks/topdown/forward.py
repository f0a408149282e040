"""One pure function from crops to keypoints: forward pass, flip test, decoding."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.codec import Codec
from jaxpose.codecs.decoded import Decoded


def predict_keypoints(
    model: Any,
    variables: Any,
    images: jax.Array,
    codec: Codec,
    permutation: np.ndarray | jax.Array,
    flip_test: bool,
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

    Returns:
      keypoints `[B, K, 2]` in pixels of `images`, scores `[B, K]` in [0, 1], raw scores `[B, K]`.
    """
    return codec.decode(predict_outputs(model, variables, images, codec, permutation, flip_test))


def predict_outputs(
    model: Any,
    variables: Any,
    images: jax.Array,
    codec: Codec,
    permutation: np.ndarray | jax.Array,
    flip_test: bool,
) -> Any:
    """What `predict_keypoints` decodes: the model's outputs, averaged if there is a flip test.

    Args as of `predict_keypoints`; what comes back has the shapes of the codec, such as heatmaps
    `[B, h', w', K]`.
    """
    if not flip_test:
        return model.apply(variables, images, train=False)
    # Each image next to its mirror image, so that a batch split over devices stays where it is.
    both = jnp.stack([images, images[:, :, ::-1]], axis=1)
    outputs = model.apply(variables, both.reshape(-1, *images.shape[1:]), train=False)
    plain, mirrored = (
        jax.tree.map(lambda x, i=i: x.reshape(-1, 2, *x.shape[1:])[:, i], outputs) for i in (0, 1)
    )
    return codec.average(plain, codec.flip_back(mirrored, permutation))
