"""SimCC against MMPose 1.3.2 (golden/codecs.npz), and what it promises by itself."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import geometry
from jaxpose.codecs.sample import Sample
from jaxpose.codecs.simcc import SimCC, rtmpose
from jaxpose.errors import InputError

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "codecs.npz")
CODECS = {
    "simcc_gaussian": SimCC(sigma=6.0),
    "simcc_rtmpose": rtmpose(),
    "simcc_standard": SimCC(smoothing="standard", label_smooth_weight=0.1),
}
PARITY = 2e-6  # float32 exp


def relative_error(ours, theirs) -> float:
    return float(np.max(np.abs(np.asarray(ours) - theirs)) / np.std(theirs))


@pytest.mark.parametrize("golden_case", [f"encode/{name}/{i}" for name in CODECS for i in (0, 1)])
def test_encode_matches_golden(golden_case):
    sample = Sample(GOLDEN[f"{golden_case}/visible"], GOLDEN[f"{golden_case}/keypoints"])
    (x, y), weights = jax.jit(CODECS[golden_case.split("/")[1]].encode)(sample)
    assert relative_error(x, GOLDEN[f"{golden_case}/keypoint_x_labels"]) <= PARITY
    assert relative_error(y, GOLDEN[f"{golden_case}/keypoint_y_labels"]) <= PARITY
    np.testing.assert_array_equal(weights, GOLDEN[f"{golden_case}/keypoint_weights"])


@pytest.mark.parametrize("golden_case", [f"decode/{name}" for name in CODECS])
def test_decode_matches_golden(golden_case):
    decoded = jax.jit(CODECS[golden_case.split("/")[1]].decode)(
        (GOLDEN[f"{golden_case}/simcc_x"], GOLDEN[f"{golden_case}/simcc_y"])
    )
    np.testing.assert_array_equal(decoded.keypoints, GOLDEN[f"{golden_case}/keypoints"])
    np.testing.assert_array_equal(decoded.raw, GOLDEN[f"{golden_case}/scores"])
    assert np.all((decoded.scores >= 0) & (decoded.scores <= 1))


def random_keypoints(margin, count=32):
    rng = np.random.default_rng(0)
    return rng.uniform(margin, np.float32([191, 255]) - margin, (count, 17, 2)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "use_dark"),
    [(name, False) for name in CODECS] + [("simcc_gaussian", True), ("simcc_rtmpose", True)],
)
def test_round_trip_to_the_nearest_bin(name, use_dark):
    codec = CODECS[name]
    codec = SimCC(**{**codec.__dict__, "use_dark": use_dark})
    keypoints = random_keypoints(margin=20)
    targets, _ = codec.encode(Sample(jnp.ones(keypoints.shape[:2]), jnp.asarray(keypoints)))
    error = np.abs(np.asarray(codec.decode(targets).keypoints) - keypoints)
    assert error.max() <= 0.25 + 1e-3


def test_dark_finds_positions_between_bins():
    center = np.float32([[101.3, 57.8]])
    bins = np.arange(384, dtype=np.float32)
    x = np.exp(-((bins - center[0, 0]) ** 2) / (2 * 4.9**2))[None, None]
    bins = np.arange(512, dtype=np.float32)
    y = np.exp(-((bins - center[0, 1]) ** 2) / (2 * 5.66**2))[None, None]
    decoded = rtmpose(use_dark=True).decode((jnp.asarray(x), jnp.asarray(y)))
    np.testing.assert_allclose(decoded.keypoints[0] * 2, center, atol=0.02)


def test_scores_measure_certainty_not_the_constant_of_the_logits():
    for codec in CODECS.values():
        targets, _ = codec.encode(Sample(jnp.ones((1, 1)), jnp.full((1, 1, 2), 96.0)))
        if codec.normalize:
            logits = [jnp.log(jnp.maximum(t, 1e-30)) / codec.beta for t in targets]
        else:
            logits = list(targets)
        for constant in (-3.0, 0.0, 50.0):
            sure = codec.decode((logits[0] + constant, logits[1] + constant))
            np.testing.assert_allclose(sure.scores, 1, atol=1e-3)
        flat = codec.decode((jnp.zeros((1, 1, 384)), jnp.zeros((1, 1, 512))))
        assert float(flat.scores[0, 0]) < 0.1


@pytest.mark.parametrize(("align", "offset"), [(False, 0.5), (True, 0.0)])
def test_flip_back(align, offset):
    codec = SimCC(align_flip=align)
    permutation = np.r_[0, 2, 1, 3:17]
    keypoints = np.round(random_keypoints(margin=20))
    visible = jnp.ones(keypoints.shape[:2])
    flipped = geometry.flip_keypoints(keypoints, 192, permutation)
    mirrored, _ = codec.encode(Sample(visible, jnp.asarray(flipped)))
    back = codec.decode(codec.flip_back(mirrored, permutation)).keypoints
    np.testing.assert_allclose(back, keypoints + np.float32([offset, 0]), atol=1e-4)


def test_unlabelled_keypoints_may_be_nan():
    keypoints = jnp.asarray([[[np.nan, 1.0], [10.0, 20.0], [-40.0, 5.0]]])
    for codec in CODECS.values():
        (x, y), weights = codec.encode(Sample(jnp.asarray([[0, 1, 2]]), keypoints))
        np.testing.assert_array_equal(weights, [[0, 1, 0]])
        assert np.isfinite(x).all() and np.isfinite(y).all()


def test_rtmpose_sigma_follows_the_size():
    assert rtmpose((384, 288)).sigma == (6.0, 6.93)


@pytest.mark.parametrize(
    "arguments",
    [
        {"smoothing": "gausian"},
        {"label_smooth_weight": 0.1},
        {"smoothing": "standard", "label_smooth_weight": 1.5},
        {"sigma": (1.0, 0.0)},
    ],
)
def test_bad_settings_are_refused(arguments):
    with pytest.raises(InputError):
        SimCC(**arguments)
