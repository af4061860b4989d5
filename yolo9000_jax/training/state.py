"""The state of a training run."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp


@flax.struct.dataclass
class TrainState:
    """Everything a run needs to continue: nothing else is saved, since the input is a function of the step."""

    step: jax.Array  # updates done
    params: Any
    batch_stats: Any
    optimizer_state: Any
    average: Any  # moving average of params, or None

    @property
    def variables(self):
        """Variables to evaluate with: the averaged parameters where there is an average."""
        params = self.params if self.average is None else self.average
        return {"params": params, "batch_stats": self.batch_stats}


def create(variables, optimizer, average: bool) -> TrainState:
    """The state before the first update, from freshly initialised or loaded variables."""
    params = variables["params"]
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        batch_stats=variables.get("batch_stats", {}),
        optimizer_state=optimizer.init(params),
        average=jax.tree.map(jnp.copy, params) if average else None,
    )
