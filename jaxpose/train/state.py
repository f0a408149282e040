"""Train state: one pytree with everything that changes from step to step."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxpose.models.lora import join
from jaxpose.train.experiment import Experiment


class TrainState(NamedTuple):
    """State that a step reads and writes.

    Attributes:
      step: int32 scalar, the number of finished steps; with the seed it determines the next batch
        and every random number.
      params: float32 parameters that are trained.
      batch_stats: running statistics of BatchNorm; `{}` for models without it.
      opt_state: optax's state.
      ema: exponential moving average of `params`; `{}` when the experiment keeps none.
      base: frozen parameters of a low-rank fine-tuning, in no checkpoint; `{}` for none.
    """

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: optax.OptState
    ema: Any
    base: Any = {}

    def variables(self) -> dict[str, Any]:
        """Variables for `model.apply` in evaluation, with averaged parameters if there are any.

        Low-rank terms among them take effect inside `models.lora.adapted`.
        """
        params = join(self.ema or self.params, self.base)
        return {"params": params, "batch_stats": self.batch_stats}


def new_state(
    experiment: Experiment, variables: dict[str, Any], tx: optax.GradientTransformation
) -> TrainState:
    """Creates the state before the first step, from initial `variables`.

    `variables["base"]`, if it exists, is the frozen base of a low-rank fine-tuning.
    """
    params = variables["params"]
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        batch_stats=variables["batch_stats"],
        opt_state=tx.init(params),
        # A copy, because donating the state must not donate one buffer twice.
        ema=jax.tree.map(jnp.copy, params) if experiment.ema_decay else {},
        base=variables.get("base", {}),
    )
