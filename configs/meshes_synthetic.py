"""Bodies of drawn people from their images: a small HMR. No data needed.

    jaxpose train meshes_synthetic --workdir runs/meshes_synthetic

The free body model of drawn people (17 joints, 8 shape numbers), regressed as in HMR 2.0 by a
transformer decoder of one query, on a small convolutional backbone. It says nothing about images
of real people.
"""

from jaxpose.bodies.drawn import FACING
from jaxpose.bodies.drawn_people import SyntheticBodies
from jaxpose.codecs import MeshCodec
from jaxpose.models import MeshHead
from jaxpose.models.build import PoseModel
from jaxpose.models.pyramid import Pyramid
from jaxpose.tasks.meshes.experiment import MeshEvaluation, MeshExperiment
from jaxpose.train.optimizers import AdamW


def get_config() -> MeshExperiment:
    """4,000 steps of 32 on 10,000 people; scored on 200 others."""
    canvas_hw = (192, 144)
    return MeshExperiment(
        model=PoseModel(
            Pyramid(patch=8, widths=(64, 128, 256), depths=(2, 2, 2), path_width=64),
            MeshHead(
                joints=17,
                shapes=8,
                depth=2,
                width=256,
                heads=4,
                mlp_hidden=512,
                facing=FACING,
                positions=True,
            ),
        ),
        codec=MeshCodec(input_hw=(128, 96)),
        train_data=SyntheticBodies(10_000, seed=0, canvas_hw=canvas_hw),
        eval_data=SyntheticBodies(200, seed=1, canvas_hw=canvas_hw),
        optimizer=AdamW(
            learning_rate=1e-3, schedule="cosine", warmup_steps=200, weight_decay=0.05, b2=0.99
        ),
        evaluation=MeshEvaluation(every=1000, batch_size=50),
        steps=4000,
        batch_size=32,
        ema_decay=0.998,
        resident=True,
        checkpoint_every=1000,
        log_every=50,
    )
