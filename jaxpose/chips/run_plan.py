"""Plan of a training run on a slice of chips: settings that fit, days, and cores for the input.

Nothing is compiled and nothing runs. Memory and bounds are estimates from traces; the days follow
from an MFU that the user states.
"""

import math
from dataclasses import dataclass

from jaxpose.chips.fit import Setting, keeping_batch
from jaxpose.chips.topology import Slice
from jaxpose.errors import InputError
from jaxpose.scaling.training_cost import experiment_cost
from jaxpose.train.experiment import Experiment

SECONDS_OF_DAY = 86_400


@dataclass(frozen=True)
class RunPlan:
    """Plan of a run.

    Attributes:
      setting: mesh, accumulation and rematerialisation; the batch is the recipe's.
      memory: estimated bytes on each chip.
      mfu: share of the chips' peak that the days assume: what was asked for, or `bound` if that is
        less.
      bound: estimated bound on the MFU of these settings.
      steps: steps of the recipe.
      step_seconds: time of a step at this MFU.
      days: time of all steps at this MFU.
      steps_in_time: steps that are done within the days that were asked for.
      samples_per_second: samples that the input has to deliver.
      cores: cores of all hosts that the input needs; 0 for data that is kept on the devices.
      model_flops: FLOPs of the model in the whole run, without recomputation.
    """

    setting: Setting
    memory: float
    mfu: float
    bound: float
    steps: int
    step_seconds: float
    days: float
    steps_in_time: int
    samples_per_second: float
    cores: int
    model_flops: float


def plan_run(
    experiment: Experiment, wanted: Slice, days: float, mfu: float, samples_per_core: float
) -> RunPlan:
    """Plan a run of an experiment on a slice.

    Args:
      days: days that the run may take.
      mfu: assumed share of the chips' peak FLOP/s that the model's own FLOPs reach.
      samples_per_core: samples per second that one core of a host prepares.

    Raises:
      InputError: the batch does not divide over the chips, or no setting fits their memory; a
        number out of its range.
    """
    if not (0 < mfu <= 1 and 0 < days < math.inf and 0 < samples_per_core < math.inf):
        raise InputError(
            "The MFU must be above 0 and at most 1, days and samples per core finite numbers above "
            f"0; they are "
            f"{mfu}, {days} and {samples_per_core}."
        )
    fitting = keeping_batch(experiment, wanted)
    if not fitting:
        raise InputError(
            f"By estimate, a batch of {experiment.batch_size} fits the memory of {wanted} with no "
            "mesh, accumulation or rematerialisation. Use more chips or a smaller batch_size; for "
            "fine-tuning, lora.rank needs far less."
        )
    bound, setting, memory = fitting[0]
    cost = experiment_cost(experiment)
    reached = min(mfu, bound)
    flops = float(cost.flops) * experiment.batch_size
    seconds = flops / (wanted.count * wanted.chip.flops * reached)
    rate = experiment.batch_size / seconds
    kept = getattr(experiment, "resident", True)  # lifters keep their clips on the devices
    return RunPlan(
        setting=setting,
        memory=memory,
        mfu=reached,
        bound=bound,
        steps=experiment.steps,
        step_seconds=seconds,
        days=experiment.steps * seconds / SECONDS_OF_DAY,
        steps_in_time=int(days * SECONDS_OF_DAY / seconds),
        samples_per_second=rate,
        cores=0 if kept else max(1, -int(-rate // samples_per_core)),
        model_flops=flops * experiment.steps,
    )
