"""Costs read from compiled programs, and `jaxpose compile` for simulated devices."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from motion_clips import clip
from typer.testing import CliRunner

from jaxpose.chips.hlo_cost import Traffic, traffic
from jaxpose.cli.main import app
from jaxpose.config import override
from jaxpose.data.motion import motion_of, write_motion
from jaxpose.models.vit import ViT
from jaxpose.skeletons import HUMANEVA15
from jaxpose.tasks.lifting.task import LiftingTask
from jaxpose.train.experiment import Mesh
from jaxpose.train.mesh import make_mesh
from jaxpose.train.recipe import load_recipe

TINY = str(Path(__file__).resolve().parents[1] / "tiny.py")
LIFTER = str(Path(__file__).resolve().parents[1] / "tiny_lifter.py")

PROGRAM = """\
HloModule jit_step, entry_computation_layout={(f32[8]{0})->f32[8]{0}}

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
}

%body.1 (p: (s32[], f32[4,8])) -> (s32[], f32[4,8]) {
  %g = bf16[4,8]{1,0} all-gather(%x), channel_id=1, replica_groups=[2,4]<=[8], dimensions={0}
  %inner = (f32[2]) while(%t), body=%body.2, backend_config={"known_trip_count":{"n":"3"}}
}

%cond.1 (p: (s32[], f32[4,8])) -> pred[] {
  %c = pred[] constant(true)
}

%body.2 (p: (f32[2])) -> (f32[2]) {
  %r = (f32[2]{0}, s32[1]{0}) all-reduce(%a, %b), replica_groups={{0,1},{2,3}}, to_apply=%add
}

%cond.2 (p: (f32[2])) -> pred[] {
  %c = pred[] constant(true)
}

ENTRY %main.1 (x: f32[8]) -> f32[8] {
  %w = (s32[]) while(%t), body=%body.1, backend_config={"known_trip_count":{"n":"5"}}
  %s = f32[16]{0} reduce-scatter(%y), replica_groups=[1,8]<=[8], to_apply=%add
  %p = f32[8]{0} collective-permute(%z), source_target_pairs={{0,1},{1,0}}
}
"""


def test_collectives_in_loops_count_for_each_round():
    assert traffic(PROGRAM) == {
        "all-gather": Traffic(5, 5 * 64 * 3 // 4),
        "all-reduce": Traffic(15, 15 * 12),
        "reduce-scatter": Traffic(1, 64 * 7),
        "collective-permute": Traffic(1, 32),
    }


def test_the_program_of_a_scanned_vit_does_not_grow_with_its_depth():
    def size(depth: int) -> int:
        vit = ViT(input_hw=(32, 32), dim=16, depth=depth, heads=2, patch=8, unroll=1, remat="block")
        images = jax.ShapeDtypeStruct((2, 32, 32, 3), np.float32)
        variables = jax.eval_shape(vit.init, jax.random.key(0), images)
        loss = jax.grad(lambda v, x: vit.apply(v, x, train=True).sum())
        return len(jax.jit(loss).lower(variables, images).as_text().splitlines())

    assert size(48) <= 1.02 * size(12)


def test_compile_tells_memory_work_and_traffic():
    command = ["compile", TINY, "--devices", "4", "--mesh", "fsdp=4", "--json"]
    command += ["--set", "model.backbone.unroll=1", "--set", "mesh.fsdp_from=1"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    report = json.loads(result.output)
    assert report["devices"] == 4 and report["mesh"] == {"data": 1, "fsdp": 4, "tensor": 1}
    # Parameters, average and two moments in float32, a quarter of nearly all of them.
    state = 16 * report["parameters"]
    assert state / 4 < report["state_and_batch_bytes"] < state / 2
    assert report["memory_bytes"] > report["state_and_batch_bytes"]
    assert report["flops"] > 0
    assert report["collectives"]["all-gather"]["sent_bytes"] > 0


def test_windows_are_counted_as_a_lifter_gets_them(tmp_path):
    file = tmp_path / "motion.npz"
    write_motion(file, motion_of(HUMANEVA15, [clip(9, 0)]))
    experiment = override(load_recipe(LIFTER), [f"train_data.path={file}"])
    task, mesh = LiftingTask(experiment), make_mesh(Mesh(data=2, fsdp=4))
    batch = next(task.batches(task.open("train"), mesh, 0))
    expected = LiftingTask(experiment).abstract_batch(mesh)
    assert jax.tree.structure(batch) == jax.tree.structure(expected)
    for found, counted in zip(jax.tree.leaves(batch), jax.tree.leaves(expected), strict=True):
        assert (found.shape, found.dtype) == (counted.shape, counted.dtype)
        assert found.sharding.is_equivalent_to(counted.sharding, found.ndim)


@pytest.mark.slow
def test_compile_takes_lifters_without_their_data():
    command = ["compile", LIFTER, "--devices", "4", "--mesh", "data=2,fsdp=2", "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["mesh"] == {"data": 2, "fsdp": 2, "tensor": 1}


def test_a_mesh_that_does_not_fit_ends_compile():
    result = CliRunner().invoke(app, ["compile", TINY, "--devices", "4", "--mesh", "fsdp=3"])
    assert result.exit_code == 2 and "does not fit 4 device(s)" in result.output
