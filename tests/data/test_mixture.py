"""Several data sets as one: their shares, their order, and their keypoints in one skeleton."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from jaxpose.data import pipeline, resident
from jaxpose.data.mixture import BLOCK, Mixture, Weighted, shares
from jaxpose.data.source import SyntheticPeople, SyntheticScenes
from jaxpose.errors import InputError
from jaxpose.skeletons import COCO17, LSP14, MPII16, union
from jaxpose.skeletons.mapping import shared_keypoints


@dataclass(frozen=True)
class Opened:
    """A source as what a configuration names."""

    source: object

    def open(self):
        return self.source


@pytest.fixture
def mixture(numbered):
    parts = (
        Weighted(Opened(numbered(7)), 3.0, 0),
        Weighted(Opened(numbered(50)), 1.0, 2),
        Weighted(Opened(numbered(11)), 2.0, 1),
    )
    return Mixture(parts).open()


def order(source, seed, batch, steps):
    return np.concatenate([source.batch_indices(seed, step, batch) for step in range(steps)])


def test_shares_are_the_weights(mixture):
    np.testing.assert_array_equal(mixture.shares, [2048, 683, 1365])
    indices = order(mixture, 0, 256, 2 * BLOCK // 256)
    dataset = mixture.samples(indices)["dataset"]
    for block in dataset.reshape(2, BLOCK):
        assert np.bincount(block).tolist() == [2048, 1365, 683]  # by number, not by part
    few = np.bincount(dataset[: BLOCK // 8], minlength=3) / (BLOCK // 8)
    np.testing.assert_allclose(few, [1 / 2, 1 / 3, 1 / 6], atol=0.06)  # mixed, not one by one


def test_each_part_goes_through_its_samples_in_epochs(mixture):
    indices = order(mixture, 3, 64, BLOCK // 64)
    counts = np.bincount(indices, minlength=68)
    for part, share in zip((counts[:7], counts[7:57], counts[57:]), mixture.shares, strict=True):
        # Within a block a part's places are shuffled, so that only whole blocks have whole epochs.
        assert set(part) <= {share // len(part), share // len(part) + 1}


def test_the_order_is_that_of_the_seed_and_the_place(mixture):
    whole = order(mixture, 5, 8, 6)
    np.testing.assert_array_equal(whole, order(mixture, 5, 16, 3))
    assert not np.array_equal(whole, order(mixture, 6, 8, 6))
    assert not np.array_equal(whole[:24], whole[24:])
    far = mixture.batch_indices(5, 2**40, 64)
    assert far.min() >= 0 and far.max() < len(mixture)


def test_streams_and_resident_arrays_give_the_same_samples(mixture):
    streamed = pipeline.stream(mixture, seed=1, start_step=4, batch_size=8, threads=1)
    arrays = resident.load(mixture, keys=("image", "dataset"), chunk=16)
    for _, (step, batch) in zip(range(2), streamed, strict=False):
        indices = mixture.batch_indices(1, step, 8)
        np.testing.assert_array_equal(batch["index"], indices)
        held = resident.take(arrays, indices)
        np.testing.assert_array_equal(held["image"], batch["image"])
        np.testing.assert_array_equal(held["dataset"], batch["dataset"])
    part = pipeline.stream(
        mixture, seed=1, start_step=4, batch_size=8, process_index=1, process_count=2, threads=1
    )
    np.testing.assert_array_equal(next(part)[1]["index"], mixture.batch_indices(1, 4, 8)[4:])


def test_every_sample_is_scored_once(mixture):
    seen = np.concatenate([b["index"][b["mask"]] for b in pipeline.sequential(mixture, 16)])
    np.testing.assert_array_equal(seen, np.arange(len(mixture)))


def test_a_keypoint_that_a_part_lacks_is_not_labelled(numbered):
    lsp = numbered(3)
    lsp.skeleton = LSP14
    lsp_samples = lsp.samples

    def fourteen(indices):
        batch = lsp_samples(indices)
        return batch | {k: batch[k][:, :14] for k in ("keypoints", "visible")}

    lsp.samples = fourteen
    both = union("both", COCO17, LSP14)
    assert both.num_keypoints == 19 and both.sigmas is None
    source = Mixture((Weighted(Opened(numbered(2))), Weighted(Opened(lsp))), both).open()
    visible = source.samples([0, 2])["visible"]
    named = dict(zip(both.keypoints, visible.T.tolist(), strict=True))
    assert named["nose"] == [2, 0] and named["head_top"] == [0, 2] and named["left_hip"] == [2, 2]
    subset = Mixture((Weighted(Opened(numbered(2))),), LSP14).open()
    assert subset.samples([0])["visible"].sum() == 2 * 12


def test_labels_are_taken_by_name_alone():
    """COCO has no pelvis, though its hips would give one."""
    rows = shared_keypoints(COCO17, MPII16)
    named = dict(zip(MPII16.keypoints, rows.tolist(), strict=True))
    assert named["left_knee"] == COCO17.index("left_knee") and named["pelvis"] == -1
    np.testing.assert_array_equal(shared_keypoints(COCO17, COCO17), np.arange(17))


def test_the_union_of_one_is_itself():
    same = union(COCO17.name, COCO17, COCO17)
    assert replace(same, source=COCO17.source) == COCO17


def test_whole_images_are_mixed_too():
    parts = (SyntheticScenes(3, seed, (64, 64), people=2) for seed in (0, 1))
    source = Mixture(tuple(map(Weighted, parts)), union("coco+lsp", COCO17, LSP14)).open()
    assert source.people == 2
    batch = source.samples([1, 4])
    assert batch["keypoints"].shape == (2, 2, 19, 2) and batch["visible"][..., 17:].max() == 0
    alone = SyntheticScenes(3, 1, (64, 64), people=2).open().samples([1])
    np.testing.assert_array_equal(batch["keypoints"][1, :, :17], alone["keypoints"][0])
    with pytest.raises(InputError, match="rows for people, 2, 3"):
        scenes = SyntheticScenes(3, 0, (64, 64), 2), SyntheticScenes(3, 0, (64, 64), 3)
        Mixture(tuple(map(Weighted, scenes))).open()


def test_parts_that_do_not_fit_are_refused(numbered):
    small = SyntheticPeople(4, 0, (64, 48))
    with pytest.raises(InputError, match="canvases of 2 sizes, 64x48, 96x72"):
        Mixture((Weighted(small), Weighted(SyntheticPeople(4, 0, (96, 72))))).open()
    with pytest.raises(InputError, match="weight > 0"):
        Weighted(small, 0.0)
    with pytest.raises(InputError, match="at least one part"):
        Mixture(())
    with pytest.raises(InputError, match=r"share of 1.0e-06"):
        shares(np.array([1.0, 1e-6]))
    other = numbered(3)
    other.skeleton = LSP14
    with pytest.raises(InputError, match="several skeletons, coco17, lsp14"):
        Mixture((Weighted(Opened(numbered(3))), Weighted(Opened(other)))).open()
