"""ViTPose and ViTPose++: a plain vision transformer and a light decoder."""

from functools import partial
from typing import Literal, NamedTuple

from jaxpose import skeletons
from jaxpose.codecs import SimCC
from jaxpose.codecs.heatmap import udp
from jaxpose.errors import InputError, nearest
from jaxpose.models.build import PoseModel
from jaxpose.models.published import vit_tables
from jaxpose.models.published.record import APACHE, OPENMMLAB, Family, PublishedPose, Weights
from jaxpose.models.published.vit_heads import pose_head
from jaxpose.models.vit import ViT

__all__ = ["VITPOSE", "VITPOSE_PLUS_DATASETS", "ViT", "vitpose", "vitpose_plus"]


class _Size(NamedTuple):
    dim: int
    depth: int
    heads: int
    mlp_hidden: int
    drop_path: float
    part_features: int | None = None  # of each expert in ViTPose++


# S, B, L and H as in ViTPose (arXiv:2204.12484, table 1, and its configurations; ViTPose-S keeps
# 12 heads) and ViTPose++ (arXiv:2212.04246); Ti as DeiT-Ti (arXiv:2012.12877). g and G as in
# arXiv:2106.04560, table 2, but with H's drop path, and with patches of 16 pixels rather than 14,
# so that heatmaps are a quarter of the image.
_VIT_SIZES = {
    "Ti": _Size(192, 12, 3, 768, 0.1),
    "S": _Size(384, 12, 12, 1536, 0.1, 192),
    "B": _Size(768, 12, 12, 3072, 0.3, 192),
    "L": _Size(1024, 24, 16, 4096, 0.5, 256),
    "H": _Size(1280, 32, 16, 5120, 0.55, 320),
    "g": _Size(1408, 40, 16, 6144, 0.55),
    "G": _Size(1664, 48, 16, 8192, 0.55),
}

# The datasets of ViTPose++, in the order of its experts.
VITPOSE_PLUS_DATASETS = ("COCO", "AIC", "MPII", "AP-10K", "APT-36K", "COCO-WholeBody")


def vitpose(
    size: str,
    num_keypoints: int = 17,
    input_hw: tuple[int, int] = (256, 192),
    head: str = "classic",
    *,
    heads: int | None = None,
    drop_path: float | None = None,
    remat: str = "none",
    attention: Literal["xla", "cudnn"] = "xla",
    split_ratio: float = 2.0,
    dtype: str = "float32",
) -> PoseModel:
    """ViTPose (Xu et al. 2022, arXiv:2204.12484) of `size` Ti, S, B, L, H, g or G.

    `head` is "classic" (two deconvolutions) or "simple" (bilinear x4 and one convolution), both
    with heatmaps of `input_hw / 4`, or "simcc" (arXiv:2107.03332) or "rtmcc" (arXiv:2303.07399),
    both with `split_ratio` bins per pixel.
    `drop_path=None` takes the rate of the published recipe, `heads=None` the published number of
    attention heads. That is 12 for S; ImageNet's ViT-S has 6, and its weights need `heads=6`.
    """
    shape = _size(size, _VIT_SIZES)
    backbone = ViT(
        input_hw=(input_hw[0], input_hw[1]),
        dim=shape.dim,
        depth=shape.depth,
        heads=shape.heads if heads is None else heads,
        mlp_hidden=shape.mlp_hidden,
        drop_path=shape.drop_path if drop_path is None else drop_path,
        remat=remat,
        attention=attention,
        dtype=dtype,
    )
    return PoseModel(backbone, pose_head(head, num_keypoints, input_hw, split_ratio, dtype))


