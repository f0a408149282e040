"""Forms that compete: recovered from their own data, caught by backtests, and their forecasts."""

import dataclasses

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.scaling import backtests, fitting
from jaxpose.scaling.effective_samples import effective_samples, with_repeats, with_start
from jaxpose.scaling.forecast import forecaster, reasons_against_forecasts, seed_deviation
from jaxpose.scaling.laws import BROKEN, COUPLED, JOINT
from tests.benchmarks import scaling_forms


def made(name, trial=0, **options):
    rng = np.random.default_rng(trial)
    law = scaling_forms.random_law(name, rng)
    return law, scaling_forms.study(name, law, rng, **options)


def test_repeated_samples_are_worth_less():
    # arXiv:2305.16264: with R* = 15.4, four epochs are worth nearly four times one, and no number
    # of epochs more than 16.4 times.
    unique = 100.0
    worth = [float(effective_samples(unique * e, unique, 15.4)) / unique for e in (0.5, 1, 4, 1e4)]
    assert worth == pytest.approx([0.5, 1.0, 1 + 15.4 * (1 - np.exp(-3 / 15.4)), 16.4])
    assert worth[2] > 3.7


@pytest.mark.parametrize("name", list(scaling_forms.FORMS))
def test_exact_data_give_every_form_back(name):
    law, runs = made(name, seeds=1, noise=0.0)
    form = scaling_forms.FORMS[name]
    found = fitting.fit(form, runs.inputs(form), runs.value).parameters()
    assert found == pytest.approx(law, rel=0.02)


def test_a_pretrained_start_is_worth_a_factor_of_samples():
    law, runs = made("joint", noise=0.0)
    started = np.arange(len(runs)) % 2.0
    more = {"parameters": runs.parameters, "samples": runs.samples * 30.0**started}
    value = scaling_forms.value("joint", law, more)
    form = with_start(JOINT)
    assert with_start(with_repeats(JOINT)).inputs[-2:] == ("unique", "pretrained")
    inputs = {"parameters": runs.parameters, "samples": runs.samples, "pretrained": started}
    assert fitting.fit(form, inputs, value).parameters() == pytest.approx(law | {"t": 30}, rel=0.01)


@pytest.mark.parametrize("true", [JOINT, COUPLED, BROKEN])
def test_backtests_catch_the_wrong_form(true):
    # `python -m tests.benchmarks.scaling_forms` has the shares for many studies.
    _, runs = made(true.name, trial=3)
    cases = backtests.backtest(runs, backtests.PLAIN, resamples=50)
    weights = backtests.stack(cases, [form.name for form in backtests.PLAIN])
    assert max(weights, key=weights.__getitem__) == true.name
    assert weights[true.name] > 0.6 and sum(weights.values()) == pytest.approx(1)


@pytest.fixture(scope="module")
def stacked():
    _, runs = made("coupled")
    return forecaster(runs, resamples=60)


def test_a_forecast_holds_the_truth_and_states_its_record(stacked):
    law, _ = made("coupled")
    inputs = {"parameters": 1e8, "samples": 1e11, "unique": 1e11, "pretrained": 0.0}
    found = stacked.forecast(inputs, 4 * stacked.largest)
    assert found.low < scaling_forms.value("coupled", law, inputs) < found.high
    assert found.reach == pytest.approx(4)
    assert stacked.record.cases == 40 and stacked.record.hits >= 34
    assert "of 40 runs of next budgets inside their 90%" in str(stacked.record)
    assert not stacked.notes  # two seeds, four cuts
    assert seed_deviation(stacked.points) == pytest.approx(0.005, rel=0.4)
    alone = stacked.record_of("joint")
    assert alone.error > 2 * stacked.record.error


def test_intervals_grow_beyond_the_reach_of_the_backtests(stacked):
    weights, tested = stacked.weights, max(case.reach for case in stacked.cases)
    added = [backtests.widening(stacked.cases, weights, tested**k) for k in (1, 2, 3)]
    low, high = added[0]
    assert added == [pytest.approx((low * k, high * k)) for k in (1, 2, 3)]


def test_an_interval_that_missed_is_widened():
    rng = np.random.default_rng(0)
    draws = {"joint": rng.normal(0, 0.01, 400)}
    cases = [
        backtests.Case(f"r{i}", 1.0, 2.0, True, float(np.exp(-0.05 * (i % 2))), draws)
        for i in range(10)
    ]
    bounds = backtests.mixture(draws, {"joint": 1.0})
    added = backtests.widening(cases, {"joint": 1.0}, reach=2.0)
    _, low, high = backtests.widened(bounds, added)
    assert low == pytest.approx(np.exp(-0.05), abs=1e-6)
    assert high == pytest.approx(np.exp(bounds[2]))  # no run was above
    assert backtests.widening([], {"joint": 1.0}, reach=2.0) == (0.0, 0.0)


def test_a_forecast_far_beyond_the_data_is_refused(stacked):
    with pytest.raises(InputError, match=r"12 times the study's largest budget.*--anyway"):
        stacked.require_reach(12 * stacked.largest)
    assert "is a guess" in stacked.require_reach(12 * stacked.largest, anyway=True)
    assert stacked.require_reach(4 * stacked.largest) is None
    near = dataclasses.replace(stacked, cases=tuple(c for c in stacked.cases if c.reach < 4))
    assert "not tested" in near.require_reach(8 * stacked.largest)


def test_one_budget_is_no_study():
    _, runs = made("joint", budgets=scaling_forms.BUDGETS[:1], sizes=9)
    assert "one budget" in reasons_against_forecasts(runs)[0]
    with pytest.raises(InputError, match="one curve of equal compute"):
        forecaster(runs)


def test_a_study_without_seeds_is_qualified():
    _, runs = made("joint", seeds=1, budgets=scaling_forms.BUDGETS[:3])
    found = forecaster(runs, resamples=50)
    assert "another seed" in found.notes[0] and "coverage" in found.notes[1]
    assert found.record is None and set(found.ensembles) == {"joint", "coupled", "broken"}
