"""`jaxpose bench`: measures, prints tables, writes JSON."""

import dataclasses
import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from jaxpose.bench.timing import Spread
from jaxpose.cli.bench_command import Data, Eval, Predict, Step
from jaxpose.config import override
from jaxpose.console import PlainConsole
from jaxpose.errors import InputError
from jaxpose.paths import atomic_write
from jaxpose.train.experiment import Experiment
from jaxpose.train.recipe import load_recipe


def bench_step(options: Step) -> None:
    """Measures the training step of a recipe."""
    from jaxpose.bench.step import measure_step
    from jaxpose.train.mesh import parse_mesh

    experiment = _recipe(options.config, options.set_)
    changes: dict[str, Any] = {}
    if options.mesh is not None:
        changes["mesh"] = parse_mesh(options.mesh, experiment.mesh)
    if options.batch_size is not None:
        changes["batch_size"] = options.batch_size
    experiment = dataclasses.replace(experiment, **changes)
    figures = measure_step(experiment, steps=options.steps, trace=options.profile)
    shape = ", ".join(f"{axis} {size}" for axis, size in figures.mesh.items())
    table = Table("a training step", "", show_header=True)
    images, ceiling = figures.images_per_second, figures.ceiling
    table.add_row("batch", f"{figures.batch_size}; {figures.devices} device(s): {shape}")
    table.add_row("parameters", f"{figures.parameters / 1e6:,.1f} M, computes in {figures.dtype}")
    table.add_row("images a second", _spread(images))
    table.add_row("milliseconds a step", _spread(_times(figures.seconds, 1e3)))
    table.add_row(
        "augmentation and targets",
        f"{1e3 * figures.augment_seconds.median:,.2f} ms alone, {figures.augment_share:.1%}",
    )
    busy = "waits for the device" if figures.waits_for_device else "does not wait for the device"
    table.add_row("host", f"{1e3 * figures.dispatch_seconds.median:,.2f} ms to send a step; {busy}")
    table.add_section()
    table.add_row("model FLOPs (its trace)", f"{_flops(figures.model_flops)} a step")
    table.add_row("XLA's FLOPs (loops once)", f"{_flops(figures.xla_flops)} a step")
    rate = _spread(_times(ceiling.flops, 1e-12))
    table.add_row(f"matmul {ceiling.dtype} {ceiling.size}²", f"{rate} TFLOP/s")
    table.add_row("MFU of that", f"{figures.mfu:.1%}")
    if figures.datasheet_flops is None or figures.datasheet_mfu is None:
        table.add_row("MFU of the datasheet", "this chip has no figure for bfloat16 here")
    else:
        peak = f"{figures.datasheet_flops / 1e12:,.0f} TFLOP/s, {figures.datasheet_source}"
        table.add_row("MFU of the datasheet", f"{figures.datasheet_mfu:.1%} of {peak}")
    table.add_section()
    table.add_row(
        "peak memory a device",
        f"{figures.memory_bytes / 2**20:,.0f} MiB, by the {figures.memory_by}'s account",
    )
    cached = " (read from JAX's cache)" if figures.compiled_from_cache else ""
    table.add_row("compile", f"{figures.compile_seconds:.1f} s{cached}")
    table.add_row("compilations afterwards", str(figures.recompilations))
    _report(table, "step", figures.to_json(), options.json)


def bench_data(options: Data) -> None:
    """Measures the input path of a recipe's training data, or of a prepared dataset."""
    from jaxpose.bench.input_path import measure_input, on_cores
    from jaxpose.data.source import Records

    batch_size = options.batch_size
    with on_cores(options.cores) as used:
        if Path(options.what).is_dir():
            source = Records(options.what, options.split).open()
        else:
            source = _recipe(options.what, options.set_).train_data.open()
        height, width = source.canvas_hw
        table = Table(
            *("stage", "samples/s", "lowest to highest", "by core time"),
            title=f"{len(source):,} people, canvas {height}x{width}, batch {batch_size}, "
            f"{used} core{'s' * (used > 1)}",
        )
        stages: list[dict[str, Any]] = []
        for name, timing, samples in measure_input(
            source, batch_size, rounds=options.rounds, seconds=options.seconds
        ):
            rate, core_rate = timing.rate(samples), timing.core_rate(samples)
            table.add_row(name, *_columns(rate), f"{core_rate.median:,.0f}")
            stages.append(
                {
                    "stage": name,
                    "samples_per_second": rate._asdict(),
                    "samples_per_core_second": core_rate._asdict(),
                }
            )
    figures = {"canvas_hw": [height, width], "batch_size": batch_size, "cores": used}
    _report(table, "data", {**figures, "people": len(source), "stages": stages}, options.json)


