"""What is exported: a pure function of named arrays, with the weights inside."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, Literal

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from jaxpose import geometry
from jaxpose.augment import IMAGENET_MEAN, IMAGENET_STD, normalize
from jaxpose.codecs.codec import Codec
from jaxpose.codecs.lifting import LiftingCodec
from jaxpose.errors import InputError
from jaxpose.infer.forward import predict_keypoints
from jaxpose.infer.lifting import lift
from jaxpose.infer.predictor import bounded
from jaxpose.models.lifting.lifter import Lifter
from jaxpose.skeletons import Skeleton

Level = Literal["model", "crops", "photo"]
LEVELS: tuple[Level, ...] = ("model", "crops", "photo")

_CROP_FRAME = "(x, y) in pixels of the crop, pixel centres at integers"
_PHOTO_FRAME = "(x, y) in pixels of the photo, pixel centres at integers"
_MOST_BYTES = 2 << 30
_SCORES = "of each keypoint, in [0, 1]"


@dataclass(frozen=True)
class Value:
    """An input or an output.

    Attributes:
      name: of the array in every format.
      shape: sizes; a letter is any size, the same wherever it stands.
      dtype: NumPy's word.
      meaning: what it holds, with unit and frame.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str
    meaning: str


@dataclass(frozen=True)
class Program:
    """A function to export, and what a card says of it.

    Attributes:
      function: arrays in the order of `inputs` -> arrays by name.
      inputs, outputs: with `B` crops or windows, or `P` people.
      level: how much is in it.
      facts: what else the card says, as JSON.
      pixels: which outputs are keypoints in pixels.
      weight_bytes: of the weights inside.
    """

    function: Callable[..., dict[str, jax.Array]]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    level: Level
    facts: dict[str, Any] = field(default_factory=dict)
    pixels: tuple[str, ...] = ()
    weight_bytes: int = 0

    def ordered(self, *arrays: jax.Array) -> tuple[jax.Array, ...]:
        """The outputs in their order."""
        results = self.function(*arrays)
        return tuple(results[value.name] for value in self.outputs)

    def arguments(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """The inputs, letters as symbolic sizes of one scope."""
        letters = {size for value in self.inputs for size in value.shape if isinstance(size, str)}
        sizes = {letter: jax.export.symbolic_shape(letter)[0] for letter in letters}
        return tuple(
            jax.ShapeDtypeStruct(
                tuple(sizes[size] if isinstance(size, str) else size for size in value.shape),
                value.dtype,
            )
            for value in self.inputs
        )

    def fixed(self, batch: int) -> "Program":
        """The same for so many crops, windows or people only."""

        def of(value: Value) -> Value:
            shape = tuple(batch if size in ("B", "P") else size for size in value.shape)
            return Value(value.name, shape, value.dtype, value.meaning)

        return replace(
            self, inputs=tuple(map(of, self.inputs)), outputs=tuple(map(of, self.outputs))
        )

    def check_size(self, name: str) -> None:
        """Whether a format that is one protobuf or flatbuffer has room for the weights.

        Raises:
          InputError: they are 2 GiB or more.
        """
        if self.weight_bytes >= _MOST_BYTES:
            raise InputError(
                f"{name} holds 2 GiB, and the weights are {self.weight_bytes / 2**30:.1f} GiB: "
                "export stablehlo"
            )


def of_images(
    model: Any,
    variables: Any,
    codec: Codec,
    skeleton: Skeleton,
    *,
    level: Level = "crops",
    flip_test: bool = True,
    padding: float = 1.25,
    photo_hw: tuple[int, int] = (1080, 1920),
) -> Program:
    """A model of pictures.

    Args:
      model: a Linen module; `model.apply(variables, images)` gives what `codec` reads.
      variables: its variables.
      codec: how outputs become keypoints; `jaxpose predict`'s bound on the DARK step is set.
      skeleton: the names of the keypoints.
      level: "model" maps normalised images to the bare outputs, "crops" uint8 crops to keypoints in
        their pixels, "photo" a uint8 photo and boxes to keypoints in the photo's pixels.
      flip_test: average with the mirrored crop; of no effect on "model".
      padding: factor by which boxes are enlarged, for "photo".
      photo_hw: size of the photo, for "photo". A smaller one is filled up with zeros on the right
        and below, which changes nothing: outside a photo all is zero.
    """
    codec = bounded(codec)
    weight_bytes = _bytes(variables)
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
        return {"keypoints": found.keypoints, "scores": found.scores}

    def bare(images: jax.Array) -> dict[str, jax.Array]:
        return _named(model.apply(variables, images, train=False))

    def photo(photo: jax.Array, boxes: jax.Array) -> dict[str, jax.Array]:
        matrices = geometry.box_crop_matrix(boxes, (height, width), padding=padding, udp=codec.udp)

        def crop(matrix: jax.Array) -> jax.Array:
            return geometry.warp(photo[None], matrix[None], (height, width))[0]

        found = keypoints(jax.vmap(crop)(matrices))
        back = geometry.invert_affine(matrices)
        return {**found, "keypoints": geometry.apply_affine(back, found["keypoints"])}

    scores = Value("scores", ("B", count), "float32", _SCORES)
    if level == "model":
        images = Value(
            "images", ("B", height, width, 3), "float32", "RGB crops, normalised (see below)"
        )
        example = jax.ShapeDtypeStruct((1, height, width, 3), jnp.float32)
        outputs = _outputs_like(bare, example, "what the model's head gives, not decoded")
        return Program(bare, (images,), outputs, level, facts, (), weight_bytes)
    if level == "crops":
        images = Value("images", ("B", height, width, 3), "uint8", "RGB crops, 0 to 255")
        place = Value("keypoints", ("B", count, 2), "float32", _CROP_FRAME)
        return Program(
            keypoints, (images,), (place, scores), level, facts, ("keypoints",), weight_bytes
        )
    return Program(
        photo,
        (
            Value("photo", (*photo_hw, 3), "uint8", "RGB photo, 0 to 255; zeros fill up"),
            Value("boxes", ("P", 4), "float32", "(x, y, w, h) of each person in photo pixels"),
        ),
        (
            Value("keypoints", ("P", count, 2), "float32", _PHOTO_FRAME),
            Value("scores", ("P", count), "float32", _SCORES),
        ),
        level,
        facts,
        ("keypoints",),
        weight_bytes,
    )


def of_windows(
    model: Lifter,
    variables: Any,
    codec: LiftingCodec,
    skeleton: Skeleton,
    *,
    level: Level = "crops",
    flip_test: bool = True,
) -> Program:
    """A lifter: windows of keypoints -> joints in millimetres.

    At the level "crops" keypoints are in the codec's frame, the flip test is in it and joints are
    millimetres about the root; at "model" both sides are standardised.

    Raises:
      InputError: the level "photo".
    """
    if level == "photo":
        raise InputError(
            "a lifter takes keypoints, not photos: export it with --level crops or model"
        )
    weight_bytes = _bytes(variables)
    _, frames, count, features = model.input_shape()
    facts = {
        "keypoints": list(skeleton.keypoints),
        "frame_of_keypoints": codec.frame,
        "root": [skeleton.keypoints[i] for i in codec.root],
        "fps": codec.fps,
        "flip_test": flip_test and level != "model",
    }

    def bare(keypoints: jax.Array) -> dict[str, jax.Array]:
        return _named(model.apply(variables, keypoints, train=False))

    def joints(keypoints: jax.Array) -> dict[str, jax.Array]:
        found = lift(
            variables,
            keypoints,
            model=model,
            codec=codec,
            permutation=skeleton.flip_permutation,
            flip_test=flip_test,
        )
        return {"joints": found}

    shape = ("B", frames, count, features)
    what = "(x, y)" if features == 2 else "(x, y, confidence)"
    frame = _FRAMES[codec.frame]
    example = jax.ShapeDtypeStruct((1, frames, count, features), jnp.float32)
    if level == "model":
        given = f"{what} of windows of frames, {frame}, standardised as in training"
        outputs = _outputs_like(bare, example, "what the model's head gives, not decoded")
        inputs = (Value("keypoints", shape, "float32", given),)
        return Program(bare, inputs, outputs, level, facts, (), weight_bytes)
    given = f"{what} of windows of frames, {frame}"
    outputs = _outputs_like(
        joints, example, "(x, y, z) in millimetres about the root, along the camera's axes, y down"
    )
    inputs = (Value("keypoints", shape, "float32", given),)
    return Program(joints, inputs, outputs, level, facts, (), weight_bytes)


_FRAMES = {
    "pixels": "in pixels",
    "screen": "(2 x - width) / width and (2 y - height) / width of pixels (x, y)",
    "image plane": "undistorted, (x - cx) / f of pixels",
    "box": "relative to a box: about its centre, in halves of its longer side",
}


def needed(package: str) -> ModuleType:
    """An optional package.

    Raises:
      InputError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise InputError(
            f'this format needs {package.split(".")[0]}: pip install "jaxpose[export]" ({error})'
        ) from error


def _bytes(variables: Any) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(variables))


def _named(outputs: Any) -> dict[str, jax.Array]:
    leaves = jax.tree.leaves(outputs)
    if len(leaves) == 1:
        return {"output": leaves[0]}
    return {f"output_{i}": leaf for i, leaf in enumerate(leaves)}


def _outputs_like(
    function: Callable, example: jax.ShapeDtypeStruct, meaning: str
) -> tuple[Value, ...]:
    return tuple(
        Value(name, ("B", *shape.shape[1:]), shape.dtype.name, meaning)
        for name, shape in jax.eval_shape(function, example).items()
    )
