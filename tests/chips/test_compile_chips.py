"""`jaxpose compile --chips`: output and refusals, mostly with a stand-in for the compiler."""

import importlib.util
import json
from pathlib import Path

import jax
import pytest
from typer.testing import CliRunner

from jaxpose.chips import account as accounts
from jaxpose.chips import fit, programs
from jaxpose.chips.account import TooLarge
from jaxpose.chips.topology import Slice, parse_slice
from jaxpose.cli import compile_chips
from jaxpose.cli.main import app
from jaxpose.config import override
from jaxpose.errors import InputError
from jaxpose.train.mesh import make_mesh
from jaxpose.train.recipe import load_recipe

TESTS = Path(__file__).resolve().parents[1]
TINY, LIFTER = str(TESTS / "tiny.py"), str(TESTS / "tiny_lifter.py")

REPORT = {
    "chips": "v5e:2x2",
    "program": "train",
    "mesh": {"data": 4, "fsdp": 1, "tensor": 1},
    "batch_size": 8,
    "accumulate": 1,
    "parameters": 5_000_000,
    "compile_seconds": 3.0,
    "memory": {"arguments": 2**30, "temporaries": 3 * 2**30, "peak": 2**32, "hbm": 2**34},
    "xla": {"flops": 1.0, "bytes accessed": 1.0},
    "flops": 2_000_000_000_000,
    "model_flops": 1.5e12,
    "bytes": 16_000_000_000,
    "seconds": {"flops": 0.01, "bytes": 0.02, "links": 0.001},
    "mfu_bound": 0.38,
    "parts": {"model": {"flops": 2_000_000_000_000, "bytes": 16_000_000_000, "seconds": 0.02}},
    "collectives": {"all-reduce": {"number": 3, "sent_bytes": 10_000_000, "overlapped": 1}},
    "operations": {
        "gather": 4,
        "scatter": 0,
        "sort": 1,
        "kernels": 70,
        "fusions": 60,
        "library_calls": {"__cublas$gemm": 5},
    },
    "loops": {"number": 2, "rounds": 24, "of_unknown_length": 0},
    "largest": [
        {
            "bytes": 8_000_000_000,
            "share": 0.5,
            "flops": 0,
            "runs": 12,
            "operation": "fusion.7",
            "shape": "bf16[64, 192]",
            "op_name": "jit(step)/model/x",
            "place": "jaxpose/models/vit.py:96",
        }
    ],
}


def run(*arguments):
    return CliRunner().invoke(app, ["compile", *map(str, arguments)])


@pytest.fixture
def compiled(monkeypatch):
    """Compiles nothing; notes what was to be compiled, and returns `REPORT`."""
    asked = []

    def account(experiment, wanted, name):
        asked.append((experiment, str(wanted), name))
        return REPORT | {"chips": str(wanted), "program": name}

    monkeypatch.setattr(compile_chips, "account", account)
    return asked


def test_the_report_states_bounds_and_lines_of_source(compiled):
    result = run(TINY, "--chips", "v5e:2x2", "--mesh", "fsdp=4", "--batch", "16")
    assert result.exit_code == 0, result.output
    ((experiment, chips, program),) = compiled
    assert (experiment.batch_size, experiment.mesh.fsdp, experiment.mesh.data) == (16, 4, 1)
    assert (chips, program) == ("v5e:2x2", "train")
    text = " ".join(result.output.split())
    for words in (
        "at most 38%",
        "at least 20.00 ms",
        "4.00 of 16 GiB (25%)",
        "4 gathers, 0 scatters, 1 sorts, 2 loops of 24 rounds",
        "70 kernels, 60 of them fusions, 5 __cublas$gemm",
        "jaxpose/models/vit.py:96",
        "Bounds, not speeds",
    ):
        assert words in text, text
    assert "per second" not in text and "images/s" not in text


def test_a_bound_for_gpus_names_what_is_not_measured(compiled):
    assert "no autotuning" in run(TINY, "--chips", "h100:8").output
    assert "no autotuning" not in run(TINY, "--chips", "v5e:2x2").output


