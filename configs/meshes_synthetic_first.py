"""First part of `meshes_synthetic`: the keypoints of drawn people, in small crops. No data needed.

    jaxpose train meshes_synthetic_first --workdir runs/meshes_first

The network of `jaxpose-small` learns crops of half its size, and drawn people in all their variety.
As in HMR 2.0, the network of bodies begins from one of keypoints.
"""

from jaxpose.codecs.heatmap import udp
from jaxpose.data.source import SyntheticPeople
from jaxpose.losses import HeatmapMSE
from jaxpose.models.build import PoseModel
from jaxpose.models.feature_pyramid import FeaturePyramid
from jaxpose.models.heads import DeconvHead
from jaxpose.models.movenet import MobileNetV2Pyramid
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.train.optimizers import AdamW

# The first layers stay as they are: their backward passes take most of the time on CPUs.
FROZEN = r"backbone/trunk/mobilenet/(stem|stage_[0-2]_block_\d+)/.*"


def get_config() -> TopDownExperiment:
    """2,000 steps of 32 on 10,000 people; scored on 200 others."""
    canvas_hw = (192, 144)
    return TopDownExperiment(
        skeleton=COCO17,
        model=PoseModel(
            FeaturePyramid(MobileNetV2Pyramid(whole_path=True), width=48, blocks=1),
            DeconvHead(17, deconv_channels=()),
        ),
        codec=udp((128, 96), heatmap_hw=(32, 24), sigma=1.5),
        loss=HeatmapMSE(),
        train_data=SyntheticPeople(10_000, seed=0, canvas_hw=canvas_hw),
        eval_data=SyntheticPeople(200, seed=1, canvas_hw=canvas_hw),
        augmentation=Augmentation(rotation_degrees=15.0, scale=0.2, half_body=0.0),
        optimizer=AdamW(
            learning_rate=1e-3,
            schedule="cosine",
            warmup_steps=100,
            weight_decay=0.05,
            b2=0.99,
            frozen=(FROZEN,),
        ),
        evaluation=Evaluation(every=500),
        init_from="jaxpose-small",
        steps=2000,
        batch_size=32,
        ema_decay=0.998,
        resident=True,
        checkpoint_every=500,
        log_every=50,
    )
