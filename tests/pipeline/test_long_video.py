"""Films of any length: frames are let go of, and nothing is compiled once the warm-up is done."""

import weakref

import numpy as np
import pytest
from dots import trained

from jaxpose.bench.prediction import measure_prediction
from jaxpose.bench.synthetic_video import draw_video, places
from jaxpose.media.sources import open_media
from jaxpose.pipeline import Options, Pipeline

TRAINED = trained()


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return draw_video(tmp_path_factory.mktemp("film") / "film.mp4", 60, 2)


@pytest.mark.slow
@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_nothing_is_compiled_after_the_warm_up(film, every):
    options = Options(batch_size=4, detect_every=every, smooth="one-euro", nms=None, lost_score=0)
    lines = film.with_suffix(".jsonl")
    pipeline = Pipeline(TRAINED, options=options)
    figures = measure_prediction(pipeline, film, lines, boxes=lambda frame: places(frame, 2))
    assert (figures.warm, figures.later) == (1 if every == 1 else 2, 0)
    assert figures.frames == 60 and figures.people >= 60 and len(figures.memory) == 10
    assert len(lines.read_text().splitlines()) == 60


@pytest.mark.parametrize("smooth", [None, "savitzky-golay"])
def test_frames_are_let_go_of(film, smooth):
    pipeline = Pipeline(TRAINED, options=Options(batch_size=4, smooth=smooth, ahead=4, nms=None))
    alive: list[weakref.ref] = []

    def frames():
        for frame in open_media(film):
            image = frame.image.copy()
            alive.append(weakref.ref(image))
            yield image

    results = pipeline(frames(), fps=25, boxes=lambda frame: places(frame, 2))
    kept, most = [], 0
    for people in results:
        kept.append(people)
        most = max(most, sum(one() is not None for one in alive))
    assert len(kept) == len(alive) == 60
    # Two queues of 4, two batches of two frames each; the smoother looks 6 frames back and ahead.
    assert most <= (20 if smooth is None else 34)
    del results, people
    assert np.isfinite(kept[0].keypoints).all()
    assert sum(one() is not None for one in alive) <= 1
