"""Options of a conversion to a release, and the count of its arrays."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxpose.convert.load import plan_for, recognise
from jaxpose.convert.reading import Weights
from jaxpose.counts import Counts
from jaxpose.errors import InputError


@dataclass(frozen=True)
class ConvertOptions:
    """Options of a conversion.

    Attributes:
      model: name of a published model, or of one of their unpublished variants; None tries all.
      keypoints: number of keypoints; None infers it from the head.
      input_size: `HEIGHTxWIDTH` of the images that it was trained on; None infers it from the
        arrays if possible, and otherwise takes the published size.
      skeleton: name or file of the skeleton; None takes that of the dataset in the checkpoint's
        metadata, or else the published model's.
      ema: as in `load_state_dict`.
      reset_head: keep only the backbone.
      half: store the weights as float16.
      overwrite: replace an existing release.
      report: file for the full list of arrays that do not fit.
    """

    model: str | None = None
    keypoints: int | None = None
    input_size: str | None = None
    skeleton: str | None = None
    ema: bool | None = None
    reset_head: bool = False
    half: bool = False
    overwrite: bool = False
    report: Path | None = None


def parse_size(text: str) -> tuple[int, int]:
    """Parse `HEIGHTxWIDTH`.

    Raises:
      InputError: the text has another form.
    """
    if not (match := re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)):
        raise InputError(
            f"--input-size is {text!r}: give the height and the width in pixels, such as 256x192."
        )
    return int(match[1]), int(match[2])


def count_arrays(weights: Weights, model: Any, reset_head: bool = False) -> Counts:
    """Counts of the arrays of a checkpoint, of which a model leaves some out on purpose."""
    source, renamed = recognise(weights.arrays)
    left_out = Counter(weights.left_out)
    if reset_head:
        left_out["of a head"] = sum(bool(re.fullmatch(source.head, key)) for key in renamed)
    else:
        dropped = plan_for(source, renamed, model).dropped
        left_out += Counter(reason or "not used by the model" for _, reason in dropped)
    done = len(weights.arrays) + sum(weights.left_out.values()) - sum(left_out.values())
    return Counts("arrays", done, excluded=left_out)
