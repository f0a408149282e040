"""Surfaces of drawn people from their images: a small DensePose. No data needed.

    jaxpose train densepose_synthetic --workdir runs/densepose

Part, U and V of each pixel on the charts of the free body, by the head of DensePose with fewer
channels on a small convolutional backbone. It says nothing about images of real people.
"""

from jaxpose.bodies.drawn_surfaces import SyntheticSurfaces
from jaxpose.codecs import SurfaceMaps
from jaxpose.models.build import PoseModel
from jaxpose.models.densepose import DensePoseHead
from jaxpose.models.pyramid import Pyramid
from jaxpose.tasks.densepose.experiment import SurfaceEvaluation, SurfaceExperiment
from jaxpose.train.optimizers import AdamW


def get_config() -> SurfaceExperiment:
    """600 steps of 16 on 1,000 people; scored on 100 others."""
    canvas_hw = (192, 144)
    return SurfaceExperiment(
        model=PoseModel(
            Pyramid(patch=8, widths=(64, 128, 256), depths=(2, 2, 2), path_width=64),
            DensePoseHead(convs=2, width=96),
        ),
        codec=SurfaceMaps(input_hw=(128, 96), stride=2),
        train_data=SyntheticSurfaces(1000, seed=0, canvas_hw=canvas_hw),
        eval_data=SyntheticSurfaces(100, seed=1, canvas_hw=canvas_hw),
        optimizer=AdamW(
            learning_rate=2e-3, schedule="cosine", warmup_steps=50, weight_decay=0.05, b2=0.99
        ),
        evaluation=SurfaceEvaluation(every=200, batch_size=20),
        steps=600,
        batch_size=16,
        ema_decay=0.99,
        resident=True,
        checkpoint_every=200,
        log_every=25,
    )
