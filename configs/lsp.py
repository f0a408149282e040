"""Leeds Sports Pose from scratch: a small network, half an hour of two CPU cores.

Trained on LSP's first 1,000 photos and LSP-Extended's 10,000, tested on LSP's last 1,000.

    jaxpose prepare lsp --lsp lsp --lspet lspet --out data/lsp --canvas 192x192
    jaxpose train lsp --workdir runs/lsp
"""

from jaxpose.augment import Augmentation
from jaxpose.codecs.heatmap import udp
from jaxpose.config import Evaluation, Experiment, Optimizer
from jaxpose.data.source import Records
from jaxpose.losses import HeatmapMSE
from jaxpose.models.build import PoseModel
from jaxpose.models.heads import DeconvHead
from jaxpose.models.pyramid import Pyramid
from jaxpose.skeletons import LSP14


def get_config() -> Experiment:
    """20 epochs at 96x96; the whole set stays in memory as uint8 canvases (1.2 GB)."""
    input_hw = (96, 96)
    return Experiment(
        skeleton=LSP14,
        model=PoseModel(
            Pyramid(patch=8, widths=(96, 192, 384), depths=(2, 2, 2), path_width=64),
            DeconvHead(14, deconv_channels=(64,)),
        ),
        codec=udp(input_hw, heatmap_hw=(24, 24), sigma=1.5),
        loss=HeatmapMSE(),
        train_data=Records("data/lsp", "train"),
        eval_data=Records("data/lsp", "test"),
        # People fill the frame in every orientation; half-body crops would waste a short budget.
        augmentation=Augmentation(scale=0.25, half_body=0.0),
        optimizer=Optimizer(
            learning_rate=2e-3, schedule="cosine", warmup_steps=200, weight_decay=0.05
        ),
        evaluation=Evaluation(metric="pck", every=1750, batch_size=40),
        steps=7_000,
        batch_size=32,
        ema_decay=0.998,
        resident=True,
        checkpoint_every=1750,
        log_every=100,
    )
