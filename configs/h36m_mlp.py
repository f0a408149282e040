"""Martinez's residual MLP on Human3.6M's poses, projected by random real cameras.

    jaxpose prepare h36m --poses h36m_fk17_10hz.npz --out data/h36m_poses.npz
    jaxpose train h36m_mlp --workdir runs/h36m_mlp

The poses have no position and no camera. In every step each pose is turned about the vertical, put
within a metre of the laboratory's middle and projected by one of the 20 cameras of the training
subjects, with lens distortion: `data/h36m_cameras.json` is the `camera-parameters.json` of
https://github.com/karfly/human36m-camera-parameters. Trained on S1, S5, S6, S7 and S8, scored on S9
and S11 with their own four cameras and one fixed position per clip. So the subjects are those of
the published protocol; but the poses are ten times fewer in time and placed anew, and the input is
projected joints.
"""

from jaxpose.codecs.lifting import LiftingCodec
from jaxpose.data.motion_dataset import CameraSet, MotionDataset
from jaxpose.losses import MPJPE
from jaxpose.models import martinez
from jaxpose.skeletons import H36M17
from jaxpose.tasks.lifting.experiment import LiftingEvaluation, LiftingExperiment
from jaxpose.train.optimizers import AdamW

POSES, CAMERAS = "data/h36m_poses.npz", "data/h36m_cameras.json"


def get_config() -> LiftingExperiment:
    """2,200 steps of 512, which is 18 epochs."""
    return LiftingExperiment(
        skeleton=H36M17,
        model=martinez(17, 16, dropout=0.1),
        codec=LiftingCodec(num_keypoints=17, root=(0,), drop_root=True),
        loss=MPJPE(),
        standardise="inputs",
        train_data=MotionDataset(
            POSES, split=("train",), rig=CameraSet(CAMERAS, ("S1", "S5", "S6", "S7", "S8"))
        ),
        eval_data=MotionDataset(POSES, split=("test",), rig=CameraSet(CAMERAS, ("S9", "S11"))),
        optimizer=AdamW(learning_rate=1e-3, schedule="cosine", warmup_steps=200, weight_decay=0.01),
        evaluation=LiftingEvaluation(every=2200),
        steps=2200,
        batch_size=512,
        ema_decay=0.998,
        checkpoint_every=1100,
        log_every=100,
    )
