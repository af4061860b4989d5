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
    average: Any  # moving average of params, or None

    @property
    def variables(self) -> dict[str, Any]:
        """Variables to evaluate with: the averaged parameters where there is an average."""
        params = self.params if self.average is None else self.average
        return {"params": params, "batch_stats": self.batch_stats}

    def __repr__(self) -> str:
        count = sum(np.size(leaf) for leaf in jax.tree.leaves(self.params))
        return f"<TrainState after {int(np.ravel(self.step)[0])} steps: {count / 1e6:.2f} M parameters>"


def create(variables: Any, optimizer: optax.GradientTransformation, average: bool) -> TrainState:
    """The state before the first update, from freshly initialised or loaded variables, as NumPy arrays.

    On the devices lies only what `parallel.replicate` puts there.
    """
    params = jax.tree.map(np.asarray, variables["params"])
    return TrainState(
        step=np.zeros((), np.int32),
        params=params,
        batch_stats=jax.tree.map(np.asarray, variables.get("batch_stats", {})),
        optimizer_state=jax.device_get(jax.jit(optimizer.init)(params)),
        average=jax.tree.map(np.copy, params) if average else None,
    )


def shapes(variables: Any, optimizer: optax.GradientTransformation, average: bool) -> TrainState:
    """What `create` gives, as shapes alone: of variables of which there are only the shapes."""

    def create(params: Any, batch_stats: Any) -> TrainState:
        return TrainState(jnp.int32(0), params, batch_stats, optimizer.init(params), params if average else None)

    return jax.eval_shape(create, variables["params"], variables.get("batch_stats", {}))