def bench_eval(options: Eval) -> None:
    """Measures an evaluation with a run's weights, or with random ones for a recipe."""
    from jaxpose.bench.evaluation import measure_evaluation

    experiment, variables = _run_or_recipe(options.what, options.set_, options.trust_recipe)
    if options.batch_size is not None:
        evaluation = dataclasses.replace(experiment.evaluation, batch_size=options.batch_size)
        experiment = dataclasses.replace(experiment, evaluation=evaluation)
    source = experiment.task().open("eval")
    figures = measure_evaluation(
        experiment,
        variables(),
        source,
        people=options.people,
        flip_test=options.flip_test,
        rounds=options.rounds,
    )
    table = Table(
        *("stage", "ms a batch", "lowest to highest", "people/s"),
        title=f"{figures.people:,} people in batches of {figures.batch_size}",
    )
    stages = []
    for name, timing, size in figures.stages:
        people_rate = timing.rate(size)
        milliseconds = _times(timing.seconds, 1e3)
        table.add_row(name, *_columns(milliseconds, 2), f"{people_rate.median:,.0f}")
        stages.append(
            {
                "stage": name,
                "seconds": timing.seconds._asdict(),
                "people_per_second": people_rate._asdict(),
            }
        )
    table.add_section()
    flip = "with" if figures.flip_test else "without"
    for name, seconds in (
        (f"{figures.metric} evaluation", figures.score_seconds),
        (f"the whole, {flip} flip test", figures.seconds),
    ):
        table.add_row(
            name, f"{1e3 * seconds:,.1f}", "all of them", f"{figures.people / seconds:,.0f}"
        )
    table.add_row("compilations meanwhile", str(figures.recompilations))
    report = {f.name: getattr(figures, f.name) for f in dataclasses.fields(figures)}
    _report(table, "eval", report | {"stages": stages}, options.json)


def bench_predict(options: Predict) -> None:
    """Measures prediction by a run, a release or a published model."""
    from jaxpose.bench.prediction import PredictionFigures, measure_prediction
    from jaxpose.bench.synthetic_video import draw_video, places
    from jaxpose.hub.load import load_detector, load_pose
    from jaxpose.pipeline import Options, Pipeline

    run, detector = options.run, options.detector
    untrained = has_no_weights(run)
    # Keypoints of random weights can neither be followed nor compared.
    lenient: dict[str, Any] = {}
    if untrained:
        lenient = {"nms": None, "lost_score": 0.0, "min_score": 0.0}
    settings = Options(
        flip_test=options.flip_test,
        batch_size=options.batch_size,
        detect_every=options.every,
        smooth="one-euro",
        **lenient,
    )
    pose = _published(run) if untrained else load_pose(run, trust_recipe=options.trust_recipe)
    pipeline = Pipeline(pose, load_detector(detector) if detector else None, options=settings)
    crowds = _crowds(options)

    def measured(source: str | None, people: int) -> PredictionFigures:
        boxes = None
        with tempfile.TemporaryDirectory() as folder:
            if source is None:
                source = str(draw_video(Path(folder) / "video.mp4", options.frames, people))
                if not detector and pose.estimator.takes == "crops":
                    boxes = partial(places, people=people)
            lines = Path(folder) / "keypoints.jsonl"
            return measure_prediction(pipeline, [source], lines, boxes=boxes, draw=options.draw)

    if crowds:
        _report_crowds({people: measured(None, people) for people in crowds}, options)
        return
    figures = measured(options.source, options.people)
    if not figures.frames:
        raise InputError(f"Nothing could be read from {options.source}.")
    stages, whole = figures.stages.by_name, max(figures.stages.seconds, 1e-9)
    table = Table(
        *("stage", "items", "ms each", "busy"),
        title=f"{figures.frames} frames, {figures.people} people",
    )
    for name, stage in stages.items():
        each = 1e3 * stage.seconds / max(stage.items, 1)
        table.add_row(name, str(stage.items), f"{each:,.2f}", f"{stage.seconds / whole:.0%}")
    table.add_section()
    rates = {
        "frames_per_second": figures.frames / figures.seconds,
        "people_per_second": figures.people / figures.seconds,
    }
    table.add_row("frames a second", f"{rates['frames_per_second']:,.1f}")
    table.add_row("people a second", f"{rates['people_per_second']:,.1f}")
    table.add_row("memory, MB", " ".join(f"{size:.0f}" for size in figures.memory[::3]))
    table.add_row("compilations", f"{figures.warm}, then {figures.later}")
    table.add_row("weights", "random; the time is the same" if untrained else f"of {run}")
    report = {f.name: getattr(figures, f.name) for f in dataclasses.fields(figures)} | rates
    report["stages"] = {name: dataclasses.asdict(stage) for name, stage in stages.items()}
    report["weights"] = "random" if untrained else "trained"
    _report(table, "predict", report, options.json)


def _crowds(options: Predict) -> list[int]:
    """Numbers of people of `--crowds`.

    Raises:
      InputError: they are not whole numbers from 1 to 50, or a video is given as well.
    """
    if options.crowds is None:
        return []
    if options.source is not None:
        raise InputError("--crowds is for synthetic videos, and a video is given: leave one out.")
    words = options.crowds.split(",")
    if not all(word.strip().isdecimal() and 1 <= int(word) <= 50 for word in words):
        raise InputError(
            f"--crowds is {options.crowds!r}: give numbers from 1 to 50, such as 1,2,5,10,20,50."
        )
    return [int(word) for word in words]


