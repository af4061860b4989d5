"""Learning-rate schedules and the optimiser (paper, section 2 "Training for detection"; darknet.md 8)."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from yolo9000_jax.config import CHOICES
from yolo9000_jax.errors import UserError
from yolo9000_jax.models.layers import is_kernel

SCHEDULES = CHOICES["optimizer.schedule"]


def learning_rate(options: Any, peak: float | None = None) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """The rate as a function of (step, span).

    step counts the updates done in the run; span [2] is where the present phase begins, and its length.

    "steps" multiplies the rate by factors[i] from share boundaries[i] of the phase on; "polynomial" is
    (1 - step/steps)^power; "cosine" falls to 0 along half a cosine; "exponential" multiplies it by decay_rate after
    every decay_steps steps; "sigmoid" is 1 / (1 + exp(decay_rate * (step - decay_steps))). During burn_in steps the
    rate rises as (step/burn_in)^burn_in_power instead (darknet.md 8, where an update's number starts at 1).

    Args:
        options: config.optimizer.
        peak: the rate that the schedule multiplies; None: options.learning_rate.

    Raises:
        UserError: an unknown schedule, or as many factors as boundaries are wanted.
    """
    if options.schedule not in SCHEDULES:
        raise UserError(f"optimizer.schedule is {options.schedule!r}; it can be {', '.join(SCHEDULES)}")
    if len(options.boundaries) != len(options.factors):
        raise UserError("optimizer.boundaries and optimizer.factors must have the same length")
    peak = options.learning_rate if peak is None else peak

    def rate(step: jax.Array, span: jax.Array) -> jax.Array:
        real = jnp.result_type(float)
        start, steps = jnp.asarray(span, real)
        number = jnp.asarray(step, real) - start + 1
        share = number / steps
        factor: Any = 1.0
        if options.schedule == "steps":
            for boundary, by in zip(options.boundaries, options.factors, strict=True):
                # In float32 a share that stands for a whole step may come out a hair before or behind it.
                factor = factor * jnp.where(number + 0.1 >= boundary * steps, by, 1.0)
        elif options.schedule == "polynomial":
            factor = jnp.maximum(1 - share, 0) ** options.power
        elif options.schedule == "cosine":
            factor = 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(share, 1)))
        elif options.schedule == "exponential":
            factor = options.decay_rate ** (number // options.decay_steps)
        elif options.schedule == "sigmoid":
            factor = jax.nn.sigmoid(-options.decay_rate * (number - options.decay_steps))
        burning = (number / max(options.burn_in, 1)) ** options.burn_in_power
        return peak * jnp.where(number < options.burn_in, burning, factor)

    return rate


def optimizer(options: Any, layer_rates: Mapping[str, float] | None = None) -> optax.GradientTransformation:
    """SGD with momentum, and decay on convolution kernels only: not on biases or batch norm (darknet.md 8).

    Its updates are to be multiplied by minus the learning rate, which stays outside of the momentum. With
    options.clip_norm the gradient, all parameters taken together, is first shortened to that norm. `layer_rates` has
    the factors of the rates of single layers, by the names that they have in the parameters (darknet.md 8).
    """
    factors = dict(layer_rates or {})

    def scale(updates: dict[str, Any], _: Any) -> dict[str, Any]:
        return {name: optax.tree.scale(factors.get(name, 1.0), layer) for name, layer in updates.items()}

    return optax.chain(
        optax.clip_by_global_norm(options.clip_norm) if options.clip_norm else optax.identity(),
        optax.add_decayed_weights(options.weight_decay, mask=is_kernel),
        optax.trace(options.momentum),
        optax.stateless(scale) if factors else optax.identity(),
    )
