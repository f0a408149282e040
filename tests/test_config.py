"""Overrides, the JSON round trip, and what is said of a wrong key or value."""

import dataclasses
import json

import pytest

from jaxpose.config import differences, from_json, override, schema, to_json
from jaxpose.config.schema import SCHEMA, migrate, schema_of
from jaxpose.errors import InputError
from jaxpose.losses import OHKM, OKS, BoneLength, WeightedSum
from jaxpose.metrics import EPE, PCK
from jaxpose.skeletons import COCO17, COCO_WHOLEBODY133, H36M17, HAND21, HUMANEVA15
from jaxpose.train.recipe import load_recipe

EPE_ALONE = "evaluation.metrics=metrics.EPE()"


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


def test_overrides_that_depend_on_each_other_go_in_any_order(experiment):
    changes = ["model.head.num_keypoints=21", "skeleton=hand21", EPE_ALONE]
    with pytest.raises(InputError, match="has 17 keypoints"):
        override(experiment, changes[:1])
    first = override(experiment, changes)
    assert override(experiment, changes[::-1]) == first
    assert first.skeleton == HAND21 and first.model.head.num_keypoints == 21


def test_a_skeleton_by_name_sizes_the_model(experiment):
    changed = override(experiment, ["skeleton=hand21", EPE_ALONE])
    assert changed.skeleton == HAND21 and changed.model.head.num_keypoints == 21
    assert changed.codec == experiment.codec and changed.model.backbone == experiment.model.backbone
    changed.task().check()
    assert from_json(to_json(changed)) == changed


def test_objects_are_written_as_calls(experiment):
    changed = override(
        experiment,
        [
            "evaluation.metrics=(metrics.PCK(0.1), jaxpose.metrics.EPE())",
            "evaluation.best=EPE",
            "loss=losses.OHKM(hardest=4)",
            "evaluation.metrics.0.threshold=0.3",
        ],
    )
    assert changed.evaluation.metrics == (PCK(0.3), EPE()) and changed.evaluation.best == "EPE"
    assert changed.loss == OHKM(4)
    assert override(experiment, [EPE_ALONE]).evaluation.best == "EPE"
    # In other places the same text is a text.
    assert override(experiment, ["init_from=runs(1)"]).init_from == "runs(1)"
    for wrong, message in (
        ("loss=losses.OHKN(8)", "Did you mean 'OHKM'"),
        ("loss=losses.OHKM(hard=8)", "losses.OHKM: .*unexpected keyword argument 'hard'"),
        ("loss=losses.OHKM(hardst=8)", "Did you mean 'hardest'. Valid: hardest"),
        ("loss=MSE", r"loss must be .*'MSE'. Write an object .* losses\.HeatmapMSE\(\)"),
        ("evaluation.metrics=PCK", r"such as metrics\.CocoAP\(\)"),
        ("dtype=bf16", "'bf16', which is not a compute dtype. Valid: float32, bfloat16, float16"),
        ("model.head.dtype=half", "model.head.dtype is 'half', which is not a compute dtype"),
        ("loss=models.DeconvHead(17)", "loss must be Loss"),
        ("evaluation.metrics.7.threshold=1", r"NUMBER is one of \['0'\]"),
        ("loss=os.system('true')", "loss must be Loss"),
    ):
        with pytest.raises(InputError, match=message):
            override(experiment, [wrong])


def test_the_metric_of_0_1_0_can_be_set(experiment):
    with pytest.warns(DeprecationWarning, match="metrics="):
        changed = override(experiment, ["evaluation.metric=epe"])
    assert changed == override(experiment, [EPE_ALONE])


def test_a_skeleton_from_a_file_sizes_the_model(experiment, tmp_path):
    file = tmp_path / "cane.toml"
    file.write_text('keypoints = ["grip", "middle", "tip"]\nsigmas = "uniform:0.05"\n')
    changed = override(experiment, [f"skeleton={file}"])
    assert changed.skeleton.keypoints == ("grip", "middle", "tip")
    assert changed.model.head.num_keypoints == 3
    with pytest.raises(InputError, match=r"unknown skeleton 'hand12'.*hand21"):
        override(experiment, ["skeleton=hand12"])


def test_a_skeleton_sizes_a_lifter_and_its_codec():
    lifting = load_recipe("h36m_mlp")
    assert lifting.skeleton == H36M17
    changed = override(lifting, ["skeleton=humaneva15"])
    assert changed.skeleton == HUMANEVA15
    assert changed.codec.num_keypoints == changed.model.backbone.num_keypoints == 15
    assert changed.model.head.num_keypoints == 15 - changed.codec.drop_root


def test_losses_get_the_sigmas_and_bones_of_the_new_skeleton(experiment):
    oks = dataclasses.replace(experiment, loss=OKS(COCO17.sigmas, (128, 96)))
    changed = override(oks, ["skeleton=coco_wholebody133"])
    assert changed.loss.sigmas == COCO_WHOLEBODY133.sigmas != COCO17.sigmas
    bones = dataclasses.replace(experiment, loss=BoneLength(tuple(COCO17.limb_indices)))
    changed = override(bones, ["skeleton=hand21", EPE_ALONE])
    assert changed.loss.bones == tuple(HAND21.limb_indices)
    with pytest.raises(InputError, match=r"loss uses the OKS sigmas.*'humaneva15' has none"):
        override(oks, ["skeleton=humaneva15"])


