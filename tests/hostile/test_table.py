"""The table of readers is complete: a new reader or dataset script needs a row."""

import ast
import re
from pathlib import Path

from tests.hostile.dataset_readers import SCRIPTS
from tests.hostile.readers import READERS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# Functions without a row, with the reason.
COVERED = {
    "load_action_model": "load_config and load_state_dict read the release",
    "load_refiner": "load_config and load_state_dict read the release",
    "load_default_detector": "names of models",
    "load_default_pose": "names of models",
    "load_detector": "load_config and load_state_dict read the release",
    "load_face_depth": "load_state_dict reads the file",
    "load_lifter": "load_config and load_state_dict read the release",
    "load_mesh_model": "load_config and load_state_dict read the release",
    "load_pose": "load_config and load_state_dict read the release",
    "load_surface_model": "load_config and load_state_dict read the release",
    "load_pretrained": "load_state_dict reads the file",
    "load_recipe": "Python code, which is run",
    "load_release": "load_config and load_state_dict read the folder",
    "load_run": "read_record reads the configuration, Orbax the checkpoint",
    "load_script": "Python code, which is run",
    "read_actions": "NumPy's reader without pickles; damaged files in test_action_clips.py",
    "read_annotated_image": "read_image",
    "read_base": "load_pretrained, or a release",
    "read_bytes": "all of them",
    "read_class_names": "lines of a text",
    "read_clips": "the rows of h36m and mpi_inf_3dhp",
    "read_coco": "read_people reads the same files",
    "read_config": "load_config",
    "read_frozen_graph": "the row of TensorFlow's frozen graphs",
    "read_graph": "the row of TFLite",
    "read_hdf5_table": "the row of DeepLabCut in HDF5",
    "read_kinetics": "parse_json reads the file; damaged ones in test_action_clips.py",
    "read_mmaction": "the safe reader of pickles; damaged ones in test_action_clips.py",
    "read_mot": "rows of numbers; damaged ones in test_track_files.py",
    "read_depth": "tests/objects/test_depth_files.py",
    "read_scene_depth": "read_depth reads the file; its scale in test_depth_refinement.py",
    "read_prior": "tests/bodies, and the rows of npz weights",
    "read_network_body": "read_body",
    "read_npz": "the rows of npz weights and motion datasets",
    "read_ntu": "lines of numbers; damaged ones in test_action_clips.py",
    "read_openvino": "the row of OpenVINO",
    "read_positions": "an array, no file",
    "read_posetrack": "parse_json reads the file; damaged ones in test_track_files.py",
    "read_program": "a text of XLA's, no file",
    "read_recipe": "Python code, which is run",
    "read_result": "a file of jaxpose, read as JSON",
    "read_source": "read_results reads the file",
    "read_text": "all of them",
    "read_tfjs": "the row of TensorFlow.js",
    "read_tfjs_json": "the row of TensorFlow.js",
    "read_tflite": "the row of TFLite",
    "read_sqlite": "the row of AFLW",
    "read_table": "the rows of DeepLabCut",
    "read_toml": "the rows of skeletons and Pose2Sim",
    "read_upload": "read_image",
    "read_yaml": "the rows of YOLO-pose and DeepLabCut",
    "read_weights": "load_state_dict reads the same files",
}


def _readers() -> set[str]:
    """Names of the public functions of the package that read or load."""
    return {
        node.name
        for path in (ROOT / "jaxpose").rglob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and re.match(r"(read|load)_", node.name)
    }


def test_every_reader_has_a_row():
    text = "\n".join(path.read_text() for path in HERE.glob("*readers.py"))
    found = _readers()
    absent = {
        name for name in found - set(COVERED) if not re.search(rf"\b{name}\(|\b{name},", text)
    }
    assert not absent, f"without a row in tests/hostile/*readers.py: {sorted(absent)}"
    assert set(COVERED) <= found, f"removed: {sorted(set(COVERED) - found)}"


def test_every_dataset_script_has_a_row():
    scripts = {path.stem for path in (ROOT / "data_prep").glob("*.py")}
    # read_people; LSP's readers; label_readers.py; `COVERED`
    by_others = {"coco", "teacher", "labels", "actions", "pose_prior"}
    assert scripts == set(SCRIPTS) | by_others


def test_rows_have_a_name_each():
    names = [reader.name for reader in READERS]
    assert len(set(names)) == len(names)
