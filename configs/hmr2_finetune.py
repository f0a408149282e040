r"""HMR 2.0 with SMPL (Goel et al. 2023, arXiv:2305.20091), trained further on your images.

    jaxpose convert hmr2.ckpt hmr2
    jaxpose prepare coco --annotations mine.json --images images --out data/mine
    jaxpose prepare coco --annotations mine_val.json --images images --split val --out data/mine_val
    jaxpose fit data/mine labels.npz --split train --body SMPL_NEUTRAL.npz
    jaxpose fit data/mine_val labels_val.npz --split val --body SMPL_NEUTRAL.npz
    jaxpose train hmr2_finetune --workdir runs/hmr2

SMPL_NEUTRAL.npz is the file of SMPL's owners, hmr2.ckpt the checkpoint of HMR 2.0's authors.
labels.npz and labels_val.npz may also be bodies of another tool (`bodies.labels.read_labels`).
Learning rate, weight decay, batch and augmentation are those of the authors' training; the losses
are ours. ViT-H needs an accelerator: on small ones, take fewer samples at a time with `--set
accumulate=4 --set dtype=bfloat16`.
"""

from jaxpose.bodies.labelled_people import LabelledBodies
from jaxpose.codecs import MeshCodec
from jaxpose.data.source import Records
from jaxpose.models import hmr2
from jaxpose.tasks.meshes.experiment import MeshEvaluation, MeshExperiment
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.train.optimizers import AdamW


def get_config() -> MeshExperiment:
    """5,000 steps of 48 from the published weights."""
    return MeshExperiment(
        body="SMPL_NEUTRAL.npz",
        model=hmr2(),
        codec=MeshCodec(blurred=True),
        train_data=LabelledBodies(Records("data/mine", "train"), bodies="labels.npz"),
        eval_data=LabelledBodies(Records("data/mine_val", "val"), bodies="labels_val.npz"),
        augmentation=Augmentation(
            rotation_degrees=30.0, scale=0.3, shift=0.02, shift_probability=0.5, half_body=0.0
        ),
        padding=1.0,  # as the published network predicts
        optimizer=AdamW(learning_rate=1e-5, schedule="cosine", warmup_steps=100, weight_decay=1e-4),
        evaluation=MeshEvaluation(every=1000),
        init_from="hmr2",
        steps=5000,
        batch_size=48,
    )
