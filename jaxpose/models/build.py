"""A backbone and a head joined, and constructors for the published combinations."""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.errors import InputError, nearest
from jaxpose.models.heads import DeconvHead, SimCCHead, SimpleHead
from jaxpose.models.hrnet import HRNet
from jaxpose.models.vit import ViT


class PoseModel(nn.Module):
    """Image to the head's outputs. Parameters live under `backbone` and `head`."""

    backbone: nn.Module
    head: nn.Module

    def __call__(self, images: jax.Array, train: bool = False):
        """Normalised RGB `[B, H, W, 3]` -> the head's outputs, float32.

        Heatmap heads give `[B, h, w, K]`, SimCC heads a pair (x `[B, K, Wx]`, y `[B, K, Wy]`).
        `train=True` updates batch-norm statistics (`mutable=["batch_stats"]`) and, for backbones
        with drop path, needs `rngs={"dropout": key}`.
        """
        return self.head(self.backbone(images, train), train)


def init_variables(model: nn.Module, key: jax.Array, input_hw: tuple[int, int]) -> dict:
    """Fresh `{"params": ..., "batch_stats": ...}` for images of `input_hw`, in float32.

    `batch_stats` is there (empty if need be) for every model, so that callers need no special
    case. Compiled, because a traced initialisation skips the forward pass.
    """

    def init(key: jax.Array) -> dict:
        variables = model.init(key, jnp.zeros((1, *input_hw, 3), jnp.float32))
        return {"params": variables["params"], "batch_stats": variables.get("batch_stats", {})}

    return jax.jit(init)(key)


def abstract_variables(model: nn.Module, input_hw: tuple[int, int]) -> dict:
    """Shapes and dtypes of `init_variables`, without computing anything."""
    return jax.eval_shape(lambda key: init_variables(model, key, input_hw), jax.random.key(0))


def count_parameters(variables: dict) -> int:
    """Number of trainable values (`params`), running statistics not counted."""
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


# (dim, depth, heads, drop path). S, B, L and H as in ViTPose (arXiv:2204.12484, table 1 and its
# configurations; ViTPose-S keeps 12 heads); Ti as DeiT-Ti (arXiv:2012.12877).
_VIT_SIZES = {
    "Ti": (192, 12, 3, 0.1),
    "S": (384, 12, 12, 0.1),
    "B": (768, 12, 12, 0.3),
    "L": (1024, 24, 16, 0.5),
    "H": (1280, 32, 16, 0.55),
}


def vitpose(
    size: str,
    num_keypoints: int = 17,
    input_hw: tuple[int, int] = (256, 192),
    head: str = "classic",
    *,
    drop_path: float | None = None,
    remat: str = "none",
    attention: Literal["xla", "cudnn"] = "xla",
    split_ratio: float = 2.0,
    dtype: str = "float32",
) -> PoseModel:
    """ViTPose (Xu et al. 2022, arXiv:2204.12484) of `size` Ti, S, B, L or H.

    `head` is "classic" (two deconvolutions), "simple" (bilinear x4 and one convolution), both
    giving heatmaps of `input_hw / 4`, or "simcc" (arXiv:2107.03332; `split_ratio` bins to a pixel).
    `drop_path=None` takes the rate of the published recipe.
    """
    if size not in _VIT_SIZES:
        raise InputError(
            f"Unknown ViT size {size!r}; known: {', '.join(_VIT_SIZES)}.{nearest(size, _VIT_SIZES)}"
        )
    dim, depth, heads, published_drop_path = _VIT_SIZES[size]
    backbone = ViT(
        input_hw=(input_hw[0], input_hw[1]),
        dim=dim,
        depth=depth,
        heads=heads,
        drop_path=published_drop_path if drop_path is None else drop_path,
        remat=remat,
        attention=attention,
        dtype=dtype,
    )
    return PoseModel(backbone, _head(head, num_keypoints, input_hw, split_ratio, dtype))


def _head(
    name: str, num_keypoints: int, input_hw: tuple[int, int], split_ratio: float, dtype: str
) -> nn.Module:
    if name == "classic":
        return DeconvHead(num_keypoints, dtype=dtype)
    if name == "simple":
        return SimpleHead(num_keypoints, dtype=dtype)
    if name == "simcc":
        return SimCCHead(num_keypoints, (input_hw[0], input_hw[1]), split_ratio, dtype=dtype)
    known = ("classic", "simple", "simcc")
    raise InputError(f"Unknown head {name!r}; known: {', '.join(known)}.{nearest(name, known)}")


# Width of the first branch, exchange modules, residual blocks per branch, stage-1 width and blocks.
# W32 and W48: arXiv:1902.09212, section 3. W18 and W18-small (v1): arXiv:1908.07919 and its code.
_HRNET_SIZES = {
    "W18-small": (16, (1, 1, 1), 2, 32, 1),
    "W18": (18, (1, 4, 3), 4, 64, 4),
    "W32": (32, (1, 4, 3), 4, 64, 4),
    "W48": (48, (1, 4, 3), 4, 64, 4),
}


def hrnet_pose(
    size: str,
    num_keypoints: int = 17,
    *,
    remat: str = "none",
    dtype: str = "float32",
) -> PoseModel:
    """HRNet for pose (Sun et al. 2019, arXiv:1902.09212) of `size` W18-small, W18, W32 or W48.

    A 1x1 convolution on the highest-resolution branch gives heatmaps of a quarter of the image.
    """
    if size not in _HRNET_SIZES:
        raise InputError(
            f"Unknown HRNet size {size!r}; known: {', '.join(_HRNET_SIZES)}."
            f"{nearest(size, _HRNET_SIZES)}"
        )
    width, modules, blocks, stage1_channels, stage1_blocks = _HRNET_SIZES[size]
    backbone = HRNet(
        channels=(width, 2 * width, 4 * width, 8 * width),
        modules=modules,
        blocks=blocks,
        stage1_channels=stage1_channels,
        stage1_blocks=stage1_blocks,
        remat=remat,
        dtype=dtype,
    )
    return PoseModel(backbone, DeconvHead(num_keypoints, (), dtype=dtype))
