"""Every published model that has a constructor."""

from jaxpose.errors import InputError, nearest
from jaxpose.models.published import (
    hourglass,
    hrnet,
    hybrid,
    litehrnet,
    mobilenetv2,
    openpose,
    resnet,
    rtmdet,
    rtmpose,
    vitpose,
    yolox,
)
from jaxpose.models.published.detection import PublishedDetector
from jaxpose.models.published.entry import Published

CATALOGUE: tuple[Published, ...] = (
    *vitpose.PUBLISHED,
    *resnet.PUBLISHED,
    *hrnet.PUBLISHED,
    *hourglass.PUBLISHED,
    *litehrnet.PUBLISHED,
    *rtmpose.PUBLISHED,
    *mobilenetv2.PUBLISHED,
    *openpose.PUBLISHED,
    *hybrid.PUBLISHED,
)

DETECTORS: tuple[PublishedDetector, ...] = (*yolox.PUBLISHED, *rtmdet.PUBLISHED)


def find(name: str) -> Published:
    """The entry called `name`.

    Raises:
      InputError: with the nearest name, if there is none.
    """
    for entry in CATALOGUE:
        if entry.name == name:
            return entry
    names = [entry.name for entry in CATALOGUE]
    raise InputError(f"There is no published model {name!r}.{nearest(name, names)}")
