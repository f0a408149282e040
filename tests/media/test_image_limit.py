"""The limit on the size of images: read from the header before anything is decoded."""

import struct

import cv2
import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from jaxpose.cli.image_limit import limits_images
from jaxpose.errors import InputError
from jaxpose.media import image as image_module
from jaxpose.media.image import LIMIT_VARIABLE, declared_size, decode_image, max_pixels

SIDES = (37, 52)


def encoded(kind: str) -> bytes:
    pixels = np.zeros((*SIDES, 3), np.uint8)
    return cv2.imencode(f".{kind}", pixels)[1].tobytes()


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "gif", "bmp", "tiff", "jp2", "avif"])
def test_the_header_states_the_size_of_every_format(kind):
    data = encoded(kind)
    assert declared_size(data) == SIDES
    assert decode_image(data).shape[:2] == SIDES


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "gif", "bmp", "tiff", "jp2", "avif"])
def test_images_above_the_limit_are_refused_before_they_are_decoded(kind, monkeypatch):
    monkeypatch.setenv(LIMIT_VARIABLE, "0.001923")

    def decoded(*_, **__):
        raise AssertionError("the image was decoded")

    monkeypatch.setattr(image_module, "_imdecode", decoded)
    with pytest.raises(InputError, match=r"52 x 37 pixels are more than .* --max-megapixels"):
        decode_image(encoded(kind))


def test_a_limit_is_reached_exactly(monkeypatch):
    monkeypatch.setenv(LIMIT_VARIABLE, str(SIDES[0] * SIDES[1] / 1e6))
    assert decode_image(encoded("png")).shape[:2] == SIDES


def test_a_big_endian_tiff_with_sides_of_four_bytes(monkeypatch):
    tags = [(256, 100_000), (257, 90_000)]
    entries = b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags)
    data = b"MM\0*" + struct.pack(">IH", 8, len(tags)) + entries + bytes(4)
    assert declared_size(data) == (90_000, 100_000)
    with pytest.raises(InputError, match="100000 x 90000 pixels are more than the limit of 128"):
        decode_image(data)


@pytest.mark.parametrize("text", ["many", "-1", "0", "nan", "1e9"])
def test_a_limit_that_is_none_is_refused(text, monkeypatch):
    monkeypatch.setenv(LIMIT_VARIABLE, text)
    with pytest.raises(InputError, match="give a number of megapixels"):
        max_pixels()


def test_the_flag_sets_the_limit_of_a_command(tmp_path, monkeypatch):
    monkeypatch.setenv(LIMIT_VARIABLE, "1")
    app = typer.Typer()

    @app.command()
    @limits_images
    def show(path: str) -> None:
        typer.echo(f"{path} {max_pixels()}")

    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    run = CliRunner().invoke(app, ["x", "--max-megapixels", "2.5"])
    assert run.output.strip() == "x 2500000"
