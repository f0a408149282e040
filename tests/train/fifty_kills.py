"""Kill a run at random moments, again and again: it must end as an undisturbed one does.

    python -m tests.train.fifty_kills --kills 50 --seed 0

Each life of the run is a process of its own, killed while it starts, compiles, trains, saves or
ends. After each kill the newest and the best checkpoint must be readable, and the newest no older
than before. At the end parameters, averages, statistics, optimiser state, the figures of every step
and the report must be those of a run that nobody disturbed, bit for bit. A run that ends before it
could be killed is compared, and another begun.

With `--warm` lives are forked from a process that has imported everything already, which leaves
out the kills during imports and takes a fraction of the time; the next life then is what reads the
newest checkpoint.
"""

import argparse
import hashlib
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from jaxpose.cli.main import app
from jaxpose.config import from_json
from jaxpose.train.init_state import abstract_state
from jaxpose.train.log import read_metrics
from jaxpose.train.mesh import make_mesh
from jaxpose.train.run_dir import load_run, open_checkpoints, read_record

TINY = Path(__file__).resolve().parents[1] / "tiny.py"
# What a life is killed in, and how often.
STAGES = {"starting": 0.2, "compiling": 0.15, "training": 0.3, "saving": 0.25, "ending": 0.1}
SIGNALS = {signal.SIGKILL: 0.7, signal.SIGTERM: 0.15, signal.SIGINT: 0.15}
_LONGEST = 300.0  # seconds that a life may take


@dataclass
class Life:
    """A process that trains."""

    pid: int
    log: Path
    begun: float = field(default_factory=time.monotonic)
    status: int | None = None

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def ended(self) -> bool:
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if pid else None
            if time.monotonic() - self.begun > _LONGEST:
                self.send(signal.SIGKILL)
                raise AssertionError(f"A life took too long. It said:\n{self.said()[-2000:]}")
        return self.status is not None

    def send(self, number: int) -> None:
        if self.status is None:
            os.kill(self.pid, number)

    def wait(self, seconds: float = _LONGEST) -> bool:
        """Whether it ended within so many seconds."""
        until = time.monotonic() + seconds
        while not self.ended() and time.monotonic() < until:
            time.sleep(0.0005)
        return self.ended()


