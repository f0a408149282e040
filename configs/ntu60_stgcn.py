"""ST-GCN on NTU RGB+D, cross-subject, with the settings of its paper (arXiv:1801.07455).

    jaxpose prepare actions --ntu nturgb+d_skeletons --protocol ntu60-xsub --out data/ntu60.npz
    jaxpose train ntu60_stgcn --workdir runs/ntu60_stgcn

SGD with a rate of 0.1 that is divided by 10 after 10 and 50 of 80 epochs, batches of 64, as in the
published configuration. There clips are filled up with empty frames to 300; here 300 frames are
sampled from each clip. PyTorch's weight decay of 1e-4 acts through the momentum of 0.9, which makes
it ten times as strong; here it is decoupled, so it is 1e-3.
"""

from jaxpose.codecs.clips import ClipCodec
from jaxpose.data.action_dataset import ActionDataset
from jaxpose.losses import CrossEntropy
from jaxpose.metrics.actions import MeanClassAccuracy, TopK
from jaxpose.models import stgcn
from jaxpose.skeletons import NTU25
from jaxpose.skeletons.graph import NTU25_GRAPH
from jaxpose.tasks.actions.experiment import ActionEvaluation, ActionExperiment
from jaxpose.train.optimizers import SGD

EPOCH = 40_091 // 64  # training clips of the cross-subject protocol


def get_config() -> ActionExperiment:
    """80 epochs of 40,091 clips."""
    return ActionExperiment(
        skeleton=NTU25,
        model=stgcn(60),
        codec=ClipCodec(NTU25_GRAPH, 300, dimensions=3, frame="root", root=1),
        loss=CrossEntropy(),
        train_data=ActionDataset("data/ntu60.npz", split=("train",)),
        eval_data=ActionDataset("data/ntu60.npz", split=("val",)),
        optimizer=SGD(
            learning_rate=0.1,
            weight_decay=1e-3,
            warmup_steps=0,
            momentum=0.9,
            nesterov=True,
            schedule="step",
            milestones=(10 / 80, 50 / 80),
        ),
        evaluation=ActionEvaluation(
            metrics=(TopK(), TopK(5), MeanClassAccuracy()), every=5 * EPOCH
        ),
        steps=80 * EPOCH,
        batch_size=64,
        checkpoint_every=EPOCH,
    )
