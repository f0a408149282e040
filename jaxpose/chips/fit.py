"""Search of settings for a training step on a slice of chips.

The order of the candidates comes from an estimate without a compiler (traces and shapes), because
the chips' own compiler takes minutes for each. The compiler then confirms the best ones.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from jaxpose.chips import programs
from jaxpose.chips.account import TooLarge, account
from jaxpose.chips.topology import Slice
from jaxpose.errors import InputError
from jaxpose.scaling.memory import Memory, memory_per_device
from jaxpose.scaling.training_cost import TrainingCost, experiment_cost
from jaxpose.train.experiment import Experiment

_PER_CHIP = (8, 16, 32, 64, 128, 256, 512)
_PARTS = (1, 2, 4, 8)
_CONFIRMED = 3
# An array kept for the backward pass is written, read, and has a gradient that is written and read.
_PASSES = 4
# Compilers need more than the arrays, and the estimate is 0.6 to 1.0 of XLA's figure.
_ROOM = 0.7


@dataclass(frozen=True)
class Setting:
    """Settings that change a step's memory, but neither its loss nor, without `batch`, its result.

    Attributes:
      batch: samples in a step, those of all chips together.
      accumulate: parts of the batch that are differentiated one after another.
      fsdp: chips that share the parameters; the others of a slice are along `data`.
      remat: value of `model.backbone.remat`; None for a model without it.
    """

    batch: int
    accumulate: int
    fsdp: int
    remat: str | None

    @staticmethod
    def of(experiment: Experiment, wanted: Slice) -> "Setting":
        """Settings of an experiment on a slice."""
        mesh = experiment.mesh
        others = max(mesh.data, 1) * max(mesh.tensor, 1)
        fsdp = mesh.fsdp if mesh.fsdp > 0 else wanted.count // others
        return Setting(experiment.batch_size, experiment.accumulate, fsdp, _remat(experiment))

    def apply(self, experiment: Experiment) -> Experiment:
        """Copy of an experiment with these settings."""
        mesh = dataclasses.replace(experiment.mesh, data=-1, fsdp=self.fsdp, tensor=1)
        model: Any = experiment.model
        if self.remat is not None:
            model = model.clone(backbone=model.backbone.clone(remat=self.remat))
        return dataclasses.replace(
            experiment,
            mesh=mesh,
            batch_size=self.batch,
            accumulate=self.accumulate,
            model=model,
        )

    def flags(self, experiment: Experiment) -> str:
        """Flags of `jaxpose train` and `jaxpose compile` that give an experiment these settings."""
        words = [f"--mesh data=-1,fsdp={self.fsdp}"]
        if self.batch != experiment.batch_size:
            words.append(f"--set batch_size={self.batch}")
        if self.accumulate != experiment.accumulate:
            words.append(f"--set accumulate={self.accumulate}")
        if self.remat != _remat(experiment):
            words.append(f"--set model.backbone.remat={self.remat}")
        return " ".join(words)


def advice(experiment: Experiment, wanted: Slice, name: programs.Name, used: float) -> str:
    """Sentence with the nearest setting that fits a slice, by estimate.

    Args:
      experiment: an experiment whose program needs too much memory.
      wanted: the slice.
      name: the program.
      used: bytes that the compiler has found necessary on each chip.
    """
    if name != "train":
        batch = programs.batch_of(experiment, name)
        fitting = int(batch * wanted.chip.hbm * _ROOM / used) // wanted.count * wanted.count
        return f"Try a smaller batch: --batch {max(fitting, wanted.count)}."
    here = Setting.of(experiment, wanted)
    # The compiler's figure corrects the estimate.
    factor = used / memory_per_device(here.apply(experiment), wanted.count).total
    for setting in _nearest(here, wanted):
        try:
            needed = memory_per_device(setting.apply(experiment), wanted.count).total * factor
        except InputError:  # the batch does not divide
            continue
        if needed < wanted.chip.hbm:
            return f"By estimate this fits, with {needed / 2**30:.1f} GiB: " + (
                f"{setting.flags(experiment)}."
            )
    return "By estimate no batch, mesh or rematerialisation fits; use more chips."


def _nearest(here: Setting, wanted: Slice) -> Iterator[Setting]:
    """Settings that need less memory, those first that change least."""
    meshes = list(dict.fromkeys((here.fsdp, wanted.count)))
    remats = list(dict.fromkeys((here.remat, "block"))) if here.remat is not None else [None]
    batch = here.batch
    while batch >= wanted.count:
        for parts in _PARTS:
            for fsdp, remat in itertools.product(meshes, remats):
                setting = Setting(batch, here.accumulate * parts, fsdp, remat)
                if setting != here:
                    yield setting
        batch //= 2


def search(
    experiment: Experiment, wanted: Slice, say: Callable[[str], None] = lambda line: None
) -> tuple[Setting, dict[str, Any]]:
    """Find the setting with the highest bound on MFU that the compiler confirms to fit.

    Args:
      experiment: the experiment to change.
      wanted: the slice.
      say: gets a line about each setting that is compiled.

    Returns:
      the setting and its account.

    Raises:
      InputError: none of the settings that are compiled fits.
    """
    ranked = sorted(_estimates(experiment, wanted), key=lambda found: (-found[0], found[2]))
    best: tuple[Setting, dict[str, Any]] | None = None
    for bound, setting, *_ in ranked[:_CONFIRMED]:
        say(f"Compiling {setting.flags(experiment)} (estimate: MFU at most {bound:.0%}).")
        try:
            report = account(setting.apply(experiment), wanted)
        except TooLarge as error:
            say(str(error))
            continue
        say(f"The compiler's program: MFU at most {report['mfu_bound']:.0%}.")
        if best is None or report["mfu_bound"] > best[1]["mfu_bound"]:
            best = setting, report
    if best is None:
        raise InputError(
            f"None of the {len(ranked[:_CONFIRMED])} best settings by estimate fits {wanted}. Use "
            "more chips, or a smaller model."
        )
    return best


def _estimates(
    experiment: Experiment, wanted: Slice
) -> Iterator[tuple[float, Setting, tuple[int, ...]]]:
    """Yields each setting that fits by estimate: bound on MFU, the setting, size of the change."""
    here, count = Setting.of(experiment, wanted), wanted.count
    for estimate in _shapes(experiment, wanted):
        for images, parts in itertools.product(_PER_CHIP, _PARTS):
            if estimate.needed(images, parts) > _ROOM * wanted.chip.hbm:
                continue
            setting = Setting(images * parts * count, parts, estimate.fsdp, estimate.remat)
            # Of settings with nearly the same bound, the one nearest to the recipe.
            change = (
                parts,
                int(estimate.remat != here.remat),
                abs(setting.batch - experiment.batch_size),
            )
            yield round(estimate.bound(images, parts), 2), setting, change


def keeping_batch(experiment: Experiment, wanted: Slice) -> list[tuple[float, Setting, float]]:
    """Settings of mesh, accumulation and rematerialisation that fit, with the experiment's batch.

    Returns:
      Bound on the MFU, the setting, and bytes on each chip, all by estimate; the best is first.

    Raises:
      InputError: the batch does not divide over the chips.
    """
    count, batch = wanted.count, experiment.batch_size
    if batch % count:
        lower, upper = batch // count * count, -(-batch // count) * count
        near = f"{upper}" if lower == 0 else f"{lower} or {upper}"
        raise InputError(
            f"A batch of {batch} does not divide over the {count} chips of {wanted}. Set "
            f"batch_size={near}; the learning rate may have to follow."
        )
    here = Setting.of(experiment, wanted)
    found = []
    for estimate in _shapes(experiment, wanted):
        for parts in _PARTS:
            if batch % (count * parts):
                continue
            images = batch // (count * parts)
            needed = estimate.needed(images, parts)
            if needed <= _ROOM * wanted.chip.hbm:
                setting = Setting(batch, parts, estimate.fsdp, estimate.remat)
                found.append((estimate.bound(images, parts), setting, needed))
    return sorted(
        found,
        key=lambda one: (-round(one[0], 2), one[1].accumulate, one[1].remat != here.remat),
    )


@dataclass(frozen=True)
class _Estimate:
    """Memory and time of a step by estimate, for a mesh and a way of rematerialisation.

    Attributes:
      fsdp, remat: as in `Setting`.
      memory: memory of a chip that has one image.
      cost: cost of an image in training.
      wanted: the slice.
    """

    fsdp: int
    remat: str | None
    memory: Memory
    cost: TrainingCost
    wanted: Slice

    def needed(self, images: int, parts: int) -> float:
        """Bytes on a chip that gets `images` images in each of `parts` parts of the batch."""
        memory = self.memory
        lasting = memory.total - memory.activations - memory.batch
        return lasting + images * (memory.activations + parts * memory.batch)

    def bound(self, images: int, parts: int) -> float:
        """Bound on the MFU, as of `needed`."""
        memory, chip = self.memory, self.wanted.chip
        recomputed = self.cost.forward if self.remat == "block" else 0
        flops = images * parts * (self.cost.flops + 2 * recomputed)
        seconds = max(
            flops / chip.flops,
            _bytes(memory, images, parts) / chip.bandwidth,
            _sent(memory.parameters, self.fsdp, parts, self.wanted.count) / chip.links,
        )
        return images * parts * self.cost.flops / chip.flops / seconds


def _shapes(experiment: Experiment, wanted: Slice) -> Iterator[_Estimate]:
    """Estimates for each mesh and way of rematerialisation."""
    here, count = Setting.of(experiment, wanted), wanted.count
    cost = experiment_cost(experiment)
    # 128 divides the widths of more models than 256 does, and an array is divided or whole.
    meshes = sorted({1, *(n for n in (4, 16, 64, 128) if count % n == 0 and n < count), count})
    remats = ["none", "block"] if here.remat is not None else [None]
    for fsdp, remat in itertools.product(meshes, remats):
        one = Setting(count, 1, fsdp, remat).apply(experiment)
        yield _Estimate(fsdp, remat, memory_per_device(one, count), cost, wanted)


def _bytes(memory: Memory, images: int, parts: int) -> int:
    """Bytes that a step moves to and from memory, by estimate."""
    # Read in both passes of each part; then gradients, moments and averages are read and written.
    weights = 2 * parts * memory.parameters
    state = 2 * (memory.parameters + memory.optimizer + memory.average + memory.gradients)
    return _PASSES * images * parts * memory.activations + weights + state


def _sent(parameters: int, fsdp: int, parts: int, count: int) -> float:
    """Bytes that a chip sends in a step: gradients, and parameters that chips share."""
    whole = parameters * fsdp
    gathered = 2 * parts * whole * (fsdp - 1) / fsdp
    copies = count // fsdp
    return gathered + 2 * parameters * (copies - 1) / copies + whole * (fsdp - 1) / fsdp


def _remat(experiment: Experiment) -> str | None:
    value = getattr(getattr(experiment.model, "backbone", None), "remat", None)
    return value if isinstance(value, str) else None
