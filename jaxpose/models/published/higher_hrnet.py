"""HigherHRNet and HRNet with associative embedding: keypoints of all people in whole images."""

from functools import partial

from jaxpose.codecs.associative_embedding import AssociativeEmbedding
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.higher_hrnet import HigherHRNetHead
from jaxpose.models.hrnet import HRNet
from jaxpose.models.published.hrnet import hrnet_pose, official_backbone
from jaxpose.models.published.record import APACHE, Family, PublishedPose, any_size
from jaxpose.skeletons import COCO17

__all__ = ["HIGHER_HRNET", "HigherHRNetHead", "higher_hrnet"]


def higher_hrnet(
    size: str,
    num_keypoints: int = 17,
    *,
    higher: bool = True,
    remat: str = "none",
    dtype: str = "float32",
) -> PoseModel:
    """HigherHRNet (Cheng et al. 2020, arXiv:1908.10357) of the sizes of `hrnet_pose`.

    Maps of a quarter of the image and of half of it; without `higher`, HRNet with associative
    embedding, only of a quarter.
    """
    backbone = hrnet_pose(size, remat=remat, dtype=dtype).backbone
    channels = backbone.channels[0]
    head = HigherHRNetHead(num_keypoints, higher, channels=channels, dtype=dtype)
    return PoseModel(backbone, head)


def _official(head: HigherHRNetHead) -> list[Rule]:
    """Rules for the head of HigherHRNet's own code."""
    rules = _final(r"final_layers\.0", 0)
    if head.higher:
        source = r"deconv_layers\.0\.0"
        rules += [
            *_final(r"final_layers\.1", 1),
            Rule(rf"{source}\.0\.weight", "params/head/deconv/kernel", layouts.deconv),
            *layouts.batch_norm(rf"{source}\.1", "head/norm"),
        ]
        for k in range(head.blocks):
            rules += layouts.residual_block(rf"deconv_layers\.0\.{k + 1}\.0", f"head/block_{k}", 2)
    return rules


def _mmpose(head: HigherHRNetHead) -> list[Rule]:
    """Rules for AssociativeEmbeddingHead, which has no higher resolution."""
    del head
    return _final(r"head\.final_layer", 0)


def _final(source: str, number: int) -> list[Rule]:
    return layouts.dense(source, f"head/final_{number}", kernel=layouts.conv)


def _codec(input_hw: tuple[int, int], higher: bool = True) -> AssociativeEmbedding:
    return AssociativeEmbedding(input_hw, higher=higher, enlargement=2 if higher else 4)


_SOURCE = "arXiv:1908.10357, table 2: COCO val2017 AP, flip test, one scale"

HIGHER_HRNET = Family(
    "higher-hrnet",
    mmpose={HigherHRNetHead: _mmpose},
    formats=(
        Format(
            name="HigherHRNet's own code",
            marker=r"final_layers\.0\.weight",
            head=r"(deconv_layers|final_layers)\..+",
            tables={HRNet: official_backbone, HigherHRNetHead: _official},
        ),
    ),
    published=(
        *(
            PublishedPose(
                name=f"higherhrnet-{size.lower()}{suffix}",
                make=any_size(higher_hrnet, size, higher=True),
                codec=_codec,
                skeleton=COCO17,
                input_hw=(side, side),
                padding=1.0,
                parameters=parameters,
                gflops=gflops,
                score=score,
                source=_SOURCE,
                licence="MIT",
                trained_on=("COCO",),
                takes="images",
                golden=golden,
                # Maps of all sizes have the same arrays.
                only_by_name=suffix != "",
            )
            for size, suffix, side, parameters, gflops, score, golden in (
                ("W32", "", 512, 28.65, 47.9, "AP 67.1", ("higherhrnet_w32_256x256",)),
                ("W32", "-640", 640, 28.65, 74.8, "AP 68.5", ()),
                ("W48", "-640", 640, 63.8, 154.3, "AP 69.9", ()),
            )
        ),
        # The same arrays as HRNet for twice as many keypoints. Without a number of parameters it is
        # tried after HRNet, so that it is not taken for one with other keypoints.
        PublishedPose(
            name="ae-hrnet-w32",
            make=any_size(higher_hrnet, "W32", higher=False),
            codec=partial(_codec, higher=False),
            skeleton=COCO17,
            input_hw=(512, 512),
            padding=1.0,
            source="MMPose 1.x, associative_embedding/coco",
            licence=APACHE,
            trained_on=("COCO",),
            takes="images",
            golden=("ae_hrnet_w32_512x512",),
        ),
    ),
)
