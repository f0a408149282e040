"""Models of the page by name: which are offered, loaded, kept, and what cannot be fetched."""

from types import SimpleNamespace

import pytest
from dots import trained

from jaxpose.demo import models as module
from jaxpose.demo.limits import Limits
from jaxpose.demo.models import DemoModels, choices
from jaxpose.demo.session import DemoSession
from jaxpose.download.transfer import Unreachable
from jaxpose.errors import InputError
from jaxpose.hub.catalogue import HOLISTIC
from jaxpose.hub.quality import PAIRS


@pytest.fixture
def page(monkeypatch, tmp_path):
    """Models that begin with dots; those of the catalogue are dots, too, except one."""
    asked = []

    def load(name):
        asked.append(name)
        if name == "rtmpose-l":
            raise Unreachable("The host cannot be reached.", "Put the file into /secret/cache.")
        return trained()

    def detector(name="rtmdet-nano-person"):
        asked.append(name)
        return lambda images: []

    monkeypatch.setattr(module, "load_pose", load)
    monkeypatch.setattr(module, "load_detector", detector)
    monkeypatch.setattr(module, "load_default_detector", lambda: ("found", detector("default")))
    monkeypatch.setattr(DemoSession, "warm_up", lambda session: None)
    models = DemoModels(Limits(), tmp_path, first="mine")
    models.add("mine", *models.pipeline("mine", trained()))
    return SimpleNamespace(models=models, asked=asked)


def test_every_name_that_can_run_is_offered_once_with_what_it_needs():
    found = {one.name: one for one in choices()}
    assert len(found) == len(choices()) > 80
    assert list(found)[:4] == [*PAIRS, HOLISTIC]
    assert found["jaxpose-small"].label == "jaxpose-small (coco17)"
    assert "rtmpose-m and rtmdet-nano-person" in found["balanced"].label
    assert "hand21" in found["hand-landmark-full"].label
    # Detectors, lifters and backbones find no keypoints; of some, the address is not known.
    assert not {"yolox-s", "martinez-h36m", "openpose"} & set(found)


def test_a_name_is_loaded_once_with_a_detector_if_it_is_of_people(page):
    models = page.models
    assert models.choices()[0].label == "mine (dots)"
    assert not models.is_loaded("rtmpose-s")
    session = models.session("rtmpose-s")
    assert session.described == "rtmpose-s: 2 keypoints (dots), people found by found"
    assert session.head["models"] == {"pose": "rtmpose-s", "detector": "found"}
    assert models.session("rtmpose-s") is session and models.is_loaded("rtmpose-s")
    hand = models.session("rtmpose-m-hand")
    assert "one person" in hand.described and hand.pipeline.detector is None
    assert page.asked == ["rtmpose-s", "default", "rtmpose-m-hand"]
    # A third one takes the place of the one that was used longest ago, but not of the first.
    models.session("fast")
    assert page.asked[3:] == ["rtmpose-t", "rtmdet-nano-person"]
    assert [models.is_loaded(n) for n in ("mine", "rtmpose-s", "rtmpose-m-hand", "fast")] == [
        *(True, False, True, True)
    ]


def test_what_cannot_be_loaded_is_said_without_a_folder_of_this_machine(page, monkeypatch):
    with pytest.raises(InputError, match=r"reached\. Choose a model that is on this") as caught:
        page.models.session("rtmpose-l")
    assert "secret" not in str(caught.value) and not page.models.is_loaded("rtmpose-l")
    for name in ("runs/other", "/etc/passwd", "yolox-s", ""):
        with pytest.raises(InputError, match="has no such model"):
            page.models.session(name)
    # Visitors from elsewhere fetch nothing.
    page.models.fetch = False
    assert {one.here for one in page.models.choices()} == {True}
    with pytest.raises(InputError, match="has no such model"):
        page.models.session("hrnet-w48")
    assert page.asked == ["rtmpose-l"]
    # Nor is a pair called by the names of models that others stand in for.
    page.models.first = "fast"
    page.models.add("fast", *page.models.pipeline("small", trained(), "finder", lambda images: []))
    assert page.models.choices()[0].label == "fast (small and finder)"
