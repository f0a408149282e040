"""Drawn clips: reproducible, moving, with boards that hide keypoints."""

import numpy as np
import pytest

from jaxpose.data.source import SyntheticClips
from jaxpose.errors import InputError

PLAIN = SyntheticClips(20, 3, canvas_hw=(64, 48), times=(-2.0, 1.0))


def test_a_clip_is_a_function_of_seed_and_index():
    source = PLAIN.open()
    batch = source.samples([4, 7])
    again = SyntheticClips(9, 3, canvas_hw=(64, 48), times=(-2.0, 1.0)).open().samples([7])
    for key in ("image", "frames", "keypoints", "visible"):
        np.testing.assert_array_equal(batch[key][1:], again[key])
    assert batch["frames"].shape == (2, 2, 64, 48, 3) and batch["image"].shape == (2, 64, 48, 3)
    np.testing.assert_array_equal(batch["times"], [[-2, 1], [-2, 1]])
    assert source.fingerprint() != SyntheticClips(20, 4, (64, 48), (-2.0, 1.0)).open().fingerprint()


def test_the_person_moves_before_a_room_that_does_not():
    batch = PLAIN.open().samples(range(6))
    moved = np.abs(batch["frames"].astype(int) - batch["image"][:, None]).max(axis=-1)
    x, y, w, h = np.rint(batch["box_xywh"]).astype(int).T
    for i in range(6):
        inside = moved[i, :, y[i] : y[i] + h[i], x[i] : x[i] + w[i]]
        assert inside.mean() > 2 * moved[i, :, :6].mean()
    later, sooner = (moved[:, i].mean() for i in (0, 1))
    assert later > sooner  # two frames away, and one


def test_boards_hide_keypoints_of_their_frame():
    clear = PLAIN.open().samples(range(8))
    covered = SyntheticClips(20, 3, (64, 48), (-2.0, 1.0), cover=0.25, blur=3.0).open()
    hidden = covered.samples(range(8))
    np.testing.assert_array_equal(clear["keypoints"][:1], hidden["keypoints"][:1])
    flags = {name: [(b["visible"] == flag).mean() for flag in (1, 2)]
             for name, b in (("clear", clear), ("hidden", hidden))}  # fmt: skip
    assert flags["hidden"][0] > flags["clear"][0] + 0.15
    assert flags["hidden"][1] < flags["clear"][1] - 0.15


@pytest.mark.parametrize(
    "changes",
    [{"count": 0}, {"times": ()}, {"cover": 1.5}, {"canvas_hw": (16, 48)}, {"blur": -1.0}],
)
def test_clips_that_cannot_be_drawn(changes):
    options = {"count": 1, "seed": 0} | changes
    with pytest.raises(InputError, match="Clips need count"):
        SyntheticClips(**options).open()
