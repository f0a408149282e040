"""Record what published code makes of stand-in weights, for models that have no other reference.

    python tests/golden/extract_backbones.py [NAME ...]

Needs PyTorch and the libraries in the table below, in an environment of its own; torchvision is not
needed. `backbones/NAME.npz` beside this script then holds what `extract.py` keeps of a model: names
and shapes of the state dict, and every n-th value of the outputs. Weights and images follow the
recipe of `reference.py`.
"""

import importlib.machinery
import importlib.metadata
import json
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from extract import pack  # noqa: E402
from reference import noise, tensor  # noqa: E402


class Anything(types.ModuleType):
    """A module that has every name, as an empty class."""

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def stand_in(*roots: str) -> None:
    """Put empty modules in the place of libraries that no model needs, only the code around it."""

    class Finder:
        def find_spec(self, name, path=None, target=None):
            if any(name == root or name.startswith(f"{root}.") for root in roots):
                return importlib.machinery.ModuleSpec(name, self, is_package=True)
            return None

        def create_module(self, spec):
            return Anything(spec.name)

        def exec_module(self, module):
            module.__path__ = []

    sys.meta_path.insert(0, Finder())


def sam_timm():
    """timm's encoder of Segment Anything: windows of 3 on a map of 8 x 6."""
    stand_in("torchvision", "timm.data")
    from timm.models.vision_transformer_sam import VisionTransformerSAM

    return VisionTransformerSAM(
        img_size=(128, 96),
        embed_dim=48,
        depth=4,
        num_heads=3,
        num_classes=0,
        use_rel_pos=True,
        window_size=3,
        global_attn_indexes=(1, 3),
        neck_chans=32,
    ).forward_features


def sam_hugging_face():
    """Hugging Face's encoder of Segment Anything, with the authors' epsilon."""
    from transformers import SamVisionConfig, SamVisionModel

    config = SamVisionConfig(
        hidden_size=48,
        output_channels=32,
        num_hidden_layers=4,
        num_attention_heads=3,
        image_size=128,
        mlp_dim=192,
        window_size=3,
        global_attn_indexes=[1, 3],
        attn_implementation="eager",
    )
    model = SamVisionModel(config)
    return Called(model, lambda images: model(images).last_hidden_state)


def fan():
    """FAN of two stacks, all of whose heatmaps are kept, as of face-alignment 1.1."""
    stand_in("torchvision", "skimage", "cv2", "tqdm", "scipy", "numba")
    from face_alignment.models import FAN

    return FAN(2).forward


def deeplabcut(points: int, refine: bool):
    """timm's HRNet-W18 under DeepLabCut's names, with the layers of its head, or SuperAnimal's.

    The heads are single layers, so they are PyTorch's own here.
    """
    stand_in("torchvision", "timm.data")
    import timm
    from torch import nn

    trunk = timm.create_model(
        "hrnet_w18", features_only=True, feature_location="", out_indices=(1,)
    )
    if refine:
        heads = {
            "heatmap_head": nn.ModuleDict({"final_conv": nn.Conv2d(18, points, 1)}),
            "locref_head": nn.ModuleDict({"final_conv": nn.Conv2d(18, 2 * points, 1)}),
        }
    else:
        layers = nn.Sequential(nn.ConvTranspose2d(18, points, 1, 1))
        heads = {"heatmap_head": nn.ModuleDict({"deconv_layers": layers})}
    model = nn.ModuleDict(
        {
            "backbone": nn.ModuleDict({"model": trunk}),
            "heads": nn.ModuleDict({"bodypart": nn.ModuleDict(heads)}),
        }
    )

    def call(images):
        features = trunk(images)[0]
        return [next(iter(head.values()))(features) for head in heads.values()]

    return Called(model, call)


