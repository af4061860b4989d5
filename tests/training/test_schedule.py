"""The learning rate against a plain loop, and the optimiser against darknet.md 8's update written in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from yolo9000_jax import config as configs
from yolo9000_jax.errors import UserError
from yolo9000_jax.training import schedule

STEPS = 200


def options(**changes):
    optimizer = configs.detection().optimizer
    optimizer.update(changes)
    return optimizer


def plain_rate(o, step, steps):
    """The rate of the update after `step` updates, one branch at a time."""
    number = step + 1
    if number < o.burn_in:
        return o.learning_rate * (number / o.burn_in) ** o.burn_in_power
    if o.schedule == "steps":
        rate = o.learning_rate
        for boundary, factor in zip(o.boundaries, o.factors, strict=True):
            if number >= boundary * steps:
                rate *= factor
        return rate
    if o.schedule == "polynomial":
        return o.learning_rate * (1 - number / steps) ** o.power
    if o.schedule == "cosine":
        return o.learning_rate * (1 + np.cos(np.pi * number / steps)) / 2
    return o.learning_rate


@pytest.mark.parametrize("burn_in", [0, 1, 20])
@pytest.mark.parametrize("name", ["steps", "polynomial", "cosine", "constant"])
def test_learning_rate(name, burn_in):
    o = options(schedule=name, burn_in=burn_in, boundaries=(0.25, 0.25, 0.8), factors=(0.1, 0.5, 10.0))
    rates = jax.jit(jax.vmap(schedule.learning_rate(o), (0, None)))(jnp.arange(STEPS), (0, STEPS))
    expected = [plain_rate(o, step, STEPS) for step in range(STEPS)]
    np.testing.assert_allclose(rates, expected, rtol=1e-4, atol=1e-9)


def test_boundaries_are_shares_of_the_run():
    """The paper's drops at epochs 60 and 90 of 160."""
    rate = schedule.learning_rate(options())
    rates = [rate(s, (0, 160)) for s in (58, 59, 88, 89, 159)]
    np.testing.assert_allclose(rates, [1e-3, 1e-4, 1e-4, 1e-5, 1e-5], rtol=1e-5)


def test_burn_in_ends_at_the_full_rate():
    rate = schedule.learning_rate(options(schedule="constant", burn_in=10, burn_in_power=1.0))
    expected = [1e-3 * min(1, (s + 1) / 10) for s in range(11)]
    np.testing.assert_allclose([rate(s, (0, STEPS)) for s in range(11)], expected, rtol=1e-5)


@pytest.mark.parametrize("changes, part", [({"schedule": "linear"}, "linear"), ({"factors": (0.1,)}, "same length")])
def test_wrong_schedule(changes, part):
    with pytest.raises(UserError, match=part):
        schedule.learning_rate(options(**changes))


def test_a_phase_has_a_schedule_of_its_own():
    """Its steps count from where it begins; the rate that it multiplies may be another than the config's."""
    o = options(schedule="cosine", burn_in=4)
    whole, later = schedule.learning_rate(o), schedule.learning_rate(o, peak=0.02)
    for step in range(20):
        scaled = later(step + 1000, (1000, 20)) * (o.learning_rate / 0.02)
        np.testing.assert_allclose(scaled, whole(step, (0, 20)), rtol=1e-5)


@pytest.mark.parametrize("clip_norm", [0.0, 2.0])
def test_optimizer_is_darknets_update(clip_norm):
    """darknet.md 8: decay on kernels only, the rate outside of the momentum buffer. Clipping, if any, comes before."""
    rng = np.random.default_rng(0)
    shapes = {"conv": {"kernel": (3, 3, 2, 4), "norm": {"scale": (4,), "bias": (4,)}}, "boxes": {"bias": (5,)}}
    draw = lambda: jax.tree.map(lambda s: rng.normal(size=s), shapes, is_leaf=lambda s: isinstance(s, tuple))  # noqa: E731
    o = options(schedule="steps", boundaries=(0.3,), factors=(0.1,), burn_in=3, weight_decay=0.05, clip_norm=clip_norm)
    gradients = [draw() for _ in range(3)]
    weights = draw()

    optimizer, rate = schedule.optimizer(o), schedule.learning_rate(o)
    params = jax.tree.map(jnp.float32, weights)
    state = optimizer.init(params)
    update = jax.jit(optimizer.update)
    for step, gradient in enumerate(gradients):
        directions, state = update(jax.tree.map(jnp.float32, gradient), state, params)
        by = rate(step, (0, 5))
        params = optax.apply_updates(params, jax.tree.map(lambda direction, by=by: -by * direction, directions))

    def shortened(gradient):
        norm = np.sqrt(sum(np.square(leaf).sum() for leaf in jax.tree.leaves(gradient)))
        assert norm > 5
        return jax.tree.map(lambda leaf: leaf * clip_norm / norm, gradient) if clip_norm else gradient

    def darknet(path, w):
        decay = o.weight_decay if path[-1].key == "kernel" else 0
        v = np.zeros_like(w)
        for step, gradient in enumerate(map(shortened, gradients)):
            for key in path:
                gradient = gradient[key.key]
            v = o.momentum * v + gradient + decay * w
            w = w - plain_rate(o, step, 5) * v
        return w

    expected = jax.tree_util.tree_map_with_path(darknet, weights)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), params, expected)
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), params, weights)
    assert min(jax.tree.leaves(moved)) > 1e-5
