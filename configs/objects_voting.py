"""Poses of five drawn objects by the votes of their pixels, as PVNet. No data needed.

    jaxpose train objects_voting --workdir runs/objects_voting

PVNet with a quarter of the published width in its trunk. `objects_synthetic` has heatmaps in its
place.
"""

from jaxpose.codecs import FieldVoting
from jaxpose.losses import VectorFieldLoss
from jaxpose.models import pvnet
from jaxpose.objects.drawn_scenes import SyntheticObjects
from jaxpose.tasks.objects.experiment import ObjectEvaluation, ObjectExperiment
from jaxpose.train.optimizers import AdamW


def get_config() -> ObjectExperiment:
    """3,000 steps of 16 on 6,000 images; scored on 200 others."""
    return ObjectExperiment(
        model=pvnet(9, width=16),
        codec=FieldVoting((64, 64)),
        loss=VectorFieldLoss(),
        train_data=SyntheticObjects(6000, seed=0),
        eval_data=SyntheticObjects(200, seed=1),
        optimizer=AdamW(
            learning_rate=2e-3, schedule="cosine", warmup_steps=100, weight_decay=0.01, b2=0.99
        ),
        evaluation=ObjectEvaluation(every=1000, batch_size=50),
        steps=3000,
        batch_size=16,
        ema_decay=0.998,
        resident=True,
        checkpoint_every=1000,
        log_every=50,
    )
