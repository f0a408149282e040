"""Other sizes and weights than the goldens', beside the live code of the projects they come from.

Each needs its project (an optional oracle) and skips without it. Nets are small, so that each takes
a second or two; layouts and names do not depend on size.
"""

import re
import warnings

import jax
import numpy as np
import pytest
from reference import TOLERANCE, distance

from jaxpose import convert
from jaxpose.errors import InputError
from jaxpose.models import (
    ClassificationHead,
    DeconvHead,
    PoseModel,
    ResNet,
    SimpleHead,
    ViT,
    abstract_variables,
)
from jaxpose.models.mobilenetv2 import MobileNetV2
from jaxpose.models.openpose import VGGStem

torch = pytest.importorskip("torch")


def oracle(name):
    """A project that may be there; its own dependencies may be broken."""
    return pytest.importorskip(name, exc_type=(ImportError, RuntimeError))


def shuffled(module, seed):
    """`module` for evaluation with every array drawn anew, and these as NumPy's."""
    generator = torch.Generator().manual_seed(seed)
    for key, value in module.state_dict().items():
        if not value.is_floating_point():
            continue
        drawn = torch.randn(value.shape, generator=generator)
        if key.endswith("running_var"):
            value.copy_(1 + 0.3 * drawn.clamp(-2, 2))
        elif value.ndim == 1:
            scales = re.search(r"(norm|bn|ln|\.1\.|downsample).*weight$", key) is not None
            value.copy_(float(scales) + 0.1 * drawn)
        else:
            value.copy_(drawn * np.prod(value.shape[1:]) ** -0.5)
    return module.eval(), {key: value.numpy() for key, value in module.state_dict().items()}


def pictures(count, hw, seed):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, *hw, 3)).astype(np.float32)


def reply(module, images, **arguments):
    """What a PyTorch module makes of `[B, H, W, 3]`."""
    with torch.no_grad():
        return module(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), **arguments)


def from_nchw(tensor):
    return tensor.numpy().transpose(0, 2, 3, 1)


@pytest.mark.parametrize(
    ("input_hw", "dim", "heads", "simple", "seed"),
    [((64, 48), 48, 3, True, 1), ((96, 64), 32, 4, False, 2)],
)
def test_hugging_faces_vitpose(input_hw, dim, heads, simple, seed):
    theirs = hugging_face(input_hw, dim, heads, simple)
    theirs, arrays = shuffled(theirs, seed)
    head = SimpleHead(5) if simple else DeconvHead(5)
    ours = PoseModel(ViT(input_hw=input_hw, dim=dim, depth=2, heads=heads), head)
    variables = convert.to_variables(arrays, ours)
    images = pictures(2, input_hw, seed)
    expected = from_nchw(reply(theirs, images).heatmaps)
    assert distance(np.asarray(jax.jit(ours.apply)(variables, images)), expected) <= TOLERANCE


def test_hugging_faces_vitpose_plus_for_every_data_set():
    theirs, arrays = shuffled(hugging_face((64, 48), 32, 2, True, experts=4, part=12), 3)
    backbone = ViT(input_hw=(64, 48), dim=32, depth=2, heads=2, experts=4, part_features=12)
    ours = PoseModel(backbone, SimpleHead(5))
    variables = convert.to_variables(arrays, ours)
    images = pictures(4, (64, 48), 3)
    indices = np.arange(4)
    expected = reply(theirs, images, dataset_index=torch.from_numpy(indices)).heatmaps
    actual = ours.apply(variables, images, indices, method="mixed")
    assert distance(np.asarray(actual), from_nchw(expected)) <= TOLERANCE


def hugging_face(input_hw, dim, heads, simple, experts=1, part=0):
    transformers = oracle("transformers")
    backbone = transformers.VitPoseBackboneConfig(
        image_size=list(input_hw),
        hidden_size=dim,
        num_hidden_layers=2,
        num_attention_heads=heads,
        num_experts=experts,
        part_features=part,
        out_indices=[2],
    )
    config = transformers.VitPoseConfig(
        backbone_config=backbone, use_simple_decoder=simple, num_labels=5, scale_factor=4
    )
    return transformers.VitPoseForPoseEstimation(config)


def timm_vit(**options):
    shape = {"img_size": (64, 48), "embed_dim": 48, "depth": 2, "num_heads": 3, "num_classes": 7}
    return oracle("timm").models.vision_transformer.VisionTransformer(**(shape | options))


def pose_vit(**options):
    backbone = ViT(**({"input_hw": (96, 64), "dim": 48, "depth": 2, "heads": 3} | options))
    return PoseModel(backbone, DeconvHead(5, (8,)))


def classifier(input_hw):
    backbone = pose_vit(input_hw=input_hw, patch_padding=0, class_token=True).backbone
    return PoseModel(backbone, ClassificationHead(7, pool="token"))


def start(model, arrays):
    fresh = abstract_variables(model, model.backbone.input_hw)
    return convert.load_pretrained(model, arrays, variables=fresh, reset_head=True)


def test_timms_vit_with_its_class_token():
    theirs, arrays = shuffled(timm_vit(), 4)
    ours = classifier((64, 48))
    variables = convert.to_variables(arrays, ours)
    images = pictures(2, (64, 48), 4)
    actual = np.asarray(jax.jit(ours.apply)(variables, images))
    assert distance(actual, reply(theirs, images).numpy()) <= TOLERANCE


