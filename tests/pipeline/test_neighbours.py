"""Frames beside each frame: in order, within one video, and given to models of several frames."""

from dataclasses import dataclass

import jax
import numpy as np
import pytest
from tiny_frames import TinyBackbone

from jaxpose.codecs.heatmap import udp
from jaxpose.models.frames import FrameModel
from jaxpose.models.heads import DeconvHead
from jaxpose.models.temporal_head import TemporalHead
from jaxpose.pipeline.neighbours import beside
from jaxpose.pipeline.person_boxes import Located
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.predictor import Predictor


@dataclass(frozen=True)
class Frame:
    source: str
    number: int
    seconds: float | None


def video(name: str, count: int, still: bool = False) -> list[Located]:
    frames = [Frame(name, i, None if still else i / 25) for i in range(count)]
    return [Located(frame, np.zeros((0, 4))) for frame in frames]


def shown(found) -> list[tuple]:
    return [(one.frame.number, [o.frame.number for o in others]) for one, others in found]


def test_neighbours_lie_in_the_same_video():
    media = [*video("a", 4), *video("b", 1), *video("c", 2, still=True), *video("a", 2)]
    found = list(beside(media, (0.0, -2.0, -1.0, 1.0)))
    assert [one.frame for one, _ in found] == [one.frame for one in media]
    assert shown(found) == [
        *[(0, [0, 0, 1]), (1, [0, 0, 2]), (2, [0, 1, 3]), (3, [1, 2, 3])],
        *[(0, [0, 0, 0]), (0, []), (1, []), (0, [0, 0, 1]), (1, [0, 0, 1])],
    ]
    for (one, others), own in zip(found, media, strict=True):
        assert all(other.frame.source == own.frame.source for other in others)
        assert one is own
    assert shown(beside(media[:3], ())) == [(0, []), (1, []), (2, [])]


def test_a_frame_waits_for_no_more_than_it_needs():
    read = []

    def reading():
        for one in video("a", 9):
            read.append(one.frame.number)
            yield one

    stream = beside(reading(), (0.0, -1.0, 2.0))
    for number in range(4):
        one, others = next(stream)
        assert (one.frame.number, [o.frame.number for o in others]) == (
            number,
            [max(number - 1, 0), number + 2],
        )
        assert read[-1] == number + 2


@pytest.fixture(scope="module")
def predictor():
    head = TemporalHead(DeconvHead(17, ()), width=8, heads=2)
    model = FrameModel(TinyBackbone(), head)
    shape = jax.ShapeDtypeStruct((1, 32, 24, 3), "float32")
    shapes = jax.eval_shape(model.init, jax.random.key(0), shape)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda s: rng.normal(0, 0.5, s.shape).astype("float32"), shapes)
    return Predictor(
        model, variables, udp((32, 24)), COCO17, flip_test=False, batch_size=2, padding=1.0
    )


def test_a_predictor_takes_the_other_frames(predictor):
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 256, (64, 48, 3), np.uint8) for _ in range(3)]
    boxes = np.array([[0.0, 0, 48, 64]])
    # The image alone stands for all frames.
    same, alone, moved = predictor.stream(
        [(images[0], boxes, [images[0]] * 2), (images[0], boxes), (images[0], boxes, images[1:])]
    )
    np.testing.assert_array_equal(alone.keypoints, same.keypoints)
    assert np.abs(moved.scores - alone.scores).max() > 1e-3
    assert predictor.compilations == 1
    crops, maps = predictor.maps(images[0], boxes)
    assert crops.shape == (1, 32, 24, 3) and maps.shape == (1, 8, 6, 17)
