"""Binary glTF 2.0 (`.glb`) of bodies: meshes of an image, or animated skins of a video.

After the specification of the Khronos Group (glTF 2.0, 2021). Lengths are metres, y is up. A vertex
is moved by at most four joints.
"""

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

import jaxpose
from jaxpose.bodies.model import Body
from jaxpose.bodies.scene import BodyTrack
from jaxpose.errors import not_written
from jaxpose.geometry.axes import y_up
from jaxpose.geometry.triangles import vertex_normals
from jaxpose.motion.timing import LONGEST_GAP
from jaxpose.paths import atomic_write
from jaxpose.viz.people import person_colors

_MM = 1000.0
_COMPONENTS = {np.dtype(np.float32): 5126, np.dtype(np.uint32): 5125, np.dtype(np.uint16): 5123}
_KINDS = {(): "SCALAR", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
_ATTRIBUTES, _INDICES = 34962, 34963  # targets of buffer views
_JOINTS = 4  # joints of a vertex in one set of attributes


def save_glb(
    path: Path, meshes: Sequence[np.ndarray], faces: np.ndarray, names: Sequence[str]
) -> None:
    """Writes meshes as one binary glTF file, one node for each.

    Args:
      path: a `.glb`.
      meshes: vertices `[V, 3]` mm in the camera's frame (x right, y down, z forward).
      faces: int `[F, 3]` of every mesh.
      names: names of the nodes.

    Raises:
      InputError: the file cannot be written.
    """
    file = _File(faces)
    for number, (vertices, name) in enumerate(zip(meshes, names, strict=True)):
        mesh = file.mesh(name, number, y_up(vertices, "-y"), {})
        file.scene.append(file.add("nodes", {"name": name, "mesh": mesh}))
    file.write(path)


def save_animated_glb(
    path: Path, body: Body, faces: np.ndarray, tracks: Sequence[BodyTrack]
) -> None:
    """Writes people of a video as skinned meshes with one animation.

    The animation begins with the first frame that has a person. A person is hidden, by a scale of
    0, before the first frame, after the last, and in gaps of more than `timing.LONGEST_GAP`.
    Displacements of vertices by the pose (`Body.pose_shapes`) are left out: a skin has none.

    Args:
      path: a `.glb`.
      body: the model.
      faces: int `[F, 3]`.
      tracks: at least one.

    Raises:
      InputError: the file cannot be written.
    """
    file = _File(faces)
    every = np.unique(np.concatenate([track.seconds for track in tracks]))
    for track in tracks:
        _add_track(file, body, track, every)
    file.write(path)


def _add_track(file: "_File", body: Body, track: BodyTrack, every: np.ndarray) -> None:
    """Adds the mesh, the skin and the animation of a track; `every` are the scene's seconds."""
    name = f"track_{track.number}"
    rotations = _quaternions(track.rotations)
    offsets = track.joints - track.joints[np.maximum(body.parents, 0)]
    first = len(file.json["nodes"])
    for joint, (label, offset) in enumerate(zip(body.joints, offsets, strict=True)):
        place = track.root[0] if joint == 0 else offset
        node: dict[str, Any] = {
            "name": f"{name}_{label}",
            "translation": (place / _MM).tolist(),
            "rotation": rotations[0, joint].tolist(),
        }
        children = [first + j for j, parent in enumerate(body.parents) if parent == joint]
        if children:
            node["children"] = children
        file.add("nodes", node)
    inverse = np.tile(np.eye(4, dtype=np.float32), (len(body.joints), 1, 1))
    inverse[:, 3, :3] = -track.joints / _MM  # matrices are stored by columns
    skin = {
        "name": name,
        "inverseBindMatrices": file.array(inverse),
        "skeleton": first,
        "joints": list(range(first, first + len(body.joints))),
    }
    joints, weights = _strongest(np.asarray(body.weights))
    bound = {
        "JOINTS_0": file.array(joints, _ATTRIBUTES),
        "WEIGHTS_0": file.array(weights, _ATTRIBUTES),
    }
    mesh = file.mesh(name, track.number, track.vertices, bound)
    node = {"name": name, "mesh": mesh, "skin": file.add("skins", skin)}
    file.scene += [file.add("nodes", node), first]
    times = file.array(_float32(track.seconds - every[0]), bounds=True)
    file.animate(first, "translation", times, file.array(_float32(track.root / _MM)))
    for joint in range(len(body.joints)):
        file.animate(first + joint, "rotation", times, file.array(_float32(rotations[:, joint])))
    when, there = _visible(track.seconds, every)
    if len(when) > 1:
        scales = np.repeat(there.astype(np.float32)[:, None], 3, axis=1)
        times = file.array(_float32(when - every[0]), bounds=True)
        file.animate(first, "scale", times, file.array(scales), "STEP")


def _visible(seconds: np.ndarray, every: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times at which a person appears or disappears, and bool: is there from then on."""
    when, there = [float(every[0])], [bool(seconds[0] <= every[0])]
    ends = np.flatnonzero(np.diff(seconds) > LONGEST_GAP + 1e-9)
    for begin, end in zip([0, *(ends + 1)], [*ends, len(seconds) - 1], strict=True):
        if seconds[begin] > every[0]:
            when.append(float(seconds[begin]))
            there.append(True)
        after = every[every > seconds[end]]
        if len(after):
            when.append(float(after[0]))
            there.append(False)
    # A person who is back in the very frame in which the gap would be seen was never away.
    keep = np.append(np.diff(when) > 0, True)
    return np.array(when)[keep], np.array(there)[keep]


def _strongest(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The four joints `[V, 4]` that move a vertex most, and their shares of sum 1."""
    count = min(_JOINTS, weights.shape[1])
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :count]
    shares = np.take_along_axis(weights.astype(np.float64), joints, axis=1)
    shares = np.maximum(shares, 0) / np.maximum(shares, 0).sum(axis=1, keepdims=True)
    joints = np.where(shares > 0, joints, 0)
    empty = ((0, 0), (0, _JOINTS - count))
    return np.pad(joints, empty).astype(np.uint16), np.pad(shares, empty).astype(np.float32)


def _quaternions(rotations: np.ndarray) -> np.ndarray:
    """Quaternions `[T, J, 4]` (x, y, z, w), neighbours in time on one side of the sphere."""
    shape = rotations.shape[:2]
    found = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_quat().reshape(*shape, 4)
    flips = np.sum(found[1:] * found[:-1], axis=-1) < 0
    signs = np.where(np.cumsum(flips, axis=0) % 2 == 1, -1.0, 1.0)
    found[1:] *= signs[..., None]
    return found


def _float32(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, np.float32)


class _File:
    """A glTF file under construction: its JSON and its buffer."""

    def __init__(self, faces: np.ndarray) -> None:
        self.scene: list[int] = []
        self._buffer = bytearray()
        self._channels: list[dict[str, Any]] = []
        self._samplers: list[dict[str, Any]] = []
        self._faces = np.asarray(faces)
        self._indices: int | None = None
        names = ("nodes", "meshes", "materials", "skins", "accessors", "bufferViews")
        self.json: dict[str, list[Any]] = {name: [] for name in names}

    def add(self, kind: str, value: dict[str, Any]) -> int:
        """Adds an object to a list of the JSON; returns its index."""
        self.json[kind].append(value)
        return len(self.json[kind]) - 1

    def array(self, values: np.ndarray, target: int | None = None, *, bounds: bool = False) -> int:
        """Adds an array `[N, ...]` with a buffer view for it alone; returns its accessor."""
        view: dict[str, Any] = {
            "buffer": 0,
            "byteOffset": len(self._buffer),
            "byteLength": values.nbytes,
        }
        if target is not None:
            view["target"] = target
        self._buffer += values.tobytes() + bytes(-values.nbytes % 4)
        accessor: dict[str, Any] = {
            "bufferView": self.add("bufferViews", view),
            "componentType": _COMPONENTS[values.dtype],
            "count": len(values),
            "type": _KINDS[values.shape[1:]],
        }
        if bounds:
            accessor["min"] = np.atleast_1d(values.min(axis=0)).tolist()
            accessor["max"] = np.atleast_1d(values.max(axis=0)).tolist()
        return self.add("accessors", accessor)

    def mesh(self, name: str, number: int, vertices: np.ndarray, bound: dict[str, int]) -> int:
        """Adds a mesh in the colour of a person, from vertices `[V, 3]` mm; returns its index."""
        if self._indices is None:
            self._indices = self.array(self._faces.astype(np.uint32).ravel(), _INDICES)
        # Colours of drawings are for screens, those of materials are linear.
        color = (person_colors(np.array([number]))[0] / 255.0) ** 2.2
        material = {
            "name": name,
            "pbrMetallicRoughness": {
                "baseColorFactor": [*color.tolist(), 1.0],
                "metallicFactor": 0.0,
                "roughnessFactor": 0.8,
            },
            "doubleSided": True,
        }
        normals = _float32(vertex_normals(vertices, self._faces))
        attributes = {
            "POSITION": self.array(_float32(vertices / _MM), _ATTRIBUTES, bounds=True),
            "NORMAL": self.array(normals, _ATTRIBUTES),
            **bound,
        }
        part = {
            "attributes": attributes,
            "indices": self._indices,
            "material": self.add("materials", material),
        }
        return self.add("meshes", {"name": name, "primitives": [part]})

    def animate(
        self, node: int, path: str, times: int, values: int, interpolation: str = "LINEAR"
    ) -> None:
        """Adds a channel: accessors of its times and of the values of a node's property."""
        target = {"node": node, "path": path}
        self._channels.append({"sampler": len(self._samplers), "target": target})
        self._samplers.append({"input": times, "output": values, "interpolation": interpolation})

    def write(self, path: Path) -> None:
        """Writes the file; raises InputError if it cannot be written."""
        content: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": f"jaxpose {jaxpose.__version__}"},
            "scene": 0,
            "scenes": [{"nodes": self.scene}],
            **{name: values for name, values in self.json.items() if values},
            "buffers": [{"byteLength": len(self._buffer)}],
        }
        if self._channels:
            animation = {"channels": self._channels, "samplers": self._samplers}
            content["animations"] = [{"name": "video", **animation}]
        text = json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        chunks = struct.pack("<II", len(text), 0x4E4F534A) + text
        chunks += struct.pack("<II", len(self._buffer), 0x004E4942) + bytes(self._buffer)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
        except OSError as error:
            raise not_written(path, error) from error
