"""Benchmark of a training step: speed, share of the peak, memory, compilations, host time."""

import dataclasses
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from jaxpose import jax_versions
from jaxpose.bench import dummy_inputs
from jaxpose.bench.matmul import Ceiling, matmul_rate
from jaxpose.bench.peaks import datasheet
from jaxpose.bench.timing import Spread, timed
from jaxpose.chips import hlo_cost
from jaxpose.data.source import SyntheticPeople
from jaxpose.scaling.training_cost import experiment_cost
from jaxpose.tasks.topdown.experiment import TopDownExperiment
from jaxpose.train.init_state import abstract_state, run_key
from jaxpose.train.mesh import check_batch, make_mesh
from jaxpose.train.nonfinite import PendingSteps
from jaxpose.train.signals import CompileCounter
from jaxpose.train.step import Step, lower_step

_CACHE_HIT = "/jax/compilation_cache/cache_hits"


@dataclasses.dataclass(frozen=True)
class StepFigures:
    """Measurements of a training step; a multiply-add counts as two FLOPs, times are in seconds.

    Attributes:
      dtype: data type that the model computes in.
      seconds: time of a step with the batch already on the device.
      model_flops: FLOPs of a step on all devices, from the model's trace, head included, without
        recomputation and augmentation.
      xla_flops: the compiler's count for a step on all devices; loop bodies count once.
      ceiling: the matmul rate of one device, from the same run.
      datasheet_flops, datasheet_source: peak of one device; None where the chip is not listed.
      memory_bytes: peak memory of one device since the process began, as the `device` reports it;
        where the device reports none, the `compiler`'s estimate for the step (see `memory_by`).
      compile_seconds: compile time of the step; `compiled_from_cache` is True where the compiled
        step was read from the cache.
      recompilations: compilations after the first step.
      augment_seconds: augmentation and targets alone, as a separate program.
      dispatch_seconds: time until the host is free again after dispatching a step.
    """

    devices: int
    mesh: dict[str, int]
    batch_size: int
    parameters: int
    dtype: str
    steps: int
    seconds: Spread
    model_flops: float
    xla_flops: float
    ceiling: Ceiling
    datasheet_flops: float | None
    datasheet_source: str | None
    memory_bytes: int
    memory_by: str
    compile_seconds: float
    compiled_from_cache: bool
    recompilations: int
    augment_seconds: Spread
    dispatch_seconds: Spread

    @property
    def images_per_second(self) -> Spread:
        """Images per second on all devices together."""
        median, lowest, highest = (self.batch_size / s for s in self.seconds)
        return Spread(median, highest, lowest)

    @property
    def mfu(self) -> float:
        """Model FLOP/s divided by the measured matmul rate."""
        return self.model_flops / self.seconds.median / self.devices / self.ceiling.flops.median

    @property
    def datasheet_mfu(self) -> float | None:
        """Model FLOP/s divided by the datasheet's peak; None where the chip is not listed."""
        if self.datasheet_flops is None:
            return None
        return self.model_flops / self.seconds.median / self.devices / self.datasheet_flops

    @property
    def augment_share(self) -> float:
        """Upper bound of augmentation's share of a step.

        Inside a step, augmentation overlaps and fuses with the rest.
        """
        return self.augment_seconds.median / self.seconds.median

    @property
    def waits_for_device(self) -> bool:
        """True if dispatching a step takes so long that the host must be waiting for the device."""
        return self.dispatch_seconds.median > self.seconds.median / 2

    def to_json(self) -> dict[str, Any]:
        """All figures as JSON types."""
        report = dataclasses.asdict(self)
        for name in ("images_per_second", "mfu", "datasheet_mfu", "augment_share"):
            report[name] = getattr(self, name)
        report["waits_for_device"] = self.waits_for_device
        report["ceiling"] = self.ceiling._asdict() | {"flops": self.ceiling.flops._asdict()}
        return {k: v._asdict() if isinstance(v, Spread) else v for k, v in report.items()}


