"""Statistics that detect mismatches between keypoints, boxes and images, which make a score 0.

Every check works on arrays of people of any source. The limits are far from the values of good
datasets; comments state those values (COCO val2017, LSP, LSP-Extended, MPII).
"""

import numpy as np

from jaxpose.data.lint.finding import Finding, People, Severity, found
from jaxpose.data.lint.sides import check_sides
from jaxpose.skeletons import Skeleton

# Box tolerance, as a part of its sides: annotated keypoints often lie a little outside.
_MARGIN = 0.1
# Labelled keypoints within their box: 0.96 to 1.00 in good data, 0.86 in the worst seen (WFLW).
_IN_BOX = 0.6
# Another coordinate system is reported only if it explains at least this much more of the data.
_CLEARLY_BETTER = 0.3
# Coordinates above this are in pixels and not normalised.
_PIXELS = 16


def check_people(people: People, skeleton: Skeleton, frame: str = "image") -> list[Finding]:
    """Checks people for implausible values; `frame` is the frame's name in messages.

    Returns:
      Findings, with statistics of the people.
    """
    if not len(people):
        return []
    labelled = people.visible > 0
    findings = [*_labels(people, labelled, skeleton), *_boxes(people, frame)]
    if labelled.any():
        findings += _units(people, labelled, frame) or _places(people, labelled, frame)
        findings += _areas(people, labelled)
        findings += check_sides(people, skeleton)
        findings += _twins(people, labelled)
        findings.append(_scale(people, labelled))
    return findings


def in_box(keypoints: np.ndarray, box_xywh: np.ndarray) -> np.ndarray:
    """Boolean `[N, K]`: keypoints `[N, K, 2]` that lie in their box.

    Boxes `[N, 4]` (x, y, w, h) are enlarged by a tenth on each side.
    """
    low, size = box_xywh[:, None, :2], box_xywh[:, None, 2:]
    edge = _MARGIN * size
    return ((keypoints >= low - edge) & (keypoints <= low + size + edge)).all(axis=-1)


def _labels(people: People, labelled: np.ndarray, skeleton: Skeleton) -> list[Finding]:
    blank = ~labelled.any(axis=1)
    share = blank.mean()
    # 0.26 to 0.39 of COCO's people have no labelled keypoint.
    severity: Severity = "error" if share == 1 else "warning" if share > 0.6 else "info"
    findings = found(
        severity,
        "unlabelled-people",
        f"{share:.0%} of the people have no labelled keypoint; they are left out of training",
        people.who,
        blank,
    )
    if share == 1:
        return findings
    rates = labelled[~blank].mean(axis=0)
    never = [n for n, rate in zip(skeleton.keypoints, rates, strict=True) if rate == 0]
    if never:
        findings.append(
            Finding(
                "warning",
                "keypoint-never-labelled",
                "no person has these keypoints, so the model cannot learn them",
                len(never),
                tuple(never),
            )
        )
    number = labelled[~blank].sum(axis=1).mean()
    text = f"{number:.1f} of {labelled.shape[1]} keypoints are labelled on the average person, "
    if (people.visible == 2).any():
        text += f"{(people.visible == 1).sum() / labelled.sum():.0%} of them as occluded"
    else:
        text += "none as visible (flag 2)"
    per_keypoint = zip(skeleton.keypoints, rates, strict=True)
    each = tuple(f"{name} {rate:.0%}" for name, rate in per_keypoint)
    findings.append(Finding("info", "label-rate", text, int((~blank).sum()), each))
    at_origin = (labelled & (people.keypoints == 0).all(axis=-1)).any(axis=1)
    return findings + found(
        "error" if at_origin.mean() > 0.05 else "warning",
        "labelled-at-origin",
        "keypoints at (0, 0) are flagged as labelled; set the flag of unknown ones to 0",
        people.who,
        at_origin,
    )


