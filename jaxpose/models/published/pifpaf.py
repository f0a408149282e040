"""OpenPifPaf: keypoints of all people in whole images, by composite fields."""

from jaxpose.codecs.composite_fields import COCO_PAIRS, CompositeFields
from jaxpose.errors import InputError, nearest
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.composite_fields import CompositeFieldHead
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.published.record import Family, PublishedPose, any_size
from jaxpose.models.shufflenetv2 import ShuffleNetV2
from jaxpose.skeletons import COCO17

__all__ = ["PIFPAF", "CompositeFieldHead", "ShuffleNetV2", "pifpaf"]

LICENCE = "AGPL-3.0"

# Units and channels of the backbones (arXiv:2103.02440, section 4.1, and the package's names).
_SIZES = {
    "k16": ((4, 8, 4), (348, 696, 1392, 1392)),
    "k30": ((8, 16, 6), (512, 1024, 2048, 2048)),
}


def pifpaf(
    size: str = "k16",
    num_keypoints: int = 17,
    *,
    associations: int = len(COCO_PAIRS),
    dtype: str = "float32",
) -> PoseModel:
    """OpenPifPaf (Kreiss et al. 2021, arXiv:2103.02440) on ShuffleNetV2 of `size` k16 or k30.

    Images have sides of 1 more than multiples of 16.

    Raises:
      InputError: there is no such size.
    """
    if size not in _SIZES:
        raise InputError(
            f"Unknown OpenPifPaf size {size!r}; known: {', '.join(_SIZES)}.{nearest(size, _SIZES)}"
        )
    units, channels = _SIZES[size]
    head = CompositeFieldHead(num_keypoints, associations, dtype)
    return PoseModel(ShuffleNetV2(units, channels, dtype=dtype), head)


def _backbone(model: ShuffleNetV2) -> list[Rule]:
    """Rules for ShuffleNetV2K of OpenPifPaf."""
    net = "base_net"
    rules = [
        *layouts.conv_norm(
            rf"{net}\.input_block\.0\.0", rf"{net}\.input_block\.0\.1", "backbone/stem"
        ),
        *layouts.conv_norm(rf"{net}\.conv5\.0", rf"{net}\.conv5\.1", "backbone/last"),
    ]
    layers = (
        *(("branch1", 0, 1, "short_depthwise"), ("branch1", 2, 3, "short_pointwise")),
        *(("branch2", 0, 1, "expand"), ("branch2", 3, 4, "depthwise")),
        ("branch2", 5, 6, "pointwise"),
    )
    for stage, units in enumerate(model.units):
        for unit in range(units):
            source = rf"{net}\.stage{stage + 2}\.{unit}"
            target = f"backbone/stage_{stage}_unit_{unit}"
            for branch, conv, norm, name in layers:
                if unit == 0 or branch == "branch2":
                    place = rf"{source}\.{branch}"
                    rules += layouts.conv_norm(
                        rf"{place}\.{conv}", rf"{place}\.{norm}", f"{target}/{name}"
                    )
    return rules


def _head(head: CompositeFieldHead) -> list[Rule]:
    """Rules for the two heads of OpenPifPaf."""
    del head
    rules = []
    for number, name in enumerate(("keypoints", "associations")):
        source = rf"head_nets\.{number}\.conv"
        rules += layouts.dense(source, f"head/{name}", kernel=layouts.conv)
    return rules


PIFPAF = Family(
    "pifpaf",
    formats=(
        Format(
            name="OpenPifPaf",
            marker=r"base_net\.input_block\.0\.0\.weight",
            also=r"head_nets\.1\.conv\.weight",
            head=r"head_nets\..+",
            tables={ShuffleNetV2: _backbone, CompositeFieldHead: _head},
            dataset="coco",
            licence=LICENCE,
        ),
    ),
    published=(
        PublishedPose(
            name="pifpaf-shufflenetv2k16",
            make=any_size(pifpaf),
            codec=CompositeFields,
            skeleton=COCO17,
            input_hw=(641, 641),
            padding=1.0,
            parameters=10.13,
            source="counted in the published network, without a score",
            licence=LICENCE,
            trained_on=("COCO",),
            takes="images",
            golden=("pifpaf_shufflenetv2k16",),
        ),
    ),
)