def test_a_pose_model_starts_from_timms_vit_whatever_its_tokens():
    _, arrays = shuffled(timm_vit(img_size=64), 5)
    usual = start(pose_vit(), arrays)["params"]["backbone"]
    distilled = {"dist_token": arrays["cls_token"] + 1, "head_dist.weight": arrays["head.weight"]}
    places = np.insert(arrays["pos_embed"], 1, 9.0, axis=1)
    loaded = start(pose_vit(), arrays | distilled | {"pos_embed": places})["params"]["backbone"]
    jax.tree.map(np.testing.assert_array_equal, loaded, usual)
    with pytest.raises(InputError, match="distilled DeiT"):
        convert.to_variables(arrays | distilled, classifier((64, 48)))

    _, averaged = shuffled(timm_vit(img_size=64, class_token=False, global_pool="avg"), 5)
    with pytest.warns(UserWarning, match="fc_norm"):
        norm = start(pose_vit(), averaged)["params"]["backbone"]["norm"]
    np.testing.assert_array_equal(norm["bias"], averaged["fc_norm.bias"])
    with pytest.raises(InputError, match="register tokens"):
        start(pose_vit(), arrays | {"reg_token": arrays["cls_token"]})


@pytest.mark.parametrize(
    ("bottleneck", "blocks", "variant"),
    [(False, (1, 2, 1, 1), "v1b"), (True, (2, 1, 1, 1), "v1d")],
)
def test_timms_resnets(bottleneck, blocks, variant):
    nets = oracle("timm").models.resnet
    deep = {"stem_width": 32, "stem_type": "deep", "avg_down": True} if variant == "v1d" else {}
    block = nets.Bottleneck if bottleneck else nets.BasicBlock
    theirs, arrays = shuffled(nets.ResNet(block, blocks, num_classes=7, **deep), 6)
    ours = PoseModel(ResNet(blocks, bottleneck, variant), ClassificationHead(7))
    variables = convert.to_variables(arrays, ours)
    images = pictures(1, (64, 64), 6)
    actual = np.asarray(jax.jit(ours.apply)(variables, images))
    assert distance(actual, reply(theirs, images).numpy()) <= TOLERANCE


@pytest.mark.parametrize("project", ["torchvision", "timm"])
def test_mobilenetv2(project):
    models = oracle(project).models
    if project == "timm":
        theirs, arrays = shuffled(models.mobilenetv2_035(), 7)
        features = theirs.forward_features
    else:
        theirs, arrays = shuffled(models.MobileNetV2(width_mult=0.35), 7)
        features = theirs.features
    model = PoseModel(MobileNetV2(0.35), DeconvHead(5, ()))
    backbone = start_convolutions(model, arrays)
    images = pictures(1, (64, 64), 7)
    actual = np.asarray(jax.jit(model.backbone.apply)(backbone, images))
    assert distance(actual, from_nchw(reply(features, images))) <= TOLERANCE


def test_torchvisions_vgg():
    """Its sequence, by hand: VGG-19 as arXiv:1409.1556, table 1, column E."""
    layers, inputs = [], 3
    for width, count in ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)):
        for _ in range(count):
            layers += [torch.nn.Conv2d(inputs, width, 3, padding=1), torch.nn.ReLU()]
            inputs = width
        layers.append(torch.nn.MaxPool2d(2))
    theirs, arrays = shuffled(torch.nn.Sequential(*layers), 8)
    arrays = {f"features.{key}": array for key, array in arrays.items()}
    model = PoseModel(VGGStem(), DeconvHead(5, ()))
    backbone = start_convolutions(model, arrays)
    images = pictures(1, (32, 32), 8)
    actual = np.asarray(jax.jit(model.backbone.apply)(backbone, images))
    expected = from_nchw(reply(theirs[:23], images))
    assert actual.shape == expected.shape
    assert distance(actual, expected) <= TOLERANCE


def start_convolutions(model, arrays):
    """The backbone's variables of a model that takes any image."""
    fresh = abstract_variables(model, (64, 64))
    loaded = convert.load_pretrained(model, arrays, variables=fresh, reset_head=True)
    return {kind: tree.get("backbone", {}) for kind, tree in loaded.items()}


def test_a_vit_of_another_number_of_heads_is_pointed_out():
    """ImageNet's ViT-S has 6 heads where ViTPose-S has 12, and the same arrays."""
    rng = np.random.default_rng(0)
    shapes = {"cls_token": (1, 1, 384), "pos_embed": (1, 197, 384)}
    shapes |= {"patch_embed.proj.weight": (384, 3, 16, 16), "patch_embed.proj.bias": (384,)}
    for norm in ("norm", "blocks.0.norm1", "blocks.0.norm2"):
        shapes |= {f"{norm}.weight": (384,), f"{norm}.bias": (384,)}
    for name, outputs, inputs in (
        ("attn.qkv", 1152, 384),
        ("attn.proj", 384, 384),
        ("mlp.fc1", 1536, 384),
        ("mlp.fc2", 384, 1536),
    ):
        shapes |= {
            f"blocks.0.{name}.weight": (outputs, inputs),
            f"blocks.0.{name}.bias": (outputs,),
        }
    arrays = {key: rng.standard_normal(shape, np.float32) for key, shape in shapes.items()}
    with pytest.warns(UserWarning, match=r"have 6 attention heads, this model has 12.*heads=6"):
        start(pose_vit(input_hw=(64, 48), dim=384, depth=1, heads=12), arrays)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        start(pose_vit(input_hw=(64, 48), dim=384, depth=1, heads=6), arrays)