def _boxes(people: People, frame: str) -> list[Finding]:
    low, size = people.box_xywh[:, :2], people.box_xywh[:, 2:]
    width_height = people.frame_wh
    outside = ((low >= width_height) | (low + size <= 0)).any(axis=1)
    # A box that ends one pixel beyond the last one is harmless.
    slack = 1 + 0.02 * width_height
    beyond = ((low < -slack) | (low + size > width_height + slack)).any(axis=1)
    as_corners = ((size > low) & (size <= width_height + slack)).all(axis=1)
    if len(people) >= 3 and beyond.mean() > 0.5 and as_corners.mean() > 0.95:
        return found(
            "error",
            "boxes-xyxy",
            "the boxes seem to be two corners (x1, y1, x2, y2); COCO has x, y, width, height",
            people.who,
            as_corners,
        )
    share = beyond.mean()
    return [
        *found(
            "error", "box-outside", f"boxes completely outside the {frame}", people.who, outside
        ),
        *found(
            "error" if share > 0.5 else "warning",
            "box-beyond-edge",
            f"boxes reach over the edge of the {frame}; if many do, their scale is wrong",
            people.who,
            beyond & ~outside,
        ),
    ]  # fmt: skip


def _units(people: People, labelled: np.ndarray, frame: str) -> list[Finding]:
    """Findings on coordinates from 0 to 1 where pixels are expected."""
    sizes = people.frame_wh[np.isfinite(people.frame_wh)]
    large = sizes.size > 0 and sizes.max() > _PIXELS
    points, box = people.keypoints, people.box_xywh
    findings = []
    if np.abs(points[labelled]).max() <= 2 and (large or box.max() > _PIXELS):
        fits = in_box(points * people.frame_wh[:, None], box)[labelled].mean()
        whole = frame if fits > 0.5 or np.abs(box).max() <= 2 else "box"
        findings += found(
            "error",
            "keypoints-normalised",
            f"keypoints lie between 0 and 1, as fractions of the {whole}; give them in pixels of "
            f"the {frame}",
            people.who,
            labelled.any(axis=1),
        )
    if np.abs(box).max() <= 2 and (large or points[labelled].max() > _PIXELS):
        findings += found(
            "error",
            "boxes-normalised",
            f"boxes lie between 0 and 1; give them in pixels of the {frame}",
            people.who,
            np.ones(len(people), bool),
        )
    return findings


def _places(people: People, labelled: np.ndarray, frame: str) -> list[Finding]:
    """Findings on misplaced keypoints, with the most likely mistake."""
    points, box = people.keypoints, people.box_xywh
    inside = in_box(points, box)
    share = inside[labelled].mean()
    findings = []
    code, message, better = _explanation(points, box, people.frame_wh, labelled, frame)
    # A person counts as misplaced where most of the labelled keypoints are.
    misplaced = (labelled & ~inside).sum(axis=1) > 0.5 * labelled.sum(axis=1)
    if share < _IN_BOX and better > share + _CLEARLY_BETTER:
        message += f": that puts {better:.0%} of them into their box, now {share:.0%} are"
        findings += found("error", code, message, people.who, misplaced)
    else:
        findings += found(
            "error" if share < _IN_BOX else "warning",
            "keypoints-outside-box",
            f"most keypoints lie outside the person's box ({share:.0%} of all are inside)",
            people.who,
            misplaced,
        )
    out = labelled & ((points < -1) | (points > people.frame_wh[:, None] + 1)).any(axis=-1)
    return findings + found(
        "error" if out[labelled].mean() > 0.05 else "warning",
        "keypoints-outside-canvas" if frame == "canvas" else "keypoints-outside-photo",
        f"labelled keypoints outside the {frame} ({out[labelled].mean():.1%} of all)",
        people.who,
        out.any(axis=1),
    )


