"""Tables for VGG, one function for each project's names."""

from jaxpose.convert import layouts
from jaxpose.convert.rules import Rule
from jaxpose.models.openpose import VGG_BLOCKS, VGGStem

# Convolutions of VGG-19 after the tenth, by their place in torchvision's sequence.
_LATER = (23, 25, 28, 30, 32, 34)


def torchvision(model: VGGStem) -> list[Rule]:
    """VGG-19 in torchvision: convolutions, ReLUs and poolings are numbered in one sequence."""
    del model  # the keys are the same for every configuration
    rules, place = [], 0
    for b, (_, convolutions) in enumerate(VGG_BLOCKS, start=1):
        for i in range(1, convolutions + 1):
            source, target = rf"features\.{place}", f"backbone/conv_{b}_{i}"
            rules += layouts.dense(source, target, kernel=layouts.conv)
            place += 2  # its ReLU
        place += 1  # the pooling
    later = "|".join(str(place) for place in _LATER)
    rules.append(
        Rule(rf"features\.({later})\..+", None, reason="a layer after VGG-19's tenth convolution")
    )
    return rules
