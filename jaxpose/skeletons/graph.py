"""Graph of a skeleton: its bones as edges, for graph convolutions and for bone vectors."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from jaxpose.errors import InputError
from jaxpose.skeletons.skeleton import Skeleton

Edges = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class SkeletonGraph:
    """Edges of a skeleton, each from a keypoint to one that is nearer to the centre.

    Attributes:
      num_keypoints: number of keypoints, K.
      inward: pairs (keypoint, neighbour nearer to the centre).
      centre: keypoint from which distances are counted.
      parents: pairs (keypoint, start of its bone) where bones are not the edges; a keypoint in no
        pair has the bone of `inward`.

    Raises:
      InputError: a number that is no keypoint.
    """

    num_keypoints: int
    inward: Edges
    centre: int
    parents: Edges = ()

    def __post_init__(self) -> None:
        for field in ("inward", "parents"):
            edges = tuple((int(a), int(b)) for a, b in getattr(self, field))
            object.__setattr__(self, field, edges)
        used = {self.centre, *(i for edge in (*self.inward, *self.parents) for i in edge)}
        wrong = sorted(i for i in used if not 0 <= i < self.num_keypoints)
        if wrong:
            raise InputError(
                f"A graph of {self.num_keypoints} keypoints has the numbers 0 to "
                f"{self.num_keypoints - 1}, but its edges or its centre use {wrong}."
            )

    def bone_starts(self) -> np.ndarray:
        """Keypoint at which the bone of each keypoint starts, int32 `[K]`; itself for no bone."""
        starts = np.arange(self.num_keypoints, dtype=np.int32)
        for keypoint, start in (*reversed(self.inward), *self.parents):
            starts[keypoint] = start
        return starts

    def distance_partitions(self) -> np.ndarray:
        """Adjacency of ST-GCN's spatial partition, float32 `[3, K, K]` (arXiv:1801.07455, eq. 8).

        The parts are: the keypoint itself, neighbours at the same distance from the centre or
        further from it, and neighbours nearer to it. `[part, i, j]` is the weight of keypoint i in
        the new value of keypoint j; the weights of one j add up to 1 over all parts. As in the
        published code, and unlike the paper, all distances of two edges or more are equal.
        """
        adjacent = self._matrix(self.inward) + self._matrix((b, a) for a, b in self.inward)
        adjacent = np.minimum(adjacent + np.eye(self.num_keypoints), 1)
        weights = adjacent / adjacent.sum(axis=0, keepdims=True)
        distance = np.minimum(_hops(adjacent, self.centre), 2)
        itself = np.eye(self.num_keypoints, dtype=bool)
        nearer = distance[:, None] < distance[None]
        parts = (itself, ~itself & ~nearer, ~itself & nearer)
        return np.stack([np.where(part, weights, 0) for part in parts]).astype(np.float32)

    def direction_partitions(self) -> np.ndarray:
        """Adjacency by the direction of edges, float32 `[3, K, K]` (2s-AGCN, arXiv:1805.07694).

        The parts are: the keypoint itself, edges towards the centre, and edges away from it, each
        with weights that add up to 1 for a keypoint with neighbours. Axes are those of
        `distance_partitions`.
        """
        parts = [np.eye(self.num_keypoints)]
        for edges in (self.inward, [(b, a) for a, b in self.inward]):
            matrix = self._matrix((b, a) for a, b in edges)
            parts.append(matrix / np.maximum(matrix.sum(axis=0, keepdims=True), 1))
        return np.stack(parts).astype(np.float32)

    def _matrix(self, edges) -> np.ndarray:
        matrix = np.zeros((self.num_keypoints, self.num_keypoints))
        for start, end in edges:
            matrix[start, end] = 1
        return matrix


def _hops(adjacent: np.ndarray, centre: int) -> np.ndarray:
    """Number of edges between each keypoint and the centre, `[K]`; infinite for no path."""
    distance = np.full(len(adjacent), np.inf)
    distance[centre] = 0
    waiting = deque([centre])
    while waiting:
        here = waiting.popleft()
        for there in np.flatnonzero(adjacent[here]).tolist():
            if distance[there] == np.inf:
                distance[there] = distance[here] + 1
                waiting.append(there)
    return distance


NTU25_GRAPH = SkeletonGraph(
    25,
    tuple(
        (a - 1, b - 1)
        for a, b in (
            *((1, 2), (2, 21), (3, 21), (4, 3), (5, 21), (6, 5), (7, 6), (8, 7), (9, 21)),
            *((10, 9), (11, 10), (12, 11), (13, 1), (14, 13), (15, 14), (16, 15), (17, 1)),
            *((18, 17), (19, 18), (20, 19), (22, 23), (23, 8), (24, 25), (25, 12)),
        )
    ),
    20,
)
"""Graph of NTU RGB+D's 25 joints around the spine at the shoulders, as in ST-GCN's code."""

OPENPOSE18_GRAPH = SkeletonGraph(
    18,
    (
        *((4, 3), (3, 2), (7, 6), (6, 5), (13, 12), (12, 11), (10, 9), (9, 8), (11, 5)),
        *((8, 2), (5, 1), (2, 1), (0, 1), (15, 0), (14, 0), (17, 15), (16, 14)),
    ),
    1,
)
"""Graph of OpenPose's 18 keypoints around the neck, as in ST-GCN's code (Kinetics-skeleton)."""

COCO17_GRAPH = SkeletonGraph(
    17,
    (
        *((15, 13), (13, 11), (16, 14), (14, 12), (11, 5), (12, 6), (9, 7), (7, 5), (10, 8)),
        *((8, 6), (5, 0), (6, 0), (1, 0), (3, 1), (2, 0), (4, 2)),
    ),
    0,
    ((11, 0), (12, 0)),
)
"""Graph of COCO's 17 keypoints around the nose, as in PYSKL (arXiv:2205.09443)."""

_PUBLISHED = {
    "ntu25": NTU25_GRAPH,
    "openpose18": OPENPOSE18_GRAPH,
    "coco17": COCO17_GRAPH,
}


def graph_of(skeleton: Skeleton) -> SkeletonGraph:
    """Graph of a skeleton: the published one, or one that is made from its limbs.

    The centre is then the keypoint from which the furthest other one is nearest, and every limb
    leads to its end that is nearer to the centre.

    Raises:
      InputError: the skeleton has no limbs.
    """
    known = _PUBLISHED.get(skeleton.name)
    if known is not None and known.num_keypoints == skeleton.num_keypoints:
        return known
    if not skeleton.limbs:
        raise InputError(
            f"Skeleton {skeleton.name!r} has no limbs, and a graph convolution follows the limbs: "
            "add `limbs` to the skeleton, or choose a model without a graph."
        )
    count = skeleton.num_keypoints
    adjacent = np.zeros((count, count))
    for a, b in skeleton.limb_indices:
        adjacent[a, b] = adjacent[b, a] = 1
    hops = np.stack([_hops(adjacent, keypoint) for keypoint in range(count)])
    reached = np.isfinite(hops).sum(axis=1)
    furthest = np.where(np.isfinite(hops), hops, 0).max(axis=1)
    centre = int(np.lexsort((furthest, -reached))[0])
    distance = hops[centre]
    inward = tuple(
        (a, b) if distance[a] > distance[b] else (b, a) for a, b in skeleton.limb_indices
    )
    return SkeletonGraph(count, inward, centre)
