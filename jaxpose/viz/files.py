"""Writer of image files."""

from pathlib import Path

import cv2
import numpy as np

from jaxpose.errors import InputError, not_written
from jaxpose.paths import as_path, whole_file
from jaxpose.viz.people import as_rgb


def save_image(path: str | Path, image: np.ndarray, *, quality: int = 92) -> None:
    """Writes an RGB image as PNG or JPEG, by the suffix; creates the folder if needed.

    The file appears whole or not at all.

    Args:
      path: ends in .png, .jpg or .jpeg.
      image: uint8 [H, W, 3] RGB or [H, W].
      quality: quality of a JPEG, 0 to 100.

    Raises:
      InputError: another suffix, or the path cannot be written.
    """
    path = as_path(path)
    suffix = path.suffix.lower()
    if suffix not in (".png", ".jpg", ".jpeg"):
        raise InputError(f"{path}: an image's name must end in .png, .jpg or .jpeg.")
    # Thin coloured lines would blur at half the colour resolution, a JPEG's default.
    jpeg = [
        *(cv2.IMWRITE_JPEG_QUALITY, quality),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ]
    encoded = cv2.imencode(suffix, as_rgb(image)[:, :, ::-1], jpeg if suffix != ".png" else [])[1]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path, to_disk=False) as partial:
            partial.write_bytes(encoded.tobytes())
    except OSError as error:
        if isinstance(error, FileExistsError | NotADirectoryError):
            raise InputError(f"{path} cannot be written: {path.parent} is not a folder.") from None
        raise not_written(path, error) from None
