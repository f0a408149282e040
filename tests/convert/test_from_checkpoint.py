"""`jaxpose convert` on the checkpoints of published models: skeletons, codecs, lifters."""

from dataclasses import replace

import drawn
import numpy as np
import pytest
import torch_file
from reference import load
from safetensors.numpy import save_file
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.codecs import DisplacementFields, SinglePersonFields
from jaxpose.convert.choose import Clues, choose, skeleton_of_dataset
from jaxpose.convert.identify import Identified
from jaxpose.convert.reading import dataset_of
from jaxpose.convert.rules import flatten
from jaxpose.download.fetch import checksum
from jaxpose.errors import InputError
from jaxpose.hub.convert_options import ConvertOptions
from jaxpose.hub.from_checkpoint import _skeleton, licence_of
from jaxpose.hub.load import load_lifter, load_pose
from jaxpose.models.published.catalogue import find
from jaxpose.skeletons import AP10K17, COCO17, FACE106, HALPE26


def invoke(*arguments):
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


@pytest.mark.slow
def test_rtmpose_of_animals_is_released_with_their_skeleton(tmp_path):
    """17 keypoints of AP-10K, in images of a size that RTMPose-m was published for."""
    arrays = load("rtmpose_m_hand5_256x256").state_dict
    for name in ("weight", "bias"):
        arrays[f"head.final_layer.{name}"] = arrays[f"head.final_layer.{name}"][:17]
    record = find("rtmpose-m-ap10k")
    path = tmp_path / record.weights.file_name
    torch_file.write(path, arrays, lambda tensors: {"state_dict": tensors, "meta": {"epoch": 1}})
    result = invoke(path, tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "rtmpose-m-ap10k" in result.output and "17, ap10k17" in result.output
    trained = load_pose(tmp_path / "out")
    assert trained.skeleton == AP10K17
    assert trained.codec == record.codec((256, 256))
    # The file has another checksum than the published one.
    assert "not stated: that of the source" in (tmp_path / "out/README.md").read_text()


def test_the_licence_is_that_of_the_published_file_alone(tmp_path):
    file = tmp_path / "x.pth"
    file.write_bytes(b"weights")
    record = find("rtmpose-t")
    digits = checksum(file)[:8]
    same = replace(record, weights=replace(record.weights, sha256=digits))
    assert licence_of(file, same, ConvertOptions()) == "Apache-2.0"
    for other in (record, replace(record, weights=None), replace(same, licence="")):
        assert licence_of(file, other, ConvertOptions()).startswith("not stated")
    # Without a checksum the name that was asked for counts.
    plus = find("vitpose-plus-s")
    file = file.rename(tmp_path / "model.safetensors")
    assert licence_of(file, plus, ConvertOptions(model="vitpose-plus-s")) == "Apache-2.0"
    assert licence_of(file, plus, ConvertOptions()).startswith("not stated")


def test_keypoints_of_an_unknown_data_set_are_not_named(tmp_path):
    """17 of them are not COCO's because COCO's are 17."""
    arrays = load("vitpose_s_256x192").state_dict
    meta = {"dataset_meta": {"dataset_name": "horse17"}}
    path = torch_file.write(
        tmp_path / "x.pth", arrays, lambda tensors: {"state_dict": tensors, "meta": meta}
    )
    result = invoke(path, tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "17, not named" in result.output and "horse17, is not built in" in result.output
    with pytest.raises(InputError, match="has no codec or no skeleton"):
        load_pose(tmp_path / "out")


@pytest.mark.parametrize(
    ("reference", "name", "frame"),
    [
        ("martinez_h36m", "martinez", "pixels"),
        ("videopose3d_27", "videopose3d-27", "screen"),
        ("poseformer_9", "poseformer-9", "screen"),
    ],
)
def test_a_lifter_becomes_a_release_that_lifts(reference, name, frame, tmp_path):
    arrays = load(reference).state_dict
    save_file(arrays, tmp_path / "x.safetensors")
    result = invoke(tmp_path / "x.safetensors", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert name in result.output and "17, h36m17" in result.output
    trained = load_lifter(tmp_path / "out")
    assert trained.codec.frame == frame and trained.codec.fps == 50
    film = np.random.default_rng(0).uniform(100, 300, (30, 17, 2))
    joints = trained.predictor()(film, image_wh=(640, 480), fps=50, skeleton=COCO17)
    assert joints.shape == (30, 17, 3) and np.isfinite(joints).all()
    np.testing.assert_allclose(joints[:, 0], 0, atol=1e-9)
    with pytest.raises(InputError, match="is a lifter"):
        load_pose(tmp_path / "out")
    assert "VIDEO --from POSE_MODEL --lift" in (tmp_path / "out/README.md").read_text()


def test_the_authors_lifters_are_found_under_their_wrappers(tmp_path):
    """MotionBERT gives no millimetres, which its release says."""
    arrays = load("official_motionbert_lite").state_dict
    arrays = {f"module.{key}": array for key, array in arrays.items()}
    torch_file.write(tmp_path / "x.bin", arrays, lambda tensors: {"epoch": 1, "model_pos": tensors})
    result = invoke(tmp_path / "x.bin", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "motionbert-lite-243" in result.output
    with pytest.raises(InputError, match=r"cannot predict yet.*units of the image"):
        load_lifter(tmp_path / "out")
    assert "units of the image" in (tmp_path / "out/README.md").read_text()


def test_posenet_takes_whole_images_unless_its_model_for_crops_is_named(tmp_path):
    record = find("posenet-mobilenetv1-0.75")
    arrays = flatten(drawn.variables(record.model(), (65, 65)))
    save_file({key: np.array(leaf) for key, leaf in arrays.items()}, tmp_path / "x.safetensors")
    result = invoke(tmp_path / "x.safetensors", tmp_path / "out")
    assert result.exit_code == 0, result.output
    trained = load_pose(tmp_path / "out")
    assert trained.estimator.takes == "images" and trained.codec == DisplacementFields()
    assert "a whole image with black margins" in (tmp_path / "out/README.md").read_text()
    result = invoke(
        tmp_path / "x.safetensors", tmp_path / "one", "--model", f"{record.name}-single"
    )
    assert result.exit_code == 0, result.output
    trained = load_pose(tmp_path / "one")
    assert trained.estimator.takes == "crops" and trained.codec == SinglePersonFields()
    assert trained.estimator.padding == 1.0


def fits(*names, keypoints=17, size_read=False):
    """Fits as `identify` finds them for arrays that these records share."""
    records = [find(name) for name in names]
    return [
        Identified(r, r.variant(keypoints, r.input_hw), keypoints, r.input_hw, size_read)
        for r in records
    ]


def names(found):
    return [fit.entry.name for fit in found]


HRNETS = ("hrnet-w32", "hrnet-w32-384", "hrnet-w32-ap10k")


@pytest.mark.parametrize(
    "name", ["openpose-mobilenetv2", "lightweight-openpose", "vitpose-plus-s-ap10k"]
)
def test_a_published_model_keeps_its_skeleton_without_a_dataset_in_the_file(name):
    """COCO's 17 keypoints are not those of OpenPose or of animals."""
    record = find(name)
    fit = Identified(record, None, record.num_keypoints, record.input_hw)
    assert _skeleton(fit, None, "") == record.skeleton
    assert _skeleton(fit, None, "a new dataset") is None


@pytest.mark.slow
def test_openpose_is_converted_with_its_skeleton(shared, tmp_path):
    graph = shared / "weights/openpose_mobilenetv2_small/graph_opt.pb"
    result = invoke(graph, tmp_path / "out")
    assert result.exit_code == 0 and "18, openpose18" in result.output, result.output
    assert "not built in" not in result.output
    assert load_pose(tmp_path / "out").skeleton == find("openpose-mobilenetv2").skeleton


@pytest.mark.parametrize(
    ("clues", "name"),
    [
        (Clues("hrnet_w32_ap10k_256x256-18aac840_20211029.pth"), "hrnet-w32-ap10k"),
        (Clues("my_hrnet_ap10k.pth"), "hrnet-w32-ap10k"),
        (Clues("my_hrnet_256x192.pth"), "hrnet-w32"),
        (Clues("hrnet-w32-384.safetensors"), "hrnet-w32-384"),
        (Clues("x.pth", dataset="ap10k"), "hrnet-w32-ap10k"),
        (Clues("x.pth", skeleton=AP10K17), "hrnet-w32-ap10k"),
        # The name of the file counts less than what is inside, or what the user says.
        (Clues("coco_256x192.pth", dataset="ap10k"), "hrnet-w32-ap10k"),
        (Clues("x_384x288.pth", skeleton=COCO17), "hrnet-w32-384"),
    ],
)
def test_what_tells_models_of_the_same_arrays_apart(clues, name):
    assert names(choose(fits(*HRNETS), clues)) == [name]


def test_models_that_nothing_tells_apart_are_refused_with_a_list():
    with pytest.raises(InputError, match="--model NAME") as refused:
        choose(fits(*HRNETS), Clues("x.pth"))
    lines = [line.split() for line in str(refused.value).splitlines()]
    assert ["hrnet-w32-ap10k", "17", "keypoints,", "ap10k17,", "256x256,"] in [
        line[:5] for line in lines
    ]
    with pytest.raises(InputError, match="differ in their use") as refused:
        choose(fits(*HRNETS), Clues("coco.pth"))  # of which size?
    assert "ap10k" not in str(refused.value)
    # A word of another name, and what a model was pretrained on, tell nothing.
    for name in ("mosaic.pth", "hrnet_pt-aic-coco.pth"):
        with pytest.raises(InputError, match="hrnet-w32-ap10k"):
            choose(fits(*HRNETS), Clues(name))


def test_models_of_one_size_are_told_by_it_where_it_can_be_read():
    found = fits("rtmpose-m", "rtmpose-m-384x288", "rtmpose-m-ap10k", size_read=True)
    sized = [Identified(f.entry, f.model, 17, (256, 256), True) for f in found]
    assert names(choose(sized, Clues("x.pth"))) == ["rtmpose-m-ap10k"]


def test_keypoints_that_nobody_published_need_no_choice_among_skeletons():
    records = [find(f"rtmpose-m{end}") for end in ("", "-halpe26", "-wholebody")]
    found = [Identified(r, r.variant(9, (256, 192)), 9, (256, 192), True) for r in records]
    assert names(choose(found, Clues("x.pth")))[0] == "rtmpose-m"
    with pytest.raises(InputError, match="--input-size HEIGHTxWIDTH"):
        choose(fits(*HRNETS, keypoints=9), Clues("x.pth"))


def test_experts_of_vitpose_plus_are_never_guessed():
    """The data sets with 17 keypoints have the same arrays, and experts of their own."""
    every = ("vitpose-plus-s", "vitpose-plus-s-ap10k", "vitpose-plus-s-apt36k")
    with pytest.raises(InputError, match="vitpose-plus-s-apt36k"):
        choose(fits(*every, size_read=True), Clues("model.safetensors"))
    for file, name, dataset in (("coco.pth", every[0], 0), ("apt36k.pth", every[2], 4)):
        (chosen,) = choose(fits(*every, size_read=True), Clues(file))
        assert chosen.entry.name == name and chosen.model.backbone.dataset == dataset
    (chosen,) = choose(fits(*every, size_read=True), Clues("x", dataset="COCO"))
    assert chosen.entry.name == every[0]
    found = fits("vitpose-plus-s", "vitpose-plus-s-mpii", keypoints=16, size_read=True)
    (chosen,) = choose(found, Clues("x.pth"))
    assert chosen.model.backbone.dataset == 2


def test_published_models_come_before_variants_of_the_same_arrays():
    found = fits("vitpose-s", "vitpose-s-6heads", size_read=True)
    assert names(choose(found, Clues("x.pth"))) == ["vitpose-s"]


@pytest.mark.parametrize(
    ("dataset", "count", "skeleton"),
    [
        ("coco", 17, COCO17),
        ("ap10k", 17, AP10K17),
        ("halpe26", 26, HALPE26),
        ("lapa", 106, FACE106),
        ("coco", 9, None),
        ("", 17, None),
        ("mine", 17, None),
    ],
)
def test_data_sets_of_mmpose_name_a_skeleton(dataset, count, skeleton):
    assert skeleton_of_dataset(dataset, count) == skeleton


@pytest.mark.parametrize(
    ("meta", "dataset"),
    [
        ({"dataset_meta": {"dataset_name": "ap10k", "sigmas": [0.1]}}, "ap10k"),
        ({"config": "data = dict(info=dict(dataset_name='ap10k',))"}, "ap10k"),
        ({"cfg": "dataset_name='aic' ... dataset_name='coco'"}, ""),
        ({"epoch": 3}, ""),
        ("a text", ""),
    ],
)
def test_the_data_set_is_read_off_the_metadata(meta, dataset, tmp_path):
    arrays = {"x": np.zeros(2, np.float32)}
    path = torch_file.write(
        tmp_path / "x.pth", arrays, lambda tensors: {"state_dict": tensors, "meta": meta}
    )
    assert dataset_of(path) == dataset
    save_file(arrays, tmp_path / "x.safetensors")
    assert dataset_of(tmp_path / "x.safetensors") == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "more", "noted"),
    [("x", (), True), ("my_ap10k", (), False), ("x", ("--skeleton", "coco17"), False)],
)
def test_a_skeleton_that_only_the_arrays_decide_is_noted(name, more, noted, tmp_path):
    arrays = load("rtmpose_m_hand5_256x256").state_dict
    for key in ("weight", "bias"):
        arrays[f"head.final_layer.{key}"] = arrays[f"head.final_layer.{key}"][:17]
    save_file(arrays, tmp_path / f"{name}.safetensors")
    result = invoke(tmp_path / f"{name}.safetensors", tmp_path / "out", *more)
    assert result.exit_code == 0, result.output
    text = " ".join(part.strip(" │") for part in result.output.split())
    words = "ap10k17, that of the only published model with these arrays; --skeleton changes it"
    assert (words in " ".join(text.split())) == noted
