"""Public names of the packages `jaxpose.data` and `jaxpose.metrics`."""

import subprocess
import sys

import jaxpose
from jaxpose.data.mixture import Mixture
from jaxpose.data.source import Records

TENSORFLOW_FREE = """
import sys
import jaxpose.data
names = [name for name in dir(jaxpose.data) if not name.startswith("_")]
assert "jax" not in sys.modules and "numpy" not in sys.modules
values = [getattr(jaxpose.data, name) for name in names]
assert len(values) > 20 and None not in values
assert not [name for name in sys.modules if name.startswith("tensorflow")]
"""


def test_the_packages_list_their_names():
    assert {"Records", "Images", "Mixture", "MotionDataset", "stream"} <= set(dir(jaxpose.data))
    assert {"CocoAP", "MPJPE", "Metric", "Report"} <= set(dir(jaxpose.metrics))


def test_a_listed_name_is_the_one_of_its_module():
    assert jaxpose.data.Records is Records
    assert jaxpose.data.Mixture is Mixture
    assert not hasattr(jaxpose.data, "Recrods")


def test_data_imports_neither_jax_nor_tensorflow():
    run = subprocess.run([sys.executable, "-c", TENSORFLOW_FREE], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
