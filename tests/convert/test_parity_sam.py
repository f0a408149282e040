"""Encoders of Segment Anything: the same outputs as timm's and Hugging Face's code."""

import jax
import numpy as np
import pytest
import reference
from broken import PLACES, with_fault
from reference import TOLERANCE, distance

from jaxpose.convert.load import load_pretrained, recognise, to_variables
from jaxpose.convert.positions import resize_position_embedding
from jaxpose.errors import InputError
from jaxpose.models import FeatureHead, PoseModel, SAMViT, sam
from jaxpose.models.build import abstract_variables
from jaxpose.models.conversion import Resize

TINY = SAMViT((128, 96), 48, 4, 3, window=3, sections=2, neck=32)
# timm's norms have another epsilon than the authors'.
MODELS = {
    "timm_sam_tiny_128x96": TINY.clone(norm_eps=1e-5),
    "hf_sam_tiny_128x128": TINY.clone(input_hw=(128, 128)),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", MODELS)
def test_features_equal_the_references(name, place):
    golden = reference.load(name, "backbones")
    model = PoseModel(MODELS[name], FeatureHead())
    run = jax.jit(model.apply)

    def far(state_dict):
        found = np.asarray(run(to_variables(state_dict, model), golden.images))
        expected = golden.outputs["0"]
        return distance(found.transpose(0, 2, 1).reshape(expected.shape), expected)

    assert far(golden.state_dict) <= TOLERANCE
    layer, broken = with_fault(golden.state_dict, place)
    assert far(broken) > TOLERANCE, layer
    # Relative positions are no weights of a layer.
    tables = [key for key in golden.state_dict if "rel_pos" in key]
    for key in tables[:1] + tables[-1:]:
        swapped = {**golden.state_dict, key: golden.state_dict[key][::-1]}
        assert far(swapped) > TOLERANCE, key


def test_the_authors_names_are_read_and_the_decoder_of_masks_is_dropped():
    golden = reference.load("timm_sam_tiny_128x96", "backbones")
    theirs = {
        f"image_encoder.{key.replace('mlp.fc', 'mlp.lin')}": array
        for key, array in golden.state_dict.items()
    }
    theirs |= {"pixel_mean": np.zeros(3), "mask_decoder.iou_token.weight": np.zeros((1, 8))}
    source, _ = recognise(theirs)
    assert source.name == "Segment Anything"
    model = PoseModel(TINY, FeatureHead())
    for mine, timms in zip(
        jax.tree.leaves(to_variables(theirs, model)),
        jax.tree.leaves(to_variables(golden.state_dict, model)),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, timms)
    with pytest.raises(InputError, match="without a pose head"):
        to_variables(theirs, sam("B"))


def test_a_pose_model_of_another_size_starts_from_them():
    golden = reference.load("hf_sam_tiny_128x128", "backbones")
    model = sam("B", 5, (96, 64)).clone(backbone=TINY.clone(input_hw=(96, 64)))
    loaded = load_pretrained(model, golden.state_dict, reset_head=True)["params"]["backbone"]
    assert loaded["position_embedding"].shape == (6 * 4, 48)
    table = golden.state_dict["vision_encoder.layers.1.attn.rel_pos_w"]
    expected = resize_position_embedding(table, (15, 1), (7, 1), Resize("bilinear"))
    np.testing.assert_array_equal(loaded["block_1"]["attention"]["relative_columns"], expected)
    window = golden.state_dict["vision_encoder.layers.0.attn.rel_pos_w"]
    np.testing.assert_array_equal(loaded["block_0"]["attention"]["relative_columns"], window)


def test_depths_that_are_no_sections_are_refused():
    with pytest.raises(InputError, match="multiple of its 2 sections"):
        abstract_variables(PoseModel(TINY.clone(depth=5), FeatureHead()), (128, 96))
    with pytest.raises(InputError, match="Unknown SAM size 'S'"):
        sam("S")
