"""Programs for TPUs, by the TPU's own compiler, which needs no TPU: `pip install libtpu`.

A TPU gathers, scatters and sorts one element after another: four gathers per pixel once took seven
times as long as the ViT-B step that they were for.
"""

import dataclasses
import importlib.util
import os
import re
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import topologies
from jax.sharding import NamedSharding, PartitionSpec

from jaxpose import codecs
from jaxpose.chips import hlo_cost
from jaxpose.chips.hlo_text import read_program
from jaxpose.chips.programs import abstract_arguments, lower
from jaxpose.codecs import heatmap, simcc
from jaxpose.codecs.sample import Sample
from jaxpose.models.build import PoseModel
from jaxpose.models.heads import DeconvHead
from jaxpose.models.vit import ViT
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.estimate import make_estimate
from jaxpose.tasks.topdown.experiment import Evaluation
from jaxpose.train.experiment import Mesh
from jaxpose.train.init_state import abstract_state
from jaxpose.train.mesh import make_mesh, replicated
from jaxpose.train.step import lower_step
from tests.tiny import get_config

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed"
)

SLOW = ("gather", "scatter", "sort", "while")


@pytest.fixture(scope="module")
def chips() -> list[jax.Device]:
    settings = {
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_WORKER_HOSTNAMES": "localhost",
        "TPU_LOG_DIR": "disabled",
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "true",
    }
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        return list(topologies.get_topology_desc("v5e:2x2", "tpu").devices)
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def slow_operations(compiled: jax.stages.Compiled) -> Counter:
    found = re.findall(r"^ *(?:ROOT )?%?[\w.-]+ = .*? ([a-z][\w-]*)\(", compiled.as_text(), re.M)
    return Counter(name for name in found if name in SLOW)


def on_one(chips, tree):
    sharding = NamedSharding(jax.sharding.Mesh(np.array(chips[:1]), ("data",)), PartitionSpec())
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree)


def crop_batch(count: int, canvas_hw: tuple[int, int]) -> dict[str, jax.ShapeDtypeStruct]:
    return {
        "image": jax.ShapeDtypeStruct((count, *canvas_hw, 3), jnp.uint8),
        "keypoints": jax.ShapeDtypeStruct((count, 17, 2), jnp.float32),
        "visible": jax.ShapeDtypeStruct((count, 17), jnp.uint8),
        "box_xywh": jax.ShapeDtypeStruct((count, 4), jnp.float32),
        "mask": jax.ShapeDtypeStruct((count,), jnp.bool_),
    }


def test_train_step_on_four_chips(chips):
    experiment = get_config()
    mesh = make_mesh(experiment.mesh, chips)
    state, _ = abstract_state(experiment, mesh)
    batch = experiment.task().abstract_batch(mesh)
    key = jax.eval_shape(lambda: jax.random.key(0))
    key = jax.ShapeDtypeStruct(key.shape, key.dtype, sharding=replicated(mesh))
    compiled = lower_step(experiment, state, batch, key).compile()
    assert not slow_operations(compiled)
    # The kernel runs on each chip's own images, which do not leave it.
    assert "all-gather" not in compiled.as_text()


