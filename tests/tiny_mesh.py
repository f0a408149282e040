"""A recipe of meshes small enough to train in seconds."""

from jaxpose.bodies.drawn import FACING
from jaxpose.bodies.drawn_people import SyntheticBodies
from jaxpose.codecs import MeshCodec
from jaxpose.models import MeshHead
from jaxpose.models.build import PoseModel
from jaxpose.models.vit import ViT
from jaxpose.tasks.meshes.experiment import MeshEvaluation, MeshExperiment
from jaxpose.train.optimizers import AdamW


def get_config() -> MeshExperiment:
    """Six steps of a one-layer ViT on 12 drawn people."""
    canvas_hw = (96, 72)
    return MeshExperiment(
        model=PoseModel(
            ViT(input_hw=(64, 48), dim=32, depth=1, heads=2),
            MeshHead(
                joints=17,
                shapes=8,
                depth=1,
                width=32,
                heads=2,
                head_dim=16,
                mlp_hidden=32,
                facing=FACING,
            ),
        ),
        codec=MeshCodec(input_hw=(64, 48)),
        train_data=SyntheticBodies(12, seed=0, canvas_hw=canvas_hw, plain=True),
        eval_data=SyntheticBodies(6, seed=1, canvas_hw=canvas_hw, plain=True),
        optimizer=AdamW(learning_rate=1e-3, warmup_steps=2),
        evaluation=MeshEvaluation(every=6, batch_size=8, examples=2),
        steps=6,
        batch_size=8,
        resident=True,
        checkpoint_every=3,
        log_every=1,
    )
