"""Files in the layouts of DensePose-COCO, made from drawn people."""

import json
import pickle

import numpy as np
from scipy.io import savemat

from jaxpose.bodies import drawn_body
from jaxpose.bodies.drawn_charts import drawn_atlas
from jaxpose.bodies.drawn_surfaces import SyntheticSurfaces
from jaxpose.codecs.densepose import COARSE
from jaxpose.metrics.surface_similarity import geodesic_distances
from jaxpose.viz import save_image


def runs_of(mask):
    """Run lengths of a mask, column by column, the first of zeros."""
    flat = np.concatenate([[0], mask.T.ravel(), [0]])
    edges = np.flatnonzero(np.diff(flat))
    return {
        "size": list(mask.shape),
        "counts": np.diff([0, *edges, mask.size]).tolist() if edges.size else [mask.size],
    }


def write_people(folder, count, seed=0, points=40, canvas_hw=(96, 72)):
    """`annotations.json` and `images` of drawn people with their own charts; returns the batch."""
    batch = SyntheticSurfaces(count, seed=seed, canvas_hw=canvas_hw).open().samples(range(count))
    rng = np.random.default_rng(seed)
    images, rows = [], []
    (folder / "images").mkdir(parents=True)
    for number in range(count):
        name, part = f"{number:012d}.png", batch["iuv"][number, ..., 0]
        save_image(folder / "images" / name, batch["image"][number])
        images.append(
            {"id": number, "file_name": name, "height": canvas_hw[0], "width": canvas_hw[1]}
        )
        y, x = np.nonzero(part)
        box = np.array([x.min(), y.min(), np.ptp(x), np.ptp(y)], float)
        chosen = rng.choice(len(y), points, replace=False)
        at = np.stack([x, y], axis=1)[chosen]
        iuv = batch["iuv"][number][at[:, 1], at[:, 0]]
        places = (at - box[:2]) / box[2:] * 255
        # Pixel of the image at each place of the mask over the box.
        own = [np.rint(box[i] + np.arange(256) / 255 * box[2 + i]).astype(int) for i in (0, 1)]
        coarse = COARSE[part[np.ix_(own[1], own[0])]]
        rows.append(
            {
                "id": 100 + number,
                "image_id": number,
                "category_id": 1,
                "bbox": box.tolist(),
                "area": float(len(y)),
                "dp_I": iuv[:, 0].astype(float).tolist(),
                "dp_U": (iuv[:, 1] / 255).tolist(),
                "dp_V": (iuv[:, 2] / 255).tolist(),
                "dp_x": places[:, 0].tolist(),
                "dp_y": places[:, 1].tolist(),
                "dp_masks": [
                    runs_of((coarse == label).astype(np.uint8)) if (coarse == label).any() else []
                    for label in range(1, 15)
                ],
            }
        )
    rows.append({"id": 99, "image_id": 0, "category_id": 1, "bbox": [1, 2, 3, 4]})
    content = {"images": images, "annotations": rows}
    (folder / "annotations.json").write_text(json.dumps(content))
    return batch


def write_symmetry(path):
    """Tables of the drawn charts: U is 1 - U in the mirror image, and V is V.

    The head's two charts are its sides on SMPL, which are exchanged, and front and back here.
    """
    u, v = np.meshgrid(np.arange(256) / 255, np.arange(256) / 255)
    tables = {"U_transforms": 1 - u, "V_transforms": v}
    cells = {}
    for name, table in tables.items():
        cells[name] = np.empty((1, 24), object)
        for chart in range(24):
            cells[name][0, chart] = table
    savemat(path, cells, do_compression=True)


def write_distances(folder):
    """Evaluation files of the drawn body, every corner of a chart as a vertex of the finer mesh."""
    folder.mkdir(parents=True)
    atlas = drawn_atlas()
    inside = atlas.part > 0
    uv = atlas.uv[inside].reshape(-1, 2)
    fine = {
        "U_subdiv": uv[:, :1],
        "V_subdiv": uv[:, 1:],
        "Part_ID_subdiv": np.repeat(atlas.part[inside], 3)[None],
    }
    savemat(folder / "SMPL_subdiv.mat", fine)
    savemat(folder / "SMPL_SUBDIV_TRANSFORM.mat", {"index": atlas.faces[inside].reshape(-1, 1) + 1})
    vertices = np.asarray(drawn_body().template) / 1000
    between = geodesic_distances(vertices, atlas.faces, atlas.joins)
    last = atlas.faces[inside].max() + 1
    rows, columns = np.tril_indices(last, -1)
    with (folder / "Pdist_matrix.pkl").open("wb") as file:
        pickle.dump({"Pdist_matrix": between[rows, columns][:, None]}, file, protocol=2)
    return between
