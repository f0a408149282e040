"""Runs notebooks and saves what their cells show, images as small JPEGs.

    python tests/colab/save_outputs.py quickstart predict

Environment variables shorten a run as they do in the tests. Videos and animations are left out: a
reader gets them by running the cell.
"""

import base64
import io
import os
import re
import sys
import tempfile
from pathlib import Path

import nbclient
import nbformat
from PIL import Image

COLAB = Path(__file__).parents[2] / "colab"
_WIDEST = 640


def small(png: str) -> str:
    """An image in base64 as a JPEG of at most 640 pixels' width, in base64."""
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    image.thumbnail((_WIDEST, 4 * _WIDEST))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80, optimize=True)
    return base64.b64encode(out.getvalue()).decode()


def kept(output: nbformat.NotebookNode, folder: str) -> bool:
    """Shrinks one output in place; False for what is not worth keeping."""
    if output.output_type == "stream":
        if output.name == "stderr" and not output.text.startswith("Note: "):
            return False
        output.text = output.text.replace(f"{folder}/", "")
        # Progress bars and colours.
        output.text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.text)
        output.text = re.sub(r"[^\n]*\r(?!\n)", "", output.text)
        # A progress bar that is redrawn ends without a new line until it is full.
        redrawn = "━" in output.text and not output.text.endswith("\n")
        return bool(output.text.strip()) and not redrawn
    data = output.get("data", {})
    if "<video" in data.get("text/html", "") or "image/gif" in data:
        return False
    if "image/png" in data:
        data["image/jpeg"] = small(data.pop("image/png"))
        output.metadata = {}
    return True


def save(name: str) -> None:
    """Runs one notebook in a folder of its own and writes its outputs into it."""
    path = COLAB / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    metadata = notebook.metadata.copy()
    with tempfile.TemporaryDirectory() as folder:
        client = nbclient.NotebookClient(
            notebook, timeout=3600, kernel_name="python3", resources={"metadata": {"path": folder}}
        )
        client.execute()
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)  # times of the run
            if cell.cell_type == "code":
                cell.outputs = [output for output in cell.outputs if kept(output, folder)]
    notebook.metadata = metadata
    path.write_text(nbformat.writes(notebook) + "\n")
    print(f"{path.name}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    for notebook_name in sys.argv[1:]:
        save(notebook_name)
