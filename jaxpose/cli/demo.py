"""`jaxpose demo`: a page on this machine to try models on images and videos."""

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from jaxpose.cli.demo_command import Demo
from jaxpose.cli.options import same_fields
from jaxpose.console import PlainConsole
from jaxpose.demo.limits import Limits
from jaxpose.demo.models import DemoModels, short_name
from jaxpose.demo.page import gradio
from jaxpose.demo.serve import check_free, is_local, serve
from jaxpose.errors import InputError
from jaxpose.hub.catalogue import HOLISTIC, is_holistic
from jaxpose.hub.load import load_detector, load_pose
from jaxpose.hub.quality import DEFAULT, load_default_detector, load_default_pose
from jaxpose.pipeline import Holistic, Options, Pipeline
from jaxpose.pipeline.lifting import open_lifter
from jaxpose.pipeline.options import set_options


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
    with TemporaryDirectory(prefix="jaxpose-demo-", ignore_cleanup_errors=True) as folder:
        models = DemoModels(
            same_fields(options, Limits),
            Path(folder).resolve(),
            first=_first(options),
            # Visitors from elsewhere must not fill this machine's disk.
            fetch=is_local(host),
            options=replace(settings, quality=None),
        )
        if options.lifter is not None:
            lifter = open_lifter(
                options.lifter,
                options.checkpoint,
                settings.lifting,
                trust_recipe=options.trust_recipe,
            )
            models.lifter = short_name(options.lifter), lifter
        loaded = _loaded(options, models)
        begun = time.perf_counter()
        with console.status("Compiling the models, so that no upload waits for it ..."):
            session = models.add(models.first, *loaded)
        seconds = time.perf_counter() - begun
        console.print(f"The models are compiled ({seconds:.0f} s). {session.described}.")

        def ready(address: str) -> None:
            console.print(f"The page is at {address} until Ctrl-C.")

        serve(models, host, port, ready)


def _first(options: Demo) -> str:
    """Name of the model that the page begins with."""
    return (options.quality or DEFAULT) if options.run is None else short_name(options.run)


def _loaded(options: Demo, models: DemoModels) -> tuple[Pipeline | Holistic, dict[str, str]]:
    """Pipeline that the page begins with, and the names of its models by their part."""
    if options.run is not None and options.quality is not None:
        raise InputError(
            "--quality chooses the default models, and --from names one: leave one of them out"
        )
    if is_holistic(options.run):
        for flag in ("detector", "lifter"):
            if getattr(options, flag) is not None:
                raise InputError(f"--from {HOLISTIC} has its own models: leave --{flag} out")
        return models.load(HOLISTIC)
    if options.detector is not None:
        models.detector = short_name(options.detector), load_detector(options.detector)
    if options.run is None:
        name, trained = load_default_pose(options.quality)
        models.detector = models.detector or load_default_detector(options.quality)
    else:
        name = short_name(options.run)
        trained = load_pose(options.run, options.checkpoint, trust_recipe=options.trust_recipe)
    return models.pipeline(name, trained, *(models.detector or ()))