def _report_crowds(measured: dict[int, Any], options: Predict) -> None:
    """Prints the time of a frame beside the number of people."""
    heads = ("people drawn", "people found a frame", "ms a frame", "CPU ms a frame")
    table = Table(*heads, title=options.run)
    rows = []
    for people, figures in measured.items():
        row = {
            "people": people,
            "found": figures.people / max(figures.frames, 1),
            "milliseconds": 1e3 * figures.seconds / max(figures.frames, 1),
            "cpu_milliseconds": 1e3 * figures.cpu_seconds / max(figures.frames, 1),
        }
        table.add_row(
            *(str(people), f"{row['found']:.1f}", f"{row['milliseconds']:,.1f}"),
            f"{row['cpu_milliseconds']:,.1f}",
        )
        rows.append(row)
    _report(table, "predict", {"crowds": rows}, options.json)


def _recipe(config: str, set_: list[str]) -> Any:
    return _on_images(override(load_recipe(config), set_))


def _on_images(experiment: Experiment) -> Any:
    if experiment.input_hw is None:
        raise InputError("`jaxpose bench` is for recipes and runs that train on images.")
    return experiment


def _run_or_recipe(
    what: str, set_: list[str], trust_recipe: bool = False
) -> tuple[Any, Callable[[], Any]]:
    """The experiment, and a function that returns its variables."""
    from jaxpose.bench import dummy_inputs
    from jaxpose.hub.load import weights
    from jaxpose.models.build import abstract_variables
    from jaxpose.train.run_dir import load_run

    if Path(what).is_dir():
        trained = load_run(what, trust_recipe=trust_recipe, weights=weights)
        return _on_images(override(trained.experiment, set_)), lambda: trained.variables
    experiment = _recipe(what, set_)
    return experiment, lambda: dummy_inputs.values(
        abstract_variables(experiment.model, experiment.input_hw)
    )


def has_no_weights(run: str) -> bool:
    """True for the name of a model in the catalogue whose weights are not on this machine."""
    from jaxpose.download.fetch import is_fetched
    from jaxpose.hub.addresses import address_for
    from jaxpose.models.published.catalogue import CATALOGUE, UNPUBLISHED

    if Path(run).exists():
        return False
    named = [record for record in (*CATALOGUE, *UNPUBLISHED) if record.name == run]
    addresses = [address_for(record) for record in named]
    return bool(named) and not any(address and is_fetched(address) for address in addresses)


def _published(name: str) -> Any:
    """A published model with random weights, as `Pipeline` wants it."""
    from jaxpose.bench import dummy_inputs
    from jaxpose.codecs import ImageCodec
    from jaxpose.hub.load import Trained
    from jaxpose.models.build import abstract_variables
    from jaxpose.models.published.catalogue import find
    from jaxpose.models.published.record import PublishedPose
    from jaxpose.skeletons import COCO17
    from jaxpose.tasks.bottomup.estimator import BottomUpEstimator
    from jaxpose.tasks.topdown.estimator import TopDownEstimator

    entry = find(name)
    if not isinstance(entry, PublishedPose) or entry.codec is None:
        raise InputError(f"{name} gives nothing that becomes the keypoints of one person.")
    model: Any = entry.model()
    variables = dummy_inputs.values(abstract_variables(model, entry.input_hw))
    codec, skeleton = entry.codec(entry.input_hw), entry.skeleton or COCO17
    estimator: Any = TopDownEstimator(model, codec, skeleton)
    if entry.takes == "images":
        assert isinstance(codec, ImageCodec)
        estimator = BottomUpEstimator(model, codec, skeleton)
    return Trained(Path(name), estimator, variables, None)


def _flops(number: float) -> str:
    return f"{number / 1e12:,.2f} T" if number >= 1e12 else f"{number / 1e9:,.3f} G"


def _times(spread: Spread, factor: float) -> Spread:
    return Spread(*(value * factor for value in spread))


def _spread(spread: Spread) -> str:
    """`12.3 (11.9 to 12.8)`; fewer digits for large values."""
    median, others = _columns(spread, 0 if spread.median >= 1000 else 2)
    return f"{median} ({others})"


def _columns(spread: Spread, digits: int = 0) -> tuple[str, str]:
    median, low, high = (f"{value:,.{digits}f}" for value in spread)
    return median, f"{low} to {high}"


def _report(table: Table, what: str, figures: dict[str, Any], json_to: str | None) -> None:
    """Prints the table and the machine; writes the JSON to a file or the output."""
    from jaxpose.bench.machine import surroundings

    around = surroundings()
    console = PlainConsole(stderr=json_to == "-")
    console.print(table)
    machine, load = around["machine"], around["load"]
    console.print(
        f"{machine['processor']}, {machine['cores']} cores, {machine['devices']}, "
        f"jax {around['versions']['jax']}"
        + (f", load {load[0]:.1f}" if load else "")
        + ". Median (lowest to highest).",
        style="dim",
    )
    if json_to is None:
        return
    text = json.dumps({"bench": what, **around, **figures}, indent=1) + "\n"
    if json_to == "-":
        print(text, end="")
        return
    atomic_write(Path(json_to), text)