def vitpose_plus(
    size: str,
    num_keypoints: int = 17,
    input_hw: tuple[int, int] = (256, 192),
    head: str = "classic",
    *,
    dataset: int = 0,
    experts: int = len(VITPOSE_PLUS_DATASETS),
    drop_path: float | None = None,
    remat: str = "none",
    dtype: str = "float32",
) -> PoseModel:
    """ViTPose++ (Xu et al. 2022, arXiv:2212.04246) of `size` S, B, L or H.

    Part of each block's MLP has separate weights for each of `experts` datasets. `dataset` is the
    index of the dataset that the model is used on, in `VITPOSE_PLUS_DATASETS` for the published
    weights. `PoseModel.mixed` takes the dataset of each image instead.
    """
    shape = _size(size, [name for name, known in _VIT_SIZES.items() if known.part_features])
    model = vitpose(
        size, num_keypoints, input_hw, head, drop_path=drop_path, remat=remat, dtype=dtype
    )
    backbone = model.backbone.clone(
        experts=experts, part_features=shape.part_features, dataset=dataset
    )
    return PoseModel(backbone, model.head)


def _size(name: str, known: list[str] | dict[str, _Size]) -> _Size:
    if name in known:
        return _VIT_SIZES[name]
    raise InputError(f"Unknown ViT size {name!r}; known: {', '.join(known)}.{nearest(name, known)}")


_COCO = f"{OPENMMLAB}/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_ViTPose-"
_HUB = "https://huggingface.co/usyd-community"

# AP: COCO val2017 with the detections of 56.4 person AP, flip test. MMPose's tables give neither
# parameters nor GFLOPs, and the papers count the backbone alone.
_VITPOSE = tuple(
    PublishedPose(
        name=f"vitpose-{size.lower()}{suffix}",
        make=partial(vitpose, size, head=head),
        codec=udp,
        skeleton=skeletons.COCO17,
        score=f"AP {score}",
        source="MMPose 1.x model zoo, vitpose_coco",
        licence=APACHE,
        trained_on=("COCO",),
        weights=Weights(f"{_COCO}{file}.pth", file.rpartition("_")[0].rpartition("-")[2])
        if file
        else None,
        golden=golden,
    )
    for size, head, suffix, score, golden, file in (
        ("S", "classic", "", 73.9, ("vitpose_s_256x192", "hf_vitpose_small"),
         "small_8xb64-210e_coco-256x192-62d7a712_20230314"),
        ("B", "classic", "", 75.7, (), "base_8xb64-210e_coco-256x192-216eae50_20230314"),
        ("L", "classic", "", 78.2, (), "large_8xb64-210e_coco-256x192-53609f55_20230314"),
        ("H", "classic", "", 78.8, ("vitpose_h_256x192",),
         "huge_8xb64-210e_coco-256x192-e32adcd4_20230314"),
        ("S", "simple", "-simple", 73.6, (),
         "small-simple_8xb64-210e_coco-256x192-4c101a76_20230314"),
        ("B", "simple", "-simple", 75.6, ("vitpose_b_simple_256x192",),
         "base-simple_8xb64-210e_coco-256x192-0b8234ea_20230407"),
        ("L", "simple", "-simple", 78.0, (),
         "large-simple_8xb64-210e_coco-256x192-3a7ee9e1_20230314"),
        ("H", "simple", "-simple", 78.9, (),
         "huge-simple_8xb64-210e_coco-256x192-ffd48c05_20230314"),
        ("H", "classic", "-3rdparty", 79.0, (), "huge_3rdparty_coco-256x192-5b738c8e_20230314"),
    )
)  # fmt: skip

# Conversions of the authors' weights, in the format of Hugging Face's transformers.
_HUGGING_FACE = tuple(
    PublishedPose(
        name=f"vitpose-b{suffix}-hf",
        make=partial(vitpose, "B", head=head),
        codec=udp,
        skeleton=skeletons.COCO17,
        score=score,
        source="ViTPose repository, README",
        licence=APACHE,
        trained_on=trained_on,
        weights=Weights(f"{_HUB}/vitpose-base{repository}/resolve/main/model.safetensors"),
    )
    for suffix, head, repository, score, trained_on in (
        ("", "classic", "", "AP 75.7", ("COCO",)),
        ("-simple", "simple", "-simple", "AP 75.6", ("COCO",)),
        ("-coco-aic-mpii", "classic", "-coco-aic-mpii", "", ("COCO", "AIC", "MPII")),
    )
)