def test_other_programs_take_the_batch_of_the_evaluation(compiled):
    result = run(TINY, "--chips", "l4:1", "--program", "predict", "--batch", "64", "--json")
    assert result.exit_code == 0, result.output
    ((experiment, _, program),) = compiled
    assert program == "predict" and experiment.evaluation.batch_size == 64
    assert experiment.batch_size == load_recipe(TINY).batch_size
    assert json.loads(result.output)["recipe"] == TINY


def test_two_reports_side_by_side(compiled, tmp_path):
    kept = tmp_path / "before.json"
    kept.write_text(json.dumps(REPORT | {"bytes": 32_000_000_000, "recipe": "before"}))
    text = run(TINY, "--chips", "v5e:2x2", "--compare", kept).output
    assert "before v5e:2x2 train" in text and "0.50" in text
    both = json.loads(run(TINY, "--chips", "v5e:2x2", "--compare", "v6e:2x2", "--json").output)
    assert [both[name]["chips"] for name in ("this", "other")] == ["v5e:2x2", "v6e:2x2"]
    run(TINY, "--chips", "v5e:2x2", "--compare", LIFTER)
    assert type(compiled[-1][0]) is type(load_recipe(LIFTER))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Give --devices N"),
        (["--devices", "2", "--chips", "v5e:2x2"], "one of the two"),
        (["--devices", "2", "--program", "eval"], "need --chips"),
        (["--chips", "v5e:3x3"], "v5e:4x4"),
        (["--chips", "v5e:2x2", "--compare", "FOLDER/none.json"], "none.json"),
        (["--chips", "v5e:2x2", "--compare", "FOLDER/list.json"], "is no report"),
        (["--chips", "v5e:2x2", "--compare", "FOLDER/bad.json"], "is no JSON"),
        (["--chips", "v5e:2x2", "--compare", "FOLDER/part.json"], "is no report"),
        (["--chips", "v5e:2x2", "--compare", "v6e:3x3"], "--compare 'v6e:3x3'"),
        (["--chips", "v5e:2x2", "--compare", "FOLDER/raises.py"], "ValueError: boom"),
        (["--chips", "v5e:2x2", "--fit", "--program", "eval"], "--fit is for"),
        (["--chips", "v5e:2x2", "--fit", "--mesh", "fsdp=4"], "leave --mesh out"),
        (["--chips", "v5e:2x2", "--mesh", "data=2,data=2"], "data twice"),
    ],
)
def test_input_that_is_refused(arguments, words, compiled, tmp_path):
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "bad.json").write_text("{")
    part = {key: value for key, value in REPORT.items() if key != "operations"}
    (tmp_path / "part.json").write_text(json.dumps(part))
    (tmp_path / "raises.py").write_text('def get_config():\n    raise ValueError("boom")\n')
    result = run(TINY, *(word.replace("FOLDER", str(tmp_path)) for word in arguments))
    assert result.exit_code == 2 and words in result.output, result.output


def test_a_mesh_that_does_not_divide_the_slice(monkeypatch):
    devices = jax.devices()[:4]
    monkeypatch.setattr(Slice, "devices", lambda self: devices)
    result = run(TINY, "--chips", "v5e:2x2", "--mesh", "fsdp=3")
    assert result.exit_code == 2 and "does not fit 4 device(s)" in result.output
    result = run(LIFTER, "--chips", "v5e:2x2", "--program", "eval", "--batch", "16")
    assert result.exit_code == 2 and "--program predict" in result.output
    result = run(LIFTER, "--chips", "v5e:2x2", "--program", "export", "--batch", "16")
    assert result.exit_code == 2 and "a lifter takes keypoints" in result.output
    assert "JAX has removed" not in result.output


@pytest.mark.parametrize(
    ("recipe", "program", "batch"),
    [(LIFTER, "predict", 8), (TINY, "predict", 8), (TINY, "export", 8), (TINY, "eval", 8)],
)
def test_programs_other_than_training_are_lowered_without_data(recipe, program, batch):
    experiment = programs.with_batch(load_recipe(recipe), program, batch)
    mesh = make_mesh(experiment.mesh, jax.devices()[:4])
    lowered = programs.lower(experiment, program, mesh)
    (*_, inputs), _ = lowered.in_avals
    assert batch in {leaf.shape[0] for leaf in jax.tree.leaves(inputs)}
    assert programs.model_flops(experiment, program) > 0


