"""Martinez's residual MLP on Human3.6M's poses, seen by real cameras at random.

    jaxpose prepare h36m --poses h36m_fk17_10hz.npz --out data/h36m_poses.npz
    jaxpose train h36m_mlp --workdir runs/h36m_mlp

The poses have no place and no camera. In every step each is turned about the vertical, put
somewhere within a metre of the laboratory's middle and seen by one of the 20 cameras of the
training subjects, lens included: `data/h36m_cameras.json` is the `camera-parameters.json` of
https://github.com/karfly/human36m-camera-parameters. Trained on S1, S5, S6, S7 and S8, scored on S9
and S11 before their own four cameras, each clip placed once. So the protocol's subjects are those
published, its poses a tenth as dense in time and placed anew, its input projected joints.
"""

from jaxpose.codecs.lifting import LiftingCodec
from jaxpose.config import LiftingEvaluation, LiftingExperiment, Optimizer
from jaxpose.data.clips import Clips, Rig
from jaxpose.losses import MPJPE
from jaxpose.models import martinez
from jaxpose.skeletons import H36M17

POSES, CAMERAS = "data/h36m_poses.npz", "data/h36m_cameras.json"


def get_config() -> LiftingExperiment:
    """2,200 steps of 512, which is 18 epochs."""
    return LiftingExperiment(
        skeleton=H36M17,
        model=martinez(17, 16, dropout=0.1),
        codec=LiftingCodec(num_keypoints=17, root=(0,), drop_root=True),
        loss=MPJPE(),
        standardise="inputs",
        train_data=Clips(POSES, split=("train",), rig=Rig(CAMERAS, ("S1", "S5", "S6", "S7", "S8"))),
        eval_data=Clips(POSES, split=("test",), rig=Rig(CAMERAS, ("S9", "S11"))),
        optimizer=Optimizer(
            learning_rate=1e-3, schedule="cosine", warmup_steps=200, weight_decay=0.01
        ),
        evaluation=LiftingEvaluation(every=2200),
        steps=2200,
        batch_size=512,
        ema_decay=0.998,
        checkpoint_every=1100,
        log_every=100,
    )
