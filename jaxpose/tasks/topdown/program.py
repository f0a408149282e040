"""Exported function of a top-down model: from crops, or an image with boxes, to keypoints."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import geometry
from jaxpose.codecs.codec import Codec, takes_depth
from jaxpose.data.source import SyntheticPeople
from jaxpose.export.program import Level, Program, Value, named_outputs, outputs_like, tree_bytes
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.topdown.augment import IMAGENET_MEAN, IMAGENET_STD, normalize
from jaxpose.tasks.topdown.forward import predict_keypoints
from jaxpose.tasks.topdown.predictor import bounded

_CROP_FRAME = "(x, y) in pixels of the crop, pixel centres at integers"
_IMAGE_FRAME = "(x, y) in pixels of the image, pixel centres at integers"
_SCORES = "score of each keypoint, in [0, 1]"
# Outputs that only some models have.
_MORE = {
    "depths": "mm along the camera's axis from the model's root, positive away from the camera",
    "hands": "probabilities that the right and that the left hand are there",
    "hands_apart": "depth of the left wrist from the right one in mm",
}


def image_program(
    model: Any,
    variables: Any,
    codec: Codec,
    skeleton: Skeleton,
    *,
    level: Level = "crops",
    flip_test: bool = True,
    padding: float = 1.25,
    image_hw: tuple[int, int] = (1080, 1920),
) -> Program:
    """Build the program of a top-down model.

    Args:
      model: a Linen module; `model.apply(variables, images)` returns the outputs that `codec`
        decodes.
      variables: the variables of the model.
      codec: turns outputs into keypoints; the DARK step is limited as in `jaxpose predict`.
      skeleton: the names of the keypoints.
      level: `"model"` maps normalised crops to the raw outputs, `"crops"` uint8 crops to keypoints
        in their pixels, `"photo"` a uint8 image and boxes to keypoints in pixels of the image.
      flip_test: average with the mirrored crop; no effect on `"model"`.
      padding: factor by which boxes are enlarged, for `"photo"`.
      image_hw: height and width of the image, for `"photo"`. A smaller image is padded with zeros
        on the right and below, which does not change the result: outside an image all pixels are
        zero.
    """
    codec = bounded(codec)
    weight_bytes = tree_bytes(variables)
    height, width = codec.input_hw
    count = skeleton.num_keypoints
    facts = {
        "keypoints": list(skeleton.keypoints),
        "input_hw": [height, width],
        "normalisation": {
            "mean": np.asarray(IMAGENET_MEAN).ravel().tolist(),
            "std": np.asarray(IMAGENET_STD).ravel().tolist(),
            "of": "RGB, 0 to 255",
            "included": level != "model",
        },
        "crop": {
            "padding": padding,
            "udp": codec.udp,
            "included": level == "photo",
        },
        "flip_test": flip_test and level != "model",
    }

    def keypoints(images: jax.Array) -> dict[str, jax.Array]:
        found = predict_keypoints(
            model, variables, normalize(images), codec, skeleton.flip_permutation, flip_test
        )
        more = {} if found.depth is None else {"depths": found.depth}
        if found.hands is not None:
            more |= {"hands": found.hands.present, "hands_apart": found.hands.left_from_right}
        return {"keypoints": found.keypoints, "scores": found.scores, **more}

    def bare(images: jax.Array) -> dict[str, jax.Array]:
        return named_outputs(model.apply(variables, images, train=False))

    def image(image: jax.Array, boxes: jax.Array) -> dict[str, jax.Array]:
        matrices = geometry.box_crop_matrix(boxes, (height, width), padding=padding, udp=codec.udp)

        def crop(matrix: jax.Array) -> jax.Array:
            return geometry.warp(image[None], matrix[None], (height, width), upright=True)[0]

        found = keypoints(jax.vmap(crop)(matrices))
        back = geometry.invert_affine(matrices)
        return {**found, "keypoints": geometry.apply_affine(back, found["keypoints"])}

    def samples(number: int) -> tuple[np.ndarray, ...]:
        return _drawn_people(number, (height, width), level, image_hw)

    scores = Value("scores", ("B", count), "float32", _SCORES)
    crop_shape = jax.ShapeDtypeStruct((1, height, width, 3), jnp.uint8)
    further = takes_depth(codec) and level != "model"
    found = jax.eval_shape(keypoints, crop_shape) if further else {}

    def more(letter: str) -> tuple[Value, ...]:
        return tuple(
            Value(name, (letter, *found[name].shape[1:]), "float32", meaning)
            for name, meaning in _MORE.items()
            if name in found
        )

    if level == "model":
        images = Value(
            "images", ("B", height, width, 3), "float32", "RGB crops, normalised (see below)"
        )
        example = jax.ShapeDtypeStruct((1, height, width, 3), jnp.float32)
        outputs = outputs_like(bare, example, "outputs of the model's head, not decoded")
        return Program(bare, (images,), outputs, level, facts, (), weight_bytes, samples)
    if level == "crops":
        images = Value("images", ("B", height, width, 3), "uint8", "RGB crops, 0 to 255")
        place = Value("keypoints", ("B", count, 2), "float32", _CROP_FRAME)
        return Program(
            keypoints,
            (images,),
            (place, scores, *more("B")),
            level,
            facts,
            ("keypoints",),
            weight_bytes,
            samples,
        )
    return Program(
        image,
        (
            Value("photo", (*image_hw, 3), "uint8", "RGB image, 0 to 255, padded with zeros"),
            Value("boxes", ("P", 4), "float32", "(x, y, w, h) of people in pixels of the image"),
        ),
        (
            Value("keypoints", ("P", count, 2), "float32", _IMAGE_FRAME),
            Value("scores", ("P", count), "float32", _SCORES),
            *more("P"),
        ),
        level,
        facts,
        ("keypoints",),
        weight_bytes,
        samples,
    )


def _drawn_people(
    count: int, input_hw: tuple[int, int], level: Level, image_hw: tuple[int, int]
) -> tuple[np.ndarray, ...]:
    """Draw `count` synthetic people as inputs of the program."""
    height, width = input_hw
    source = SyntheticPeople(count, seed=0, canvas_hw=(height, width)).open()
    images = source.samples(range(count))["image"]
    if level == "crops":
        return (images,)
    if level == "model":
        return (np.asarray(normalize(jax.numpy.asarray(images))),)
    full_image = np.zeros((*image_hw, 3), np.uint8)
    image = images[0][: full_image.shape[0], : full_image.shape[1]]
    full_image[: image.shape[0], : image.shape[1]] = image
    shift = np.arange(count, dtype=np.float32) * 4
    boxes = np.stack([shift, shift, width - 2 * shift, height - 2 * shift], axis=1)
    return full_image, np.maximum(boxes, 2).astype(np.float32)
