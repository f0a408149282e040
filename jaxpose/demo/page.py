"""The page itself: what stands where, and what happens when something is handed over."""

import html
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxpose.demo.found import FILM_TABLE, PHOTO_TABLE, Found
from jaxpose.demo.looker import Looker
from jaxpose.errors import InputError

_MIN_SCORE = 0.3
_HEIGHT, _TALLER = 360, 520  # pixels of the page
_BROKEN = "Something went wrong on the server, where its log says what."
# Trimming would fetch a program from a server of others.
_CSS = "button[aria-label='Trim video to selection'] {display: none}"


def gradio() -> Any:
    """The library that the page is made with.

    Raises:
      InputError: it is not installed.
    """
    try:
        import gradio
    except ImportError as error:
        raise InputError("the page needs Gradio: pip install 'jaxpose[demo]'") from error
    return gradio


def look_of_page() -> dict[str, Any]:
    """Theme and style, with the visitor's own fonts, so that nothing is fetched from elsewhere."""
    fonts = ["system-ui", "sans-serif"]
    theme = gradio().themes.Default(font=fonts, font_mono=["ui-monospace", "monospace"])
    return {"theme": theme, "css": _CSS}


def build(looker: Looker, model: str) -> Any:
    """The page as Gradio's `Blocks`, with a bounded queue for the one pipeline.

    Args:
      looker: what is asked.
      model: what stands below the title.
    """
    gr, limits = gradio(), looker.limits
    bar = gr.Progress()
    with gr.Blocks(title="jaxpose", analytics_enabled=False) as page:
        gr.Markdown(f"# jaxpose\n{html.escape(model)}")
        with gr.Row():
            with gr.Column(scale=2):
                with gr.Tab("Photo"):
                    photo = gr.Image(
                        sources=["upload", "webcam", "clipboard"],
                        type="filepath",
                        label=f"Photo, at most {limits.upload_mb:g} MB and "
                        f"{limits.megapixels:g} megapixels",
                        elem_id="photo",
                        height=_HEIGHT,
                        buttons=[],
                    )
                with gr.Tab("Film"):
                    film = gr.Video(
                        sources=["upload", "webcam"],
                        label=f"Film, the first {limits.film_seconds:g} seconds of it",
                        elem_id="film",
                        height=_TALLER,
                        buttons=[],
                    )
                min_score = gr.Slider(
                    0,
                    1,
                    _MIN_SCORE,
                    step=0.05,
                    label="Show keypoints that score at least",
                    info="The files have all of them.",
                    elem_id="min_score",
                )
            with gr.Column(scale=3):
                told = gr.Markdown("Hand over a photo or a film.", elem_id="told")
                drawn = gr.Image(
                    label="Skeletons",
                    interactive=False,
                    elem_id="drawn",
                    height=_TALLER,
                    buttons=["fullscreen"],
                )
                moving = gr.Video(
                    label="Skeletons",
                    interactive=False,
                    visible=False,
                    elem_id="moving",
                    height=_TALLER,
                    buttons=[],
                )
                with gr.Row():
                    files = [
                        gr.DownloadButton(label, elem_id=name, interactive=False, size="sm")
                        for name, label in (
                            ("picture", "Picture"),
                            ("json", "JSON"),
                            ("csv", "CSV"),
                        )
                    ]
                space = gr.Image(
                    label="In space",
                    interactive=False,
                    visible=False,
                    elem_id="space",
                    height=_TALLER,
                    buttons=[],
                )
                table = gr.Dataframe(
                    headers=list(PHOTO_TABLE), interactive=False, max_height=420, elem_id="table",
                    label="Keypoints: x and y in pixels of the photo, scores from 0 to 1",
                )  # fmt: skip
        state = gr.State(None, time_to_live=limits.kept_seconds)
        results = [state, told, drawn, moving, space, table, *files]

        def shown(look: Callable[[Any], Found], what: Any, score: float) -> dict[Any, Any]:
            """What the page becomes; a sentence where nothing can be shown."""
            try:
                return _nothing("") if what is None else _all_of(look(what), _as_score(score))
            except InputError as error:
                return _nothing(f"⚠ {_sentence(str(error))}")
            except Exception:
                traceback.print_exc()
                return _nothing(f"⚠ {_BROKEN}")

        def _nothing(message: str) -> dict[Any, Any]:
            hidden = {part: gr.update(value=None, visible=False) for part in (moving, space)}
            empty = {file: gr.update(value=None, interactive=False) for file in files}
            cells = {table: {"headers": list(PHOTO_TABLE), "data": []}}
            picture = gr.update(value=None, visible=True)
            return {state: None, told: message, drawn: picture, **hidden, **empty, **cells}

        def _all_of(found: Found, score: float) -> dict[Any, Any]:
            path, still = str(found.draw(score)), not found.is_film
            columns = PHOTO_TABLE if still else FILM_TABLE
            labels = ("Picture" if still else "Film", "JSON", "CSV")
            ready = (path, *(str(found.folder / f"predictions.{kind}") for kind in ("json", "csv")))
            return {
                state: found,
                told: found.told(score),
                drawn: gr.update(value=path if still else None, visible=still),
                moving: gr.update(value=None if still else path, visible=not still),
                space: gr.update(value=found.space, visible=found.space is not None),
                table: {"headers": list(columns), "data": found.table(score)},
                **{
                    button: gr.update(value=file, interactive=True, label=label)
                    for button, file, label in zip(files, ready, labels, strict=True)
                },
            }

        def on_photo(upload: Any, score: float) -> dict[Any, Any]:
            return shown(looker.photo, _path(upload), score)

        def on_film(upload: Any, score: float, progress: Any = bar) -> dict[Any, Any]:
            def tell(done: int, total: int) -> None:
                progress((done, total), desc="Looking", unit="frames")

            return shown(lambda path: looker.film(path, tell), _path(upload), score)

        def on_score(found: Found | None, score: float) -> dict[Any, Any]:
            return shown(lambda same: same, found, score)

        # Components hand over what was uploaded as it is: what it holds is for `limits` to say.
        way: dict[str, Any] = {
            "outputs": results,
            "preprocess": False,
            "concurrency_limit": 1,
            "concurrency_id": "models",
            "api_visibility": "private",
        }
        photo.input(on_photo, [photo, min_score], **way)
        film.input(on_film, [film, min_score], **way)
        min_score.input(on_score, [state, min_score], trigger_mode="always_last", **way)
        for part in (photo, film):
            part.clear(lambda: _nothing(""), outputs=results, api_visibility="private", queue=False)
    page.queue(max_size=limits.waiting, api_open=False)
    return page


def _path(upload: Any) -> Path | None:
    """Of what a component holds; a client may send anything."""
    path = upload.get("path") if isinstance(upload, dict) else None
    return None if path is None else Path(path)


def _as_score(value: Any) -> float:
    """The slider's place; a client may send anything."""
    try:
        return min(1.0, max(0.0, round(float(value), 2)))
    except (TypeError, ValueError):
        return _MIN_SCORE


def _sentence(message: str) -> str:
    """A message as a sentence that Markdown leaves as it is."""
    text = html.escape(message[:1].upper() + message[1:], quote=False)
    return text if text.endswith(".") else f"{text}."