@pytest.mark.parametrize("divided", [Mesh(), Mesh(data=2, tensor=2)], ids=["batch", "heads"])
def test_transformer_keeps_few_arrays(chips, divided):
    """No logits in main memory; few arrays are kept for the backward pass."""
    tokens, dim, depth, images = 192, 256, 6, 2
    backbone = ViT(dim=dim, depth=depth, heads=4, drop_path=0.1, unroll=1, dtype="bfloat16")
    mesh = make_mesh(divided, chips)
    experiment = dataclasses.replace(
        get_config(),
        model=PoseModel(backbone, DeconvHead(17, deconv_channels=())),
        codec=heatmap.udp(heatmap_hw=(16, 12)),
        mesh=divided,
        batch_size=images * mesh.shape["data"],
    )
    compiled = lower_step(experiment, *abstract_arguments(experiment, mesh)).compile()
    program = read_program(compiled.as_text())
    shapes = {x.shape for one in hlo_cost.work(program) for x in one.instruction.outputs}
    assert (images, tokens, 3 * dim // mesh.shape["tensor"]) in shapes  # the kernel's gradient
    assert not [shape for shape in shapes if shape[-2:] == (tokens, tokens)]
    forward = next(one for one, _, _ in hlo_cost.loops(program))
    unit = depth * images * tokens * dim * 2
    kept = [x.bytes / unit for x in forward.outputs if x.shape[:3] == (depth, images, tokens)]
    # Inputs of two norms, their results, queries, keys, values, attention, and 4 for the MLP.
    assert 0 < sum(kept) < 12.5


@pytest.mark.slow
@pytest.mark.parametrize("depth", [2, 6])
def test_layers_in_a_loop_cost_what_they_cost_one_after_another(chips, depth):
    def cost(unroll):
        backbone = ViT(dim=256, depth=depth, heads=4, unroll=unroll, dtype="bfloat16")
        experiment = dataclasses.replace(
            get_config(),
            model=PoseModel(backbone, DeconvHead(17, deconv_channels=())),
            codec=heatmap.udp(heatmap_hw=(16, 12)),
            evaluation=Evaluation(batch_size=8),
        )
        lowered = lower(experiment, "predict", make_mesh(Mesh(), chips[:1]))
        quickly = {"exec_time_optimization_effort": -1.0}
        work = hlo_cost.work(read_program(lowered.compile(compiler_options=quickly).as_text()))
        return sum(one.flops for one in work), sum(one.bytes for one in work)

    looped, unrolled = cost(1), cost(depth)
    assert looped[0] == unrolled[0]
    # A loop copies a little more: 2.1 % with 2 layers, 2.7 % with 6.
    assert unrolled[1] <= looped[1] <= 1.04 * unrolled[1]


def test_evaluation_with_flip_test(chips):
    experiment = get_config()
    mesh = make_mesh(Mesh(), chips[:1])
    shapes = jax.eval_shape(
        lambda key: experiment.model.init(key, jnp.zeros((1, 64, 48, 3))), jax.random.key(0)
    )
    estimate = make_estimate(experiment, mesh, flip_test=True)
    compiled = estimate.lower(*on_one(chips, (shapes, crop_batch(8, (96, 72))))).compile()
    assert not slow_operations(compiled)


def test_augmentation_and_targets_move_few_bytes(chips):
    experiment = get_config()
    codec = heatmap.udp()
    experiment = dataclasses.replace(experiment, codec=codec)
    batch = crop_batch(8, (384, 288))
    key = jax.eval_shape(lambda: jax.random.key(0))
    task = experiment.task()
    shapes = jax.eval_shape(task.encode, key, batch)
    compiled = jax.jit(task.encode).lower(*on_one(chips, (key, batch))).compile()
    assert not slow_operations(compiled)
    least = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves((batch, shapes)))
    # Measured: 9 times. Gathers of single pixels had 3,000 times.
    assert compiled.cost_analysis()["bytes accessed"] < 20 * least


def test_codecs_of_crops(chips):
    """Targets, mirrored outputs and decoding of all codecs of one person, in one program."""
    crop_codecs = [
        heatmap.udp(),
        heatmap.dark(),
        heatmap.msra(),
        codecs.Megvii(),
        simcc.rtmpose(use_dark=True),
        codecs.Regression(),
        codecs.IntegralRegression(),
    ]
    shapes = [codec.output_shapes(17)[-1] for codec in crop_codecs]

    def program(visible, keypoints, outputs):
        sample = Sample(visible, keypoints)
        return [
            (codec.encode(sample), codec.decode(codec.flip_back(values, COCO17.flip_permutation)))
            for codec, values in zip(crop_codecs, outputs, strict=True)
        ]

    outputs = [
        tuple(jax.ShapeDtypeStruct((4, *s), jnp.float32) for s in several) for several in shapes
    ]
    outputs = [several if len(several) > 1 else several[0] for several in outputs]
    batch = crop_batch(4, (8, 8))
    arguments = on_one(chips, (batch["visible"], batch["keypoints"], outputs))
    assert not slow_operations(jax.jit(program).lower(*arguments).compile())
