"""The page itself: what stands where, and what happens when something is handed over."""

import html
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from jaxpose.demo.limits import Limits
from jaxpose.demo.result import FILM_TABLE, PHOTO_TABLE, DemoResult
from jaxpose.demo.session import DemoSession
from jaxpose.errors import InputError

_MIN_SCORE = 0.3
_LOW, _HIGH = 360, 520  # pixels of the page
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


def build(looker: DemoSession, model: str) -> Any:
    """The page as Gradio's `Blocks`, with a bounded queue for the one pipeline.

    Args:
      looker: what is asked.
      model: what stands below the title.
    """
    gr = gradio()
    with gr.Blocks(title="jaxpose", analytics_enabled=False) as page:
        gr.Markdown(f"# jaxpose\n{html.escape(model)}")
        with gr.Row():
            with gr.Column(scale=2):
                asked = _asked(gr, looker.limits)
            with gr.Column(scale=3):
                shown = _shown(gr)
        state = gr.State(None, time_to_live=looker.limits.kept_seconds)
        _connect(gr, looker, asked, shown, state)
    page.queue(max_size=looker.limits.waiting, api_open=False)
    return page


class _Asked(NamedTuple):
    """Where something is handed over."""

    photo: Any
    film: Any
    min_score: Any


class _Shown(NamedTuple):
    """Where it is seen."""

    told: Any
    drawn: Any
    moving: Any
    space: Any
    table: Any
    picture: Any
    json: Any
    csv: Any


def _asked(gr: Any, limits: Limits) -> _Asked:
    with gr.Tab("Photo"):
        sources = ["upload", "webcam", "clipboard"]
        photo = gr.Image(sources=sources, label="Photo", elem_id="photo", height=_LOW, buttons=[])
    with gr.Tab("Film"):
        film = gr.Video(
            sources=["upload", "webcam"], label="Film", elem_id="film", height=_HIGH, buttons=[]
        )
    min_score = gr.Slider(
        *(0, 1, _MIN_SCORE),
        step=0.05,
        label="Show keypoints that score at least",
        info="The files have all of them.",
        elem_id="min_score",
    )
    gr.Markdown(
        f"Photos and films of at most {limits.upload_mb:g} MB and {limits.megapixels:g} "
        f"megapixels; of films the first {limits.film_seconds:g} seconds. They are removed after "
        f"{limits.kept_seconds / 60:g} minutes."
    )
    return _Asked(photo, film, min_score)


def _shown(gr: Any) -> _Shown:
    told = gr.Markdown("Hand over a photo or a film.", elem_id="told")
    still: dict[str, Any] = {"interactive": False, "height": _HIGH}
    drawn = gr.Image(label="Skeletons", elem_id="drawn", buttons=["fullscreen"], **still)
    hidden = still | {"visible": False, "buttons": []}
    moving = gr.Video(label="Skeletons", elem_id="moving", **hidden)
    with gr.Row():
        files = [
            gr.DownloadButton(label, elem_id=label.lower(), interactive=False, size="sm")
            for label in ("Picture", "JSON", "CSV")
        ]
    space = gr.Image(label="In space", elem_id="space", **hidden)
    table = gr.Dataframe(
        headers=list(PHOTO_TABLE),
        interactive=False,
        max_height=_HIGH,
        elem_id="table",
        label="Keypoints: x and y in pixels of the photo, scores from 0 to 1",
    )
    return _Shown(told, drawn, moving, space, table, *files)


def _connect(gr: Any, looker: DemoSession, asked: _Asked, shown: _Shown, state: Any) -> None:
    """What happens when something is handed over, cleared, or asked for with another score."""
    bar = gr.Progress()

    def answer(look: Callable[[Any], DemoResult], what: Any, score: float) -> list[Any]:
        """What `results` become; a sentence where nothing can be shown."""
        try:
            if what is None:
                return nothing()
            found = look(what)
            return [found, *_all_of(gr, found, _as_score(score))]
        except InputError as error:
            return nothing(_warning(looker.without_folders(str(error))))
        except Exception:
            traceback.print_exc()
            return nothing(_warning(_BROKEN))

    def nothing(message: str = "") -> list[Any]:
        return [None, *_nothing(gr, message)]

    def on_photo(upload: Any, score: float) -> list[Any]:
        return answer(looker.photo, _path(upload), score)

    def on_film(upload: Any, score: float, progress: Any = bar) -> list[Any]:
        def tell(done: int, total: int) -> None:
            progress((done, total), desc="Looking", unit="frames")

        return answer(lambda path: looker.film(path, tell), _path(upload), score)

    def on_score(found: DemoResult | None, score: float) -> list[Any]:
        return answer(lambda same: same, found, score)

    results = [state, *shown]
    # Components hand over what was uploaded as it is: what it holds is for `limits` to say.
    way: dict[str, Any] = {
        "outputs": results,
        "preprocess": False,
        "concurrency_limit": 1,
        "concurrency_id": "models",
        "api_visibility": "private",
    }
    asked.photo.input(on_photo, [asked.photo, asked.min_score], **way)
    asked.film.change(on_film, [asked.film, asked.min_score], **way)  # recordings are no input
    asked.min_score.input(on_score, [state, asked.min_score], trigger_mode="always_last", **way)


def _all_of(gr: Any, found: DemoResult, score: float) -> _Shown:
    """All that is to be seen of what was found."""
    path, still = str(found.draw(score)), not found.is_film
    columns = PHOTO_TABLE if still else FILM_TABLE

    def file(path: str | Path, label: str) -> Any:
        return gr.update(value=str(path), interactive=True, label=label)

    return _Shown(
        told=found.told(score),
        drawn=gr.update(value=path if still else None, visible=still),
        moving=gr.update(value=None if still else path, visible=not still),
        space=gr.update(value=found.space, visible=found.space is not None),
        table={"headers": list(columns), "data": found.table(score)},
        picture=file(path, "Picture" if still else "Film"),
        json=file(found.folder / "predictions.json", "JSON"),
        csv=file(found.folder / "predictions.csv", "CSV"),
    )


def _nothing(gr: Any, message: str) -> _Shown:
    """An empty page with a message."""
    hidden, no_file = (gr.update(value=None, **{k: False}) for k in ("visible", "interactive"))
    return _Shown(
        told=message,
        drawn=gr.update(value=None, visible=True),
        moving=hidden,
        space=hidden,
        table={"headers": list(PHOTO_TABLE), "data": []},
        picture=no_file,
        json=no_file,
        csv=no_file,
    )


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


def _warning(message: str) -> str:
    """A message as a sentence of Markdown, with any HTML in it to be read and not obeyed."""
    text = html.escape(message[:1].upper() + message[1:], quote=False)
    return f"⚠ {text.removesuffix('.')}."
