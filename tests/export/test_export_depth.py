"""Exports of models with depths: RTMW3D's head and decoding, in other runtimes beside JAX."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from jaxpose.codecs import SimCC, SimCC3D
from jaxpose.export import check, onnx
from jaxpose.models.build import init_variables
from jaxpose.models.rtmw import RTMWHead
from jaxpose.skeletons import INTERHAND42
from jaxpose.tasks.topdown.program import image_program

HW = (32, 32)
CODEC = SimCC3D(SimCC(HW, sigma=2.0, normalize=False, beta=10.0), 32, 2.0, roots=(20, 41))


class TwoMaps(nn.Module):
    """RTMW3D's head on two maps of one convolution each."""

    @nn.compact
    def __call__(self, images, train=False):
        maps = tuple(
            nn.Conv(size, (size, size), (size, size), name=f"map_{size}")(images)
            for size in (8, 16)
        )
        return RTMWHead(42, HW, 32, hidden=16, key_dim=8, final_size=3)(maps, train)


def test_depths_of_rtmw3d_are_the_same_in_onnx(tmp_path):
    pytest.importorskip("onnxruntime")
    model = TwoMaps()
    variables = init_variables(model, jax.random.key(0), HW)
    program = image_program(model, variables, CODEC, INTERHAND42, flip_test=True)
    assert [value.name for value in program.outputs] == ["keypoints", "scores", "depths"]
    path = tmp_path / f"model{onnx.SUFFIX}"
    onnx.write(program, path)
    images = program.samples(3)
    ours, theirs = check.in_jax(program)(*images), onnx.start(path, ["images"])(*images)
    assert np.ptp(ours["depths"]) > 0
    assert check.difference(program, theirs, ours).within(check.EXACT)