def test_one_dtype_is_that_of_the_whole_model(experiment):
    changed = override(experiment, ["dtype=bfloat16"])
    assert changed.model.backbone.dtype == changed.model.head.dtype == "bfloat16"
    with pytest.raises(InputError, match="dtype is 16, which is not a compute dtype"):
        override(experiment, ["dtype=16"])


def test_no_override_changes_nothing(experiment):
    assert override(experiment, []) is experiment
    same = override(experiment, [f"steps={experiment.steps}"])
    assert same == experiment and same.model is experiment.model


def test_json_round_trip_is_exact(experiment):
    text = json.dumps(to_json(experiment))
    assert from_json(json.loads(text)) == experiment
    assert dataclasses.asdict(from_json(json.loads(text)).skeleton) == dataclasses.asdict(
        experiment.skeleton
    )


class HuberMaps:
    """Lacks the line of a dataclass."""


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (
            HuberMaps(),
            r"^loss: HuberMaps is not a dataclass; write @dataclass\(frozen=True\) above",
        ),
        (lambda outputs: outputs, "^loss: <lambda> is a function, which cannot be stored"),
        (OHKM, r"^loss: OHKM is a class; write an object of it, OHKM\(\.\.\.\)"),
        ({"a": 1}, "^loss: {'a': 1} of type dict cannot be part of a configuration"),
        (WeightedSum((OHKM(8), HuberMaps()), (1.0, 1.0)), r"^loss\.losses\[1\]: HuberMaps is not"),
    ],
)
def test_values_without_a_json_form_are_named_with_their_key(experiment, loss, message):
    with pytest.raises(InputError, match=message):
        to_json(dataclasses.replace(experiment, loss=loss))


def test_json_builds_no_class_from_elsewhere(experiment):
    record = to_json(experiment)
    for path in ("subprocess.Popen", "jaxpose.config.load_recipe", "jaxpose.nowhere.Thing", 3):
        with pytest.raises(InputError, match="is not a configurable class"):
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "from jaxpose.train.optimizers import AdamW\n\n\ndef get_config():\n"
            "    return AdamW(warmup_stps=3)\n",
            r"mine\.py, line 5: .*argument 'warmup_stps'\. Did you mean 'warmup_steps'\?",
        ),
        (
            "from jaxpose.codecs import heatmap\n\n\ndef get_config():\n"
            "    return heatmap.udp(inputs_hw=(64, 48))\n",
            r"mine\.py, line 5: .*argument 'inputs_hw'\. Did you mean 'input_hw'\?",
        ),
        (
            "import jaxpose\nfrom jaxpose.metrics import CocoAPP\n",
            r"mine\.py, line 2: cannot import name 'CocoAPP' .*Did you mean 'CocoAP'\?",
        ),
        ("import of_nobody\n", r"mine\.py, line 1: No module named 'of_nobody'\."),
    ],
)
def test_a_slip_in_a_recipe_is_named_with_its_line(tmp_path, text, message):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(InputError, match=message):
        load_recipe(str(tmp_path / "mine.py"))


def test_a_newer_schema_is_refused(experiment):
    assert schema_of({}, "config.json") == 1
    assert schema_of({"schema": SCHEMA}, "config.json") == SCHEMA
    with pytest.raises(InputError, match=rf"newer version of jaxpose: it has schema {SCHEMA + 1}"):
        schema_of({"schema": SCHEMA + 1}, "config.json")
    for wrong in ("2", 0, None, True):
        with pytest.raises(InputError, match="is damaged: its schema"):
            schema_of({"schema": wrong}, "config.json")


def test_an_older_schema_is_read_through_the_tables(experiment, monkeypatch):
    """Renames of every schema, and key changes from the inside to the outside, once each."""
    old = to_json(experiment)
    old["class"] = "jaxpose.config.images.Experiment"
    old["optimizer"] = {
        "class": "jaxpose.config.settings.Optimizer",
        "rate": experiment.optimizer.learning_rate,
    }
    seen = []

    def new_rate(optimizer):
        seen.append("optimizer")
        rest = {k: v for k, v in optimizer.items() if k != "rate"}
        return rest | {"learning_rate": 2 * optimizer["rate"]}

    def new_seed(whole):
        seen.append("experiment")
        assert "learning_rate" in whole["optimizer"]
        return whole | {"seed": 5}

    changes = {
        "jaxpose.config.settings.Optimizer": new_rate,  # as the file has it
        "jaxpose.tasks.topdown.experiment.TopDownExperiment": new_seed,  # as it is today
    }
    monkeypatch.setattr(schema, "KEY_CHANGES", {1: changes, 2: {}})
    monkeypatch.setattr(schema, "SCHEMA", 3)
    untouched = json.dumps(old)
    new = from_json(old, schema=1)
    assert json.dumps(old) == untouched and seen == ["optimizer", "experiment"]
    assert new.seed == 5
    assert new.optimizer.learning_rate == 2 * experiment.optimizer.learning_rate
    assert new.model == experiment.model
    # A file of the newest schema: no key changes, but what moved since is found.
    record = to_json(experiment) | {"class": "jaxpose.config.images.Experiment"}
    assert from_json(record, schema=3) == experiment
    assert migrate([1, "a", None], 1) == [1, "a", None]
