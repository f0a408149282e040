"""Checkpoints of state, data position and key, written by Orbax; the last and best are kept."""

import errno
import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as managers

from jaxpose.errors import InputError
from jaxpose.paths import in_bucket, sync_folder
from jaxpose.train.state import TrainState

# Errors of a full or read-only disk, of damaged hardware, and of a network drive that is gone.
_STORAGE = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EIO),
    *(errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.ENODEV, errno.ENXIO, errno.ETIMEDOUT),
)


class Checkpoints:
    """The checkpoints of one run, in `directory/STEP/`.

    A save is written beside its final place and renamed when it is complete, so a process killed
    at any time leaves the earlier checkpoints unchanged. Two checkpoints are kept: the newest, and
    the one with the best value of `metric` among those saved with metrics. The best value is the
    highest or, with `lower_is_better`, the lowest; a value that is not finite is worse than any.
    """

    def __init__(
        self,
        directory: Path,
        metric: str,
        read_only: bool = False,
        *,
        lower_is_better: bool = False,
    ) -> None:
        # Orbax reports each phase of each save at INFO and, on one host, at WARNING. Its errors are
        # raised again by `wait`.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        self.directory = directory if in_bucket(directory) else directory.resolve()

        def best(metrics: Mapping[str, float]) -> float:
            value = metrics[metric]
            if not math.isfinite(value):
                return -math.inf
            if not lower_is_better:
                return value
            # -1 means that there was nothing to measure.
            return -value if value >= 0 else -math.inf

        policy = managers.AnyPreservationPolicy(
            [
                managers.LatestN(1),
                managers.BestN(
                    get_metric_fn=best,
                    n=1,
                    keep_checkpoints_without_metrics=False,
                ),
            ]
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policy,
            best_fn=best,  # without it Orbax writes no metrics
            cleanup_tmp_directories=not read_only,
            create=not read_only,
            read_only=read_only,
            async_options=ocp.AsyncOptions(post_finalization_callback=self._sync),
        )
        handlers = {
            "model": ocp.StandardCheckpointHandler(),
            "ema": ocp.StandardCheckpointHandler(),
            "optimizer": ocp.StandardCheckpointHandler(),
            "position": ocp.JsonCheckpointHandler(),
        }
        self._manager = ocp.CheckpointManager(
            self.directory, options=options, item_handlers=handlers
        )

    def _sync(self) -> None:
        """Wait until a save is on the disk; called before it gets its final name.

        Orbax does not wait for its JSON files. After a power cut, a checkpoint with its final name
        and an empty file would remain, and the checkpoint before it would be removed.
        """
        if not in_bucket(self.directory):
            for unfinished in self.directory.glob("*tmp*"):
                sync_folder(unfinished)

    def latest_step(self) -> int | None:
        """Step of the newest complete checkpoint; None if there is none."""
        return self._manager.latest_step()

    def best_step(self) -> int | None:
        """Step with the best metric; the newest step if none was saved with metrics."""
        best = self._manager.best_step()
        return self.latest_step() if best is None else best

    def save(
        self,
        state: TrainState,
        position: Mapping[str, Any],
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Copy the state to the host and start writing it; returns before the write is done.

        Raises:
          InputError: this save, or the write of an earlier one, failed.
        """
        items: dict[str, Any] = {
            "model": ocp.args.StandardSave(
                {"params": state.params, "batch_stats": state.batch_stats}
            ),
            "optimizer": ocp.args.StandardSave({"opt_state": state.opt_state, "step": state.step}),
            "position": ocp.args.JsonSave(dict(position)),
        }
        if state.ema:
            items["ema"] = ocp.args.StandardSave(state.ema)
        try:
            self._manager.save(
                int(state.step),
                args=ocp.args.Composite(**items),
                metrics=dict(metrics) if metrics else None,
                force=True,
            )
        except Exception as error:
            raise self._failed(error) from error

    def wait(self) -> None:
        """Wait until all started writes are done.

        Raises:
          InputError: a write failed; the message names the newest complete checkpoint.
        """
        try:
            self._manager.wait_until_finished()
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> Exception:
        """InputError for a full or read-only disk, which the user can fix; else `error` itself."""
        if not _is_about_storage(error):
            return error
        try:
            complete = [s.name for s in self.directory.iterdir() if s.name.isdigit()]
            last = f"step {max(map(int, complete))}" if complete else "none"
        except OSError as unreadable:
            last = f"not known ({unreadable.strerror})"
        return InputError(
            f"Could not write a checkpoint to {self.directory}: {_first_line(error)}. Newest "
            f"complete checkpoint: {last}. Free some space (or correct the permissions) and run "
            "the same command again; it continues from that checkpoint."
        )

    def restore(self, like: TrainState, step: int | None = None) -> tuple[TrainState, dict]:
        """Read the state and data position of `step` (default: newest), placed like `like`.

        A frozen base of low-rank terms is in no checkpoint: that of `like` is returned.

        Args:
          like: a state of arrays or ShapeDtypeStructs with shardings.
        """
        step = self.latest_step() if step is None else step
        like = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), like
        )
        items: dict[str, Any] = {
            "model": ocp.args.StandardRestore(
                {"params": like.params, "batch_stats": like.batch_stats}
            ),
            "optimizer": ocp.args.StandardRestore({"opt_state": like.opt_state, "step": like.step}),
            "position": ocp.args.JsonRestore(),
        }
        if like.ema:
            items["ema"] = ocp.args.StandardRestore(like.ema)
        found = self._manager.restore(step, args=ocp.args.Composite(**items))
        state = TrainState(
            step=found["optimizer"]["step"],
            params=found["model"]["params"],
            batch_stats=found["model"]["batch_stats"],
            opt_state=found["optimizer"]["opt_state"],
            ema=found["ema"] if like.ema else {},
            base=like.base,
        )
        return state, found["position"]

    def restore_variables(self, like: Mapping[str, Any], ema: bool, step: int) -> dict[str, Any]:
        """Read `{"params", "batch_stats"}` for evaluation, without the optimiser's state.

        Args:
          like: a tree of the same structure, of arrays or ShapeDtypeStructs.
          ema: return the averaged parameters.
          step: the step of the checkpoint.
        """
        items = {"model": ocp.args.StandardRestore(dict(like))}
        if ema:
            items["ema"] = ocp.args.StandardRestore(like["params"])
        found = self._manager.restore(step, args=ocp.args.Composite(**items))
        model = found["model"]
        return {
            "params": found["ema"] if ema else model["params"],
            "batch_stats": model["batch_stats"],
        }

    def position(self, step: int) -> dict[str, Any]:
        """Read the data position of a step, and what else was saved with it."""
        items = ocp.args.Composite(position=ocp.args.JsonRestore())
        return dict(self._manager.restore(step, args=items)["position"])

    def close(self) -> None:
        """Finish writing and stop Orbax's threads."""
        self.wait()
        self._manager.close()


def _is_about_storage(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _STORAGE:
        return True
    # TensorStore reports the system's error as text inside a ValueError.
    text = str(error)
    return any(os.strerror(number) in text for number in _STORAGE) or (
        error.__cause__ is not None and _is_about_storage(error.__cause__)
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:200].rstrip(".")
