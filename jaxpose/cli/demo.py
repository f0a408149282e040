"""`jaxpose demo`: a page on this machine to try a model on images and videos."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jaxpose.cli.demo_command import Demo
from jaxpose.cli.options import same_fields
from jaxpose.console import PlainConsole
from jaxpose.demo.limits import Limits
from jaxpose.demo.page import gradio
from jaxpose.demo.serve import check_free, is_local, serve
from jaxpose.demo.session import DemoSession
from jaxpose.hub.load import Trained, load_detector, load_pose
from jaxpose.pipeline import Options, Pipeline
from jaxpose.pipeline.lifting import open_lifter
from jaxpose.pipeline.options import set_options
from jaxpose.results.writers import head_of


def demo(options: Demo) -> None:
    """Loads and compiles the models, and serves the page until Ctrl-C.

    Raises:
      InputError: models that cannot be used, no Gradio, or a port that is taken.
    """
    gradio()
    host, port = options.host, options.port
    settings = set_options(Options(), options.set_)
    check_free(host, port)  # before minutes of compiling
    console = PlainConsole(stderr=True)
    if not is_local(host):
        console.print(
            f"Everybody who reaches this machine reaches the page on {host}: there is no password "
            "and no encryption. Without --host only this machine reaches it.",
            style="yellow",
        )
    trained = load_pose(options.run, options.checkpoint, trust_recipe=options.trust_recipe)
    detector = None if options.detector is None else load_detector(options.detector)
    lifter = None
    if options.lifter is not None:
        lifter = open_lifter(
            options.lifter,
            options.checkpoint,
            settings.lifting,
            trust_recipe=options.trust_recipe,
        )
    pipeline = Pipeline(trained, detector, lifter, settings)
    with TemporaryDirectory(prefix="jaxpose-demo-", ignore_cleanup_errors=True) as folder:
        limits = same_fields(options, Limits)
        session = DemoSession(pipeline, limits, Path(folder).resolve(), _head(trained, options))
        begun = time.perf_counter()
        with console.status("Compiling the models, so that no upload waits for it ..."):
            session.warm_up()
        seconds = time.perf_counter() - begun
        console.print(f"The models are compiled ({seconds:.0f} s).")

        def ready(address: str) -> None:
            console.print(f"The page is at {address} until Ctrl-C.")

        serve(session, _described(trained, options), host, port, ready)


def _described(trained: Trained, options: Demo) -> str:
    """The line below the title."""
    height, width = trained.codec.input_hw
    skeleton = trained.skeleton
    who = "with a person detector"
    if trained.estimator.takes == "images":
        who = "finds the people itself"
    elif options.detector is None:
        who = "each image is taken as one person"
    return (
        f"{_name(options.run)}: {skeleton.num_keypoints} keypoints ({skeleton.name}), "
        f"input of {width} x {height} pixels, {who}"
    )


def _head(trained: Trained, options: Demo) -> dict[str, Any]:
    """Head of the JSON file that visitors download: names, and no folders of this machine."""
    models = {"pose": options.run, "detector": options.detector, "lifter": options.lifter}
    return {
        **head_of(trained.skeleton),
        "models": {part: _name(where) for part, where in models.items() if where is not None},
    }


def _name(where: str) -> str:
    """The last part of a path or address, without its digest and its query."""
    return Path(where.split("#")[0].split("?")[0]).name or Path(where).resolve().name