def measure_step(
    experiment: TopDownExperiment,
    *,
    steps: int = 20,
    ceiling: Ceiling | None = None,
    devices: list[jax.Device] | None = None,
    trace: Path | None = None,
) -> StepFigures:
    """Compiles the training step of an experiment and runs it on a batch that stays in memory.

    The loop works as in training: the state is donated, and metrics are copied to the host while
    later steps run. JAX raises an error on any implicit transfer between host and device.

    Args:
      experiment: the experiment; its dataset may be absent and its weights are stand-ins.
      steps: number of measured steps, in at most five rounds.
      ceiling: the matmul rate, if this run has measured it already.
      devices: devices of the mesh; None takes all.
      trace: folder for a profile of three more steps, for XProf or Perfetto.

    Raises:
      InputError: the mesh does not fit the devices, or the batch does not fit the mesh.
    """
    mesh = make_mesh(experiment.mesh, devices)
    check_batch(experiment.batch_size, mesh, "batch_size", experiment.accumulate)
    shapes, _ = abstract_state(experiment, mesh)
    state = dummy_inputs.state(shapes)
    batch = dummy_inputs.batch(experiment.task().abstract_batch(mesh))
    key = run_key(experiment, mesh)
    compiled, compile_seconds, cached = compile_watched(
        functools.partial(lower_step, experiment, state, batch, key)
    )
    costs = compiled.cost_analysis() or {}
    rounds = min(5, steps)
    with CompileCounter() as compiles:
        seconds, dispatch, state = _run(
            experiment, compiled, state, batch, key, rounds, -(-steps // rounds), compiles
        )
        if trace is not None:
            with jax.profiler.trace(str(trace)):
                for _ in range(3):
                    state, _ = compiled(state, batch, key)
                jax.block_until_ready(state)
    memory, memory_by = _peak_memory(compiled, mesh.devices.flat[0])
    cost = experiment_cost(experiment)
    dtype = compute_dtype(experiment.model)
    peak = datasheet(mesh.devices.flat[0].device_kind)
    return StepFigures(
        devices=mesh.size,
        mesh=dict(mesh.shape),
        batch_size=experiment.batch_size,
        parameters=cost.parameters,
        dtype=dtype,
        steps=rounds * -(-steps // rounds),
        seconds=Spread.of(seconds),
        model_flops=float(cost.flops * experiment.batch_size),
        xla_flops=float(costs.get("flops", 0.0)) * mesh.size,
        ceiling=ceiling or matmul_rate(dtype),
        datasheet_flops=peak and peak.flops,
        datasheet_source=peak and peak.source,
        memory_bytes=memory,
        memory_by=memory_by,
        compile_seconds=compile_seconds,
        compiled_from_cache=cached,
        recompilations=compiles.unexpected,
        augment_seconds=_augmentation(experiment, batch, key, rounds),
        dispatch_seconds=Spread.of(dispatch),
    )


def compile_watched(lower: Callable[[], jax.stages.Lowered]) -> tuple[Any, float, bool]:
    """Compiles the step that `lower` returns.

    Returns:
      the compiled step, the seconds of lowering and compiling, and True if JAX's disk cache had it.
    """
    hits: list[str] = []

    def note(event: str) -> None:
        if event == _CACHE_HIT:
            hits.append(event)

    begun = time.perf_counter()
    with jax_versions.events(note):
        compiled = lower().compile()
    return compiled, time.perf_counter() - begun, bool(hits)


def compute_dtype(model: Any) -> str:
    """Data type that the backbone computes in."""
    model = getattr(model, "student", model)
    return str(getattr(model.backbone, "dtype", "float32"))


def _run(
    experiment: TopDownExperiment,
    step_fn: Step,
    state: Any,
    batch: dict[str, jax.Array],
    key: jax.Array,
    rounds: int,
    each: int,
    compiles: CompileCounter,
) -> tuple[list[float], list[float], Any]:
    """Seconds per step in each round, seconds to dispatch each step, and the final state."""
    people = SyntheticPeople(experiment.batch_size, 0).open()
    pending = PendingSteps(experiment, people, lambda step, values: None, lambda line: None)
    number, seconds, dispatch = 0, [], []
    state, scalars = step_fn(state, batch, key)
    jax.block_until_ready(scalars)
    compiles.start()
    with jax.transfer_guard("disallow"):
        for _ in range(rounds):
            begun = time.perf_counter()
            for _ in range(each):
                sent = time.perf_counter()
                state, scalars = step_fn(state, batch, key)
                number += 1
                pending.push(number, scalars, batch)
                dispatch.append(time.perf_counter() - sent)
                pending.check(state, key)
            jax.block_until_ready(state)
            seconds.append((time.perf_counter() - begun) / each)
        pending.check(state, key, left=0)
    return seconds, dispatch, state


def _augmentation(
    experiment: TopDownExperiment, batch: dict[str, jax.Array], key: jax.Array, rounds: int
) -> Spread:
    """Seconds to augment a batch and encode its targets, as a separate program."""
    encode = jax.jit(experiment.task().encode)
    return timed(lambda: jax.block_until_ready(encode(key, batch)), rounds=rounds, calls=2).seconds


def _peak_memory(compiled: Any, device: jax.Device) -> tuple[int, str]:
    stats = device.memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        return int(stats["peak_bytes_in_use"]), "device"
    return hlo_cost.memory(compiled).total, "compiler"
