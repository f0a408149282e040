"""DensePose on its authors' files (Güler et al. 2018, arXiv:1802.00434), with a ViT-B.

    jaxpose train densepose_coco --workdir runs/densepose

It reads `densepose_coco_2014_train.json` and `densepose_coco_2014_minival.json` with COCO's
`train2014` and `val2014` as they are; nothing is prepared. The network is not the published one:
a detector of several stages there, here a network for the crop of one person, which begins from
ViTPose-B and whose maps of 64x48 pixels are about as fine as the published 56x56.

With the files of DensePose's evaluation, set

    evaluation=SurfacePointEvaluation(
        metrics=(SurfaceSimilarity(kappa=CHART_KAPPA), SurfacePlaces()),
        distances=PublishedDistances("data/densepose/eval_data"),
    )

and for crops of mirror images, `symmetry="data/densepose/UV_symmetry_transforms.mat"` in
`train_data` and `flip=0.5` in `augmentation`.
"""

from jaxpose.bodies.labelled_surfaces import DensePoseCoco
from jaxpose.codecs import SurfaceMaps
from jaxpose.models.build import PoseModel
from jaxpose.models.densepose import DensePoseHead
from jaxpose.models.vit import ViT
from jaxpose.tasks.densepose.experiment import SurfacePointEvaluation, SurfacePointExperiment
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.train.optimizers import AdamW

TRAIN_PEOPLE = 39_210  # people with points in train2014


def get_config() -> SurfacePointExperiment:
    """30 epochs of batches of 64; AdamW at 2e-4 with layer-wise decay 0.75."""
    batch_size = 64
    epoch = TRAIN_PEOPLE // batch_size
    return SurfacePointExperiment(
        model=PoseModel(
            ViT(dim=768, depth=12, heads=12, dtype="bfloat16"),
            DensePoseHead(dtype="bfloat16"),
        ),
        codec=SurfaceMaps(stride=4),
        train_data=DensePoseCoco("data/densepose/densepose_coco_2014_train.json", "data/train2014"),
        eval_data=DensePoseCoco("data/densepose/densepose_coco_2014_minival.json", "data/val2014"),
        augmentation=Augmentation(flip=0.0, rotation_degrees=20.0, scale=0.25, half_body=0.0),
        optimizer=AdamW(learning_rate=2e-4, weight_decay=0.1, layer_decay=0.75, warmup_steps=500),
        evaluation=SurfacePointEvaluation(every=2 * epoch),
        init_from="vitpose-b",
        reset_head=True,
        steps=30 * epoch,
        batch_size=batch_size,
    )
