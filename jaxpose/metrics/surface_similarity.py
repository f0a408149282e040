"""Geodesic point similarity (GPS) of DensePose: places on a body's surface against the truth.

Güler et al., "DensePose: Dense Human Pose Estimation in the Wild", CVPR 2018, arXiv:1802.00434,
section 5, equation 1; GPSm is the evaluation of DensePose-COCO since 2019.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from jaxpose.errors import InputError
from jaxpose.metrics.coco import Detections, GroundTruth
from jaxpose.metrics.metric import Direction, Metric
from jaxpose.metrics.oks import similarity_ap

KAPPA = 0.255
"""Metres: a point that is 30 cm away, about half a part of the body, has a similarity of 0.5."""
CHART_KAPPA = (
    *(0.0, 0.351, 0.351, 0.107, 0.107, 0.126, 0.126, 0.237, 0.237, 0.237, 0.237),
    *(0.173, 0.173, 0.173, 0.173, 0.142, 0.142, 0.142, 0.142, 0.128, 0.128, 0.128, 0.128),
    *(0.150, 0.150),
)
"""Metres for each chart of SMPL, the mean distance between places of its part of the body: those of
DensePose-COCO's evaluation since 2018. Figures with them are lower than the paper's."""


def geodesic_distances(
    vertices: np.ndarray,
    faces: np.ndarray,
    joins: np.ndarray | None = None,
    sources: np.ndarray | None = None,
) -> np.ndarray:
    """Lengths of the shortest paths along the edges of a mesh (Dijkstra), float32.

    A path along edges is as long as the shortest one on the surface, or longer.

    Args:
      vertices: `[V, 3]`; the result is in their unit.
      faces: int `[F, 3]`.
      joins: `[E, 2]` further pairs of neighbours.
      sources: `[S]` vertices at which paths begin; all if None.

    Returns:
      `[S, V]`, infinite where there is no path.

    Raises:
      InputError: triangles of other vertices, or vertices that are not finite.
    """
    vertices, faces = np.asarray(vertices, np.float64), np.asarray(faces)
    if vertices.ndim != 2 or not np.isfinite(vertices).all():
        raise InputError(
            f"a mesh needs finite vertices [V, 3]; their shape is {list(vertices.shape)}"
        )
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    if joins is not None:
        pairs = np.concatenate([pairs, joins])
    if len(pairs) and (pairs.min() < 0 or pairs.max() >= len(vertices)):
        raise InputError(f"the triangles do not belong to a mesh of {len(vertices)} vertices")
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    length = np.linalg.norm(vertices[pairs[:, 0]] - vertices[pairs[:, 1]], axis=1)
    # A length of 0 would be no edge.
    length = np.maximum(length, 1e-9)
    graph = coo_array((length, (pairs[:, 0], pairs[:, 1])), shape=(len(vertices),) * 2).tocsr()
    return np.asarray(dijkstra(graph, directed=False, indices=sources), np.float32)


def geodesic_similarity(distances: np.ndarray, kappa: float | np.ndarray = KAPPA) -> float:
    """Mean of exp(-g^2 / (2 kappa^2)) over the labelled points of a person (GPS), 0 to 1.

    Args:
      distances: `[N]` geodesic distances g in metres; infinite for a point that was not found.
      kappa: metres, for all points or `[N]` for each.
    """
    distances = np.asarray(distances, np.float64)
    return float(np.exp(-(distances**2) / (2 * kappa**2)).mean()) if distances.size else 0.0


def masked_similarity(similarity: Any, overlap: Any) -> Any:
    """Geometric mean of GPS and of the masks' intersection over union (GPSm), 0 to 1."""
    return np.sqrt(np.asarray(similarity) * np.asarray(overlap))


