"""A recipe of surfaces small enough to train in seconds."""

from jaxpose.bodies.drawn_surfaces import SyntheticSurfaces
from jaxpose.codecs import SurfaceMaps
from jaxpose.models.build import PoseModel
from jaxpose.models.densepose import DensePoseHead
from jaxpose.models.vit import ViT
from jaxpose.tasks.densepose.experiment import SurfaceEvaluation, SurfaceExperiment
from jaxpose.train.optimizers import AdamW


def get_config() -> SurfaceExperiment:
    """Six steps of a one-layer ViT on 12 drawn people."""
    canvas_hw = (96, 72)
    return SurfaceExperiment(
        model=PoseModel(
            ViT(input_hw=(64, 48), dim=32, depth=1, heads=2), DensePoseHead(convs=1, width=16)
        ),
        codec=SurfaceMaps(input_hw=(64, 48), stride=4),
        train_data=SyntheticSurfaces(12, seed=0, canvas_hw=canvas_hw),
        eval_data=SyntheticSurfaces(6, seed=1, canvas_hw=canvas_hw),
        optimizer=AdamW(learning_rate=1e-3, warmup_steps=2),
        evaluation=SurfaceEvaluation(every=6, batch_size=8, examples=2),
        steps=6,
        batch_size=8,
        resident=True,
        checkpoint_every=3,
        log_every=1,
    )
