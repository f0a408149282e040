"""Loss of a trained model on held-out data."""

from typing import Any

import jax

from jaxpose.train.mesh import make_mesh, replicated
from jaxpose.train.run_dir import Run


def held_out_loss(run: Run) -> float | None:
    """Computes the experiment's loss on its held-out data, without augmentation, as in evaluation.

    Only whole batches are used. None for a loss of outputs that a model has in training only, such
    as those of several stages.
    """
    experiment = run.experiment.task().without_augmentation()
    mesh = make_mesh(experiment.mesh)
    task = experiment.task()
    source = task.open("eval")
    key = jax.device_put(jax.random.key(0), replicated(mesh))

    def loss(variables: Any, batch: dict[str, Any], key: jax.Array) -> jax.Array:
        inputs, targets, weights = task.encode(key, batch)
        outputs = experiment.model.apply(variables, inputs, train=False)
        return experiment.loss(outputs, targets, weights)

    compiled, values = jax.jit(loss), []
    variables = jax.device_put(run.variables, replicated(mesh))
    batches = task.batches(source, mesh, 0)
    for _ in range(max(1, len(source) // experiment.batch_size)):
        try:
            values.append(compiled(variables, next(batches), key))
        except (AttributeError, IndexError, TypeError, ValueError):
            if values:
                raise
            return None
    return float(sum(jax.device_get(values)) / len(values))
