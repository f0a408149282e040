"""Every program of every family compiles for TPUs, without slow operations except the listed ones.

The TPU's own compiler needs no TPU: `pip install libtpu`. It takes its quickest way here, because
the programs do not run.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
import tiny_crowd
import tiny_mesh
import tiny_object
from test_families import FAMILIES, Family, experiment
from test_tpu_programs import on_one, slow_operations

from jaxpose.chips import programs
from jaxpose.chips.topology import parse_slice
from jaxpose.codecs import CenterKeypoints, DisplacementFields, FieldVoting
from jaxpose.codecs.center_offsets import CenterOffsets
from jaxpose.codecs.displacement_fields import COCO_TREE
from jaxpose.codecs.lifting import LiftingCodec
from jaxpose.codecs.tracks import TrackCodec
from jaxpose.data.source import SyntheticPeople, SyntheticScenes
from jaxpose.detect.decode import convention_of
from jaxpose.detect.nms import suppress
from jaxpose.errors import InputError
from jaxpose.losses import (
    CenterKeypointLoss,
    CenterOffsetLoss,
    DisplacementFieldLoss,
    VectorFieldLoss,
)
from jaxpose.models import poseformer, pvnet, stgcn, videopose3d
from jaxpose.models.build import PoseModel, abstract_variables
from jaxpose.models.center_offsets import CenterOffsetHead
from jaxpose.models.lifting.dstformer import DSTFormer
from jaxpose.models.lifting.lifter import JointHead, Lifter
from jaxpose.models.mobilenetv1 import DisplacementHead, MobileNetV1
from jaxpose.models.movenet import CenterKeypointHead, MobileNetV2Pyramid
from jaxpose.models.published.picodet import picodet
from jaxpose.models.published.rtmdet import rtmdet
from jaxpose.models.published.yolox import yolox
from jaxpose.models.pyramid import Pyramid
from jaxpose.models.track_refiner import Refiner, pose_mixer, smoothnet
from jaxpose.skeletons import COCO17
from jaxpose.tasks.actions.experiment import ActionEvaluation
from jaxpose.tasks.bottomup import experiment as bottomup
from jaxpose.tasks.refining.experiment import RefiningEvaluation
from jaxpose.tasks.topdown.experiment import Evaluation
from jaxpose.train.experiment import Experiment
from jaxpose.train.mesh import make_mesh
from jaxpose.train.recipe import load_recipe

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed"
)

LIFTER = Path(__file__).resolve().parents[1] / "tiny_lifter.py"
BATCH = 4
QUICKLY = {"exec_time_optimization_effort": -1.0}


def crops(family: Family) -> Experiment:
    """A family on crops, with every kind of augmentation."""
    return replace(
        experiment(family, "bfloat16"),
        batch_size=BATCH,
        evaluation=Evaluation(batch_size=BATCH),
        augmentation=load_recipe("small_pose").augmentation,
    )


def images(model: PoseModel, codec, loss) -> Experiment:
    scenes = SyntheticScenes(8, 0, (64, 64), people=3)
    return bottomup.BottomUpExperiment(
        skeleton=COCO17,
        model=model,
        codec=codec,
        loss=loss,
        train_data=scenes,
        eval_data=scenes,
        steps=2,
        batch_size=BATCH,
        evaluation=bottomup.Evaluation(batch_size=BATCH),
    )


def movenet() -> Experiment:
    model = PoseModel(MobileNetV2Pyramid(0.1), CenterKeypointHead(17))
    run = replace(load_recipe("quickstart"), model=model, codec=CenterKeypoints((64, 96)))
    return replace(
        run,
        loss=CenterKeypointLoss(),
        batch_size=BATCH,
        train_data=SyntheticPeople(BATCH, 0, (96, 72)),
        evaluation=Evaluation(batch_size=BATCH),
    )


def posenet() -> Experiment:
    model = PoseModel(MobileNetV1(0.1), DisplacementHead(17))
    return images(model, DisplacementFields((65, 97)), DisplacementFieldLoss(COCO_TREE))


def centers() -> Experiment:
    trunk = Pyramid(patch=8, widths=(16, 32), depths=(1, 1), path_width=16)
    codec = CenterOffsets((64, 64), heatmap_hw=(16, 16), sigma=1.0, radius=2.0, max_people=5)
    head = CenterOffsetHead(17, deconv_channels=(16,))
    return images(PoseModel(trunk, head), codec, CenterOffsetLoss())


def detection() -> Experiment:
    scenes = SyntheticScenes(8, 0, (64, 64), people=3)
    run = load_recipe("small_finder")
    return replace(run, train_data=scenes, eval_data=scenes, image_hw=(64, 64), resident=False)


def lifting(make: Callable[[], Lifter], **options) -> Callable[[], Experiment]:
    codec = LiftingCodec(15, **options)
    return lambda: replace(load_recipe(str(LIFTER)), model=make(), codec=codec)


def refining(model: Refiner) -> Callable[[], Experiment]:
    codec = TrackCodec(8, fps=(15.0, 25.0))
    evaluation = RefiningEvaluation(batch_size=BATCH)
    return lambda: replace(
        load_recipe("refiner_synthetic"),
        model=model,
        codec=codec,
        batch_size=BATCH,
        evaluation=evaluation,
    )


def actions() -> Experiment:
    run = load_recipe("actions_synthetic")
    model = stgcn(5, run.codec.graph, in_features=2, people=1, frames=32, units=(1, 1), width=8)
    return replace(
        run, model=model, batch_size=BATCH, evaluation=ActionEvaluation(batch_size=BATCH)
    )


def rtmo() -> Experiment:
    """The published widths: for very small ones libtpu 0.0.42 ends with a stack overflow."""
    run = tiny_crowd.rtmo()
    head = run.model.head.clone(pose_features=256, classifier_features=128, bins=(192, 256))
    codec = replace(run.codec, max_people=16)
    model, loss = run.model.clone(head=head), replace(run.loss, codec=codec)
    return replace(run, model=model, codec=codec, loss=loss)


def voting() -> Experiment:
    codec = FieldVoting((48, 48), voters=512)
    run = replace(tiny_object.get_config(), model=pvnet(9, width=8), codec=codec)
    return replace(run, loss=VectorFieldLoss())


CASES: dict[str, Callable[[], Experiment]] = {
    **{name: lambda family=family: crops(family) for name, family in FAMILIES.items()},
    "movenet": movenet,
    "posenet": posenet,
    "centers": centers,
    "detection": detection,
    "martinez": lambda: load_recipe(str(LIFTER)),
    "videopose3d": lifting(lambda: videopose3d(27, 15, 15, channels=16)),
    "videopose3d-strided": lifting(lambda: videopose3d(27, 15, 15, channels=16, strided=True)),
    "poseformer": lifting(lambda: poseformer(9, 15, 15, dim=16, depth=1)),
    "motionbert": lifting(
        lambda: Lifter(DSTFormer(15, frames=9, dim=16, depth=2, heads=2), JointHead(15, hidden=16)),
        confidence=True,
    ),
    "smoothnet": refining(smoothnet(8, width=16, blocks=1)),
    "pose_mixer": refining(pose_mixer(17, 8, width=16, blocks=1)),
    "stgcn": actions,
    **tiny_crowd.EXPERIMENTS,
    "rtmo": rtmo,
    "meshes": tiny_mesh.get_config,
    "objects": tiny_object.get_config,
    "voting": voting,
}
DECODING = ("eval", "predict")
# Slow operations that stay.
ALLOWED: dict[tuple[str, str], dict[str, int]] = {
    # People are the best places of a map: its pixels are sorted once, or twice for two maps.
    ("posenet", "eval"): {"sort": 1},
    ("posenet", "predict"): {"sort": 1},
    ("centers", "eval"): {"sort": 2},
    ("centers", "predict"): {"sort": 2},
    # People are added to the targets one after another; all at once they would need memory for
    # vectors of every person at every pixel.
    ("centers", "train"): {"while": 1},
    # The blocks are a loop: forward and backward, or for the input and its mirror image.
    ("motionbert", "train"): {"while": 2},
    ("motionbert", "predict"): {"while": 2},
    # A clip's frames are chosen as a whole: keypoints and scores.
    ("stgcn", "train"): {"gather": 2},
    # A mosaic chooses whole images, not pixels.
    ("detection", "train"): {"gather": 1},
    # People are added to the targets one after another.
    ("paf", "train"): {"while": 1},
    ("higher_hrnet", "train"): {"while": 2},
    ("dekr", "train"): {"while": 3},
    ("cid", "train"): {"while": 1},
    # Keypoints are joined to people one after another, a few numbers at a time.
    **{("paf", name): {"gather": 31, "scatter": 10, "sort": 3, "while": 2} for name in DECODING},
    ("higher_hrnet", "eval"): {"gather": 11, "scatter": 9, "while": 5, "sort": 2},
    ("higher_hrnet", "predict"): {"gather": 11, "scatter": 8, "while": 5, "sort": 2},
    # The best places of a map, and poses that are suppressed one after another.
    **{("dekr", name): {"sort": 1, "while": 1} for name in DECODING},
    # The places of lowest cost; a mosaic and a mixture choose whole images with their people.
    ("yolox_pose", "train"): {"sort": 3},
    ("rtmo", "train"): {"gather": 18, "sort": 5, "while": 2, "scatter": 1},
    **{(model, name): {"while": 1} for model in ("rtmo", "yolox_pose") for name in DECODING},
    # Each vote takes two pixels of the object.
    **{("voting", name): {"gather": 6, "sort": 1, "while": 1} for name in (*DECODING, "export")},
}
QUICK = (("martinez", "train"), ("martinez", "predict"), ("pyramid", "train"))

# What a task does not have, by a part of its refusal.
REFUSED = {
    "detection": {"eval": "no program of an evaluation", "predict": "", "export": ""},
    **{
        name: {"export": "whole images"} for name in ("posenet", "centers", *tiny_crowd.EXPERIMENTS)
    },
    "pifpaf": {"predict": "outside the compiled program", "export": "whole images"},
    "meshes": {"eval": "no program of an evaluation", "export": "crops or model"},
    **{
        name: {"eval": "no program of an evaluation", "export": "a lifter takes keypoints"}
        for name in ("martinez", "videopose3d", "videopose3d-strided", "poseformer", "motionbert")
    },
    **{
        name: {"eval": "no program of an evaluation", "export": "a refiner takes keypoints"}
        for name in ("smoothnet", "pose_mixer")
    },
    "stgcn": {"eval": "no program of an evaluation", "export": "not images"},
}


@pytest.fixture(scope="module")
def chips() -> list[jax.Device]:
    return parse_slice("v5e:1x1").devices()


def chosen(name: str, program: str):
    marks = [] if (name, program) in QUICK else [pytest.mark.slow]
    return pytest.param(name, program, marks=marks)


@pytest.mark.parametrize(
    ("name", "program"), [chosen(name, program) for name in CASES for program in programs.NAMES]
)
def test_a_program_compiles_for_tpus(name, program, chips):
    run = CASES[name]()
    refused = REFUSED.get(name, {}).get(program)
    if refused is not None:
        with pytest.raises(InputError, match=refused):
            programs.lower(run, program, make_mesh(run.mesh, chips))
        return
    # The chip's own random numbers: those of JAX are most of what takes long to compile.
    with jax.default_prng_impl("rbg"):
        lowered = programs.lower(run, program, make_mesh(run.mesh, chips))
    found = slow_operations(lowered.compile(compiler_options=QUICKLY))
    assert found == ALLOWED.get((name, program), {})


# Suppression takes the best box of each image, one after another.
SUPPRESSION = {"while": 1}


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", [yolox("nano"), rtmdet("nano"), picodet()], ids=["yolox", "rtmdet", "picodet"]
)
def test_a_detector_compiles_for_tpus(model, chips):
    variables = abstract_variables(model, (64, 64))
    convention = convention_of(model)

    def detect(variables, canvases):
        boxes, scores = convention.decode(model.apply(variables, convention.prepare(canvases)), 0)
        return suppress(boxes, scores, threshold=0.3, iou=0.65, limit=10)

    canvases = jax.ShapeDtypeStruct((BATCH, 64, 64, 3), jnp.uint8)
    lowered = jax.jit(detect).lower(*on_one(chips, (variables, canvases)))
    assert slow_operations(lowered.compile(compiler_options=QUICKLY)) == SUPPRESSION
