"""Training steps and inference of ViTPose and HRNet on one accelerator, beside PyTorch.

    python -m tests.benchmarks.accelerator [--minutes 7.5] [--json FILE] [--profile DIR]

Needs jax, flax, optax, numpy and opencv; PyTorch, `transformers` and `timm` are rivals where they
are installed. Everything is bfloat16. jaxpose's step is the whole one: augmentation of canvases in
device memory, targets, forward, backward, clipping, AdamW. PyTorch's starts from ready crops and
targets. FLOPs are the model's by its trace, and MFU is their share of the matmul rate that this run
measures first. Every figure is the median of several rounds.

Each figure is printed and written when it is there, so that a run that is cut off leaves what it
has; what no longer fits into the minutes is left out and said to be. `--tiny` is the same program
with tiny networks, for a look at whether it runs.
"""

import argparse
import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

from jaxpose.bench import dummy_inputs
from jaxpose.bench.machine import surroundings
from jaxpose.bench.matmul import Ceiling, matmul_rate
from jaxpose.bench.peaks import datasheet
from jaxpose.bench.step import StepFigures, measure_step
from jaxpose.bench.timing import Spread, timed
from jaxpose.codecs.heatmap import udp
from jaxpose.data.source import SyntheticPeople
from jaxpose.losses import HeatmapMSE
from jaxpose.models import PoseModel, abstract_variables
from jaxpose.scaling.training_cost import training_cost
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.experiment import TopDownExperiment
from jaxpose.tasks.topdown.forward import predict_keypoints
from tests.benchmarks.accelerator_cases import BFLOAT16, CASES, TINY, Case


class Row(NamedTuple):
    """One figure: whose, of what, images a second, and what else there is to say."""

    model: str
    work: str
    library: str
    images_per_second: float | None
    details: dict[str, Any]


class Run:
    """What has been measured, shown and written as it comes, until the time is up."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.console = Console(width=110, highlight=False)
        self.rows: list[Row] = []
        self.around = surroundings()
        self.begun = time.perf_counter()
        self.longest: dict[str, float] = {}
        self.console.print(f"{self.around['machine']['devices']}, jax {jax.__version__}")
        quick = {"size": 256, "rounds": 2, "seconds": 0.0} if options.tiny else {}
        self.ceiling: Ceiling = matmul_rate(BFLOAT16, **quick)
        flops: Spread = self.ceiling.flops
        self.console.print(
            f"matmul {self.ceiling.size}²: {flops.median / 1e12:,.1f} TFLOP/s "
            f"({flops.lowest / 1e12:,.1f} to {flops.highest / 1e12:,.1f})"
        )

    def left(self) -> float:
        """Seconds that may still be used."""
        return 60 * self.options.minutes - (time.perf_counter() - self.begun)

    def job(self, model: str, work: str, library: str, measure: Callable[[], Row | list[Row]]):
        """Measures, if there is time for as much as the longest of its kind has taken so far."""
        kind = f"{library} {work}"
        least = 0.0 if self.options.tiny else 20.0
        if self.left() < max(least, self.longest.get(kind, 0.0)):
            self.add(Row(model, work, library, None, {"left out": "no time left"}))
            return
        begun = time.perf_counter()
        try:
            found = measure()
        except Exception as error:  # one that fails must not cost the figures of the others
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            found = Row(model, work, library, None, {"left out": first[:200]})
        for row in found if isinstance(found, list) else [found]:
            self.add(row)
        gc.collect()
        self.longest[kind] = max(self.longest.get(kind, 0.0), time.perf_counter() - begun)

    def add(self, row: Row) -> None:
        """Prints a figure, and writes all so far."""
        self.rows.append(row)
        rate = row.images_per_second
        figure = (
            f"{rate:,.1f} img/s" if rate is not None else f"left out: {row.details['left out']}"
        )
        said = [f"{k} {v:.1%}" for k, v in row.details.items() if k in ("MFU", "augmentation")]
        said += [f"batch {row.details['batch']}"] if "batch" in row.details else []
        seconds = time.perf_counter() - self.begun
        self.console.print(
            f"{seconds:4.0f} s  {row.model}, {row.work}, {row.library}: {figure}", *said, sep="  "
        )
        if self.options.json:
            report = {
                **self.around,
                "ceiling": {**self.ceiling._asdict(), "flops": self.ceiling.flops._asdict()},
                "datasheet": datasheet(jax.devices()[0].device_kind),
                "rows": [row._asdict() for row in self.rows],
            }
            self.options.json.write_text(json.dumps(report, indent=1) + "\n")


def experiment_of(case: Case, model: PoseModel, batch: int) -> TopDownExperiment:
    """A recipe around the model, as ViTPose was trained."""
    height, width = case.input_hw
    people = SyntheticPeople(batch, 0, (height * 3 // 2, width * 3 // 2))
    return TopDownExperiment(
        skeleton=COCO17,
        model=model,
        codec=udp(case.input_hw, heatmap_hw=(height // 4, width // 4)),
        loss=HeatmapMSE(),
        train_data=people,
        eval_data=people,
        steps=1000,
        batch_size=batch,
    )


def out_of_memory(error: Exception) -> bool:
    """Whether an error of JAX or PyTorch says so."""
    return any(words in str(error) for words in ("RESOURCE_EXHAUSTED", "out of memory"))


def halving(batch: int, measure: Callable[[int], Any]) -> Any:
    """`measure(batch)`, with half the batch where that does not fit, three times at most."""
    for _ in range(3):
        try:
            return measure(batch)
        except Exception as error:
            if not out_of_memory(error) or batch == 1:
                raise
        gc.collect()
        batch //= 2
    return measure(batch)


def train_row(run: Run, name: str, case: Case, work: str, **options: Any) -> Row:
    """jaxpose's training step."""
    trace = run.options.profile and run.options.profile / f"{name} {work}".replace(" ", "-")
    figures: StepFigures = halving(
        case.batch,
        lambda batch: measure_step(
            experiment_of(case, case.make(**options), batch),
            steps=run.options.steps,
            ceiling=run.ceiling,
            devices=jax.devices()[:1],
            trace=trace,
        ),
    )
    details = {
        "batch": figures.batch_size,
        "MFU": figures.mfu,
        "augmentation": figures.augment_share,
        **figures.to_json(),
    }
    return Row(name, work, "jaxpose", figures.images_per_second.median, details)


