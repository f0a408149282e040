"""What no function over several views may take: broken cameras, one view, metres."""

from functools import partial

import numpy as np
import pytest
from walker import BONES, motion, ring, seen

from jaxpose.errors import InputError
from jaxpose.motion.root_position import before_camera
from jaxpose.multiview.calibration import Rig
from jaxpose.multiview.match import match_people
from jaxpose.multiview.refine import Priors, refine
from jaxpose.multiview.robust import triangulate_robust
from jaxpose.multiview.triangulate import triangulate

CAMERAS = ring(3)
POINTS = motion(4)
PIXELS = seen(CAMERAS, POINTS)


def broken(kind: str):
    """The cameras, the second one broken."""
    K, R, t, distortion = (np.array(field) for field in CAMERAS)
    if kind == "NaN K":
        K[1, 0, 0] = np.nan
    elif kind == "NaN t":
        t[1] = np.nan
    elif kind == "infinite lens":
        distortion[1, 0] = np.inf
    elif kind == "mirror":
        R[1, 0] *= -1
    elif kind == "exchanged axes":
        R[1] = R[1][[1, 0, 2]]
    elif kind == "singular R":
        R[1, 2] = R[1, 1]
    elif kind == "scaled R":
        R[1] *= 1.1
    elif kind == "singular K":
        K[1, 1, 1] = 0
    elif kind == "transposed K":
        K[1] = K[1].T
    return CAMERAS._replace(K=K, R=R, t=t, distortion=distortion)


MESSAGES = {
    "NaN K": "not finite",
    "NaN t": "not finite",
    "infinite lens": "not finite",
    "mirror": "mirrors the world",
    "exchanged axes": "mirrors the world",
    "singular R": "R is singular",
    "scaled R": "not orthonormal",
    "singular K": "not an intrinsic matrix",
    "transposed K": "not an intrinsic matrix",
}
TAKERS = {
    "triangulate": partial(triangulate, keypoints=PIXELS),
    "triangulate_robust": partial(triangulate_robust, keypoints=PIXELS),
    "refine": partial(refine, keypoints=PIXELS, points=POINTS),
    "match_people": partial(match_people, people=list(PIXELS[:, :1])),
    "Rig": lambda cameras: Rig(("a", "b", "c"), cameras),
    "before_camera": lambda cameras: before_camera(cameras.take(1), POINTS, PIXELS[1]),
}


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("kind", MESSAGES)
def test_broken_cameras(taker, kind):
    with pytest.raises(InputError, match=rf"camera .*{MESSAGES[kind]}"):
        TAKERS[taker](broken(kind))


def test_rigs_say_which_camera():
    with pytest.raises(InputError, match="camera 'b': R mirrors"):
        Rig(("a", "b", "c"), broken("mirror"))


@pytest.mark.parametrize("view", ("batched", "bare"))
def test_one_view_only(view):
    one = CAMERAS.take([0]) if view == "batched" else CAMERAS.take(0)
    pixels = PIXELS[:1]
    for call in (
        lambda: triangulate(one, pixels),
        lambda: triangulate_robust(one, pixels),
        lambda: refine(one, pixels, POINTS),
        lambda: match_people(one, list(pixels[:, :1])),
    ):
        with pytest.raises(InputError, match="two views or more"):
            call()


def test_points_of_one_view_are_missing_not_wrong():
    pixels = np.array(PIXELS)
    pixels[1:, 0, 5] = np.nan
    for found in (triangulate(CAMERAS, pixels), triangulate_robust(CAMERAS, pixels).points):
        assert np.isnan(found[0, 5]).all()
        assert np.isfinite(np.delete(found.reshape(-1, 3), 5, axis=0)).all()


def test_metres_are_told_by_the_bones():
    metres = CAMERAS._replace(t=CAMERAS.t / 1000)
    with pytest.raises(InputError, match=r"in metres.*multiply the points by 1000"):
        refine(metres, PIXELS, POINTS / 1000, priors=Priors(BONES))
    with pytest.raises(InputError, match="not finite; fill the gaps"):
        refine(CAMERAS, PIXELS, np.where(np.arange(17)[None, :, None] == 2, np.nan, POINTS))
