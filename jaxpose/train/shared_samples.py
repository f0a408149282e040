"""Samples that the training data and the held-out data have in common."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

_RANGE = re.compile(r"(\d+)\.\.(\d+)")
# Sources that are made of another one, whose fingerprint follows: people of images, people with
# bodies (digest and largest error) or without.
_MADE_OF = re.compile(r"^(?:people|keypoints|[0-9a-f]{16}-[0-9.e+-]+)-of-")


def same_people(data: Mapping[str, str]) -> bool:
    """True if the training and the held-out data share samples, by their fingerprints.

    The fingerprint of synthetic people contains a range of indices. The fingerprint of a part of a
    dataset is that of the whole dataset, followed by a number. That of a mixture lists its parts.
    """
    train, held_out = (_datasets_in(data[role]) for role in ("train", "eval"))
    return any(_overlap(a, b) for a in train for b in held_out)


def parts_of_one_split(train_data: Any, eval_data: Any) -> bool:
    """True if both are the same split of one dataset; a larger part contains a smaller one."""
    if type(train_data) is not type(eval_data) or not hasattr(train_data, "part"):
        return False
    whole = [dataclasses.replace(one, part=1.0) for one in (train_data, eval_data)]
    return bool(whole[0] == whole[1])


def _datasets_in(fingerprint: str) -> list[str]:
    """Fingerprints of the parts of a mixture, or of the dataset; people are those of the images."""
    mixed = re.findall(r"(?:^|\+)\d+x(.+?)#\d+(?=\+|$)", fingerprint)
    return [_whole(one) for one in mixed or [fingerprint]]


def _whole(fingerprint: str) -> str:
    """Fingerprint of the dataset that a source is made of."""
    while made := _MADE_OF.match(fingerprint):
        fingerprint = fingerprint[made.end() :]
    return fingerprint


def _overlap(train: str, held_out: str) -> bool:
    spans = [_RANGE.search(one) for one in (train, held_out)]
    whole = [_RANGE.sub("..", one) for one in (train, held_out)]
    if whole[0] == whole[1] and spans[0] and spans[1]:
        (a, b), (c, d) = (map(int, span.groups()) for span in spans if span)
        return a <= d and c <= b
    pairs = (train, held_out), (held_out, train)
    return train == held_out or any(re.fullmatch(re.escape(a) + r"-\d+", b) for a, b in pairs)
