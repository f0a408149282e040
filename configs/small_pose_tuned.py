"""The pose network of the package, `jaxpose-small`, second part: its last stages learn, too.

    jaxpose train small_pose_tuned --workdir runs/small_pose_tuned
    jaxpose convert runs/small_pose_tuned jaxpose-small --half --checkpoint last

`small_pose` has the data and the first part. The first layers of the trunk stay fixed: their maps
are the largest, and backward passes through depthwise convolutions take most of the time on CPUs.
"""

from dataclasses import replace

from jaxpose.tasks.topdown.experiment import TopDownExperiment
from jaxpose.train.recipe import load_recipe

FROZEN = r"backbone/trunk/mobilenet/(stem|stage_[0-2]_block_\d+)/.*"


def get_config() -> TopDownExperiment:
    """2,000 steps of 16; the rate falls to 0."""
    first = load_recipe("small_pose")
    assert isinstance(first, TopDownExperiment)
    return replace(
        first,
        init_from="runs/small_pose",
        reset_head=False,
        optimizer=replace(first.optimizer, learning_rate=3e-4, schedule="cosine", frozen=(FROZEN,)),
        steps=2000,
        ema_decay=0.998,
    )
