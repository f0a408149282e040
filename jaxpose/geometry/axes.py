"""Conversion of points to y up."""

import numpy as np

from jaxpose.errors import InputError

_TURNS = {
    "y": np.eye(3),
    "-y": np.diag([1.0, -1, -1]),
    "z": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "-z": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "x": np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]),
    "-x": np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]),
}


def y_up(points: np.ndarray, up: str = "z") -> np.ndarray:
    """Turns points `[..., 3]` whose vertical is `up` (x, y, z or -x, -y, -z) to y up.

    `-y` is the frame of a level camera; a person in front of it then faces along +z.

    Raises:
      InputError: another value of `up`.
    """
    if up not in _TURNS:
        raise InputError(f"up is {up!r}; it has to be one of {', '.join(_TURNS)}")
    return np.asarray(points, np.float64) @ _TURNS[up].T
