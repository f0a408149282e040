"""Classifiers of actions through the converter: the same outputs as the authors' own code."""

from functools import cache

import jax
import numpy as np
import pytest
from broken import PLACES, with_fault
from reference import TOLERANCE, describe, distance, load
from safetensors.numpy import save_file

from jaxpose import convert
from jaxpose.convert.actions import recognise_action
from jaxpose.convert.release import load_release
from jaxpose.errors import InputError
from jaxpose.hub.convert_options import ConvertOptions
from jaxpose.hub.from_checkpoint import release_checkpoint
from jaxpose.models import count_parameters, stgcn
from jaxpose.models.published.catalogue import ACTION_MODELS
from jaxpose.skeletons.graph import COCO17_GRAPH, NTU25_GRAPH, SkeletonGraph

RECORD = {name: record for record in ACTION_MODELS for name in record.golden}
# Axes of our clips [B, T, P, K, D], and of volumes [B, T, H, W, K], in the source's order.
AXES = {"stgcnpp_ntu": (0, 2, 1, 3, 4), "official_motionbert_action": (0, 2, 1, 3, 4)}
AXES["posec3d_slowonly_r50"] = (0, 2, 3, 4, 1)
# A head for 3D joints that the classifier does not use.
UNUSED = {"official_motionbert_action": 512 * 3 + 3}


def inputs(name):
    return load(name).images.transpose(AXES.get(name, (0, 2, 4, 3, 1)))


@cache
def forward(name):
    # The time of this file is that of the compiler.
    options = {"xla_backend_optimization_level": 0}
    return jax.jit(RECORD[name].model().apply, compiler_options=options)


def test_every_family_is_compared():
    assert set(RECORD) == {
        *("stgcn_ntu", "stgcn_openpose", "agcn_ntu", "ctrgcn_ntu", "stgcnpp_ntu"),
        *("posec3d_slowonly_r50", "official_motionbert_action"),
    }


@pytest.mark.parametrize("name", RECORD)
def test_outputs_equal_those_of_the_published_code(name):
    golden = load(name)
    # The published files were saved from `DataParallel`.
    weights = {f"module.{key}": array for key, array in golden.state_dict.items()}
    found = recognise_action(convert.load_state_dict(saved(weights)))
    assert found.entry == RECORD[name]
    expected = golden.description["parameters"] - UNUSED.get(name, 0)
    assert count_parameters(found.variables) == expected
    output = np.asarray(forward(name)(found.variables, inputs(name)))
    assert distance(output, golden.outputs["output"]) <= TOLERANCE


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def saved(state_dict):
    """The path of a checkpoint file with these arrays."""
    save_file({key: np.ascontiguousarray(a) for key, a in state_dict.items()}, "x.safetensors")
    return "x.safetensors"


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", RECORD)
def test_a_broken_layer_is_seen(name, place):
    golden = load(name)
    # Most moves of one layer by 1 % vanish in the mean over a whole clip.
    layer, broken = with_fault(golden.state_dict, place, r"backbone\.head")
    variables = convert.to_variables(broken, RECORD[name].model())
    output = np.asarray(forward(name)(variables, inputs(name)))
    assert distance(output, golden.outputs["output"]) > TOLERANCE, layer


def test_the_graph_of_another_layout_is_refused():
    weights = load("stgcn_ntu").state_dict
    turned = weights["A"].transpose(0, 2, 1)
    with pytest.raises(InputError, match=r"(?s)A \[3, 25, 25\] \(not the constant"):
        recognise_action({**weights, "A": turned})
    edges = (*NTU25_GRAPH.inward[:-1], (24, 9))
    other = stgcn(60, SkeletonGraph(25, edges, NTU25_GRAPH.centre))
    with pytest.raises(InputError, match="not the constant"):
        convert.to_variables(weights, other)


def test_the_number_of_classes_is_read():
    weights = dict(load("stgcn_ntu").state_dict)
    weights["fcn.weight"], weights["fcn.bias"] = weights["fcn.weight"][:7], weights["fcn.bias"][:7]
    assert recognise_action(weights).model.head.num_classes == 7


def test_what_does_not_fit_is_named():
    weights = dict(load("ctrgcn_ntu").state_dict)
    del weights["l3.gcn1.PA"]
    with pytest.raises(InputError, match=r"(?s)ctrgcn-ntu60.*unit_2/graph_conv/adjacency"):
        recognise_action(weights)
    with pytest.raises(InputError, match="is no classifier of actions"):
        recognise_action(weights, "vitpose-s")


def test_a_checkpoint_becomes_a_release(tmp_path):
    path = tmp_path / "posec3d.safetensors"
    save_file(load("posec3d_slowonly_r50").state_dict, path)
    _, counts = release_checkpoint(path, tmp_path / "out", ConvertOptions())
    release = load_release(tmp_path / "out")
    assert release.config["name"] == "posec3d-ntu60" and release.config["num_classes"] == 60
    assert release.config["estimator"]["codec"]["class"].endswith("VolumeCodec")
    assert counts[0].left_out == {"a count of training batches": 43}
    card = (tmp_path / "out/README.md").read_text()
    assert "jaxpose predict" not in card and "init_from=THIS_FOLDER" in card
    with pytest.raises(InputError, match="leave --keypoints"):
        release_checkpoint(path, tmp_path / "two", ConvertOptions(keypoints=17))


def test_graphs_are_those_of_the_checkpoints():
    A = load("stgcn_ntu").state_dict["A"]
    np.testing.assert_array_equal(NTU25_GRAPH.distance_partitions(), A)
    expected = np.asarray(describe("agcn_ntu")["adjacency"])
    np.testing.assert_array_equal(NTU25_GRAPH.direction_partitions(), expected)
    with pytest.raises(InputError, match=r"0 to 16, but .* use \[17\]"):
        SkeletonGraph(17, (*COCO17_GRAPH.inward, (17, 0)), 0)
