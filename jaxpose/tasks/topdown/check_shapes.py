"""Check that model, codec and loss of a top-down experiment fit together."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from jaxpose.codecs.codec import takes_mask
from jaxpose.codecs.sample import Sample
from jaxpose.errors import InputError, in_one_line
from jaxpose.models.build import abstract_variables

if TYPE_CHECKING:
    from jaxpose.tasks.topdown.experiment import TopDownExperiment


def check_outputs(experiment: "TopDownExperiment") -> None:
    """Check that the codec can decode the model and the loss can train it; computes shapes only.

    Raises:
      InputError: it cannot; the message has the shapes and the settings that determine them.
    """
    model, codec, number = experiment.model, experiment.codec, experiment.skeleton.num_keypoints
    variables = abstract_variables(model, codec.input_hw)
    images = jax.ShapeDtypeStruct((2, *codec.input_hw, 3), jnp.float32)
    outputs = jax.eval_shape(lambda v, x: model.apply(v, x, train=False), variables, images)
    given, wanted = _shapes(outputs), codec.output_shapes(number)
    if given not in wanted:
        raise InputError(
            f"The model's outputs are {_in_words(given)}, but {type(codec).__name__} decodes "
            f"{', or '.join(map(_in_words, wanted))} (height, width, keypoints; or keypoints and "
            "bins or coordinates). Make codec.heatmap_hw (or split_ratio) and the model's head "
            "agree: two deconvolutions after patch 16 give a quarter of the input."
        )
    _check_loss(experiment, variables, images)


def _check_loss(
    experiment: "TopDownExperiment", variables: Any, images: jax.ShapeDtypeStruct
) -> None:
    """Check that the loss can compare the model's training outputs with the codec's targets."""
    model, codec, loss = experiment.model, experiment.codec, experiment.loss
    people, number = images.shape[0], experiment.skeleton.num_keypoints
    outputs, _ = jax.eval_shape(
        lambda v, x, key: model.apply(
            v, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
        ),
        variables,
        images,
        jax.random.key(0),
    )
    points = jax.ShapeDtypeStruct((people, number, 2), jnp.float32)
    flags: Any = jax.ShapeDtypeStruct((people, number), jnp.uint8)
    mask = None
    if takes_mask(codec):
        mask = jax.ShapeDtypeStruct((people, *codec.input_hw), jnp.float32)
    targets, weights = jax.eval_shape(codec.encode, Sample(flags, points, mask=mask))
    try:
        with jax.numpy_rank_promotion("raise"):
            value = jax.eval_shape(loss, outputs, targets, weights)
    except InputError:
        raise
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        several = len(_shapes(outputs)) > 1
        raise InputError(
            f"{type(loss).__name__} cannot compare the model's outputs in training, "
            f"{_in_words(_shapes(outputs))}, with the targets of {type(codec).__name__}, "
            f"{_in_words(_shapes(targets))}. It raised {in_one_line(error)}."
            + (f" {_OTHER_LOSS}" if several or _shapes(outputs) != _shapes(targets) else "")
        ) from error
    if not hasattr(loss, "with_terms"):
        raise InputError(f"{type(loss).__name__} must derive from jaxpose.losses.Loss.")
    if getattr(value, "shape", None) != ():
        given = _in_words(tuple(x.shape for x in jax.tree.leaves(value))) or repr(value)
        raise InputError(
            f"{type(loss).__name__} must return one number, the mean over samples, but it returned "
            f"an array of shape {given}. Take its mean, such as jnp.mean(weights * error)."
        )


_OTHER_LOSS = (
    "Choose the loss for this head: StageSum(...) for several stages, RLE() for an RLE head, "
    "IntegralLoss(...) for coordinates with heatmaps."
)


def _shapes(arrays: Any) -> tuple[tuple[int, ...], ...]:
    """Shapes of the leaves without the batch axis."""
    return tuple(x.shape[1:] for x in jax.tree.leaves(arrays))


def _in_words(shapes: tuple[tuple[int, ...], ...]) -> str:
    more = f" and {len(shapes) - 4} more" if len(shapes) > 4 else ""
    return " and ".join(str(list(shape)) for shape in shapes[:4]) + more
