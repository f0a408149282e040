"""Poses of five drawn objects by the votes of their pixels, as PVNet. No data needed.

    jaxpose train objects_voting --workdir runs/objects_voting

Fields and voting are PVNet's; the trunk is that of `objects_synthetic`, which has heatmaps in
their place. The fields have a quarter of the image's resolution, and are offsets rather than unit
vectors, which this trunk learns in a fraction of the steps. `models.pvnet(9, width=16)` with
`FieldVoting((96, 96))` is as published, and takes much longer.
"""

from jaxpose.codecs import FieldVoting
from jaxpose.losses import VectorFieldLoss
from jaxpose.models.build import PoseModel
from jaxpose.models.pvnet import VectorFieldHead
from jaxpose.models.pyramid import Pyramid
from jaxpose.objects.drawn_scenes import SyntheticObjects
from jaxpose.tasks.objects.experiment import ObjectEvaluation, ObjectExperiment
from jaxpose.train.optimizers import AdamW


def get_config() -> ObjectExperiment:
    """4,000 steps of 32 on 6,000 images; scored on 200 others."""
    return ObjectExperiment(
        model=PoseModel(
            Pyramid(patch=4, widths=(24, 48, 96, 128), depths=(1, 1, 2, 1), path_width=32),
            VectorFieldHead(9, hidden=128, positions=True),
        ),
        codec=FieldVoting((96, 96), stride=4, offsets=True),
        loss=VectorFieldLoss(),
        train_data=SyntheticObjects(6000, seed=0),
        eval_data=SyntheticObjects(200, seed=1),
        optimizer=AdamW(
            learning_rate=2e-3, schedule="cosine", warmup_steps=100, weight_decay=0.05, b2=0.99
        ),
        evaluation=ObjectEvaluation(every=2000, batch_size=50),
        threshold=0.08,
        steps=4000,
        batch_size=32,
        ema_decay=0.998,
        resident=True,
        checkpoint_every=2000,
        log_every=50,
    )
