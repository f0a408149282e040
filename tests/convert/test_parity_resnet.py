"""ResNet's models through the converter: the same outputs as MMPose 1.3.2 and timm 1.0.31."""

from functools import cache

import jax
import numpy as np
import pytest
from broken import PLACES, with_fault
from reference import TOLERANCE, distance, feature_distance, load
from safetensors.numpy import save_file

from jaxpose import convert
from jaxpose.errors import InputError
from jaxpose.models import (
    ClassificationHead,
    PoseModel,
    abstract_variables,
    count_parameters,
    deeppose,
    integral_regression,
    resnet_backbone,
    rle,
    simcc_resnet,
    simple_baseline,
)
from jaxpose.models.resnet import ResNet

MODELS = {
    "simplebaseline_r50_256x192": simple_baseline(50),
    "simcc_r50_256x192": simcc_resnet(50),
    "deeppose_r50_256x192": deeppose(50),
    "rle_r50_256x192": rle(50),
}


def to_source_layout(name, output):
    """The model's output as MMPose's network returns it."""
    if name.startswith("simplebaseline"):
        return np.transpose(output, (0, 3, 1, 2))
    if name.startswith("rle"):  # MMPose applies the sigmoid after the network
        sigma = output[..., 2:]
        return np.concatenate([output[..., :2], np.log(sigma / (1 - sigma))], -1)
    return output


def part(variables, name):
    return {kind: tree[name] for kind, tree in variables.items() if name in tree}


# Two compilations for four models: the backbone is the same.
@jax.jit
def backbone(variables, images):
    return resnet_backbone(50).apply(part(variables, "backbone"), images)


@cache
def head(name):
    return jax.jit(MODELS[name].head.apply)