def mask_overlap(found: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks; 1 if both are empty."""
    found, truth = np.asarray(found, bool), np.asarray(truth, bool)
    union = np.count_nonzero(found | truth)
    return float(np.count_nonzero(found & truth) / union) if union else 1.0


@dataclass(frozen=True)
class SurfaceEstimates:
    """Predicted surfaces of N people, each in another image.

    Attributes:
      distances: for each person, geodesic distances in metres between the predicted and the true
        places of its labelled points; infinite where the background was predicted. None if they
        are not known.
      overlap: `[N]` intersection over union of the masks; NaN for a person without a true mask.
      scores: `[N]`; a higher score counts first.
      area: `[N]` px^2 of the true masks.
      parts: for each person, true and predicted charts of its points, int `[M, 2]`, if known; 0 is
        the background.
      uv: for each person, true and predicted U and V of its points, `[M, 2, 2]`, if known.
    """

    distances: Sequence[np.ndarray] | None
    overlap: np.ndarray
    scores: np.ndarray
    area: np.ndarray
    parts: Sequence[np.ndarray] = ()
    uv: Sequence[np.ndarray] = ()

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True)
class SurfaceSimilarity(Metric):
    """Means of GPS, GPSm and the masks' overlap, and the average precision over GPSm.

    A person without a true mask has a GPSm of 0.

    Attributes:
      kappa: metres, as `KAPPA`, or for each chart, the background's first, as `CHART_KAPPA`.
    """

    kappa: float | tuple[float, ...] = KAPPA

    def __post_init__(self) -> None:
        if isinstance(self.kappa, tuple) and len(self.kappa) != len(CHART_KAPPA):
            raise InputError(
                f"kappa needs one number, or {len(CHART_KAPPA)}, not {len(self.kappa)}."
            )

    @property
    def figures(self) -> Mapping[str, Direction]:
        return dict.fromkeys(("GPS", "GPSm", "IoU", "AP", "AP50", "AP75"), "higher")

    def __call__(self, estimates: Any) -> dict[str, float]:
        """Compute the figures of `SurfaceEstimates`; -1 without people.

        Raises:
          InputError: there are no distances.
        """
        if not len(estimates):
            return dict.fromkeys(self.figures, -1.0)
        if estimates.distances is None:
            raise InputError("SurfaceSimilarity needs distances on the body: see the evaluation.")
        gps = np.array([geodesic_similarity(*one) for one in self._points(estimates)])
        gpsm = masked_similarity(gps, np.nan_to_num(estimates.overlap))
        people = np.arange(len(estimates))
        precision = surface_ap(
            people, estimates.area, people, estimates.scores, lambda found, _: gpsm[found]
        )
        return {
            "GPS": float(gps.mean()),
            "GPSm": float(gpsm.mean()),
            "IoU": mean_overlap(estimates.overlap),
            **{name: precision[name] for name in ("AP", "AP50", "AP75")},
        }

    def _points(self, estimates: Any) -> list[tuple[np.ndarray, float | np.ndarray]]:
        """Distances of each person's points, and kappa."""
        if not isinstance(self.kappa, tuple):
            return [(one, self.kappa) for one in estimates.distances]
        kappa = np.asarray(self.kappa)
        pairs = zip(estimates.distances, estimates.parts, strict=True)
        return [(one, kappa[parts[:, 0]]) for one, parts in pairs]


@dataclass(frozen=True)
class SurfacePlaces(Metric):
    """Charts and places at people's labelled points; needs no distances on the body.

    `parts` is the share of points with the right chart, `UV` the mean distance from the true place
    over those points, in units of U and V (a chart is 1 wide), and `mask IoU` the mean overlap of
    the masks.
    """

    @property
    def figures(self) -> Mapping[str, Direction]:
        return {"parts": "higher", "UV": "lower", "mask IoU": "higher"}

    def __call__(self, estimates: Any) -> dict[str, float]:
        """Compute the figures of `SurfaceEstimates`; -1 where there is nothing to measure."""
        if not len(estimates):
            return dict.fromkeys(self.figures, -1.0)
        parts, uv = np.concatenate(estimates.parts), np.concatenate(estimates.uv)
        right = parts[:, 0] == parts[:, 1]
        away = np.linalg.norm(uv[right, 0] - uv[right, 1], axis=-1)
        return {
            "parts": float(right.mean()) if right.size else -1.0,
            "UV": float(away.mean()) if away.size else -1.0,
            "mask IoU": mean_overlap(estimates.overlap),
        }


def mean_overlap(overlap: np.ndarray) -> float:
    """Mean of the overlaps `[N]` that are not NaN; -1 without any."""
    known = overlap[np.isfinite(overlap)]
    return float(known.mean()) if known.size else -1.0


def surface_ap(
    true_image: np.ndarray,
    area: np.ndarray,
    found_image: np.ndarray,
    scores: np.ndarray,
    similarity: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> dict[str, float]:
    """COCO's average precision and recall over GPS or GPSm, at 0.50, 0.55, ... 0.95.

    Args:
      true_image: `[N]` image of each annotated person.
      area: `[N]` px^2 of each.
      found_image: `[M]` image of each predicted person.
      scores: `[M]`.
      similarity: function of the numbers of predicted and of annotated people, `[P]` each, that
        gives their similarities `[P]`.

    Returns:
      The metrics of `metrics.oks.METRICS`; -1 where there is no person to find.
    """
    count, found = len(true_image), len(found_image)
    truth = GroundTruth(
        image_id=true_image,
        keypoints=np.zeros((count, 0, 2)),
        visible=np.zeros((count, 0)),
        box_xywh=np.zeros((count, 4)),
        area=area,
        ignore=np.zeros(count, bool),
    )
    detections = Detections(found_image, np.zeros((found, 0, 2)), scores, area=np.zeros(found))
    return similarity_ap(truth, detections, similarity)
