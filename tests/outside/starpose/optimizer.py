"""An optimizer: any chain of optax."""

from dataclasses import dataclass
from typing import Any

import optax


@dataclass(frozen=True)
class Heavy:
    """Gradient descent with heavy momentum and clipped values."""

    rate: float = 0.05
    momentum: float = 0.9

    def build(self, steps: int, model: Any) -> optax.GradientTransformation:
        return optax.chain(optax.clip(1.0), optax.sgd(self.rate, self.momentum))