# The skeleton of each dataset of ViTPose++; APT-36K has the keypoints of AP-10K.
_PLUS_SKELETONS = {
    "COCO": skeletons.COCO17,
    "AIC": skeletons.AIC14,
    "MPII": skeletons.MPII16,
    "AP-10K": skeletons.AP10K17,
    "APT-36K": skeletons.AP10K17,
    "COCO-WholeBody": skeletons.COCO_WHOLEBODY133,
}
_PLUS_COCO = {
    "S": (75.8, "small", ("hf_vitpose_plus_small",)),
    "B": (77.0, "base", ()),
    "L": (78.6, "large", ()),
    "H": (79.4, "huge", ()),
}


def _plus(size: str, dataset: str) -> PublishedPose:
    """Make the record of ViTPose++ with the expert and the head of one dataset."""
    skeleton = _PLUS_SKELETONS[dataset]
    index = VITPOSE_PLUS_DATASETS.index(dataset)
    name, first = f"vitpose-plus-{size.lower()}", index == 0
    ap, word, golden = _PLUS_COCO[size]
    return PublishedPose(
        name=name if first else f"{name}-{dataset.lower().replace('-', '')}",
        make=partial(vitpose_plus, size, dataset=index),
        codec=udp,
        skeleton=skeleton,
        num_keypoints=skeleton.num_keypoints,
        score=f"AP {ap}" if first else "",
        source="ViTPose repository, README (multi-task training)",
        licence=APACHE,
        trained_on=(dataset,),
        weights=Weights(f"{_HUB}/vitpose-plus-{word}/resolve/main/model.safetensors")
        if first
        else None,
        golden=golden if first else (),
        same_arrays_as="" if first else name,
    )


# Name, constructor, codec, and millions of parameters at 17 keypoints, counted. The first has the
# shapes of ViTPose-S.
_OTHERS = (
    ("vitpose-s-6heads", partial(vitpose, "S", heads=6), udp, None),
    ("vitpose-ti", partial(vitpose, "Ti"), udp, 7.36),
    ("vitpose-ti-simple", partial(vitpose, "Ti", head="simple"), udp, 5.55),
    ("vitpose-g", partial(vitpose, "g"), udp, 1018.18),
    ("vitpose-g-simple", partial(vitpose, "g", head="simple"), udp, 1011.58),
    ("vitpose-gigantic", partial(vitpose, "G"), udp, 1850.84),
    ("vitpose-gigantic-simple", partial(vitpose, "G", head="simple"), udp, 1843.22),
    ("vitpose-s-simcc", partial(vitpose, "S", head="simcc"), SimCC, 21.84),
    ("vitpose-b-simcc", partial(vitpose, "B", head="simcc"), SimCC, 85.98),
    ("vitpose-plus-s-simple", partial(vitpose_plus, "S", head="simple"), udp, 39.43),
    ("vitpose-plus-b-simple", partial(vitpose_plus, "B", head="simple"), udp, 121.31),
    ("vitpose-plus-l-simple", partial(vitpose_plus, "L", head="simple"), udp, 429.31),
    ("vitpose-plus-h-simple", partial(vitpose_plus, "H", head="simple"), udp, 893.30),
)

VITPOSE = Family(
    "vitpose",
    mmpose={ViT: vit_tables.mmpose},
    formats=vit_tables.FORMATS,
    published=(
        *_VITPOSE,
        *_HUGGING_FACE,
        *(_plus(size, dataset) for dataset in VITPOSE_PLUS_DATASETS for size in _PLUS_COCO),
    ),
    unpublished=tuple(
        PublishedPose(name=name, make=make, codec=codec, skeleton=None, parameters=millions)
        for name, make, codec, millions in _OTHERS
    ),
)
