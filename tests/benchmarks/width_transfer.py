"""Loss against learning rate for four widths of a ViT, with and without `optimizer.base_width`.

    python -m tests.benchmarks.width_transfer [--out width_transfer.png]

Each width trains on 512 drawn people at each rate, with the same batches. The loss is the
mean of the last tenth of the steps.
"""

from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import typer

from jaxpose.codecs.heatmap import udp
from jaxpose.codecs.sample import Sample
from jaxpose.data.source import SyntheticPeople
from jaxpose.models.build import PoseModel, init_variables
from jaxpose.models.heads import DeconvHead
from jaxpose.models.vit import ViT
from jaxpose.train.optimizers import AdamW

INPUT_HW, HEATMAP_HW = (64, 48), (8, 6)
WIDTHS, BASE = (16, 32, 64, 128), 16
RATES = 2.0 ** np.arange(-11, -3)


def people(count=512):
    """Images and heatmaps of drawn people."""
    source = SyntheticPeople(count, 0, INPUT_HW, plain=True).open()
    samples = [source.samples([index]) for index in range(count)]
    images = np.stack([s["image"][0] for s in samples]).astype(np.float32) / 127.5 - 1
    codec = udp(INPUT_HW, heatmap_hw=HEATMAP_HW, sigma=1.0)
    keypoints = np.stack([s["keypoints"][0] for s in samples])
    seen = np.stack([s["visible"][0] for s in samples])
    sample = Sample(keypoints=jnp.asarray(keypoints, jnp.float32), visible=jnp.asarray(seen))
    return jnp.asarray(images), codec.encode(sample).values


def losses(width, base_width, images, targets, steps, batch=16):
    """Final loss at each rate: `[rates]`."""
    model = PoseModel(
        ViT(input_hw=INPUT_HW, dim=width, depth=2, heads=width // 8, patch=8, patch_padding=0),
        DeconvHead(targets.shape[-1], deconv_channels=()),
    )
    # The rate is the last factor of an update, so one program serves all rates.
    optimizer = AdamW(
        learning_rate=1.0,
        schedule="constant",
        warmup_steps=0,
        weight_decay=0.0,
        clip_norm=None,
        b2=0.99,
        base_width=base_width,
    )
    tx = optimizer.build(steps, model)
    start = optimizer.start(init_variables(model, jax.random.key(0), INPUT_HW)["params"], model)
    rows = np.random.default_rng(0).integers(0, len(images), (steps, batch))

    @jax.jit
    def step(params, state, factor, x, y):
        def loss(params):
            return jnp.square(model.apply({"params": params}, x) - y).mean()

        value, gradients = jax.value_and_grad(loss)(params)
        updates, state = tx.update(gradients, state, params)
        return jax.tree.map(lambda p, u: p + factor * u, params, updates), state, value

    def run(rate):
        params, state, values = start, tx.init(start), []
        for k, now in enumerate(rows):
            factor = rate * min(1.0, (k + 1) / 20)
            params, state, value = step(params, state, factor, images[now], targets[now])
            values.append(value)
        return np.mean(jax.device_get(values[-steps // 10 :]))

    return np.array([run(float(rate)) for rate in RATES])


def draw(results, out):
    """Two panels: equal rates, and rates by width."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.6), dpi=110, layout="constrained")
    titles = ("one learning rate for all matrices", f"base_width={BASE}")
    for axes, title, rows in zip(figure.subplots(1, 2, sharey=True), titles, results, strict=True):
        for width, values in rows.items():
            axes.plot(RATES, values, "o-", markersize=4, label=f"{width}")
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss", title=title)
        axes.set_ylim(0.0068, 0.0115)  # losses that diverge are above
        axes.grid(alpha=0.3)
        axes.legend(title="width", fontsize=7, loc="upper center")
    figure.savefig(out)


def main(
    out: Annotated[Path | None, typer.Option(help="Figure to write.")] = None,
    steps: Annotated[int, typer.Option(help="Steps of each run.")] = 200,
) -> None:
    """Print the loss at each rate and the best rate of each width."""
    images, targets = people()
    results = []
    for base_width in (None, BASE):
        rows = {}
        for width in WIDTHS:
            rows[width] = losses(width, base_width, images, targets, steps)
            best = RATES[np.nanargmin(rows[width])]
            text = " ".join(f"{value:.5f}" for value in rows[width])
            print(f"base_width {base_width}, width {width}: {text}; best {best:.2g}", flush=True)
        results.append(rows)
    if out is not None:
        draw(results, out)


if __name__ == "__main__":
    typer.run(main)