def deeplabcut_resnet(points: int):
    """timm's ResNet-50 with group norm and stride 16, under DeepLabCut's names, with its heads."""
    stand_in("torchvision", "timm.data")
    import timm
    from torch import nn

    trunk = timm.create_model("resnet50_gn", output_stride=16)
    trunk.fc = nn.Identity()
    heads = {
        name: nn.ModuleDict({"deconv_layers": nn.Sequential(nn.ConvTranspose2d(2048, count, 3, 2))})
        for name, count in (("heatmap_head", points), ("locref_head", 2 * points))
    }
    model = nn.ModuleDict(
        {
            "backbone": nn.ModuleDict({"model": trunk}),
            "heads": nn.ModuleDict({"bodypart": nn.ModuleDict(heads)}),
        }
    )

    def call(images):
        features = trunk.forward_features(images)
        return [head["deconv_layers"](features) for head in heads.values()]

    return Called(model, call)


def mmpose(name: str, **options):
    """A backbone of MMPose under its names in a pose model."""
    stand_in("torchvision", "xtcocotools", "mmcv.ops", "mmcv._ext", "mmdet")
    from mmpose.models import backbones
    from torch import nn

    backbone = getattr(backbones, name)(**options)
    return Called(nn.ModuleDict({"backbone": backbone}), lambda images: backbone(images)[-1])


def mmpose_pyramids(name: str, blocks: tuple[int, ...], stages: int):
    """MSPN or RSN of MMPose with its heads; the heatmaps of all maps are kept."""
    stand_in("torchvision", "xtcocotools", "mmcv.ops", "mmcv._ext", "mmdet")
    from mmpose.models import backbones, heads
    from torch import nn

    options = {"unit_channels": 256, "num_stages": stages, "num_units": 4}
    norm = {"norm_cfg": {"type": "BN"}}
    backbone = getattr(backbones, name)(num_blocks=list(blocks), **options, **norm)
    maps = 4 * stages
    loss = [{"type": "KeypointMSELoss"}] * maps
    levels = list(range(maps))
    options |= {"out_shape": (16, 24), "out_channels": 5, "loss": loss, "level_indices": levels}
    head = heads.MSPNHead(**options, **norm)
    module = nn.ModuleDict({"backbone": backbone, "head": head})
    return Called(module, lambda images: head(backbone(images)))


def mmpose_vipnas(name: str, channels: int, width: int, groups: int, **options):
    """ViPNAS of MMPose with its head of grouped deconvolutions."""
    stand_in("torchvision", "xtcocotools", "mmcv.ops", "mmcv._ext", "mmdet")
    from mmpose.models import backbones, heads
    from torch import nn

    backbone = getattr(backbones, name)(**options)
    head = heads.ViPNASHead(
        channels, 5, deconv_out_channels=(width,) * 3, deconv_num_groups=(groups,) * 3
    )
    module = nn.ModuleDict({"backbone": backbone, "head": head})
    return Called(module, lambda images: head(backbone(images)))


class Called(NamedTuple):
    """A module, and the call whose results are kept."""

    module: object
    call: Callable


class Source(NamedTuple):
    """Library, constructor, shape of the images."""

    library: str
    make: Callable
    shape: tuple[int, ...]


