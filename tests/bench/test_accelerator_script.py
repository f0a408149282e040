"""The accelerator's script, with tiny networks on the CPU."""

import json

import pytest
from typer.testing import CliRunner

from jaxpose.bench.matmul import Ceiling
from jaxpose.bench.timing import Spread
from jaxpose.cli.main import app
from jaxpose.scaling.training_cost import training_cost
from tests.benchmarks import accelerator
from tests.benchmarks.accelerator_cases import TINY


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """All rows of a run, the figures of its training step, and the file it wrote."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    file = tmp_path_factory.mktemp("bench") / "figures.json"
    figures, measure = [], accelerator.measure_step

    def keep(*arguments, **options):
        figures.append(measure(*arguments, **options))
        return figures[-1]

    accelerator.measure_step = keep
    try:
        rows = accelerator.main(["--tiny", "--models", "tiny ViT", "--json", str(file)])
    finally:
        accelerator.measure_step = measure
    return rows, figures[0], json.loads(file.read_text())


def test_the_script_measures_both_libraries_and_writes_as_it_goes(measured):
    rows, _, report = measured
    found = {(row.work, row.library.split()[0]): row for row in rows}
    assert list(found) == [
        ("train", "jaxpose"),
        ("train", "PyTorch"),
        ("inference 2", "jaxpose"),
        ("inference 2, flip", "jaxpose"),
        ("inference 2", "PyTorch"),
    ]
    assert all((row.images_per_second or 0) > 0 for row in rows), rows
    # The same work is counted for both.
    ours, theirs = found["train", "jaxpose"], found["train", "PyTorch"]
    ratio = ours.images_per_second / theirs.images_per_second
    assert ours.details["MFU"] / theirs.details["MFU"] == pytest.approx(ratio)
    assert [row["work"] for row in report["rows"]] == [row.work for row in rows]


def test_a_step_is_counted_by_its_trace_and_by_xla(measured):
    figures = measured[1]
    cost = training_cost(TINY["tiny ViT"].make(), (64, 48))
    assert figures.model_flops == 2 * cost.flops and figures.parameters == cost.parameters
    # XLA adds norms, softmax, augmentation and the optimiser, much beside a network so small.
    assert 1 < figures.xla_flops / figures.model_flops < 10
    rate, seconds = figures.images_per_second, figures.seconds
    assert rate == Spread(2 / seconds.median, 2 / seconds.highest, 2 / seconds.lowest)
    assert figures.mfu == figures.model_flops / seconds.median / figures.ceiling.flops.median
    # Parameters and Adam's two moments, in float32.
    assert figures.memory_bytes > 3 * 4 * figures.parameters
    assert (figures.memory_by, figures.dtype, figures.steps) == ("compiler", "bfloat16", 1)
    assert figures.recompilations == 0 and figures.devices == 1


def test_the_command_shows_a_step_with_both_counts(measured, monkeypatch):
    asked = {}

    def canned(experiment, **options):
        asked.update(options, experiment=experiment)
        return measured[1]

    monkeypatch.setattr("jaxpose.bench.step.measure_step", canned)
    arguments = ["bench", "step", "coco_vitpose_b", "--mesh", "data=2,fsdp=4", "--json", "-"]
    arguments += ["--batch-size", "64", "--set", "init_from=mae.safetensors"]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    experiment = asked["experiment"]
    assert experiment.batch_size == 64 and experiment.init_from is None
    assert (experiment.mesh.data, experiment.mesh.fsdp) == (2, 4) and asked["steps"] == 20
    figures = json.loads(result.stdout)
    assert figures["model_flops"] == measured[1].model_flops and figures["datasheet_mfu"] is None
    assert figures["seconds"]["median"] == measured[1].seconds.median
    assert {"machine", "versions", "command", "load"} <= set(figures)
    for words in ("model FLOPs", "XLA's FLOPs", "no figure for bfloat16", "compile"):
        assert words in result.stderr


def test_what_fails_or_has_no_time_leaves_the_rest(monkeypatch):
    monkeypatch.setattr(accelerator, "matmul_rate", lambda *a, **k: CEILING)
    monkeypatch.setattr(accelerator, "train_row", broken)
    monkeypatch.setattr(accelerator, "inference_rows", lambda run, name, case: [ROW, ROW])
    rows = accelerator.main(["--tiny", "--no-torch"])
    assert [row.details.get("left out") for row in rows[:2]] == ["no such kernel", "no such kernel"]
    assert rows[2:] == [ROW] * 4

    monkeypatch.setattr(accelerator.Run, "left", lambda run: -1.0 if run.rows else 1.0)
    rows = accelerator.main(["--tiny", "--no-torch"])
    assert [row.details.get("left out") for row in rows[1:3]] == ["no time left"] * 2


def test_a_batch_that_does_not_fit_is_halved():
    tried = []

    def measure(batch):
        tried.append(batch)
        if batch > 16:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate")
        return batch

    assert accelerator.halving(64, measure) == 16 and tried == [64, 32, 16]
    with pytest.raises(ZeroDivisionError):
        accelerator.halving(64, lambda batch: 1 / 0)


CEILING = Ceiling(8, "bfloat16", Spread(1e12, 1e12, 1e12))
ROW = accelerator.Row("tiny ViT", "inference 2", "jaxpose", 10.0, {"batch": 2, "MFU": 0.5})


def broken(*arguments, **options):
    raise ValueError("no such kernel\nand more")
