"""ST-GCN on drawn exercises: people who walk, run, wave, reach and squat. No data needed.

    jaxpose train actions_synthetic --workdir runs/actions_synthetic

A network of a quarter of the published width and half its units, which trains in minutes on two
cores. It says nothing about recordings of real people.
"""

from jaxpose.codecs.clips import ClipCodec
from jaxpose.data.action_dataset import SyntheticActions
from jaxpose.losses import CrossEntropy
from jaxpose.models import stgcn
from jaxpose.skeletons import H36M17
from jaxpose.skeletons.graph import graph_of
from jaxpose.tasks.actions.experiment import ActionEvaluation, ActionExperiment
from jaxpose.train.optimizers import AdamW

GRAPH, FRAMES = graph_of(H36M17), 32


def get_config() -> ActionExperiment:
    """600 steps of 32 clips."""
    return ActionExperiment(
        skeleton=H36M17,
        model=stgcn(
            5, GRAPH, in_features=2, people=1, frames=FRAMES, units=(2, 2, 1), width=16, dropout=0.2
        ),
        codec=ClipCodec(GRAPH, FRAMES, people=1),
        loss=CrossEntropy(smoothing=0.1),
        train_data=SyntheticActions(400, noise=3.0),
        eval_data=SyntheticActions(100, split="validate", noise=3.0),
        mirror=True,
        rotate=10.0,
        scale=0.1,
        optimizer=AdamW(learning_rate=2e-3, schedule="cosine", warmup_steps=50, weight_decay=0.01),
        evaluation=ActionEvaluation(every=200),
        steps=600,
        batch_size=32,
        ema_decay=0.99,
        checkpoint_every=200,
        log_every=50,
    )