def run(name, variables, images):
    """Features and outputs as MMPose's network returns them; the latter by the golden's names."""
    features = np.asarray(backbone(variables, images))
    outputs = jax.tree.leaves(head(name)(part(variables, "head"), features))
    keys = [f"output.{i}" for i in range(2)] if len(outputs) > 1 else ["output"]
    outputs = [to_source_layout(name, np.asarray(output)) for output in outputs]
    return np.transpose(features, (0, 3, 1, 2)), dict(zip(keys, outputs, strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_outputs_equal_mmposes(name, tmp_path):
    golden = load(name)
    path = tmp_path / "checkpoint.safetensors"
    save_file(golden.state_dict, path)

    variables = convert.to_variables(convert.load_state_dict(path), MODELS[name])
    assert count_parameters(variables) == golden.description["parameters"]
    features, outputs = run(name, variables, golden.images)
    (summary,) = golden.description["backbone_features"]
    assert feature_distance(features, summary) <= TOLERANCE
    assert set(outputs) == set(golden.outputs)
    for key, output in outputs.items():
        assert distance(output, golden.outputs[key]) <= TOLERANCE, key


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", MODELS)
def test_a_broken_layer_is_seen(name, place):
    golden = load(name)
    layer, broken = with_fault(golden.state_dict, place)
    _, outputs = run(name, convert.to_variables(broken, MODELS[name]), golden.images)
    distances = [distance(output, golden.outputs[key]) for key, output in outputs.items()]
    assert max(distances) > TOLERANCE, layer


CLASSIFIER = PoseModel(resnet_backbone(50), ClassificationHead(1000))


def classify(state_dict, images):
    """Variables, features and logits of a state dict under timm's names."""
    variables = convert.to_variables(state_dict, CLASSIFIER)
    features = np.asarray(backbone(variables, images))
    logits = CLASSIFIER.head.apply(part(variables, "head"), features)
    return variables, np.transpose(features, (0, 3, 1, 2)), np.asarray(logits)


def test_imagenet_weights_give_timms_features_and_logits():
    golden = load("timm_resnet50")
    variables, features, logits = classify(golden.state_dict, golden.images)
    assert count_parameters(variables) == golden.description["parameters"]
    assert distance(features, golden.outputs["features"]) <= TOLERANCE
    assert distance(logits, golden.outputs["logits"]) <= TOLERANCE


@pytest.mark.parametrize("place", PLACES)
def test_a_broken_layer_of_the_classifier_is_seen(place):
    golden = load("timm_resnet50")
    layer, broken = with_fault(golden.state_dict, place)
    _, _, logits = classify(broken, golden.images)
    assert distance(logits, golden.outputs["logits"]) > TOLERANCE, layer


def norm(key, channels):
    names = ("weight", "bias", "running_mean", "running_var")
    return {f"{key}.{name}": (channels,) for name in names} | {f"{key}.num_batches_tracked": ()}


def published_shapes(blocks, bottleneck, variant, names):
    """Keys and shapes of a ResNet as MMPose (with its prefix), torchvision or timm names them."""
    shapes = {}

    def conv_norm(conv, bn, outputs, inputs, size):
        shapes[f"{conv}.weight"] = (outputs, inputs, size, size)
        shapes.update(norm(bn, outputs))

    deep = variant == "v1d"
    if not deep:
        conv_norm("conv1", "bn1", 64, 3, 7)
    elif names == "mmpose":
        for i, (inputs, outputs) in enumerate(((3, 32), (32, 32), (32, 64))):
            conv_norm(f"stem.{i}.conv", f"stem.{i}.bn", outputs, inputs, 3)
    else:
        conv_norm("conv1.0", "conv1.1", 32, 3, 3)
        conv_norm("conv1.3", "conv1.4", 32, 32, 3)
        conv_norm("conv1.6", "bn1", 64, 32, 3)
    inputs = 64
    for s, count in enumerate(blocks):
        width = 64 * 2**s
        outputs = 4 * width if bottleneck else width
        for k in range(count):
            block = f"layer{s + 1}.{k}"
            if bottleneck:
                conv_norm(f"{block}.conv1", f"{block}.bn1", width, inputs, 1)
                conv_norm(f"{block}.conv2", f"{block}.bn2", width, width, 3)
                conv_norm(f"{block}.conv3", f"{block}.bn3", outputs, width, 1)
            else:
                conv_norm(f"{block}.conv1", f"{block}.bn1", width, inputs, 3)
                conv_norm(f"{block}.conv2", f"{block}.bn2", width, width, 3)
            if inputs != outputs:
                # timm has an empty pooling in the first stage, MMPose has none.
                first = int(deep and (names == "timm" or s > 0))
                down = f"{block}.downsample"
                conv_norm(f"{down}.{first}", f"{down}.{first + 1}", outputs, inputs, 1)
            inputs = outputs
    if names == "mmpose":
        return {f"backbone.{key}": shape for key, shape in shapes.items()}
    return shapes | {"fc.weight": (1000, inputs), "fc.bias": (1000,)}


def zeros(shapes):
    """Arrays that take no memory."""
    return {key: np.broadcast_to(np.float32(0), shape) for key, shape in shapes.items()}


# torchvision's published numbers of parameters, less those of the classifier.
PARAMETERS = {
    18: 11_689_512 - 513_000,
    34: 21_797_672 - 513_000,
    50: 25_557_032 - 2_049_000,
    101: 44_549_160 - 2_049_000,
    152: 60_192_808 - 2_049_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("names", ["mmpose", "timm"])
@pytest.mark.parametrize("variant", ["v1b", "v1d"])
@pytest.mark.parametrize("depth", PARAMETERS)
def test_every_depth_and_variant_loads(depth, variant, names):
    model = simple_baseline(depth, variant=variant)
    net = model.backbone
    shapes = published_shapes(net.blocks, net.bottleneck, variant, names)
    fresh = abstract_variables(model, (256, 192))
    loaded = convert.load_pretrained(model, zeros(shapes), variables=fresh, reset_head=True)
    parameters = count_parameters({"params": {"backbone": loaded["params"]["backbone"]}})
    # ResNet-D: 32 * 27 + 32 * 288 + 64 * 288 weights and 64 more of norms for the stem's 64 * 147.
    deep = 64 * (27 + 288) // 2 + 64 * 288 + 2 * 64 - 64 * 147
    assert parameters == PARAMETERS[depth] + (deep if variant == "v1d" else 0)
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(part(loaded, "backbone")))


def test_a_checkpoint_of_the_other_variant_is_refused():
    model = PoseModel(ResNet((1, 1, 1, 1), variant="v1d"), deeppose(50).head)
    shapes = published_shapes((1, 1, 1, 1), True, "v1b", "mmpose")
    with pytest.raises(InputError, match=r"backbone\.conv1\.weight"):
        convert.load_pretrained(
            model, zeros(shapes), variables=abstract_variables(model, (64, 64)), reset_head=True
        )


def test_integral_regression_loads_from_mmposes_names():
    model = integral_regression(18)
    shapes = published_shapes((2, 2, 2, 2), False, "v1b", "mmpose")
    for i, channels in enumerate((512, 256, 256)):
        layers = "head.simplebaseline_head.deconv_layers"
        shapes[f"{layers}.{3 * i}.weight"] = (channels, 256, 4, 4)
        shapes |= norm(f"{layers}.{3 * i + 1}", 256)
    shapes |= {
        "head.simplebaseline_head.final_layer.weight": (17, 256, 1, 1),
        "head.simplebaseline_head.final_layer.bias": (17,),
        "head.linspace_x": (1, 1, 1, 64),
        "head.linspace_y": (1, 1, 64, 1),
    }
    loaded = convert.to_variables(zeros(shapes), model)
    assert jax.tree.map(np.shape, loaded) == jax.tree.map(
        np.shape, abstract_variables(model, (256, 256))
    )