def fork(function: Callable[[], object]) -> int:
    """A process that calls `function` and ends; this one must not have started JAX's threads."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    try:
        function()
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def answer(function: Callable[[], Any]) -> Any:
    """What `function` returns in a process of its own, as JSON."""
    read, write = os.pipe()
    with os.fdopen(read) as stream:
        pid = fork(lambda: os.write(write, json.dumps(function()).encode()))
        os.close(write)
        text = stream.read()
    assert os.waitpid(pid, 0)[1] == 0, "reading the run back failed; see above"
    return json.loads(text)


def begin(workdir: Path, recipe: list[str], warm: bool) -> Life:
    """`jaxpose train`, resumed if there is something to resume."""
    command = ["train", *recipe, "--workdir", str(workdir)]
    log = workdir.with_suffix(".log")

    def live() -> NoReturn:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        # A shell that starts this in the background has SIGINT ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler if warm else signal.SIG_DFL)
        os.dup2(out, 1)
        os.dup2(out, 2)
        if warm:
            app(command)
        os.execv(sys.executable, [sys.executable, "-m", "jaxpose", *command])

    log.write_text("")
    return Life(fork(live), log)


def unfinished(workdir: Path) -> set[str]:
    """Names of the saves that were begun and not ended."""
    return {p.name for p in (workdir / "checkpoints").glob("*") if not p.name.isdigit()}


def newest(workdir: Path) -> int:
    """The step of the newest checkpoint that has its final name, else 0."""
    names = [p.name for p in (workdir / "checkpoints").glob("*")]
    return max((int(name) for name in names if name.isdigit()), default=0)


def stage_of(said: str, saving: bool, steps: int) -> str:
    """What a life was doing, by what it had said."""
    if f"step {steps}/{steps}" in said:
        return "ending"
    if saving:
        return "saving"
    if "Compiled the training step" in said:
        return "training"
    return "compiling" if "Resuming" in said else "starting"


def await_moment(
    life: Life, workdir: Path, stage: str, rng: np.random.Generator, startup: float, steps: int
) -> None:
    """Wait for a random moment of the stage, or the end of the life."""
    known = unfinished(workdir)
    after = newest(workdir) + int(rng.integers(0, 8))

    def there() -> bool:
        if stage == "saving":
            return newest(workdir) >= after and bool(unfinished(workdir) - known)
        if stage == "starting":
            return True
        sign = {"compiling": "Resuming", "training": "\nstep ", "ending": f"step {steps}/{steps}"}
        return sign[stage] in life.said()

    longest = {
        "starting": 0.8 * startup,
        "compiling": 0.3 * startup,
        "training": 1.5,
        "saving": 0.05,
    }
    while not life.ended() and not there():
        # A first life has nothing to resume, and says nothing before it has compiled.
        if stage == "compiling" and "Compiled" in life.said():
            return
        time.sleep(0.0005)
    life.wait(float(rng.uniform(0.0, longest.get(stage, 0.2))))


def kill(life: Life, number: int, rng: np.random.Generator) -> None:
    """Send the signal; some of those that may save first are not given the time to."""
    life.send(number)
    if number != signal.SIGKILL and rng.random() < 0.4:
        life.wait(float(rng.uniform(0.0, 0.3)))
        life.send(signal.SIGKILL)
    life.wait()


def check_readable(workdir: Path) -> int:
    """The step of the newest checkpoint, which can be read, as can the best one; 0 for none."""
    if not newest(workdir):
        return 0
    load_run(workdir, "best")
    return load_run(workdir, "last").step


def final_state(workdir: Path) -> dict[str, str]:
    """Everything that a run leaves behind, by name: arrays of the newest checkpoint as digests."""
    experiment = from_json(read_record(workdir)["experiment"])
    shapes, _ = abstract_state(experiment, make_mesh(experiment.mesh))
    checkpoints = open_checkpoints(workdir, experiment, read_only=True)
    state, position = checkpoints.restore(shapes)
    checkpoints.close()
    found = {
        jax.tree_util.keystr(path): hashlib.sha256(np.asarray(leaf).tobytes()).hexdigest()
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    }
    figures = [
        {name: value for name, value in record.items() if not name.endswith("_per_second")}
        for record in read_metrics(workdir)
    ]
    files = {name: (workdir / name).read_text() for name in ("config.json", "report.json")}
    lines = len((workdir / "metrics.jsonl").read_text().splitlines())
    picture = workdir / "predictions.png"  # lifters draw none
    drawn = hashlib.sha256(picture.read_bytes()).hexdigest() if picture.exists() else ""
    return (
        found
        | files
        | {"position": json.dumps(position), "lines of metrics": str(lines)}
        | {
            "metrics": json.dumps(figures),
            "picture": drawn,
        }
    )


def check_same(expected: dict[str, str], workdir: Path) -> None:
    """Fails naming what differs from the undisturbed run."""
    found = answer(partial(final_state, workdir))
    differing = [n for n in expected | found if expected.get(n) != found.get(n)]
    assert not differing, f"{workdir} ended otherwise: {', '.join(differing)}"


def run(
    folder: Path,
    kills: int,
    seed: int,
    steps: int,
    warm: bool,
    console: Console,
    named: list[str],
) -> Counter:
    """Kill as often as asked and check; how many kills fell when, by (stage, signal)."""
    rng = np.random.default_rng(seed)
    recipe = list(named)
    for change in (f"steps={steps}", "evaluation.every=10", "checkpoint_every=2"):
        recipe += ["--set", change]
    undisturbed = folder / "undisturbed"
    life = begin(undisturbed, recipe, warm)
    life.wait()
    assert life.status == 0, life.said()[-2000:]
    expected = answer(partial(final_state, undisturbed))
    startup = 1.0
    if not warm:
        # What those that follow need: the first has compiled, and its programs are kept.
        life = begin(folder / "timed", recipe, warm)
        while not life.ended() and "\nstep " not in life.said():
            time.sleep(0.001)
        startup = time.monotonic() - life.begun
        kill(life, signal.SIGKILL, rng)
        console.print(f"Undisturbed, a run takes {startup:.1f} s to its first step.")

    # In turn at least one of each, then by chance.
    order = [str(s) for s in rng.permutation([s for s in STAGES if s != "ending"])]
    counts: Counter = Counter()
    runs, before = 0, 0
    workdir = folder / "run-0"
    while True:
        done = counts.total()
        life = begin(workdir, recipe, warm)
        known = unfinished(workdir)
        if done < kills:
            stage = order[done] if done < len(order) else _draw(rng, STAGES)
            number = signal.SIGKILL if done < len(order) else _draw(rng, SIGNALS)
            await_moment(life, workdir, stage, rng, startup, steps)
        else:
            life.wait()
        if life.ended():
            assert life.status == 0, life.said()[-2000:]
            check_same(expected, workdir)
            console.print(f"{workdir.name} ended as the undisturbed run, after {done} kills.")
            if done == kills:
                return counts
            runs, before = runs + 1, 0
            workdir = folder / f"run-{runs}"
            continue
        said, saving = life.said(), bool(unfinished(workdir) - known)
        kill(life, number, rng)
        if number == signal.SIGKILL:  # nothing has moved since
            said, saving = life.said(), bool(unfinished(workdir) - known)
        counts[stage_of(said, saving, steps), signal.Signals(number).name] += 1
        left = newest(workdir) if warm else answer(partial(check_readable, workdir))
        assert left >= before, f"step {before} was saved, and {left} is left"
        console.print(
            f"{done + 1:3}  {signal.Signals(number).name:7} {stage_of(said, saving, steps):9} "
            f"after {time.monotonic() - life.begun:5.1f} s, step {left} is saved",
            highlight=False,
        )
        before = left


def _draw(rng: np.random.Generator, weights: dict[Any, float]) -> Any:
    return list(weights)[rng.choice(len(weights), p=list(weights.values()))]


def table(counts: Counter) -> Table:
    """When the kills fell."""
    names = [number.name for number in SIGNALS]
    shown = Table("killed while", *names, "in all", box=None)
    for stage in STAGES:
        row = [counts[stage, name] for name in names]
        shown.add_row(stage, *map(str, row), str(sum(row)))
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--warm", action="store_true")
    parser.add_argument("--recipe", default=str(TINY))
    parser.add_argument("--set", action="append", default=[], dest="changes", metavar="KEY=VALUE")
    arguments = parser.parse_args()
    console = Console(width=100)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="jaxpose-kills-") as folder:
        counts = run(
            Path(folder),
            arguments.kills,
            arguments.seed,
            arguments.steps,
            arguments.warm,
            console,
            [arguments.recipe, *(word for c in arguments.changes for word in ("--set", c))],
        )
    console.print(table(counts))
    console.print(
        f"{counts.total()} kills in {time.monotonic() - begun:.0f} s; nothing was lost, and every "
        "run ended with the bits of the undisturbed one."
    )


if __name__ == "__main__":
    main()