def inference_rows(run: Run, name: str, case: Case) -> list[Row]:
    """jaxpose's forward pass and decoding, for each batch, without and with flip test."""
    model = case.make()
    experiment = experiment_of(case, model, 1)
    variables = dummy_inputs.values(abstract_variables(model, case.input_hw))
    permutation = COCO17.flip_permutation

    def predict(flip: bool) -> Callable[..., Any]:
        return lambda variables, images: predict_keypoints(
            model, variables, images, experiment.codec, permutation, flip
        )

    def compiled(batch: int, flip: bool) -> Any:
        images = jax.ShapeDtypeStruct((batch, *case.input_hw, 3), jnp.float32)
        return jax.jit(predict(flip)).lower(variables, images).compile()

    kinds = [(batch, flip) for batch in run.options.batches for flip in (False, True)]
    with ThreadPoolExecutor(len(kinds)) as pool:  # XLA compiles them side by side
        programs = list(pool.map(lambda kind: compiled(*kind), kinds))
    flops = 2 * training_cost(model, case.input_hw).forward
    rows = []
    for (batch, flip), program in zip(kinds, programs, strict=True):
        images = jnp.asarray(jax.random.normal(jax.random.key(0), (batch, *case.input_hw, 3)))
        each = max(1, run.options.steps // 5)

        def several(program=program, images=images, each=each) -> None:
            jax.block_until_ready([program(variables, images) for _ in range(each)])

        rate = timed(several, rounds=5).rate(each * batch)
        mfu = rate.median * flops * (1 + flip) / run.ceiling.flops.median
        details = {"batch": batch, "MFU": mfu, "images_per_second": rate._asdict()}
        rows.append(Row(name, inference(batch, flip), "jaxpose", rate.median, details))
    return rows


def inference(batch: int, flip: bool) -> str:
    """The name of an inference row."""
    return f"inference {batch}{', flip' if flip else ''}"


def rival_row(
    run: Run, rivals: Any, name: str, case: Case, work: str, flip: bool, batch: int
) -> Row:
    """PyTorch's training step, or its forward pass on a batch."""
    assert case.rival is not None
    rival = case.rival(rivals)
    ready = rivals.Runs(rival, case.input_hw)
    compile_ = not run.options.tiny
    steps = run.options.steps
    cost = training_cost(case.make(), case.input_hw)
    if work == "train":
        batch, (timing, seconds) = halving(
            batch, lambda b: (b, ready.train_step(b, steps=steps, compile=compile_))
        )
        flops = cost.flops
    else:
        timing, seconds = ready.inference(batch, flip=flip, steps=steps, compile=compile_)
        flops = 2 * cost.forward * (1 + flip)
    rate = timing.rate(batch)
    details = {
        "batch": batch,
        "MFU": rate.median * flops / run.ceiling.flops.median,
        "images_per_second": rate._asdict(),
        "compile_seconds": seconds,
    }
    return Row(name, work, f"PyTorch ({rival.origin})", rate.median, details)


def measure_all(run: Run, cases: dict[str, Case]) -> None:
    """All figures, the training steps of both libraries first."""
    try:
        if run.options.no_torch:
            raise ImportError("--no-torch")
        from tests.benchmarks import torch_rivals as rivals
    except ImportError as error:
        run.console.print(f"Without PyTorch: {error}.")
        rivals = None

    def beside(name: str, case: Case, work: str, flip: bool, batch: int) -> None:
        if rivals is not None and case.rival is not None:
            run.job(
                name, work, "PyTorch",
                lambda: rival_row(run, rivals, name, case, work, flip, batch),
            )  # fmt: skip
            if not run.options.tiny:
                rivals.release()

    for name, case in cases.items():
        run.job(name, "train", "jaxpose", lambda n=name, c=case: train_row(run, n, c, "train"))
        beside(name, case, "train", False, case.batch)
    for name, case in cases.items():
        run.job(name, "inference", "jaxpose", lambda n=name, c=case: inference_rows(run, n, c))
        largest = max(run.options.batches)
        beside(name, case, inference(largest, False), False, largest)
    if jax.devices()[0].platform == "gpu":
        work = "train, cuDNN attention"
        for name, case in cases.items():
            if name.startswith("ViT"):
                run.job(
                    name, work, "jaxpose",
                    lambda n=name, c=case: train_row(run, n, c, work, attention="cudnn"),
                )  # fmt: skip


def show(run: Run) -> None:
    """The table of all figures, both libraries side by side."""
    table = Table(
        *("model", "work", "batch", "jaxpose img/s", "MFU", "PyTorch img/s", "MFU", "ratio", "by"),
        title=f"bfloat16, {run.around['machine']['devices']}; MFU of the measured matmul rate",
    )
    pairs: dict[tuple[str, str], dict[str, Row]] = {}
    for row in run.rows:
        library = "jaxpose" if row.library == "jaxpose" else "PyTorch"
        pairs.setdefault((row.model, row.work), {})[library] = row
    for (model, work), found in pairs.items():
        ours, theirs = found.get("jaxpose"), found.get("PyTorch")
        rates = [row.images_per_second if row else None for row in (ours, theirs)]
        ratio = f"{rates[0] / rates[1]:.2f}" if rates[0] and rates[1] else ""
        batches = [str(r.details["batch"]) for r in (ours, theirs) if r and "batch" in r.details]
        cells = []
        for row in (ours, theirs):
            done = row is not None and row.images_per_second is not None
            cells += [f"{row.images_per_second:,.1f}", f"{row.details['MFU']:.1%}"] if done else [
                "left out" if row else "", ""
            ]  # fmt: skip
        origin = theirs.library.removeprefix("PyTorch").strip(" ()") if theirs else ""
        table.add_row(model, work, " / ".join(dict.fromkeys(batches)), *cells, ratio, origin)
    run.console.print(table)
    run.console.print(f"{time.perf_counter() - run.begun:.0f} s, load {os.getloadavg()[0]:.1f}")


def main(arguments: list[str] | None = None) -> list[Row]:
    """Measures, prints, and gives all rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=[], help=", ".join(CASES))
    parser.add_argument("--minutes", type=float, default=7.5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 256], help="of inference")
    parser.add_argument("--json", type=Path, help="write the figures here as they come")
    parser.add_argument("--profile", type=Path, help="folder for a trace of each training step")
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--tiny", action="store_true", help="tiny networks, to see that it runs")
    options = parser.parse_args(arguments)
    cases = TINY if options.tiny else CASES
    unknown = [name for name in options.models if name not in cases]
    if unknown:
        parser.error(f"no such model: {', '.join(unknown)}; there are {', '.join(cases)}")
    if options.tiny:
        options.steps, options.batches = 1, [2]
    # Each library its share of the memory; read when JAX starts, which is now.
    os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.9" if options.no_torch else "0.5")
    run = Run(options)
    watch = threading.Timer(60 * options.minutes + 20, stop, [run])  # nothing else ends a compiler
    watch.daemon = True
    watch.start()
    measure_all(run, {n: c for n, c in cases.items() if n in (options.models or cases)})
    watch.cancel()
    show(run)
    return run.rows


def stop(run: Run) -> None:
    """Ends the program in the middle of what it does."""
    run.console.print("The minutes are over.")
    show(run)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
