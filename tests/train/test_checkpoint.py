"""Keeping, restoring and failing to write checkpoints."""

import json
import resource
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.train.checkpoint import Checkpoints
from jaxpose.train.run_dir import load_run, read_record
from jaxpose.train.state import TrainState


def state_at(step: int, size: int = 8) -> TrainState:
    values = jnp.arange(size, dtype=jnp.float32) + step
    return TrainState(
        step=jnp.asarray(step, jnp.int32),
        params={"head": {"kernel": values}},
        batch_stats={},
        opt_state=(values * 2, ()),
        ema={"head": {"kernel": values * 3}},
    )


def steps_in(directory: Path) -> list[int]:
    return sorted(int(p.name) for p in directory.iterdir() if p.name.isdigit())


def test_the_newest_and_the_best_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, "AP")
    for step, score in ((1, 0.2), (2, 0.9), (3, None), (4, 0.5), (5, None)):
        metrics = None if score is None else {"AP": score}
        checkpoints.save(state_at(step), {"next_step": step}, metrics)
    checkpoints.wait()
    assert steps_in(tmp_path) == [2, 5]
    assert checkpoints.best_step() == 2 and checkpoints.latest_step() == 5
    checkpoints.close()


def test_of_errors_the_lowest_that_was_measured_is_best(tmp_path):
    checkpoints = Checkpoints(tmp_path, "NME", lower_is_better=True)
    for step, error in ((1, 0.2), (2, 0.05), (3, -1.0), (4, 0.5)):
        checkpoints.save(state_at(step), {"next_step": step}, {"NME": error})
    checkpoints.wait()
    assert steps_in(tmp_path) == [2, 4]
    assert checkpoints.best_step() == 2
    checkpoints.close()


@pytest.mark.parametrize(("lower", "best"), [(True, 2), (False, 4)])
def test_a_score_that_is_not_finite_is_never_the_best(tmp_path, lower, best):
    scores = ((1, np.nan), (2, 0.1), (3, np.inf), (4, 0.5), (5, -np.inf), (6, np.nan))
    checkpoints = Checkpoints(tmp_path, "score", lower_is_better=lower)
    for step, score in scores:
        checkpoints.save(state_at(step), {"next_step": step}, {"score": score})
    checkpoints.wait()
    assert checkpoints.best_step() == best
    assert steps_in(tmp_path) == [best, 6]
    checkpoints.close()


def test_the_state_comes_back_with_its_position(tmp_path):
    checkpoints = Checkpoints(tmp_path, "AP")
    saved = state_at(3)
    checkpoints.save(saved, {"next_step": 3, "seed": 7})
    checkpoints.close()
    reopened = Checkpoints(tmp_path, "AP")
    restored, position = reopened.restore(state_at(0))
    reopened.close()
    assert position == {"next_step": 3, "seed": 7}
    jax.tree.map(np.testing.assert_array_equal, saved, restored)


def test_a_full_disk_keeps_what_was_saved_and_says_what_to_do(tmp_path):
    checkpoints = Checkpoints(tmp_path, "AP")
    # Random bits, since Orbax compresses what it writes.
    noise = jax.random.normal(jax.random.key(0), (200_000,))
    checkpoints.save(state_at(1), {"next_step": 1})
    checkpoints.wait()
    large = state_at(2)._replace(params={"head": {"kernel": noise}})
    # A file-size limit fails a write in the same place as a full disk does.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(InputError, match="Newest complete checkpoint: step 1") as error:
            checkpoints.save(large, {"next_step": 2})
            checkpoints.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "run the same command again" in str(error.value)
    again = Checkpoints(tmp_path, "AP")
    restored, _ = again.restore(state_at(0))
    again.close()
    assert int(restored.step) == 1


def test_a_directory_that_is_no_run(tmp_path):
    with pytest.raises(InputError, match="not a run directory"):
        load_run(tmp_path)


def test_a_damaged_config_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json is damaged"):
        read_record(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"experiment": {}}))
    with pytest.raises(InputError, match=r"config\.json is damaged: it has no entry 'data'"):
        read_record(tmp_path)


RELEASED = {"format": "jaxpose 2", "estimator": None}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (RELEASED, r"is a release without its model\.safetensors"),
        ({"architectures": ["BertModel"]}, r"config\.json is not the config\.json of a run"),
        ([1], r"config\.json is not the config\.json of a run"),
    ],
)
def test_a_config_that_is_not_of_a_run_is_named(content, said, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=said):
        read_record(tmp_path)


def test_a_release_is_no_run(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(RELEASED))
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(InputError, match=r"is a release, not a run: .* `jaxpose eval"):
        read_record(tmp_path)
