"""Leeds Sports Pose from scratch, well within an hour of two CPU cores.

    jaxpose prepare lsp --lsp lsp --lspet lspet --out data/lsp --canvas 192x192
    jaxpose train lsp --workdir runs/lsp

Trained on LSP's first 1,000 people and LSP-Extended's 10,000, tested on LSP's last 1,000. A small
residual network takes 128x128 crops in patches of 8 and predicts 16x16 heatmaps: the tolerance of
PCK@0.2 is about one cell of the map, so the number of epochs in the budget matters more than
resolution. Boxes are the joints' own extent (`data_prep/lsp.py` adds 15 %, `padding` another 10 %).
The schedule ends at rate 0, so the last checkpoint is the result; selecting the best of several on
the test set would give a score that is too high.
"""

from jaxpose.codecs.heatmap import udp
from jaxpose.data.source import Records
from jaxpose.losses import HeatmapMSE
from jaxpose.metrics import PCK
from jaxpose.models.build import PoseModel
from jaxpose.models.heads import DeconvHead
from jaxpose.models.pyramid import Pyramid
from jaxpose.skeletons import LSP14
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.train.optimizers import AdamW


def get_config() -> TopDownExperiment:
    """8,000 steps of 32, which is 23 epochs."""
    return TopDownExperiment(
        skeleton=LSP14,
        model=PoseModel(
            Pyramid(patch=8, widths=(64, 128, 256), depths=(2, 2, 2), path_width=64),
            DeconvHead(14, deconv_channels=()),
        ),
        # Sigma: 6 % of the crop; decoding blurs by a Gaussian of about the same width.
        codec=udp(input_hw=(128, 128), heatmap_hw=(16, 16), sigma=1.0, blur_kernel=5),
        loss=HeatmapMSE(),
        train_data=Records("data/lsp", "train"),
        eval_data=Records("data/lsp", "test"),
        # People stand, hang and jump, so crops rotate fully, but zoom half as much as in ViTPose's
        # recipe: most images end near the person.
        augmentation=Augmentation(scale=0.25, shift=0.08, half_body=0.0),
        padding=1.1,
        optimizer=AdamW(
            learning_rate=2e-3, schedule="cosine", warmup_steps=400, weight_decay=0.05, b2=0.99
        ),
        evaluation=Evaluation(metrics=(PCK(0.2),), every=4000, batch_size=50),
        steps=8000,
        batch_size=32,
        ema_decay=0.998,
        # 11,000 canvases of 192x192 are 1.2 GB in memory, so no time is spent on decoding.
        resident=True,
        checkpoint_every=2000,
        log_every=200,
    )