def _explanation(
    points: np.ndarray, box: np.ndarray, frame_wh: np.ndarray, labelled: np.ndarray, frame: str
) -> tuple[str, str, float]:
    """Mistake in the coordinates that fits best: code, message, share of keypoints it explains.

    A keypoint is explained if undoing the mistake moves the keypoint into the box and both into the
    frame.
    """
    centred = np.concatenate([box[:, :2] - box[:, 2:] / 2, box[:, 2:]], axis=1)
    undone = {
        "keypoints-swapped-xy": ("keypoints have x and y exchanged", points[..., ::-1], box),
        "boxes-swapped-xy": ("boxes have x and y exchanged", points, box[:, [1, 0, 3, 2]]),
        "keypoints-relative-to-box": (
            f"keypoints count from the corner of the box, not of the {frame}",
            points + box[:, None, :2],
            box,
        ),
        "boxes-from-centre": (
            "boxes give their centre (cx, cy, width, height), COCO has the corner",
            points,
            centred,
        ),
    }
    best = "", "", -1.0
    for code, (message, new_points, new_box) in undone.items():
        beyond = (new_points > frame_wh[:, None] + 1).any(axis=-1)
        box_beyond = (new_box[:, :2] + new_box[:, 2:] > 1.02 * frame_wh + 1).any(axis=1)
        fits = in_box(new_points, new_box) & ~beyond & ~box_beyond[:, None]
        if (share := float(fits[labelled].mean())) > best[2]:
            best = code, message, share
    return best


def _areas(people: People, labelled: np.ndarray) -> list[Finding]:
    counts = labelled.any(axis=1)
    area, box_area = people.area, np.prod(people.box_xywh[:, 2:], axis=1)
    # Between 0.12 and 1.00 of the box in all datasets seen. The box may also be the whole image:
    # then the area is small beside it, but not beside what the keypoints cover.
    covered = np.prod(_extents(people, labelled), axis=1)
    small = (area < 0.02 * box_area) & ((area < 0.02 * covered) | (covered == 0))
    odd = counts & (area > 0) & ((area > 1.5 * box_area) | small)
    return [
        *found(
            "error",
            "zero-area",
            "the area is 0 or less: OKS is 0 for everything but a perfect prediction",
            people.who,
            counts & (area <= 0),
        ),
        *found(
            "error" if counts.any() and odd[counts].mean() > 0.5 else "warning",
            "area-disagrees",
            "the area is more than 1.5 of the box's, or less than 0.02 of the box's and of what "
            "the keypoints cover; OKS is scaled by it",
            people.who,
            odd,
        ),
    ]


def _twins(people: People, labelled: np.ndarray) -> list[Finding]:
    """Findings on identical labels."""
    rows = np.where(labelled[..., None], people.keypoints, 0).reshape(len(people), -1)
    rows = np.concatenate([rows, people.box_xywh, people.frame_wh], axis=1)
    _, first = np.unique(np.nan_to_num(rows), axis=0, return_index=True)
    twin = np.array(labelled.any(axis=1))
    twin[first] = False
    message = "people have exactly the keypoints and box of another"
    return found("warning", "same-person-twice", message, people.who, twin)


def _extents(people: People, labelled: np.ndarray) -> np.ndarray:
    """Width and height `[N, 2]` that the labelled keypoints cover; 0 where fewer than two are."""
    low = np.where(labelled[..., None], people.keypoints, np.inf).min(axis=1)
    high = np.where(labelled[..., None], people.keypoints, -np.inf).max(axis=1)
    return np.maximum(high - low, 0)


def _scale(people: People, labelled: np.ndarray) -> Finding:
    several = labelled.sum(axis=1) >= 2
    tall = np.percentile(people.box_xywh[:, 3], [5, 50, 95])
    text = f"boxes are {tall[0]:.0f} / {tall[1]:.0f} / {tall[2]:.0f} px high (5, 50, 95%)"
    if several.any():
        size = np.maximum(people.box_xywh[several, 2:], 1e-9)
        wide, high = np.median(_extents(people, labelled)[several] / size, axis=0)
        text += f"; keypoints cover {wide:.2f} of the boxes' width and {high:.2f} of their height"
    return Finding("info", "scale", text, len(people))
