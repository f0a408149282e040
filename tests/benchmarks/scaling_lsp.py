"""The study of `scaling_people` on photographs: Leeds Sports Pose and its extended set.

    jaxpose prepare lsp --lsp lsp --lspet lspet --canvas 96x72 --out data/scaling_lsp
    jaxpose scaling plan tests/benchmarks/scaling_lsp.py ...

11,000 people to train on, and the 1,000 of LSP's test to score.
"""

from dataclasses import replace

from jaxpose.data.source import Records
from jaxpose.metrics import PCK
from jaxpose.skeletons import LSP14
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from tests.benchmarks import scaling_people


def get_config() -> TopDownExperiment:
    """The small ViT of the other study, with LSP's 14 joints."""
    start = scaling_people.get_config()
    return replace(
        start,
        skeleton=LSP14,
        model=replace(start.model, head=replace(start.model.head, num_keypoints=14)),
        train_data=Records("data/scaling_lsp", "train"),
        eval_data=Records("data/scaling_lsp", "test"),
        evaluation=Evaluation(metrics=(PCK(),), every=start.evaluation.every, batch_size=100),
    )
