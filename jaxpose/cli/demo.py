"""`jaxpose demo`: a page on this machine that shows what a model sees."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from rich.console import Console

from jaxpose.cli.lift import Options as Lifting
from jaxpose.cli.lift import open_lifter
from jaxpose.cli.predict_summary import head_of
from jaxpose.demo.limits import Limits
from jaxpose.demo.page import gradio
from jaxpose.demo.serve import check_free, is_local, serve
from jaxpose.demo.session import DemoSession
from jaxpose.hub.load import Trained, load_detector, load_pose
from jaxpose.pipeline import Pipeline


def demo(
    run: str,
    detector: str | None,
    lifter: str | None,
    checkpoint: Literal["best", "last"],
    host: str,
    port: int,
    limits: Limits,
    trust_recipe: bool = False,
) -> None:
    """Loads and compiles the models, and serves the page until Ctrl-C.

    Raises:
      InputError: models that cannot be used, no Gradio, or a port that is taken.
    """
    gradio()
    check_free(host, port)  # before minutes of compiling
    console = Console(stderr=True, soft_wrap=True)
    if not is_local(host):
        console.print(
            f"Whoever reaches this machine reaches the page on {host}: there is no password and "
            "no encryption. Without --host only this machine does.",
            style="yellow",
            highlight=False,
        )
    trained = load_pose(run, checkpoint, trust_recipe=trust_recipe)
    found_by = None if detector is None else load_detector(detector)
    lifting = Lifting(checkpoint, trust_recipe=trust_recipe)
    in_space = None if lifter is None else open_lifter(lifter, lifting)
    pipeline = Pipeline(trained, found_by)
    with TemporaryDirectory(prefix="jaxpose-demo-", ignore_cleanup_errors=True) as folder:
        head = _head(trained, run, detector, lifter)
        looker = DemoSession(pipeline, in_space, limits, Path(folder).resolve(), head)
        begun = time.perf_counter()
        with console.status("Compiling the models, so that no upload waits for it ..."):
            looker.warm_up()
        seconds = time.perf_counter() - begun
        console.print(f"The models are compiled ({seconds:.0f} s).", highlight=False)

        def ready(address: str) -> None:
            console.print(f"The page is at {address} until Ctrl-C.", highlight=False)

        serve(looker, _described(trained, run, detector), host, port, ready)


def _described(trained: Trained, run: str, detector: str | None) -> str:
    """The line below the title."""
    height, width = trained.codec.input_hw
    who = "each photo is taken as one person" if detector is None else "with a person detector"
    return (
        f"{_name(run)}: {trained.skeleton.num_keypoints} keypoints ({trained.skeleton.name}), "
        f"looked at in {width} x {height} pixels, {who}"
    )


def _head(trained: Trained, run: str, detector: str | None, lifter: str | None) -> dict[str, Any]:
    """Of the JSON file, which visitors take home: names, and no folders of this machine."""
    models = {"pose": run, "detector": detector, "lifter": lifter}
    return {
        **head_of(trained.skeleton),
        "models": {part: _name(where) for part, where in models.items() if where is not None},
    }


def _name(where: str) -> str:
    """The last part of a path or address, without what pins it or lets one in."""
    return Path(where.split("#")[0].split("?")[0]).name or Path(where).resolve().name
