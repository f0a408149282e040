"""The page: its layout, and the handling of its events."""

import html
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jaxpose.demo.models import DemoModels
from jaxpose.demo.result import IMAGE_TABLE, VIDEO_TABLE, DemoResult
from jaxpose.demo.temp_files import without_folders
from jaxpose.errors import InputError

_MIN_SCORE = 0.3
_LOW, _HIGH = 360, 520  # pixels of the page
_BROKEN = "Something went wrong on the server, where its log says what."
# Trimming would fetch a program from a server of others.
_CSS = "button[aria-label='Trim video to selection'] {display: none}"


def gradio() -> Any:
    """The library Gradio, with which the page is made.

    Raises:
      InputError: it is not installed.
    """
    try:
        import gradio
    except ImportError as error:
        raise InputError("the page needs Gradio: pip install 'jaxpose[demo]'") from error
    return gradio


def theme_and_style() -> dict[str, Any]:
    """Theme and style, with the visitor's own fonts, so that nothing is fetched from elsewhere."""
    fonts = ["system-ui", "sans-serif"]
    theme = gradio().themes.Default(font=fonts, font_mono=["ui-monospace", "monospace"])
    return {"theme": theme, "css": _CSS}


def build(models: DemoModels) -> Any:
    """The page as Gradio's `Blocks`, with one bounded queue for all models."""
    gr = gradio()
    with gr.Blocks(title="jaxpose", analytics_enabled=False) as page:
        gr.Markdown("# jaxpose")
        described = gr.Markdown(_text(models.session(models.first).described), elem_id="described")
        with gr.Row():
            with gr.Column(scale=2):
                inputs = _inputs(gr, models)
            with gr.Column(scale=3):
                outputs = _outputs(gr)
        state = gr.State(None, time_to_live=models.limits.kept_seconds)
        _connect(gr, models, inputs, outputs, described, state)
    page.queue(max_size=models.limits.waiting, api_open=False)
    return page


class _Inputs(NamedTuple):
    """Components that take uploads, the list of models, and the slider."""

    model: Any
    image: Any
    video: Any
    min_score: Any


class _Outputs(NamedTuple):
    """Components that show a result."""

    summary: Any
    drawn_image: Any
    drawn_video: Any
    view_3d: Any
    table: Any
    drawn_file: Any
    json: Any
    csv: Any


def _inputs(gr: Any, models: DemoModels) -> _Inputs:
    limits = models.limits
    model = gr.Dropdown(
        choices=_lines(models),
        value=models.first,
        label="Model",
        info="Type a part of a name to find it.",
        elem_id="model",
    )
    with gr.Tab("Image"):
        sources = ["upload", "webcam", "clipboard"]
        image = gr.Image(sources=sources, label="Image", elem_id="photo", height=_LOW, buttons=[])
    with gr.Tab("Video"):
        video = gr.Video(
            sources=["upload", "webcam"], label="Video", elem_id="film", height=_HIGH, buttons=[]
        )
    min_score = gr.Slider(
        *(0, 1, _MIN_SCORE),
        step=0.05,
        label="Show keypoints that score at least",
        info="The files have all of them.",
        elem_id="min_score",
    )
    gr.Markdown(
        f"Images and videos of at most {limits.max_upload_mb:g} MB and {limits.max_megapixels:g} "
        f"megapixels; of videos the first {limits.max_video_seconds:g} seconds. They are removed "
        f"after {limits.kept_seconds / 60:g} minutes."
    )
    return _Inputs(model, image, video, min_score)


def _outputs(gr: Any) -> _Outputs:
    summary = gr.Markdown("Upload an image or a video.", elem_id="told")
    still: dict[str, Any] = {"interactive": False, "height": _HIGH}
    drawn_image = gr.Image(label="Skeletons", elem_id="drawn", buttons=["fullscreen"], **still)
    hidden = still | {"visible": False, "buttons": []}
    drawn_video = gr.Video(label="Skeletons", elem_id="moving", **hidden)
    with gr.Row():
        files = [
            gr.DownloadButton(label, elem_id=name, interactive=False, size="sm")
            for label, name in (("Image", "picture"), ("JSON", "json"), ("CSV", "csv"))
        ]
    view_3d = gr.Image(label="In 3D", elem_id="space", **hidden)
    table = gr.Dataframe(
        headers=list(IMAGE_TABLE),
        interactive=False,
        max_height=_HIGH,
        elem_id="table",
        label="Keypoints: x and y in pixels of the image, scores from 0 to 1",
    )
    return _Outputs(summary, drawn_image, drawn_video, view_3d, table, *files)


def _lines(models: DemoModels) -> list[tuple[str, str]]:
    """Lines of the list of models, each with its value."""
    return [(one.label, one.name) for one in models.choices()]


