"""Checks for exchanged left and right: in the whole dataset, a pair of keypoints or a person."""

import numpy as np

from jaxpose.data.lint.finding import Finding, People, found
from jaxpose.skeletons import Skeleton

# Fewest people for which a share is meaningful.
_ENOUGH = 20
# Smallest left/right distance that counts, as a part of the box's longer side.
_CLEAR = 0.05


def check_sides(people: People, skeleton: Skeleton) -> list[Finding]:
    """Findings on exchanged left and right sides.

    The left side of a person who faces the camera is on the right of the image. In good data, left
    shoulders are to the right of right ones for 98 % of people with a visible face and for 60 to 78
    % of all; each pair agrees with the majority of the others for 82 to 100 %; hips disagree with
    shoulders for 1 to 6 % (people who twist).
    """
    if not skeleton.pairs:
        return []
    left = [skeleton.index(a) for a, _ in skeleton.pairs]
    right = [skeleton.index(b) for _, b in skeleton.pairs]
    both = (people.visible[:, left] > 0) & (people.visible[:, right] > 0)
    across = people.keypoints[:, left, 0] - people.keypoints[:, right, 0]
    clear = np.abs(across) > _CLEAR * people.box_xywh[:, 2:].max(axis=1)[:, None]
    sign = np.where(both & clear, np.sign(across), 0).astype(int)  # [N, pairs]
    findings = [*_inverted(people, skeleton, sign), *_odd_pairs(skeleton, sign)]
    shoulders, hips = (_column(skeleton, f"left_{part}") for part in ("shoulder", "hip"))
    if shoulders is None or hips is None or findings:
        return findings
    product = sign[:, shoulders] * sign[:, hips]
    share = (product < 0).sum() / max(1, (product != 0).sum())
    return found(
        "warning" if share > 0.12 and (product != 0).sum() >= _ENOUGH else "info",
        "sides-disagree",
        f"shoulders and hips lie the opposite way round ({share:.1%} of people where it can be "
        "seen; up to 6% is normal): a twisted body, or left and right mixed up",
        people.who,
        product < 0,
    )


def _inverted(people: People, skeleton: Skeleton, sign: np.ndarray) -> list[Finding]:
    """Findings on a whole dataset with left and right exchanged."""
    trunk = [c for p in ("shoulder", "hip") if (c := _column(skeleton, f"left_{p}")) is not None]
    side = np.sign(sign[:, trunk or slice(None)].sum(axis=1))
    face = ("nose", "left_eye", "right_eye")
    if all(name in skeleton.keypoints for name in face):
        seen = 2 if (people.visible == 2).any() else 1
        frontal = (people.visible[:, [skeleton.index(n) for n in face]] >= seen).all(axis=1)
        known = frontal & (side != 0)
        share = (side[known] > 0).mean() if known.any() else 1.0
        message = (
            "is on the left of the image: left and right are exchanged, as in labels from the "
            "viewer's side or after mirroring images without exchanging the pairs"
        )
        if known.sum() >= _ENOUGH and share < 0.5:
            text = f"on {1 - share:.0%} of the people who face the camera the left side {message}"
            return found("error", "sides-inverted", text, people.who, known & (side < 0))
        return found(
            "warning" if known.sum() >= _ENOUGH and share < 0.9 else "info",
            "sides-suspect",
            "people face the camera with their left side on the left of the image: check them",
            people.who,
            known & (side < 0),
        )
    known = side != 0
    share = (side[known] > 0).mean() if known.any() else 1.0
    if known.sum() < 100 or share > 0.4:
        return []
    return found(
        "warning",
        "sides-inverted",
        f"the left side is on the left of the image for {1 - share:.0%} of the people (20 to "
        "40% is normal): left and right may be exchanged",
        people.who,
        side < 0,
    )


def _odd_pairs(skeleton: Skeleton, sign: np.ndarray) -> list[Finding]:
    """Findings on single pairs whose sides contradict the majority of the others."""
    odd, counts = [], []
    for column, (left, right) in enumerate(skeleton.pairs):
        product = sign[:, column] * np.sign(np.delete(sign, column, axis=1).sum(axis=1))
        agree, known = (product > 0).sum(), (product != 0).sum()
        if known >= _ENOUGH and agree < 0.35 * known:
            odd.append(f"{left} / {right}: with the others on {agree / known:.0%}")
            counts.append(int(known - agree))
    if not odd:
        return []
    message = "these pairs contradict the other pairs: their names or columns are exchanged"
    return [Finding("error", "pair-swapped", message, max(counts), tuple(odd))]


def _column(skeleton: Skeleton, left_name: str) -> int | None:
    lefts = [left for left, _ in skeleton.pairs]
    return lefts.index(left_name) if left_name in lefts else None
