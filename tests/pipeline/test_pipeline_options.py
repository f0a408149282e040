"""Options of a pipeline: types and names are checked before any model is read."""

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.pipeline import Lifting, Options, Pipeline, Smoothing, Tracking


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tracking": 3}, r"a Tracking, such as Tracking\(patience=3\), and 3 is not"),
        ({"smooth": 3}, r"smooth must be a Smoothing, such as Smoothing\("),
        ({"smooth": "kalman"}, "smoothing is 'one-euro' or 'savitzky-golay', not 'kalman'"),
        ({"lifting": 3}, r"lifting must be a Lifting, such as Lifting\(flip_test=False\)"),
        ({"lifting": {"cleaning": 3}}, r"lifting\.cleaning must be a Cleaning"),
        ({"tracking": {"patince": 3}}, r"no option tracking\.patince\. Did you mean 'patience'"),
        ({"flip": True}, "no option flip. Did you mean 'flip_test'"),
        ({"batch_size": "8"}, "batch_size must be int, but it is '8'"),
        ({"scales": 1.1}, "scales must be"),
        ({"max_people": 0}, "max_people must be at least 1"),
    ],
)
def test_wrong_options_are_refused_before_the_model_is_read(options, message):
    with pytest.raises(InputError, match=message):
        Pipeline.load("no_such_model", **options)


def test_a_name_in_the_place_of_a_model_is_refused():
    with pytest.raises(InputError, match=r"Pipeline\.load\('rtmpose-s'\) loads one by its name"):
        Pipeline("rtmpose-s")


def test_dictionaries_and_numpy_numbers_are_taken():
    options = Options(
        tracking={"patience": 3},
        smooth={"beta": 0.5},
        lifting={"min_score": 0.1},
        scales=[1, 1.1],
        batch_size=np.int64(4),
    )
    assert options.tracking == Tracking(patience=3) and options.scales == (1.0, 1.1)
    assert options.smooth == Smoothing(beta=0.5) and options.lifting == Lifting(min_score=0.1)
    assert options.batch_size == 4 and type(options.batch_size) is int
