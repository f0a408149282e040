"""Cut the arrays that tests of the rooms below need out of the golden functions.

    python tests/golden/extract.py ../shared/golden

The source (`functions.npz`, described in its own README) holds inputs and outputs of MMPose 1.3.2
functions. One small copy per room is written beside this script, so that a bare clone can run
the tests.
"""

import sys
from pathlib import Path

import numpy as np

KEPT = {
    "geometry": ("crop/",),
    "codecs": (
        "encode/msra_heatmap",
        "decode/msra_heatmap",
        "encode/udp_heatmap",
        "decode/udp_heatmap",
        "encode/megvii_heatmap",
        "decode/megvii_heatmap",
        "encode/simcc_",
        "decode/simcc_",
        "encode/regression",
        "encode/integral_regression",
    ),
    "losses": ("loss/",),
    "metrics": ("metric/",),
}


def main(golden: Path) -> None:
    """Write `<name>.npz` for each entry of `KEPT` from `golden/functions.npz`."""
    with np.load(golden / "functions.npz") as functions:
        for name, prefixes in KEPT.items():
            arrays = {key: functions[key] for key in functions.files if key.startswith(prefixes)}
            np.savez_compressed(Path(__file__).parent / f"{name}.npz", **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