SMALL, LARGER = (1, 3, 64, 96), (1, 3, 128, 192)
SOURCES = {
    "timm_sam_tiny_128x96": Source("timm", sam_timm, (1, 3, 128, 96)),
    "mmpose_resnext50_64x96": Source("mmpose", partial(mmpose, "ResNeXt", depth=50), SMALL),
    "mmpose_seresnet50_64x96": Source("mmpose", partial(mmpose, "SEResNet", depth=50), SMALL),
    "mmpose_scnet50_128x192": Source(
        "mmpose", partial(mmpose, "SCNet", depth=50), (1, 3, 128, 192)
    ),
    "mmpose_cpm_64x96": Source(
        "mmpose",
        partial(mmpose, "CPM", in_channels=3, out_channels=5, feat_channels=128, num_stages=3),
        SMALL,
    ),
    "mmpose_mspn_64x96": Source("mmpose", partial(mmpose_pyramids, "MSPN", (2, 1, 1, 1), 2), SMALL),
    "mmpose_rsn_64x96": Source("mmpose", partial(mmpose_pyramids, "RSN", (2, 1, 1, 1), 2), SMALL),
    "mmpose_resnest50_64x96": Source("mmpose", partial(mmpose, "ResNeSt", depth=50), SMALL),
    "mmpose_shufflenetv1_64x96": Source("mmpose", partial(mmpose, "ShuffleNetV1"), SMALL),
    "mmpose_shufflenetv2_64x96": Source("mmpose", partial(mmpose, "ShuffleNetV2"), SMALL),
    "mmpose_vipnas_res50_64x96": Source(
        "mmpose", partial(mmpose_vipnas, "ViPNAS_ResNet", 608, 144, 16, depth=50), SMALL
    ),
    # Three stages: with stand-in weights, six of them hide the image.
    "mmpose_vipnas_mbv3_32x48": Source(
        "mmpose",
        partial(
            mmpose_vipnas,
            "ViPNAS_MobileNetV3",
            *(40, 40, 40),
            wid=[16, 16, 24, 40],
            expan=[None, 1, 5, 4],
            dep=[None, 1, 2, 1],
            ks=[3, 3, 7, 5],
            group=[None, 8, 60, 20],
            att=[None, True, True, False],
            stride=[2, 1, 2, 2],
            act=["HSwish", "ReLU", "HSwish", "ReLU"],
        ),
        (1, 3, 32, 48),
    ),
    "face_alignment_fan2_64x64": Source("face-alignment", fan, (1, 3, 64, 64)),
    "deeplabcut_hrnet_w18_96x64": Source("timm", partial(deeplabcut, 5, True), (1, 3, 96, 64)),
    "deeplabcut_resnet50_96x64": Source("timm", partial(deeplabcut_resnet, 5), (1, 3, 96, 64)),
    "superanimal_hrnet_w18_96x64": Source("timm", partial(deeplabcut, 5, False), (1, 3, 96, 64)),
    "hf_sam_tiny_128x128": Source("transformers", sam_hugging_face, (1, 3, 128, 128)),
}


def record(name: str, folder: Path) -> None:
    """Write `folder/NAME.json` and `.npz` in the layout that `extract.pack` reads."""
    import torch

    source = SOURCES[name]
    called = source.make()
    if not isinstance(called, Called):
        called = Called(called.__self__, called)
    module = called.module
    module.eval()
    shapes = {key: list(value.shape) for key, value in module.state_dict().items()}
    filled = {
        key: torch.from_numpy(np.asarray(tensor(key, shape))) for key, shape in shapes.items()
    }
    module.load_state_dict(filled)
    with torch.no_grad():
        found = called.call(torch.from_numpy(noise(source.shape)))
        module.double()
        exact = called.call(torch.from_numpy(noise(source.shape)).double())
    if isinstance(found, torch.Tensor):
        found, exact = [found], [exact]
    outputs = {str(i): array.numpy() for i, array in enumerate(found)}
    far = [float((a - b.float()).abs().max() / b.std()) for a, b in zip(found, exact, strict=True)]
    description = {
        "source": f"{source.library} {importlib.metadata.version(source.library)}",
        "seed": 0,
        "parameters": sum(p.numel() for p in module.parameters()),
        "input_shape": list(source.shape),
        "outputs": {key: list(array.shape) for key, array in outputs.items()},
        "state_dict": shapes,
    }
    print(name, description["parameters"], "float64 differs by", far)
    (folder / f"{name}.json").write_text(json.dumps(description))
    np.savez(folder / f"{name}.npz", **outputs)


def main(names: list[str]) -> None:
    (HERE / "backbones").mkdir(exist_ok=True)
    if len(names) != 1:  # libraries that one source replaces, another one needs
        for name in names or SOURCES:
            subprocess.run([sys.executable, __file__, name], check=True)
        return
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            record(name, Path(folder))
            np.savez_compressed(HERE / "backbones" / f"{name}.npz", **pack(Path(folder), name))


if __name__ == "__main__":
    main(sys.argv[1:])
