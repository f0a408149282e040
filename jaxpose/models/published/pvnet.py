"""PVNet: keypoints of a known object by votes of its pixels."""

from jaxpose.codecs import FieldVoting
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.published.record import APACHE, Family, PublishedPose, any_size
from jaxpose.models.pvnet import PVNet, VectorFieldHead
from jaxpose.skeletons import OBJECT9

__all__ = ["PVNET", "PVNet", "VectorFieldHead", "pvnet"]


def pvnet(num_keypoints: int = 9, *, width: int = 64, dtype: str = "float32") -> PoseModel:
    """PVNet (Peng et al. 2019, arXiv:1812.11788) on ResNet-18, for one object.

    The published keypoints are eight corners of the surface that are far from each other, and the
    centre. Decoded by `codecs.FieldVoting`.
    """
    backbone = PVNet(width=width, dtype=dtype)
    return PoseModel(backbone, VectorFieldHead(num_keypoints, dtype=dtype))


def _backbone(model: PVNet) -> list[Rule]:
    """Rules for the trunk and the decoder; the published trunk's classifier is not there."""
    pairs = [("resnet18_8s.conv1", "resnet18_8s.bn1", "stem")]
    pairs += [("resnet18_8s.fc.0", "resnet18_8s.fc.1", "neck")]
    names = (("conv8s", 8), ("conv4s", 4), ("conv2s", 2), ("convraw", 1))
    pairs += [(f"{name}.0", f"{name}.1", f"decoder_{stride}") for name, stride in names]
    for stage in range(len(model.blocks)):
        block = rf"resnet18_8s\.layer{stage + 1}\.(?P<i>\d+)"
        target = f"stage_{stage}_block_{{i}}"
        pairs += [
            (rf"{block}.conv{n + 1}", rf"{block}.bn{n + 1}", f"{target}/conv_{n}") for n in (0, 1)
        ]
        pairs += [(rf"{block}.downsample.0", rf"{block}.downsample.1", f"{target}/shortcut")]
    rules = []
    for conv, norm, target in pairs:
        kernel = f"params/backbone/{target}/conv/kernel"
        rules.append(Rule(rf"{conv}\.weight", kernel, layouts.conv))
        rules += layouts.batch_norm(norm, f"backbone/{target}/norm")
    return rules


def _head(model: VectorFieldHead) -> list[Rule]:
    del model
    return layouts.dense(r"convraw\.3", "head/final", kernel=layouts.conv)


PVNET = Family(
    "pvnet",
    formats=(
        Format(
            name="clean-pvnet",
            marker=r"resnet18_8s\.conv1\.weight",
            head=r"convraw\.3\..+",
            tables={PVNet: _backbone, VectorFieldHead: _head},
        ),
    ),
    published=(
        PublishedPose(
            name="pvnet",
            make=any_size(pvnet),
            codec=FieldVoting,
            input_hw=(480, 640),
            num_keypoints=9,
            skeleton=OBJECT9,
            padding=1.0,
            parameters=13.0,  # counted in the reference's state dict
            source="Peng et al. 2019, arXiv:1812.11788; one network for each object",
            licence=APACHE,
            trained_on=("LINEMOD",),
            golden=("pvnet_resnet18",),
        ),
    ),
)