def _connect(
    gr: Any, models: DemoModels, inputs: _Inputs, outputs: _Outputs, described: Any, state: Any
) -> None:
    """Handles uploads, their removal, another model, and changes of the slider."""
    bar = gr.Progress()

    def update(predict: Callable[[], DemoResult | None], score: Any, told: str = "") -> list[Any]:
        """New values of `results`; a sentence where nothing can be shown."""
        try:
            result = predict()
            if result is None:
                return nothing(told)
            return [result, *_all_of(gr, result, _as_score(score))]
        except InputError as error:
            return nothing(_warning(without_folders(str(error), models.folder)))
        except Exception:
            traceback.print_exc()
            return nothing(_warning(_BROKEN))

    def nothing(message: str = "") -> list[Any]:
        return [None, *_nothing(gr, message)]

    def on_image(upload: Any, score: Any, model: Any) -> list[Any]:
        def predict() -> DemoResult | None:
            path = _path(upload)
            return None if path is None else models.session(str(model)).image(path)

        return update(predict, score)

    def on_video(upload: Any, score: Any, model: Any, progress: Any = bar) -> list[Any]:
        def report(done: int, total: int) -> None:
            progress((done, total), desc="Predicting", unit="frames")

        def predict() -> DemoResult | None:
            path = _path(upload)
            return None if path is None else models.session(str(model)).video(path, report)

        return update(predict, score)

    def on_score(result: DemoResult | None, score: Any) -> list[Any]:
        return update(lambda: result, score)

    def on_model(model: Any, result: DemoResult | None, score: Any) -> Iterator[list[Any]]:
        """Loads a model, and predicts what is shown with it."""
        name = str(model)
        if not models.is_loaded(name):
            told = f"Loading {_text(name)}. The first time takes minutes: its weights are fetched "
            values = nothing(f"{told}and checked, and the model is compiled.")
            yield [gr.skip(), *values[1:], gr.skip(), gr.skip()]

        def again() -> DemoResult | None:
            session = models.session(name)
            if result is None:
                return None
            return (session.video if result.is_video else session.image)(result.source)

        values = update(again, score, f"{_text(name)} is loaded. Upload an image or a video.")
        if values[0] is None:
            values[0] = gr.skip()  # the next model may predict what was shown
        text = _text(models.session(name).described) if models.is_loaded(name) else gr.skip()
        yield [*values, text, gr.update(choices=_lines(models))]

    results = [state, *outputs]
    # Components pass uploads on as they are: `limits` checks their contents.
    way: dict[str, Any] = {
        "preprocess": False,
        "concurrency_limit": 1,
        "concurrency_id": "models",
        "api_visibility": "private",
    }
    score, model = inputs.min_score, inputs.model
    inputs.image.input(on_image, [inputs.image, score, model], results, **way)
    # Recordings are changes but no input.
    inputs.video.change(on_video, [inputs.video, score, model], results, **way)
    score.input(on_score, [state, score], results, trigger_mode="always_last", **way)
    model.input(on_model, [model, state, score], [*results, described, model], **way)


def _all_of(gr: Any, result: DemoResult, score: float) -> _Outputs:
    """Values of the components for a result."""
    path, still = str(result.draw(score)), not result.is_video
    columns = IMAGE_TABLE if still else VIDEO_TABLE

    def file(path: str | Path, label: str) -> Any:
        return gr.update(value=str(path), interactive=True, label=label)

    return _Outputs(
        summary=result.summary(score),
        drawn_image=gr.update(value=path if still else None, visible=still),
        drawn_video=gr.update(value=None if still else path, visible=not still),
        view_3d=gr.update(value=result.view_3d, visible=result.view_3d is not None),
        table={"headers": list(columns), "data": result.table(score)},
        drawn_file=file(path, "Image" if still else "Video"),
        json=file(result.folder / "predictions.json", "JSON"),
        csv=file(result.folder / "predictions.csv", "CSV"),
    )


def _nothing(gr: Any, message: str) -> _Outputs:
    """An empty page with a message."""
    hidden, no_file = (gr.update(value=None, **{k: False}) for k in ("visible", "interactive"))
    return _Outputs(
        summary=message,
        drawn_image=gr.update(value=None, visible=True),
        drawn_video=hidden,
        view_3d=hidden,
        table={"headers": list(IMAGE_TABLE), "data": []},
        drawn_file=no_file,
        json=no_file,
        csv=no_file,
    )


def _path(upload: Any) -> Path | None:
    """The path in a component's value; a client may send anything."""
    path = upload.get("path") if isinstance(upload, dict) else None
    return None if path is None else Path(path)


def _as_score(value: Any) -> float:
    """The slider's value in [0, 1]; a client may send anything."""
    try:
        return min(1.0, max(0.0, round(float(value), 2)))
    except (TypeError, ValueError):
        return _MIN_SCORE


def _warning(message: str) -> str:
    """A message as a sentence of Markdown, with HTML escaped."""
    return f"⚠ {_text(message[:1].upper() + message[1:]).removesuffix('.')}."


def _text(message: str) -> str:
    """A message with HTML escaped."""
    return html.escape(message, quote=False)
