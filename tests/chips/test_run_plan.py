"""`jaxpose plan-run`: what fits, how long it takes, and what is refused."""

import dataclasses
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jaxpose.chips.fit import keeping_batch
from jaxpose.chips.run_plan import plan_run
from jaxpose.chips.topology import parse_slice
from jaxpose.cli.main import app
from jaxpose.config import override
from jaxpose.errors import InputError
from jaxpose.scaling.training_cost import training_cost
from jaxpose.train.recipe import load_recipe

TINY = str(Path(__file__).resolve().parents[1] / "tiny.py")
V5E = parse_slice("v5e:2x2")


@pytest.fixture(scope="module")
def tiny():
    return override(load_recipe(TINY), ["resident=false", "batch_size=32", "steps=1000"])


def test_days_follow_from_the_flops_and_the_mfu(tiny):
    plan = plan_run(tiny, V5E, days=2, mfu=1e-4, samples_per_core=100)
    cost = training_cost(tiny.model, tiny.input_hw)
    seconds = 32 * cost.flops / (4 * 197e12 * 1e-4)
    assert plan.step_seconds == pytest.approx(seconds) and plan.mfu == 1e-4 < plan.bound
    assert plan.days == pytest.approx(1000 * seconds / 86400)
    assert plan.steps_in_time == int(2 * 86400 / seconds)
    assert plan.cores == -int(-32 / seconds // 100)
    assert plan_run(dataclasses.replace(tiny, resident=True), V5E, 2, 1e-4, 100).cores == 0


def test_an_mfu_above_the_bound_is_the_bound(tiny):
    plan = plan_run(tiny, V5E, days=2, mfu=1.0, samples_per_core=100)
    assert plan.mfu == plan.bound < 1


def test_settings_that_fit_keep_the_batch_and_divide_it(tiny):
    found = keeping_batch(tiny, V5E)
    assert {setting.batch for _, setting, _ in found} == {32}
    assert {setting.accumulate for _, setting, _ in found} == {1, 2, 4, 8}
    assert {setting.fsdp for _, setting, _ in found} == {1, 4}
    bounds = [round(bound, 2) for bound, *_ in found]
    assert bounds == sorted(bounds, reverse=True)
    needed = {setting: bytes_ for _, setting, bytes_ in found}
    remat = dataclasses.replace(found[0][1], remat="block", accumulate=1)
    none = dataclasses.replace(remat, remat="none")
    assert needed[remat] < needed[none]


def test_what_cannot_be_planned_is_refused(tiny):
    with pytest.raises(InputError, match=r"divide over the 4 chips.*batch_size=28 or 32"):
        plan_run(dataclasses.replace(tiny, batch_size=30), V5E, 1, 0.4, 100)
    large = dataclasses.replace(tiny, batch_size=2**23)
    with pytest.raises(InputError, match="fits the memory of v5e:2x2 with no mesh"):
        plan_run(large, V5E, 1, 0.4, 100)
    with pytest.raises(InputError, match="MFU must be above 0 and at most 1"):
        plan_run(tiny, V5E, 1, 1.5, 100)


@pytest.mark.slow
def test_the_command_prints_the_plan_and_the_command(tiny):
    words = ["plan-run", TINY, "--chips", "v5e:2x2", "--days", "2", "--set", "batch_size=32"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "steps in 2 days" in result.output and "40% assumed" not in result.output
    assert "jaxpose train" in result.output and "--mesh data=-1,fsdp=" in result.output
    report = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert report["setting"]["batch"] == 32 and report["chips"] == "v5e:2x2"
    assert report["command"].startswith(f"jaxpose train {TINY} --set batch_size=32 --mesh")


@pytest.mark.parametrize("days", ["nan", "inf", "0"])
def test_days_that_are_no_time(days):
    result = CliRunner().invoke(app, ["plan-run", TINY, "--chips", "v5e:2x2", "--days", days])
    assert result.exit_code == 2 and "finite numbers above" in " ".join(result.output.split())
