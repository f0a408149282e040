"""Leeds Sports Pose from the weights of PP-TinyPose: PCK@0.2 of 0.921 in 27 core-minutes.

    jaxpose convert model.xml tinypose
    jaxpose prepare lsp --lsp lsp --lspet lspet --out data/lsp --canvas 288x216
    jaxpose train lsp_finetune --workdir runs/lsp_finetune
    jaxpose eval runs/lsp_finetune --checkpoint last

`model.xml` is PP-TinyPose 256x192 of PaddleDetection as an OpenVINO model, which was trained on
COCO train2017, AI Challenger and images that are not published. Data, boxes and augmentation are
those of the recipe `lsp`.
"""

from dataclasses import replace

from jaxpose.codecs.heatmap import dark
from jaxpose.metrics import PCK
from jaxpose.models.published.litehrnet import tinypose
from jaxpose.skeletons import COCO17, LSP14
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.train.optimizers import AdamW
from jaxpose.train.recipe import load_recipe

# The maps of the first stages are the largest and cost most of the time of a step.
FROZEN = (r"backbone/stem/.*", r"backbone/stage_[01]_.*")

# Keypoint of COCO that each joint begins as. Neck and head top begin as the nose, between them.
STARTS = tuple(
    COCO17.keypoints.index(name if name in COCO17.keypoints else "nose") for name in LSP14.keypoints
)


def get_config() -> TopDownExperiment:
    """1,200 steps of 16, which is 1.7 epochs."""
    return replace(
        load_recipe("lsp"),
        model=tinypose(14),
        codec=dark((256, 192), blur_kernel=11),
        init_from="tinypose",
        init_keypoints=STARTS,
        optimizer=AdamW(
            learning_rate=2e-4,
            schedule="cosine",
            warmup_steps=50,
            weight_decay=0.01,
            b2=0.99,
            frozen=FROZEN,
        ),
        evaluation=Evaluation(metrics=(PCK(0.2),), every=1200, batch_size=50),
        steps=1200,
        batch_size=16,
        ema_decay=0.99,
        checkpoint_every=200,
        log_every=20,
    )
