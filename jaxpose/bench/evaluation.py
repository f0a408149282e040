"""Time of an evaluation, stage by stage: from held-out people to keypoints to scores."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxpose.bench.subset import Part
from jaxpose.bench.timing import Timing, timed
from jaxpose.codecs.codec import Codec
from jaxpose.data.source import Source
from jaxpose.tasks.topdown.augment import center_crop
from jaxpose.tasks.topdown.estimate import estimate_all, make_estimate
from jaxpose.tasks.topdown.experiment import TopDownExperiment
from jaxpose.tasks.topdown.forward import predict_outputs
from jaxpose.tasks.topdown.score import score
from jaxpose.train.device_batches import eval_batches, to_device
from jaxpose.train.mesh import check_batch, make_mesh, replicated
from jaxpose.train.signals import CompileCounter


class Stage(NamedTuple):
    """Time of one stage, in seconds per batch of `people`."""

    name: str
    timing: Timing
    people: int


@dataclasses.dataclass(frozen=True)
class EvaluationFigures:
    """Measurements of an evaluation.

    Attributes:
      stages: each part alone, for one batch; `forward` is one pass, `forward + flip` the pass over
        a batch and its mirror image.
      people, seconds: of the whole evaluation, with reading and scoring, compiled beforehand.
      score_seconds: the part of `seconds` that the metrics take.
      metric: names of the metrics.
      recompilations: compilations during the whole evaluation; there should be none.
    """

    stages: list[Stage]
    people: int
    batch_size: int
    flip_test: bool
    seconds: float
    score_seconds: float
    metric: str
    recompilations: int


def measure_evaluation(
    experiment: TopDownExperiment,
    variables: Any,
    source: Source,
    *,
    people: int | None = None,
    flip_test: bool | None = None,
    rounds: int = 5,
) -> EvaluationFigures:
    """Measures the stages of one batch, then the evaluation of `people`.

    Args:
      experiment: gives the model, the codec and the evaluation.
      variables: variables of the model.
      source: held-out people.
      people: number of people to evaluate; None takes all.
      flip_test: whether to use a flip test; None takes the experiment's setting.
      rounds: measurements of each stage.

    Raises:
      InputError: the batch size is not divisible over the mesh.
    """
    flip = experiment.evaluation.flip_test if flip_test is None else flip_test
    mesh = make_mesh(experiment.mesh)
    check_batch(experiment.evaluation.batch_size, mesh, "evaluation.batch_size")
    part = source if people is None or people >= len(source) else Part(source, people)
    variables = jax.device_put(variables, replicated(mesh))
    batch = next(iter(eval_batches(experiment, part, mesh)))
    placed = to_device(batch, mesh)
    works = _stages(experiment, variables, part, batch, placed, mesh)
    size = experiment.evaluation.batch_size
    stages = [Stage(name, timed(work, rounds=rounds), size) for name, work in works.items()]
    estimate = make_estimate(experiment, mesh, flip)
    jax.block_until_ready(estimate(variables, placed))
    with CompileCounter() as compiles:
        compiles.start()
        begun = time.perf_counter()
        estimates, _ = estimate_all(estimate, variables, part, experiment, mesh)
        estimated = time.perf_counter()
        score(estimates, experiment, flip)
        ended = time.perf_counter()
    return EvaluationFigures(
        stages=stages,
        people=len(part),
        batch_size=size,
        flip_test=flip,
        seconds=ended - begun,
        score_seconds=ended - estimated,
        metric=" and ".join(type(metric).__name__ for metric in experiment.evaluation.metrics),
        recompilations=compiles.unexpected,
    )


def _stages(
    experiment: TopDownExperiment,
    variables: Any,
    source: Source,
    batch: dict[str, Any],
    placed: dict[str, jax.Array],
    mesh: jax.sharding.Mesh,
) -> dict[str, Callable[[], object]]:
    """Each stage as a function that returns when its work is done."""
    codec: Codec = experiment.codec
    model: Any = experiment.model
    permutation = experiment.skeleton.flip_permutation
    rows = batch["index"]

    @jax.jit
    def crop(batch: dict[str, jax.Array]) -> jax.Array:
        return center_crop(
            batch, input_hw=codec.input_hw, udp=codec.udp, padding=experiment.padding
        )[0]

    def outputs_of(flip_test: bool) -> Callable[[Any, jax.Array], Any]:
        return jax.jit(
            lambda variables, images: predict_outputs(
                model, variables, images, codec, permutation, flip_test
            )
        )

    forward, flipped = outputs_of(False), outputs_of(True)
    decode = jax.jit(codec.decode)
    images = crop(placed)
    outputs = forward(variables, images)
    done = jax.block_until_ready
    return {
        "read samples": lambda: source.samples(rows),
        "transfer to device": lambda: done(to_device(batch, mesh)),
        "crop": lambda: done(crop(placed)),
        "forward": lambda: done(forward(variables, images)),
        "forward + flip": lambda: done(flipped(variables, images)),
        "decode keypoints": lambda: done(decode(outputs)),
    }
