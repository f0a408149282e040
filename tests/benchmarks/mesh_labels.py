"""Models of meshes from keypoints alone, from bodies fitted to them, and from true bodies.

    jaxpose train meshes_synthetic_first --workdir runs/meshes_first
    python -m tests.benchmarks.mesh_labels --people 3000 --steps 1000 --runs runs/mesh_labels

The same network, images, batches and steps as `configs/meshes_synthetic.py`, with other labels:

- keypoints: those of the image, with the prior of pose and shape in the loss;
- fits: the keypoints, and the body that is fitted to those of each person (`bodies.labels`);
- bodies: the keypoints, and the true body.

Prints errors on held-out people, and those of the fits themselves on the first people of the
training set, mm.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from jaxpose.bodies import drawn_body, pose_body
from jaxpose.bodies.drawn_people import SyntheticBodies
from jaxpose.bodies.fit import Fitting
from jaxpose.bodies.labelled_people import LabelledBodies
from jaxpose.bodies.labels import fit_labels, read_labels
from jaxpose.console import PlainConsole
from jaxpose.data.source import SyntheticPeople
from jaxpose.hub.load import weights
from jaxpose.metrics.mesh_error import pa_mpvpe, pve
from jaxpose.tasks.meshes.experiment import MeshExperiment
from jaxpose.tasks.meshes.loss import MeshLoss
from jaxpose.train.loop import train
from jaxpose.train.recipe import load_recipe

LABELS = ("keypoints", "fits", "bodies")
COMPARED = 200  # fits that are compared with the true bodies


def experiment(labels: str, options: argparse.Namespace) -> MeshExperiment:
    """Training with one kind of labels."""
    recipe = load_recipe("meshes_synthetic")
    assert isinstance(recipe, MeshExperiment)
    truth = replace(recipe.train_data, count=options.people)
    people = SyntheticPeople(truth.count, truth.seed, truth.canvas_hw)
    data = {
        "keypoints": LabelledBodies(people),
        "fits": LabelledBodies(people, str(options.runs / "fits.npz")),
        "bodies": truth,
    }
    return replace(
        recipe,
        train_data=data[labels],
        loss=MeshLoss(prior=options.prior if labels == "keypoints" else 0.0),
        init_from=options.first,
        steps=options.steps,
        checkpoint_every=options.steps,
        evaluation=replace(recipe.evaluation, every=options.steps),
    )


def errors_of_fits(path: Path, truth: SyntheticBodies) -> dict[str, float]:
    """PVE and PA-MPVPE of the first fits, mm."""
    people = SyntheticPeople(truth.count, truth.seed, truth.canvas_hw)
    labels, source = read_labels(path, people.open()), truth.open()
    rows = np.flatnonzero(np.isfinite(labels.error))[:COMPARED]
    batch = source.samples(rows)
    surfaces = []
    for shape, rotations in (
        (labels.shape[rows], labels.rotations[rows]),
        (batch["shape"], batch["rotations"]),
    ):
        body = pose_body(drawn_body(), shape.astype(np.float32), rotations.astype(np.float32))
        surfaces.append(np.asarray(body.vertices - body.joints[:, :1]))
    return {"PVE": pve(*surfaces), "PA-MPVPE": pa_mpvpe(*surfaces)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=3000)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--prior", type=float, default=0.1)
    parser.add_argument("--first", default="runs/meshes_first")
    parser.add_argument("--runs", type=Path, default=Path("runs/mesh_labels"))
    parser.add_argument("--labels", nargs="+", choices=LABELS, default=LABELS)
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)

    console = Console()
    fits = options.runs / "fits.npz"
    truth = replace(load_recipe("meshes_synthetic").train_data, count=options.people)
    if "fits" in options.labels and not fits.exists():
        began = time.process_time()
        people = SyntheticPeople(truth.count, truth.seed, truth.canvas_hw)
        done = fit_labels(people.open(), fits, Fitting(iterations=20))
        seconds = time.process_time() - began
        console.print(f"{done} of {options.people} people fitted in {seconds:.0f} CPU seconds")
    table = Table("labels", "PVE", "PA-MPVPE", "MPJPE", "PA-MPJPE", "CPU s")
    if fits.exists():
        table.add_row("(the fits)", *(f"{v:.1f}" for v in errors_of_fits(fits, truth).values()))
    for labels in options.labels:
        began = time.process_time()
        folder = options.runs / labels
        made = train(experiment(labels, options), folder, PlainConsole(), weights)
        assert made.report is not None
        values = (f"{value:.1f}" for value in made.report.metrics.values())
        table.add_row(labels, *values, f"{time.process_time() - began:.0f}")
    console.print(table)


if __name__ == "__main__":
    main()