def test_a_program_that_is_too_large_names_what_fits(monkeypatch):
    def refuse(experiment, wanted, name):
        raise TooLarge(wanted, 24 * 2**30, 16 * 2**30)

    monkeypatch.setattr(compile_chips, "account", refuse)
    result = run(TINY, "--chips", "v5e:2x2")
    text = " ".join(result.output.split())
    assert result.exit_code == 2
    assert "needs 24.00 GiB" in text and "8.00 GiB more than the 16.00 GiB" in text
    assert "By estimate this fits" in text and "--mesh data=-1,fsdp=4" in text
    result = run(TINY, "--chips", "v5e:2x2", "--program", "predict", "--batch", "64")
    assert "--batch 28" in " ".join(result.output.split())


def test_a_compiler_that_runs_out_of_memory_is_understood(monkeypatch):
    class Lowered:
        def compile(self, compiler_options):
            raise jax.errors.JaxRuntimeError(
                "RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 20.50G of "
                "15.75G hbm. Exceeded hbm capacity by 4.75G."
            )

    monkeypatch.setattr(Slice, "devices", lambda self: jax.devices()[:4])
    monkeypatch.setattr(accounts.programs, "lower", lambda *arguments: Lowered())
    with pytest.raises(TooLarge, match=r"20\.50 GiB .* 4\.75 GiB more than the 15\.75 GiB"):
        accounts.compile_for(load_recipe(TINY), parse_slice("v5e:2x2"), "train")


def test_attention_by_cudnn_needs_the_gpu(monkeypatch):
    def lower(*arguments):
        raise RuntimeError("cuDNN not found.")

    monkeypatch.setattr(Slice, "devices", lambda self: jax.devices()[:4])
    monkeypatch.setattr(accounts.programs, "lower", lower)
    with pytest.raises(InputError, match="Set it to xla"):
        accounts.compile_for(load_recipe(TINY), parse_slice("h100:4"), "train")


def test_fit_confirms_its_best_estimates_and_prints_the_command(monkeypatch):
    asked = []

    def account(experiment, wanted):
        asked.append(experiment)
        if len(asked) == 1:
            raise TooLarge(wanted, 20 * 2**30, 16 * 2**30)
        return REPORT | {"mfu_bound": 0.2 + 0.1 * len(asked)}

    monkeypatch.setattr(fit, "account", account)
    result = run(TINY, "--chips", "v5e:2x2", "--fit", "--set", "seed=3", "--batch", "16")
    assert result.exit_code == 0, result.output
    assert len(asked) == 3
    best = fit.Setting.of(asked[-1], parse_slice("v5e:2x2"))
    lines = [line for line in result.output.splitlines() if line.startswith("jaxpose train")]
    assert lines == [f"jaxpose train {TINY} --set seed=3 {best.flags(load_recipe(TINY))}"]
    assert best.batch % 4 == 0 and override(load_recipe(TINY), [f"batch_size={best.batch}"])

    def too_large(experiment, wanted):
        raise TooLarge(wanted, 20 * 2**30, 16 * 2**30)

    monkeypatch.setattr(fit, "account", too_large)
    with pytest.raises(InputError, match="None of the 3 best settings"):
        fit.search(load_recipe(LIFTER), parse_slice("v5e:2x2"))


@pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed (jaxpose[tpu])"
)
@pytest.mark.parametrize("program", ["train", "predict"])
def test_a_lifter_compiles_for_tpus(program):
    result = run(LIFTER, "--chips", "v5e:2x2", "--program", program, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["flops"] >= report["model_flops"] > 0
    assert report["operations"]["scatter"] == 0 == report["loops"]["of_unknown_length"]
    assert 0 < report["memory"]["peak"] < 2**30
    assert 0 < report["mfu_bound"] < 1
    assert any("jaxpose/" in one["place"] for one in report["largest"])
