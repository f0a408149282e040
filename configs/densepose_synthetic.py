"""Surfaces of drawn people from their images: a small DensePose. No data needed.

    jaxpose train densepose_synthetic --workdir runs/surfaces

Part, U and V of each pixel on the charts of the free body, by the head of DensePose with fewer
channels on the trunk of `jaxpose-small`, whose first layers stay as they are. It says nothing about
images of real people.
"""

from jaxpose.bodies.drawn_surfaces import SyntheticSurfaces
from jaxpose.codecs import SurfaceMaps
from jaxpose.models.build import PoseModel
from jaxpose.models.densepose import DensePoseHead
from jaxpose.models.feature_pyramid import FeaturePyramid
from jaxpose.models.movenet import MobileNetV2Pyramid
from jaxpose.tasks.densepose.experiment import SurfaceEvaluation, SurfaceExperiment
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.train.optimizers import AdamW


def get_config() -> SurfaceExperiment:
    """500 steps of 16 on 1,000 people; scored on 100 others."""
    canvas_hw = (192, 144)
    return SurfaceExperiment(
        model=PoseModel(
            FeaturePyramid(MobileNetV2Pyramid(whole_path=True), width=48, blocks=1),
            DensePoseHead(convs=2, width=96),
        ),
        codec=SurfaceMaps(input_hw=(128, 96), stride=1),
        train_data=SyntheticSurfaces(1000, seed=0, canvas_hw=canvas_hw),
        eval_data=SyntheticSurfaces(100, seed=1, canvas_hw=canvas_hw),
        augmentation=Augmentation(rotation_degrees=15.0, scale=0.2, half_body=0.0),
        optimizer=AdamW(
            learning_rate=2e-3,
            schedule="cosine",
            warmup_steps=50,
            weight_decay=0.02,
            b2=0.99,
            frozen=(r"backbone/trunk/mobilenet/.*",),
        ),
        evaluation=SurfaceEvaluation(every=125, batch_size=20),
        init_from="jaxpose-small",
        reset_head=True,
        steps=500,
        batch_size=16,
        ema_decay=0.99,
        resident=True,
        checkpoint_every=125,
        log_every=25,
    )
