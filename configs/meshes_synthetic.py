"""Bodies of drawn people from their images: a small HMR. No data needed.

    jaxpose train meshes_synthetic_first --workdir runs/meshes_first
    jaxpose train meshes_synthetic --workdir runs/meshes

The free body model of drawn people (17 joints, 8 shape numbers), regressed as in HMR 2.0 by a
transformer decoder of one query, from what a small network of keypoints finds. That network is the
first part, and does not learn any more here. It says nothing about images of real people.
"""

from jaxpose.bodies.drawn import FACING
from jaxpose.bodies.drawn_people import SyntheticBodies
from jaxpose.codecs import MeshCodec
from jaxpose.models import MeshHead
from jaxpose.models.build import PoseModel
from jaxpose.models.feature_pyramid import FeaturePyramid
from jaxpose.models.movenet import MobileNetV2Pyramid
from jaxpose.tasks.meshes.experiment import MeshEvaluation, MeshExperiment
from jaxpose.train.optimizers import AdamW


def get_config() -> MeshExperiment:
    """4,000 steps of 32 on 10,000 people; scored on 200 others."""
    canvas_hw = (192, 144)
    return MeshExperiment(
        model=PoseModel(
            FeaturePyramid(
                MobileNetV2Pyramid(whole_path=True), width=48, blocks=1, path_norm=False
            ),
            MeshHead(
                joints=17,
                shapes=8,
                depth=4,
                width=256,
                heads=8,
                head_dim=32,
                mlp_hidden=512,
                facing=FACING,
                positions=True,
                parts=17,
            ),
        ),
        codec=MeshCodec(input_hw=(128, 96)),
        train_data=SyntheticBodies(10_000, seed=0, canvas_hw=canvas_hw),
        eval_data=SyntheticBodies(200, seed=1, canvas_hw=canvas_hw),
        optimizer=AdamW(
            learning_rate=1e-3,
            schedule="cosine",
            warmup_steps=200,
            weight_decay=0.05,
            b2=0.99,
            frozen=(r"backbone/.*",),
        ),
        evaluation=MeshEvaluation(every=1000, batch_size=50),
        init_from="runs/meshes_first",
        reset_head=True,
        steps=4000,
        batch_size=32,
        ema_decay=0.998,
        resident=True,
        checkpoint_every=1000,
        log_every=50,
    )
