"""Conversion from other frameworks' array layouts to those of the models, and rules for layers.

Layouts are those of PyTorch where nothing else is said. TensorFlow's kernels of dense convolutions
have the layout of the models, `[h, w, in, out]`.
"""

import numpy as np

from jaxpose.models.conversion import Rule, Transform


def linear(weight: np.ndarray) -> np.ndarray:
    """`[out, in]` -> `[in, out]`."""
    return weight.transpose(1, 0)


def conv(weight: np.ndarray) -> np.ndarray:
    """`[out, in, h, w]` -> `[h, w, in, out]`."""
    return weight.transpose(2, 3, 1, 0)


def bgr_conv(weight: np.ndarray) -> np.ndarray:
    """`conv` of a first layer for BGR images -> that for RGB images."""
    return conv(weight)[:, :, ::-1]


def conv_of_parts(*sizes: int, order: tuple[int, ...]) -> Transform:
    """`conv` whose input is a concatenation in another order than in the source.

    Args:
      sizes: channels of the parts, in the source's order; those of one may be -1, for the rest.
      order: parts of the source in the order of the model.
    """

    def transform(weight: np.ndarray) -> np.ndarray:
        rest = weight.shape[1] - sum(size for size in sizes if size >= 0)
        ends = np.cumsum([rest if size < 0 else size for size in sizes])[:-1]
        parts = np.split(conv(weight), ends, axis=2)
        return np.concatenate([parts[i] for i in order], axis=2)

    return transform


def grouped_conv(weight: np.ndarray) -> np.ndarray:
    """`[groups, out, in, h, w]` -> `[h, w, in, groups * out]`, as OpenVINO and as Flax."""
    return conv(weight.reshape(-1, *weight.shape[2:]))


def flat(array: np.ndarray) -> np.ndarray:
    """`[1, C, 1, 1]` -> `[C]`."""
    return array.reshape(-1)


def tf_depthwise(weight: np.ndarray) -> np.ndarray:
    """TensorFlow's depthwise kernel `[h, w, channels, 1]` -> `[h, w, 1, channels]`."""
    return weight.transpose(0, 1, 3, 2)


def deconv(weight: np.ndarray) -> np.ndarray:
    """Transposed convolution `[in, out, h, w]` -> `[h, w, in, out]`."""
    return weight.transpose(2, 3, 0, 1)


def grouped_deconv(groups: int) -> Transform:
    """`[in, out / groups, h, w]` -> `[h, w, in / groups, out]`."""

    def transform(weight: np.ndarray) -> np.ndarray:
        parts = weight.reshape(groups, -1, *weight.shape[1:]).transpose(3, 4, 1, 0, 2)
        return parts.reshape(*parts.shape[:3], -1)

    return transform


def patches(weight: np.ndarray) -> np.ndarray:
    """Patch embedding as a convolution `[out, in, h, w]` -> as a matmul `[h * w * in, out]`."""
    return weight.transpose(2, 3, 1, 0).reshape(-1, weight.shape[0])


def fused_qkv(heads: int) -> Transform:
    """`[3 * D, D]` -> `[D, 3, heads, D / heads]`."""

    def transform(weight: np.ndarray) -> np.ndarray:
        dim = weight.shape[1]
        return weight.transpose(1, 0).reshape(dim, 3, heads, dim // heads)

    return transform


def qkv(heads: int) -> Transform:
    """`[3 * F, D]` -> `[D, 3, heads, F / heads]`, for a result of another width F."""
    return lambda weight: weight.transpose(1, 0).reshape(weight.shape[1], 3, heads, -1)


def fused_qkv_bias(heads: int) -> Transform:
    """`[3 * D]` -> `[3, heads, D / heads]`."""
    return lambda bias: bias.reshape(3, heads, -1)


def attention_out(heads: int) -> Transform:
    """`[D, D]` -> `[heads, D / heads, D]`."""
    return lambda weight: weight.transpose(1, 0).reshape(heads, -1, weight.shape[0])


def layer_norm(source: str, target: str, stack: str = "") -> list[Rule]:
    """Rules for a layer norm's scale and bias."""
    return [
        Rule(rf"{source}\.weight", f"params/{target}/scale", stack=stack),
        Rule(rf"{source}\.bias", f"params/{target}/bias", stack=stack),
    ]


def batch_norm(source: str, target: str) -> list[Rule]:
    """Rules for a batch norm; PyTorch's count of batches is not used here and is dropped."""
    return [
        Rule(rf"{source}\.weight", f"params/{target}/scale"),
        Rule(rf"{source}\.bias", f"params/{target}/bias"),
        Rule(rf"{source}\.running_mean", f"batch_stats/{target}/mean"),
        Rule(rf"{source}\.running_var", f"batch_stats/{target}/var"),
        Rule(rf"{source}\.num_batches_tracked", None, reason="a count of training batches"),
    ]


def dense(
    source: str,
    target: str,
    stack: str = "",
    kernel: Transform = linear,
    bias: Transform = np.asarray,
) -> list[Rule]:
    """Rules for a layer of weight and bias; `kernel` and `bias` change their layouts."""
    return [
        Rule(rf"{source}\.weight", f"params/{target}/kernel", kernel, stack),
        Rule(rf"{source}\.bias", f"params/{target}/bias", bias, stack),
    ]


def conv_norm(conv_source: str, norm_source: str, target: str, epsilon: float = 1e-5) -> list[Rule]:
    """Rules for a convolution and its batch norm, folded or not (`models.conv.ConvNorm`).

    `epsilon` is the norm's; if the norm is folded, its statistics are derived from it (see `Rule`).
    """
    return [
        Rule(rf"{conv_source}\.weight", f"params/{target}/conv/kernel", conv),
        folded_norm(conv_source, f"{target}/norm", epsilon),
        *batch_norm(norm_source, f"{target}/norm"),
    ]


def conv_module(source: str, target: str) -> list[Rule]:
    """Rules for a convolution and its batch norm that are `conv` and `bn` of one module."""
    return conv_norm(rf"{source}\.conv", rf"{source}\.bn", target)


def folded_openvino(source: str, target: str) -> list[Rule]:
    """Rules for a convolution of OpenVINO into which a norm is folded, of a model without norms.

    `source` is the name that `convert.openvino` gives both of its arrays.
    """
    return [
        Rule(rf"{source}/Convolution", f"{target}/conv/kernel", conv),
        Rule(rf"{source}/GroupConvolution", f"{target}/conv/kernel", grouped_conv),
        Rule(rf"{source}/Add", f"{target}/bias", flat),
    ]


def folded_norm(source: str, target: str, epsilon: float = 1e-5) -> Rule:
    """Rule for the bias of a convolution that a batch norm may have been folded into.

    `target` is the norm, or the convolution of a `ConvNorm` whose convolution has a bias.
    """
    return Rule(rf"{source}\.bias", f"params/{target}/bias", folded_epsilon=epsilon)


def residual_block(source: str, target: str, convolutions: int) -> list[Rule]:
    """Rules for a `ResidualBlock` of two or three convolutions under torchvision's names."""
    rules = conv_norm(
        rf"{source}\.downsample\.0", rf"{source}\.downsample\.1", f"{target}/shortcut"
    )
    for i in range(convolutions):
        rules += conv_norm(rf"{source}\.conv{i + 1}", rf"{source}\.bn{i + 1}", f"{target}/conv_{i}")
    return rules
