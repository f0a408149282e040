"""Does SRCNN sharpen coarse heatmaps? Its keypoint error beside bilinear enlargement's.

    jaxpose train quickstart --workdir runs/quickstart
    python tests/benchmarks/refiner.py runs/quickstart [--steps 600] [--sizes 9 5 5]

The trained network stays as it is. Its 32x24 heatmaps of synthetic people are enlarged to 64x48,
once bilinearly and once by a refiner trained here on other people than those it is scored on, and
both are decoded alike. Prints the mean and median distance to the drawn keypoints in input pixels
over every labelled keypoint inside the crop, and the refiner's gain with a bootstrap interval.
"""

import argparse
import time
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
from rich.console import Console
from rich.progress import track
from rich.table import Table

from jaxpose.augment import augment, center_crop
from jaxpose.data import resident
from jaxpose.data.index import sample_indices
from jaxpose.losses import HeatmapMSE
from jaxpose.models.refine import SRCNN
from jaxpose.models.upsample import enlarge
from jaxpose.train.run import load_run

SCALE = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="run directory of the quick start")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--sizes", type=int, nargs=3, default=(9, 5, 5))
    parser.add_argument("--enlarge-last", action="store_true", help="convolve the coarse maps")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    run = load_run(options.run)
    experiment, codec = run.experiment, run.experiment.codec
    height, width = codec.heatmap_hw
    # Same width of the targets in input pixels, twice as many heatmap pixels.
    fine = replace(codec, heatmap_hw=(SCALE * height, SCALE * width), sigma=SCALE * codec.sigma)
    refiner = SRCNN(SCALE, tuple(options.sizes), enlarge_first=not options.enlarge_last)

    def coarse_maps(images: jax.Array) -> jax.Array:
        return experiment.model.apply(run.variables, images, train=False)

    def loss(params, maps, targets, weights):
        return HeatmapMSE()(refiner.apply({"params": params}, maps), targets, weights)

    # Without a warm-up Adam's first steps switch most of the rectifiers off for good.
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, options.learning_rate, options.steps // 10, options.steps
    )
    tx = optax.adam(schedule)
    key = jax.random.key(options.seed)
    params = refiner.init(key, jnp.zeros((1, height, width, experiment.skeleton.num_keypoints)))
    params = params["params"]

    @jax.jit
    def step(params, opt_state, batch, key):
        images, keypoints, visible = augment(
            key,
            batch,
            augmentation=experiment.augmentation,
            input_hw=codec.input_hw,
            udp=codec.udp,
            permutation=experiment.skeleton.flip_permutation,
            upper_body=experiment.skeleton.upper_body_mask,
            padding=experiment.padding,
        )
        targets, weights = fine.encode(keypoints, visible)
        value, gradient = jax.value_and_grad(loss)(params, coarse_maps(images), targets, weights)
        updates, opt_state = tx.update(gradient, opt_state)
        return optax.apply_updates(params, updates), opt_state, value

    arrays = resident.load(experiment.train_data.open())
    opt_state, started = tx.init(params), time.process_time()
    for number in track(range(options.steps), "Training the refiner", console=Console(stderr=True)):
        rows = sample_indices(options.seed, number, experiment.batch_size, len(arrays["index"]))
        batch = resident.take(arrays, rows)
        params, opt_state, _ = step(params, opt_state, batch, jax.random.fold_in(key, number))
    seconds = time.process_time() - started

    decoders = {"highest pixel": replace(fine, refine="none"), "DARK step": fine}

    @jax.jit
    def errors(params, batch):
        images, keypoints, visible, _ = center_crop(
            batch, input_hw=codec.input_hw, udp=codec.udp, padding=experiment.padding
        )
        maps = coarse_maps(images)
        outputs = {
            "bilinear": enlarge(maps, SCALE),
            "SRCNN": refiner.apply({"params": params}, maps),
        }
        edge = jnp.array(codec.input_hw[::-1], jnp.float32) - 1
        inside = jnp.all((keypoints >= 0) & (keypoints <= edge[None, None]), -1) & (visible > 0)
        distances = {
            (name, how): jnp.linalg.norm(decoder.decode(maps).keypoints - keypoints, axis=-1)
            for name, maps in outputs.items()
            for how, decoder in decoders.items()
        }
        return inside, distances

    held_out = resident.load(replace(experiment.eval_data, count=1000).open())
    inside, found = [], []
    for start in range(0, 1000, 50):
        mask, distances = errors(params, resident.take(held_out, np.arange(start, start + 50)))
        inside.append(np.asarray(mask))
        found.append(jax.device_get(distances))
    mask = np.concatenate(inside)
    columns = {name: np.concatenate([part[name] for part in found]) for name in found[0]}

    kernels = "-".join(map(str, options.sizes))
    table = Table(title=f"{mask.sum()} keypoints of {len(mask)} people, {options.steps} steps")
    for title in ("Decoding", "Enlargement", "Mean error, px", "Median, px", "Gain (95 %)"):
        table.add_column(title, justify="left" if title in ("Decoding", "Enlargement") else "right")
    for how in decoders:
        plain, refined = columns["bilinear", how], columns["SRCNN", how]
        gain = 1 - refined[mask].mean() / plain[mask].mean()
        low, high = _interval(plain, refined, mask)
        for name, values, note in (
            ("bilinear", plain, ""),
            (f"SRCNN {kernels}", refined, f"{gain:.1%} ({low:.1%} to {high:.1%})"),
        ):
            row = (f"{values[mask].mean():.3f}", f"{np.median(values[mask]):.3f}", note)
            table.add_row(how, name, *row)
    Console().print(table)
    print(
        f"{seconds:.0f} CPU-seconds of training, {sum(p.size for p in jax.tree.leaves(params)):,} "
        "parameters"
    )


def _interval(plain: np.ndarray, refined: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """95 % bootstrap interval of the gain, people drawn with replacement."""
    rng = np.random.default_rng(0)
    gains = []
    for _ in range(1000):
        rows = rng.integers(0, len(mask), len(mask))
        chosen = mask[rows]
        gains.append(1 - refined[rows][chosen].mean() / plain[rows][chosen].mean())
    low, high = np.percentile(gains, [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main()
