"""Words that several commands take."""

import enum


class Checkpoint(enum.StrEnum):
    """Which checkpoint of a run: the one with the best held-out score, or the newest."""

    BEST = "best"
    LAST = "last"
