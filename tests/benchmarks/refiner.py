"""Does SRCNN sharpen coarse heatmaps? Its keypoint error beside bilinear enlargement's.

    jaxpose train quickstart --workdir runs/coarse
    jaxpose train quickstart_refined --workdir runs/refined
    python -m tests.benchmarks.refiner runs/coarse runs/refined [--people 1000]

Both runs see the same people in the same order for the same number of steps. The coarse run's
32x24 heatmaps are enlarged bilinearly to the 64x48 of the refined run, and both are decoded alike.
Prints the mean and median distance to the drawn keypoints in input pixels, over every labelled
keypoint inside the crop of people that neither run has seen, and the refiner's gain with its
bootstrap interval over people.
"""

import argparse
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from jaxpose.data import resident
from jaxpose.models.upsample import enlarge
from jaxpose.tasks.topdown.augment import center_crop
from jaxpose.train.run_dir import load_run

BATCH = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("coarse", help="run directory of quickstart")
    parser.add_argument("refined", help="run directory of quickstart_refined")
    parser.add_argument("--people", type=int, default=1000)
    options = parser.parse_args()

    coarse, refined = load_run(options.coarse, "last"), load_run(options.refined, "last")
    experiment, fine = refined.experiment, refined.experiment.codec
    scale = fine.heatmap_hw[0] // coarse.experiment.codec.heatmap_hw[0]
    decoders = {"highest pixel": replace(fine, refine="none"), "DARK step": fine}

    @jax.jit
    def errors(batch):
        images, keypoints, visible, _ = center_crop(
            batch, input_hw=fine.input_hw, udp=fine.udp, padding=experiment.padding
        )
        outputs = {
            "bilinear": enlarge(coarse.experiment.model.apply(coarse.variables, images), scale),
            "SRCNN": refined.experiment.model.apply(refined.variables, images),
        }
        edge = jnp.array(fine.input_hw[::-1], jnp.float32) - 1
        inside = jnp.all((keypoints >= 0) & (keypoints <= edge[None, None]), -1) & (visible > 0)
        distances = {
            name: {
                how: jnp.linalg.norm(codec.decode(maps).keypoints - keypoints, axis=-1)
                for how, codec in decoders.items()
            }
            for name, maps in outputs.items()
        }
        return inside, distances

    people = replace(experiment.eval_data, count=options.people)
    arrays = resident.load(people.open())
    results = [
        jax.device_get(errors(resident.take(arrays, np.arange(start, start + BATCH))))
        for start in range(0, options.people, BATCH)
    ]
    mask, distances = jax.tree.map(lambda *parts: np.concatenate(parts), *results)

    steps = f"{coarse.step} and {refined.step} steps"
    table = Table(title=f"{mask.sum():,} keypoints of {len(mask):,} people, {steps}")
    for title in ("Decoding", "Enlargement", "Mean error, px", "Median, px", "Gain (95 %)"):
        table.add_column(title, justify="left" if title in ("Decoding", "Enlargement") else "right")
    for how in decoders:
        plain, sharp = distances["bilinear"][how], distances["SRCNN"][how]
        low, high = _interval(plain, sharp, mask)
        gain = f"{1 - sharp[mask].mean() / plain[mask].mean():.1%} ({low:.1%} to {high:.1%})"
        for name, values, note in (("bilinear", plain, ""), ("SRCNN", sharp, gain)):
            row = (f"{values[mask].mean():.3f}", f"{np.median(values[mask]):.3f}", note)
            table.add_row(how, name, *row)
    Console().print(table)


def _interval(plain: np.ndarray, sharp: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """95 % bootstrap interval of the gain, people drawn with replacement."""
    rng = np.random.default_rng(0)
    gains = []
    for _ in range(1000):
        rows = rng.integers(0, len(mask), len(mask))
        chosen = mask[rows]
        gains.append(1 - sharp[rows][chosen].mean() / plain[rows][chosen].mean())
    low, high = np.percentile(gains, [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main()
