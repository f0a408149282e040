"""Does a model that sees three frames find what is hidden in one? On drawn clips.

    python -m tests.benchmarks.frames temporal --out runs/frames [--steps 400] [--clips 2000]

In every frame of a clip a board covers a quarter of the person's box, each time elsewhere, and the
image is blurred by up to four pixels. `single` sees the labelled frame alone; `temporal` adds
attention to the frames before and after it; both have the same backbone and head, see the same
clips in the same order, and are scored on 300 other clips. Prints PCK at a tenth
of the square root of the box's area, and the mean error in pixels of canvases of 128 x 96, of
visible and of covered keypoints.
"""

import argparse
from pathlib import Path

from rich.console import Console

from jaxpose.codecs.heatmap import udp
from jaxpose.data.source import SyntheticClips
from jaxpose.losses import HeatmapMSE
from jaxpose.metrics.occlusion import ByOcclusion
from jaxpose.models.build import PoseModel
from jaxpose.models.frames import FrameModel
from jaxpose.models.heads import DeconvHead
from jaxpose.models.pyramid import Pyramid
from jaxpose.models.temporal_head import TemporalHead
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.train.loop import train
from jaxpose.train.optimizers import AdamW

CANVAS_HW = (128, 96)


def experiment(kind: str, steps: int, clips: int) -> TopDownExperiment:
    """Experiment of one kind of model, `single` or `temporal`."""
    backbone = Pyramid(patch=8, widths=(32, 64, 128), depths=(1, 1, 1), path_width=32)
    head = DeconvHead(17, deconv_channels=(32,))
    single = PoseModel(backbone, head)
    model = single if kind == "single" else FrameModel(backbone, TemporalHead(head))
    drawn = {"canvas_hw": CANVAS_HW, "cover": 0.25, "blur": 4.0}
    return TopDownExperiment(
        skeleton=COCO17,
        model=model,
        codec=udp(CANVAS_HW, heatmap_hw=(32, 24), sigma=1.5),
        loss=HeatmapMSE(),
        train_data=SyntheticClips(clips, 0, **drawn),
        eval_data=SyntheticClips(300, 1, **drawn),
        augmentation=Augmentation(
            rotation_degrees=10.0, scale=0.15, shift_probability=0.0, half_body=0.0
        ),
        optimizer=AdamW(
            learning_rate=2e-3, schedule="cosine", warmup_steps=50, weight_decay=0.05, b2=0.99
        ),
        evaluation=Evaluation(
            metrics=(ByOcclusion(),), best="PCK occluded", every=steps, batch_size=32, examples=0
        ),
        steps=steps,
        batch_size=32,
        ema_decay=0.99,
        resident=True,
        checkpoint_every=steps,
        log_every=50,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("single", "temporal"))
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    own = experiment(options.kind, options.steps, options.clips)
    result = train(own, options.out / f"{options.kind}-{options.steps}", Console())
    assert result.report is not None
    print(f"{options.kind}, {options.steps} steps of 32 of {options.clips} clips")
    Console(width=100).print(result.report.table())


if __name__ == "__main__":
    main()
