"""ED-Pose: people and their keypoints by queries of a transformer, on a ResNet."""

from jaxpose.codecs.queries import PeopleQueries
from jaxpose.models import layouts
from jaxpose.models.conversion import Rule
from jaxpose.models.edpose import ChannelMapper, EDPoseHead
from jaxpose.models.normalisation import IMAGENET_RGB
from jaxpose.models.one_stage import OneStageModel
from jaxpose.models.published.record import APACHE, Family, PublishedPose, any_size
from jaxpose.models.resnet import ResNet
from jaxpose.skeletons import COCO17

__all__ = ["EDPOSE", "ChannelMapper", "EDPoseHead", "ed_pose"]


def ed_pose(num_keypoints: int = 17) -> OneStageModel:
    """ED-Pose with ResNet-50 (Yang et al. 2023, arXiv:2302.01593).

    Images are at least 192 pixels high and wide, so that the maps have enough places.
    """
    head = EDPoseHead(num_keypoints)
    return OneStageModel(ResNet(outputs=(1, 2, 3)), head, ChannelMapper(), IMAGENET_RGB)


def _neck(neck: ChannelMapper) -> list[Rule]:
    """Rules for ChannelMapper of MMPose with three inputs."""
    del neck
    rules = []
    for source, target in ((r"convs\.(?P<i>\d+)", "map_{i}"), (r"extra_convs\.0", "map_3")):
        source, target = rf"neck\.{source}", f"neck/{target}"
        rules.append(Rule(rf"{source}\.conv\.weight", f"params/{target}_conv/kernel", layouts.conv))
        rules += layouts.layer_norm(rf"{source}\.gn", f"{target}_norm")
    return rules


_DEFORMABLE = (
    ("sampling_offsets", "offsets"),
    ("attention_weights", "weights"),
    ("value_proj", "value"),
    ("output_proj", "out"),
)
_HEADS = 8


def _head(head: EDPoseHead) -> list[Rule]:
    """Rules for EDPoseHead of MMPose, whose decoder has a copy of the output layers."""
    del head
    encoder, decoder = r"head\.encoder\.layers\.(?P<i>\d)", r"head\.decoder\.layers\.(?P<i>\d)"
    rules = [
        Rule(r"head\.level_embed", "params/head/levels"),
        Rule(r"head\.label_enc\.weight", None, reason="labels with noise, which only train"),
        Rule(
            r"head\.decoder\.(bbox|class|pose|pose_hw)_embed\..+",
            None,
            reason="a copy of the output layers",
        ),
        Rule(
            r"head\.out_head\.pose_hw_embed\.[0-2]\..+", None, reason="a copy of the output layers"
        ),
        Rule(r"head\.decoder\.hw\.weight", "params/head/keypoint_size"),
        Rule(r"head\.decoder\.keypoint_embed\.weight", "params/head/keypoint"),
        Rule(
            rf"{decoder}\.self_attn\.attn\.in_proj_weight",
            "params/head/decoder_{i}/qkv_kernel",
            layouts.fused_qkv(_HEADS),
        ),
        Rule(
            rf"{decoder}\.self_attn\.attn\.in_proj_bias",
            "params/head/decoder_{i}/qkv_bias",
            layouts.fused_qkv_bias(_HEADS),
        ),
        *layouts.dense(rf"{decoder}\.self_attn\.attn\.out_proj", "head/decoder_{i}/out"),
        *layouts.layer_norm(r"head\.decoder\.norm", "head/decoder_norm"),
        *layouts.dense(r"head\.memory_trans_fc", "head/memory"),
        *layouts.layer_norm(r"head\.memory_trans_norm", "head/memory_norm"),
        *layouts.dense(r"head\.enc_out_class_embed", "head/proposal_class"),
        *layouts.dense(r"head\.out_head\.class_embed\.(?P<i>[15])", "head/class_{i}"),
        Rule(
            r"head\.out_head\.class_embed\.[0234]\..+",
            None,
            reason="classes of other layers, which only train",
        ),
    ]
    for source, target in _DEFORMABLE:
        rules += layouts.dense(
            rf"{encoder}\.self_attn\.{source}", f"head/encoder_{{i}}/attention/{target}"
        )
        rules += layouts.dense(
            rf"{decoder}\.cross_attn\.{source}", f"head/decoder_{{i}}/cross/{target}"
        )
    for source, target, norms in ((encoder, "encoder", 2), (decoder, "decoder", 3)):
        ours = f"head/{target}_{{i}}"
        rules += layouts.dense(rf"{source}\.ffn\.layers\.0\.0", f"{ours}/mlp/layer_0")
        rules += layouts.dense(rf"{source}\.ffn\.layers\.1", f"{ours}/mlp/layer_1")
        for number in range(norms):
            rules += layouts.layer_norm(rf"{source}\.norms\.{number}", f"{ours}/norm{number + 1}")
    layers = r"\.layers\.(?P<j>\d)"
    for source, target in (
        (r"decoder\.ref_point_head", "reference"),
        ("enc_out_bbox_embed", "proposal_box"),
        (r"out_head\.bbox_embed\.(?P<i>\d)", "box_{i}"),
        (r"out_head\.pose_embed\.(?P<i>\d)", "pose_{i}"),
        (r"out_head\.pose_hw_embed\.3", "pose_size"),
    ):
        rules += layouts.dense(rf"head\.{source}{layers}", f"head/{target}/layer_{{j}}")
    return rules


EDPOSE = Family(
    "ed-pose",
    mmpose={ChannelMapper: _neck, EDPoseHead: _head},
    published=(
        PublishedPose(
            name="ed-pose-r50",
            make=any_size(ed_pose),
            codec=PeopleQueries,
            skeleton=COCO17,
            input_hw=(800, 1344),
            normalisation=IMAGENET_RGB,
            takes="images",
            parameters=47.8,
            score="AP 71.6",
            source="MMPose configs/edpose (COCO val2017; images of 800 to 1333 pixels, no margins)",
            licence=APACHE,
            trained_on=("COCO",),
            golden=("edpose_r50_256x256",),
        ),
    ),
)
