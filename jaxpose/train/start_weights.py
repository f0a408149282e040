"""Weights that a run begins with, and the frozen base of a low-rank fine-tuning among them.

Checkpoints contain no base, but where it came from and its checksum: it is read again from there.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from flax.traverse_util import flatten_dict

from jaxpose.convert import load_state_dict
from jaxpose.errors import InputError
from jaxpose.models.build import abstract_variables, init_variables
from jaxpose.models.lora import adapted, join, merge, split, without_terms
from jaxpose.paths import as_path, in_bucket, local_copy
from jaxpose.train.experiment import Experiment

Weights = Callable[[str], Mapping[str, np.ndarray]]


def local_weights(where: str) -> Mapping[str, np.ndarray]:
    """Read the state dict of a checkpoint file or a release folder, on disk or in a bucket.

    Raises:
      InputError: an error of `convert.load_state_dict`.
    """
    if in_bucket(where):
        with local_copy(as_path(where)) as copy:
            return load_state_dict(copy)
    return load_state_dict(where)


class Start(NamedTuple):
    """Variables before the first step, as host arrays.

    Attributes:
      params: parameters that are trained: low-rank terms and, for example, the head.
      base: frozen parameters; `{}` without low-rank terms.
      batch_stats: running statistics.
    """

    params: dict[str, Any]
    base: dict[str, Any]
    batch_stats: Any

    def record(self, experiment: Experiment) -> dict[str, Any]:
        """Entry of a checkpoint that names the base; `{}` without low-rank terms."""
        if not self.base:
            return {}
        return {"base": {"from": experiment.init_from, "sha256": checksum(self.base)}}


def start_variables(experiment: Experiment, weights: Weights) -> Start:
    """Initialise a model, load the weights that the experiment names, and separate the base.

    Args:
      weights: reads the weights of a name.

    Raises:
      InputError: an error of the task's `initial_variables`, or of `models.lora.split`; low-rank
        terms without `init_from`.
    """
    lora = experiment.lora
    if lora.rank and experiment.init_from is None:
        raise InputError(
            "lora.rank is set and init_from is not: checkpoints would not contain the random "
            "weights that the low-rank terms are for. Set init_from to the weights to fine-tune."
        )
    with adapted(lora):
        fresh = init_variables(experiment.model, initial_key(experiment), experiment.input_hw)
    with_terms = fresh["params"]
    if lora.rank:
        fresh = fresh | {"params": without_terms(with_terms)}
    variables = experiment.task().initial_variables(fresh, weights)
    if not lora.rank:
        return Start(variables["params"], {}, variables["batch_stats"])
    trained, base = split(jax.device_get(join(with_terms, variables["params"])), lora)
    return Start(trained, base, variables["batch_stats"])


def initial_key(experiment: Experiment) -> jax.Array:
    """Random key of the initial values of a run."""
    return jax.random.fold_in(jax.random.key(experiment.seed), 0x1417)


def checksum(base: Mapping[str, Any]) -> str:
    """SHA-256 of the names, dtypes and values of a base, in hexadecimal."""
    digest = hashlib.sha256()
    for name, leaf in sorted(flatten_dict(base, sep="/").items()):
        array = np.asarray(leaf)
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def read_base(experiment: Experiment, weights: Weights, position: Mapping[str, Any]) -> Start:
    """Read the base of a checkpoint again.

    Args:
      weights: reads the weights of a name.
      position: entry `position` of the checkpoint.

    Raises:
      InputError: the base is not where it was, or is another one.
    """
    known = position.get("base", {})
    where = known.get("from", experiment.init_from)
    note = (
        f"This run's checkpoints contain low-rank terms for the weights of {where}, and not these "
        "weights."
    )
    try:
        start = start_variables(experiment, weights)
    except InputError as error:
        raise InputError(f"{note} They cannot be read: {error} Put them back there.") from error
    found = checksum(start.base)
    if found != known.get("sha256"):
        raise InputError(
            f"{note} The weights there now are others: their SHA-256 begins with {found[:12]}, "
            f"that of the run's with {known.get('sha256', '')[:12]}. Put the former weights back."
        )
    return start


def abstract_trained(experiment: Experiment) -> dict[str, Any]:
    """Shapes of the variables in a run's checkpoints: `{"params", "batch_stats"}`."""
    with adapted(experiment.lora):
        found = abstract_variables(experiment.model, experiment.input_hw)
    trained = jax.eval_shape(lambda params: split(params, experiment.lora)[0], found["params"])
    return found | {"params": trained}


def merged(experiment: Experiment, start: Start, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Variables of the plain model, from the base of `start` and a checkpoint's variables."""
    params = merge(join(variables["params"], start.base), experiment.lora)
    return {"params": params, "batch_stats": variables["batch_stats"]}
