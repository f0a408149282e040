"""Clips in top-down training: all frames are moved alike, mirrored, and checked."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_frames import TinyBackbone

from jaxpose.codecs.heatmap import udp
from jaxpose.data.source import SyntheticClips, SyntheticPeople
from jaxpose.errors import InputError
from jaxpose.losses import HeatmapMSE
from jaxpose.models.frames import FrameImages, FrameModel
from jaxpose.models.heads import DeconvHead
from jaxpose.models.temporal_head import TemporalHead
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.experiment import TopDownExperiment
from jaxpose.tasks.topdown.forward import predict_outputs
from jaxpose.train.optimizers import AdamW

CLIPS = SyntheticClips(6, 0, canvas_hw=(48, 36))
EXPERIMENT = TopDownExperiment(
    skeleton=COCO17,
    model=FrameModel(TinyBackbone(), TemporalHead(DeconvHead(17, ()), width=8, heads=2)),
    codec=udp((32, 24)),
    loss=HeatmapMSE(),
    train_data=CLIPS,
    eval_data=CLIPS,
    optimizer=AdamW(learning_rate=1e-3),
    steps=1,
    batch_size=4,
)


@pytest.fixture(scope="module")
def batch():
    source = CLIPS.open()
    keys = EXPERIMENT.device_keys(source)
    assert {"frames", "times"} <= set(keys)
    made = source.samples(range(4))
    return {key: jnp.asarray(made[key]) for key in keys}


def test_training_moves_all_frames_alike(batch):
    still = batch | {"frames": jnp.stack([batch["image"]] * 2, axis=1)}
    encode, key = jax.jit(EXPERIMENT.task().encode), jax.random.key(3)
    inputs, targets, _ = encode(key, still)
    assert isinstance(inputs, FrameImages) and inputs.images.shape == (4, 3, 32, 24, 3)
    np.testing.assert_array_equal(inputs.times[0], [0, -1, 1])
    for frame in (1, 2):
        np.testing.assert_allclose(inputs.images[:, frame], inputs.images[:, 0], atol=1e-5)
    plain = {k: v for k, v in batch.items() if k not in ("frames", "times")}
    images, same, _ = encode(key, plain)
    np.testing.assert_allclose(inputs.images[:, 0], images, atol=1e-5)
    np.testing.assert_allclose(targets, same, atol=1e-6)
    inputs, _, _ = encode(key, batch)
    assert float(jnp.abs(inputs.images[:, 1] - inputs.images[:, 0]).max()) > 0.1


def test_evaluation_mirrors_all_frames():
    model, codec = EXPERIMENT.model, EXPERIMENT.codec
    frames = FrameImages(
        jax.random.normal(jax.random.key(1), (2, 3, 32, 24, 3)), jnp.asarray([[0.0, -1, 1]] * 2)
    )
    params = jax.jit(model.init)(jax.random.key(0), frames)["params"]
    # Attention that counts.
    head = {**params["head"], "out": jax.tree.map(jnp.ones_like, params["head"]["out"])}
    variables = {"params": {**params, "head": head}}
    order = COCO17.flip_permutation

    @jax.jit
    def outputs(frames):
        return predict_outputs(model, variables, frames, codec, order, flip_test=True)

    found = outputs(frames)
    mirrored = FrameImages(frames.images[..., ::-1, :], frames.times)
    np.testing.assert_allclose(codec.flip_back(outputs(mirrored), order), found, atol=1e-5)
    assert float(jnp.abs(codec.flip_back(found, order) - found).max()) > 1e-3
    moved = outputs(FrameImages(frames.images[:, [0, 2, 1]], frames.times))
    assert float(jnp.abs(moved - found).max()) > 1e-5


def test_frames_that_do_not_fit_are_refused():
    wrong = replace(EXPERIMENT, train_data=replace(CLIPS, times=(1.0,)))
    with pytest.raises(InputError, match=r"1 frames beside the labelled one.* 3 with it"):
        wrong.task().open("train")
    images = replace(EXPERIMENT, train_data=SyntheticPeople(4, 0, (48, 36)))
    assert "frames" not in images.device_keys(images.task().open("train"))
