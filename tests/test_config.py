"""Overrides, the JSON round trip, and what is said of a wrong key or value."""

import dataclasses
import json

import pytest

from jaxpose.config import differences, from_json, override, to_json
from jaxpose.errors import InputError
from jaxpose.train.recipe import load_recipe


@pytest.fixture(scope="module")
def experiment():
    return load_recipe("quickstart")


def test_override_reaches_into_parts_and_modules(experiment):
    changed = override(
        experiment,
        ["optimizer.learning_rate=1e-4", "seed=7", "ema_decay=none", "optimizer.milestones=[0.5]"],
    )
    assert changed.optimizer.learning_rate == 1e-4
    assert changed.seed == 7
    assert changed.ema_decay is None
    assert changed.optimizer.milestones == (0.5,)
    assert changed.model == experiment.model


def test_override_turns_an_int_into_the_float_that_is_meant(experiment):
    rate = override(experiment, ["optimizer.learning_rate=1"]).optimizer.learning_rate
    assert isinstance(rate, float)


def test_override_changes_a_field_of_the_model(experiment):
    changed = override(experiment, ["model.backbone.dtype=bfloat16"])
    assert changed.model.backbone.dtype == "bfloat16"


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("optimizer.learning_rat=1", "Did you mean 'learning_rate'"),
        ("optimiser.learning_rate=1", "Did you mean 'optimizer'"),
        ("optimizer.learning_rate=fast", "optimizer.learning_rate must be float"),
        ("steps=2.5", "steps must be int"),
        ("steps=true", "steps must be int"),
        ("optimizer.schedule=linear", "one of 'cosine', 'step'"),
        ("steps", "key=value"),
        ("steps.more=1", "no key 'more'"),
        ("steps=0", "steps must be at least 1"),
        ("model.head.num_keypoints=5", "has 17 keypoints"),
    ],
)
def test_wrong_override_says_what_is_meant(experiment, assignment, message):
    with pytest.raises(InputError, match=message):
        override(experiment, [assignment])


def test_json_round_trip_is_exact(experiment):
    text = json.dumps(to_json(experiment))
    assert from_json(json.loads(text)) == experiment
    assert dataclasses.asdict(from_json(json.loads(text)).skeleton) == dataclasses.asdict(
        experiment.skeleton
    )


def test_json_builds_no_class_from_elsewhere(experiment):
    record = to_json(experiment)
    for path in ("subprocess.Popen", "jaxpose.config.load_recipe", "jaxpose.nowhere.Thing", 3):
        with pytest.raises(InputError, match="names no configurable class"):
            from_json(record | {"codec": {"class": path}})


def test_json_with_an_unknown_or_missing_key_is_refused(experiment):
    record = to_json(experiment)
    with pytest.raises(InputError, match=r"experiment\.stepz.*Did you mean 'steps'"):
        from_json(record | {"stepz": 1})
    del record["steps"]
    with pytest.raises(InputError, match="steps"):
        from_json(record)


def test_differences_name_each_changed_leaf(experiment):
    changed = override(experiment, ["optimizer.learning_rate=0.5", "seed=9"])
    lines = list(differences(to_json(experiment), to_json(changed)))
    assert len(lines) == 2
    assert any(line.startswith("optimizer.learning_rate: ") for line in lines)
    assert f"seed: {experiment.seed} -> 9" in lines


def test_recipe_that_is_not_there_names_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'quickstart'"):
        load_recipe("quickstrat")


def test_recipe_without_get_config(tmp_path):
    (tmp_path / "recipe.py").write_text("x = 1\n")
    with pytest.raises(InputError, match="get_config"):
        load_recipe(str(tmp_path / "recipe.py"))
