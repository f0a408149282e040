"""Generated tracks with every fault of a tracker: swaps, gaps, false people, shaken boxes."""

import numpy as np

from jaxpose.metrics.boxes import overlaps
from jaxpose.metrics.tracking import TrackedFrame, TrackedPoints


def sequence(seed):
    """Frames of one sequence, a pure function of the seed."""
    rng = np.random.default_rng(seed)
    people, frames = int(rng.integers(1, 7)), int(rng.integers(2, 31))
    start, step = rng.uniform(0, 300, (people, 2)), rng.normal(0, 6, (people, 2))
    size = rng.uniform(40, 90, (people, 2))
    ids = rng.permutation(50)[:people] + 1
    found = rng.permutation(80)[:people] + 100
    shake, loss = rng.uniform(0, 12), rng.uniform(0, 0.4)
    fresh, made = 500, []
    for t in range(frames):
        if people > 1 and rng.random() < 0.15:
            a, b = rng.choice(people, 2, replace=False)
            found[[a, b]] = found[[b, a]]
        if rng.random() < 0.1:
            found[rng.integers(people)] = fresh = fresh + 1
        boxes = np.concatenate([start + t * step, size], axis=1)
        seen, known = rng.random(people) > loss, rng.random(people) > 0.15
        if rng.random() < 0.08:
            seen[:] = False
        if rng.random() < 0.05:
            known[:] = False
        theirs = boxes[seen] + rng.normal(0, shake, (int(seen.sum()), 4)) * [1, 1, 0.5, 0.5]
        names = found[seen].tolist()
        for _ in range(int(rng.poisson(0.3))):
            theirs = np.concatenate([theirs, [[*rng.uniform(0, 300, 2), 60, 60]]])
            names.append(fresh := fresh + 1)
        similarity = overlaps(boxes[known], np.maximum(theirs, 0.01))
        made.append(TrackedFrame(ids[known], np.array(names, int), similarity))
    return made


def points(seed):
    """Frames of keypoints of one sequence, a pure function of the seed."""
    rng = np.random.default_rng([seed, 1])
    people, keypoints = int(rng.integers(1, 6)), 4
    place = rng.uniform(0, 200, (people, 1, 2)) + rng.uniform(-40, 40, (1, keypoints, 2))
    step, heads = rng.normal(0, 5, (people, 1, 2)), rng.uniform(15, 30, people)
    found, fresh, made = np.arange(people) + 100, 500, []
    for t in range(int(rng.integers(2, 21))):
        if people > 1 and rng.random() < 0.2:
            a, b = rng.choice(people, 2, replace=False)
            found[[a, b]] = found[[b, a]]
        if rng.random() < 0.1:
            found[rng.integers(people)] = fresh = fresh + 1
        truth = place + t * step
        guess = truth + rng.normal(0, 6, truth.shape)
        truth[rng.random(truth.shape[:2]) < 0.15] = np.nan
        guess[rng.random(guess.shape[:2]) < 0.15] = np.nan
        known, seen = rng.random(people) > 0.1, rng.random(people) > 0.2
        ids = np.flatnonzero(known) + 1
        made.append(TrackedPoints(ids, truth[known], heads[known], found[seen].copy(), guess[seen]))
    return made
