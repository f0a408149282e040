"""CTR-GCN's stream of joints on NTU RGB+D, cross-subject (arXiv:2107.12213); data as `ntu60_stgcn`.

    jaxpose train ntu60_ctrgcn --workdir runs/ntu60_ctrgcn

SGD with a rate of 0.1 that rises over five epochs and is divided by 10 after 35 and 55 of 65,
batches of 64, clips turned at random by up to 17 degrees, as in the published configuration. There
64 frames are interpolated from a part of the clip; here they are sampled from the whole. Weight
decay is decoupled (see `ntu60_stgcn`). The other streams are trained with
`--set 'codec.stream="bone"'`, `"joint motion"` and `"bone motion"`.
"""

from jaxpose.codecs.clips import ClipCodec
from jaxpose.data.action_dataset import ActionDataset
from jaxpose.losses import CrossEntropy
from jaxpose.metrics.actions import MeanClassAccuracy, TopK
from jaxpose.models import ctrgcn
from jaxpose.skeletons import NTU25
from jaxpose.skeletons.graph import NTU25_GRAPH
from jaxpose.tasks.actions.experiment import ActionEvaluation, ActionExperiment
from jaxpose.train.optimizers import SGD

EPOCH = 40_091 // 64  # training clips of the cross-subject protocol


def get_config() -> ActionExperiment:
    """65 epochs of 40,091 clips."""
    return ActionExperiment(
        skeleton=NTU25,
        model=ctrgcn(60),
        codec=ClipCodec(NTU25_GRAPH, 64, dimensions=3, frame="root", root=1),
        loss=CrossEntropy(),
        train_data=ActionDataset("data/ntu60.npz", split=("train",)),
        eval_data=ActionDataset("data/ntu60.npz", split=("val",)),
        rotate=17.2,
        optimizer=SGD(
            learning_rate=0.1,
            weight_decay=4e-3,
            momentum=0.9,
            nesterov=True,
            schedule="step",
            milestones=(35 / 65, 55 / 65),
            warmup_steps=5 * EPOCH,
        ),
        evaluation=ActionEvaluation(
            metrics=(TopK(), TopK(5), MeanClassAccuracy()), every=5 * EPOCH
        ),
        steps=65 * EPOCH,
        batch_size=64,
        checkpoint_every=EPOCH,
    )
