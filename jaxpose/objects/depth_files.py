"""Depth images of BOP datasets: 16-bit PNG or TIFF files in units of the scene's `depth_scale`."""

from pathlib import Path

import numpy as np

from jaxpose.errors import InputError, not_read
from jaxpose.file_limits import IMAGE, check_bytes
from jaxpose.media.image import check_size, declared_size
from jaxpose.objects.bop import BopImage

_LARGEST = 65535


def read_depth(path: Path, scale: float) -> np.ndarray:
    """Reads depths `[H, W]` along the camera's axis, mm; 0 where the depth is not known.

    Args:
      path: a file of one channel of 8 or 16 bits.
      scale: mm of one unit of the file, `depth_scale` in `scene_camera.json`.

    Raises:
      InputError: a file that is missing, damaged, too large, or has colours.
    """
    import cv2

    try:
        check_bytes(path, IMAGE)
        data = path.read_bytes()
    except OSError as error:
        raise not_read(path, error) from error
    try:
        check_size(*(declared_size(data) or (0, 0)))
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except cv2.error:
        values = None
    if values is None or values.ndim != 2 or values.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"{path} is damaged or is no depth image: one channel of 8 or 16 bits is needed."
        )
    return values.astype(np.float32) * np.float32(scale)


def read_scene_depth(image: BopImage, image_hw: tuple[int, int]) -> np.ndarray | None:
    """Depths `[H, W]` mm of the scene in an image; None where there is no file.

    Raises:
      InputError: as `read_depth`; another size than the image's.
    """
    if image.depth is None:
        return None
    depth = read_depth(image.depth, image.depth_scale)
    if depth.shape != image_hw:
        raise InputError(
            f"{image.depth} has {depth.shape[1]} x {depth.shape[0]} pixels, and its image "
            f"{image_hw[1]} x {image_hw[0]}: a depth for each pixel of the image is needed."
        )
    return depth


def write_depth(path: Path, depth: np.ndarray, scale: float) -> None:
    """Writes depths `[H, W]` mm as a 16-bit PNG; 0 where the depth is not known.

    Raises:
      InputError: a depth beyond 65,535 units of `scale` mm.
    """
    import cv2

    units = np.rint(depth / scale)
    if units.max(initial=0) > _LARGEST:
        raise InputError(
            f"{path}: a depth of {depth.max():.0f} mm needs a depth_scale above {scale:g}."
        )
    written, data = cv2.imencode(".png", units.astype(np.uint16))
    assert written
    path.write_bytes(data.tobytes())
