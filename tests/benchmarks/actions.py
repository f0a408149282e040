"""Accuracy of ST-GCN and CTR-GCN on motion capture, split by subject, and the effect of noise.

    python -m tests.benchmarks.actions humaneva --source humaneva15_flat.npz --out runs/humaneva
    python -m tests.benchmarks.actions h36m --source h36m_fk17_10hz.npz --cameras cameras.json ...

The classes are the recordings' actions: five of HumanEva-I (train S1 and S2, test S3), fifteen of
Human3.6M (train S1, S5, S6, S7, S8, test S9 and S11). Inputs are 2D keypoints: HumanEva-I's own
pixels, and Human3.6M's poses in the four cameras of each subject. Clips are pieces of one second at
60 frames a second (HumanEva-I) and of four seconds at 10 (Human3.6M). `--noise` is the standard
deviation in pixels of what is added to the keypoints of the training clips; each network is scored
with several noises. Prints a table, and writes runs and confusion matrices into `--out`.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from jaxpose.cli.evaluate_run import evaluated
from jaxpose.codecs.clips import ClipCodec
from jaxpose.config.scripts import find_script, load_script
from jaxpose.data.action_clips import ActionClip, actions_of, write_actions
from jaxpose.data.action_dataset import ActionDataset
from jaxpose.data.motion import Motion, motion_of
from jaxpose.data.virtual_cameras import before_each_camera
from jaxpose.geometry.cameras import Camera
from jaxpose.losses import CrossEntropy
from jaxpose.metrics.actions import MeanClassAccuracy, TopK
from jaxpose.models import ctrgcn, stgcn
from jaxpose.skeletons.graph import graph_of
from jaxpose.tasks.actions.experiment import ActionEvaluation, ActionExperiment
from jaxpose.train.loop import train
from jaxpose.train.optimizers import AdamW
from jaxpose.train.run_dir import load_run

NOISES = (0.0, 2.0, 5.0, 10.0, 20.0)
NETWORKS = {"stgcn": stgcn, "ctrgcn": ctrgcn}
PIECES = {"humaneva": (60, 30), "h36m": (40, 20)}  # frames of a clip, frames between two
HELD_OUT = {"humaneva": ("S3",), "h36m": ("S9", "S11")}


def read(name: str, source: Path, cameras: Path | None) -> Motion:
    """Motion with 2D keypoints of every camera."""
    if name == "humaneva":
        script = load_script(find_script("humaneva", "data_prep"))
        clips = []
        for one in script.read_sequences(source):
            for index in range(3):
                joints = one["joints"] + np.array([0, 0, 1e5])  # any place in front of a camera
                place = {"camera": f"C{index + 1}", "name": one["rest"]}
                clips.append(
                    script.Clip(
                        joints_mm=joints,
                        keypoints=one["pixels"][index],
                        split=one["split"],
                        subject=one["subject"],
                        action=one["action"],
                        fps=script.FPS,
                        image_wh=script.IMAGE_WH,
                        **place,
                    )
                )
        return motion_of(script.HUMANEVA15, clips)
    script = load_script(find_script("h36m", "data_prep"))
    world = motion_of(script.H36M17, script.pose_clips(source), frame="world", up="y")
    assert cameras is not None
    rigs = {}
    for subject in sorted(set(world.subject.tolist())):
        views = script.read_cameras(cameras, subject)
        rigs[subject] = Camera(*(np.stack(field) for field in zip(*views, strict=True)))
    return before_each_camera(world, rigs, (1000, 1000), 0.0)


def write(motion: Motion, name: str, noise: float, path: Path) -> None:
    """Writes the pieces of the clips with noise on their keypoints."""
    frames, step = PIECES[name]
    rng, clips, classes = np.random.default_rng(0), [], sorted(set(motion.action.tolist()))
    starts = np.cumsum(motion.length) - motion.length
    assert motion.keypoints is not None
    for i, start in enumerate(starts.tolist()):
        subject = str(motion.subject[i])
        for begin in range(start, start + int(motion.length[i]) - frames + 1, step):
            points = motion.keypoints[begin : begin + frames]
            clips.append(
                ActionClip(
                    (points + rng.normal(0, noise, points.shape))[:, None].astype(np.float32),
                    classes.index(str(motion.action[i])),
                    split="test" if subject in HELD_OUT[name] else "train",
                    subject=subject,
                    name=f"{motion.name[i]} {motion.camera[i]} {begin - start}",
                    fps=float(motion.fps[i]),
                    image_wh=tuple(motion.image_wh[i].tolist()),
                )
            )
    write_actions(path, actions_of(motion.skeleton, classes, clips, people=1))


def experiment(network: str, motion: Motion, name: str, data: Path, steps: int) -> ActionExperiment:
    """Half of the published width, a third of the units: what two cores train in minutes."""
    graph, frames = graph_of(motion.skeleton), PIECES[name][0] // (2 if name == "humaneva" else 1)
    shape = {"in_features": 2, "people": 1, "frames": frames, "units": (1, 1, 1), "width": 32}
    more = {"dropout": 0.3} if network == "stgcn" else {}
    return ActionExperiment(
        skeleton=motion.skeleton,
        model=NETWORKS[network](len(set(motion.action.tolist())), graph, **shape, **more),
        codec=ClipCodec(graph, frames, people=1),
        loss=CrossEntropy(smoothing=0.1),
        train_data=ActionDataset(str(data), split=("train",)),
        eval_data=ActionDataset(str(data), split=("test",)),
        mirror=True,
        rotate=10.0,
        scale=0.1,
        optimizer=AdamW(learning_rate=2e-3, schedule="cosine", warmup_steps=50, weight_decay=0.05),
        evaluation=ActionEvaluation(metrics=(TopK(), TopK(5), MeanClassAccuracy()), every=steps),
        steps=steps,
        batch_size=32,
        ema_decay=0.99,
        checkpoint_every=steps,
        log_every=100,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(PIECES))
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--cameras", type=Path, help="camera-parameters.json of Human3.6M")
    parser.add_argument("--network", choices=sorted(NETWORKS), required=True)
    parser.add_argument("--noise", type=float, default=0.0, help="pixels, of the training clips")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    motion, name = read(options.name, options.source, options.cameras), options.name
    options.out.mkdir(parents=True, exist_ok=True)
    files = {noise: options.out / f"noise{noise:g}.npz" for noise in {*NOISES, options.noise}}
    for noise, file in files.items():
        if not file.is_file():
            write(motion, name, noise, file)
    own = experiment(options.network, motion, name, files[options.noise], options.steps)
    workdir = options.out / f"{options.network}-{options.noise:g}"
    train(own, workdir, Console())
    variables = load_run(workdir, "last").variables
    table = Table("noise, px", "top-1", "top-5", "mean class", "clips")
    for noise in NOISES:
        data = ActionDataset(str(files[noise]), split=("test",))
        task = dataclasses.replace(own, eval_data=data).task()
        scored = evaluated(task.experiment, task.open("eval"), variables, None, Console())
        found = [scored.report.metrics[key] for key in ("top-1", "top-5", "mean class accuracy")]
        table.add_row(f"{noise:g}", *(f"{v:.1f}" for v in found), f"{scored.report.people:,}")
    print(f"{name}, {options.network}, trained with a noise of {options.noise:g} px")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
