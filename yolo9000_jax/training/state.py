"""The state of a training run."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax


@flax.struct.dataclass
class TrainState:
    """Everything a run needs to continue: nothing else is saved, since the input is a function of the step."""

    step: jax.Array | np.ndarray  # updates done
    params: Any
    batch_stats: Any
    optimizer_state: Any
    average: Any  # {"params", "batch_stats"}: moving averages of these, or None

    @property
    def variables(self) -> dict[str, Any]:
        """Variables to evaluate with: the averages where there are some."""
        return self.average or {"params": self.params, "batch_stats": self.batch_stats}

    def __repr__(self) -> str:
        count = sum(np.size(leaf) for leaf in jax.tree.leaves(self.params))
        return f"<TrainState after {int(np.ravel(self.step)[0])} steps: {count / 1e6:.2f} M parameters>"


def create(variables: Any, optimizer: optax.GradientTransformation, average: bool) -> TrainState:
    """The state before the first update, from freshly initialised or loaded variables, as NumPy arrays.

    On the devices lies only what `parallel.replicate` puts there.
    """
    params = jax.tree.map(np.asarray, variables["params"])
    batch_stats = jax.tree.map(np.asarray, variables.get("batch_stats", {}))
    return TrainState(
        step=np.zeros((), np.int32),
        params=params,
        batch_stats=batch_stats,
        optimizer_state=jax.device_get(jax.jit(optimizer.init)(params)),
        average=jax.tree.map(np.copy, {"params": params, "batch_stats": batch_stats}) if average else None,
    )


def shapes(variables: Any, optimizer: optax.GradientTransformation, average: bool) -> TrainState:
    """What `create` gives, as shapes alone: of variables of which there are only the shapes."""

    def create(params: Any, batch_stats: Any) -> TrainState:
        averages = {"params": params, "batch_stats": batch_stats} if average else None
        return TrainState(jnp.int32(0), params, batch_stats, optimizer.init(params), averages)

    return jax.eval_shape(create, variables["params"], variables.get("batch_stats", {}))
