"""The convolution's value and gradients, whichever way they are computed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from yolo9000_jax.models import convolution
from yolo9000_jax.models.convolution import convolve


def reference(x, kernel, stride, padding):
    sides = [(padding, padding)] * 2
    return lax.conv_general_dilated(x, kernel, (stride, stride), sides, dimension_numbers=("NHWC", "HWIO", "NHWC"))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize(
    ("size", "stride", "padding", "pixels", "channels"),
    [
        (1, 1, 0, (5, 7), 6),
        (3, 1, 1, (5, 7), 6),
        (3, 1, 1, (52, 54), 32),  # large and thick: gradients by products of matrices
        (3, 2, 1, (8, 9), 4),
        (2, 1, 0, (5, 5), 3),
    ],
)
def test_value_and_gradients(size, stride, padding, pixels, channels, dtype):
    generator = np.random.default_rng(0)
    x = jnp.asarray(generator.normal(size=(2, *pixels, channels)), dtype)
    kernel = jnp.asarray(generator.normal(size=(size, size, channels, 5)), dtype)
    wide = (x.astype(jnp.float32), kernel.astype(jnp.float32))
    expected, vjp = jax.vjp(lambda x, k: reference(x, k, stride, padding), *wide)
    found, our_vjp = jax.vjp(lambda x, k: convolve(x, k, stride, padding), x, kernel)
    slope = jnp.asarray(generator.normal(size=expected.shape), dtype)
    tolerance = 1e-5 if dtype == jnp.float32 else 2e-2
    pairs = [(found, expected), *zip(our_vjp(slope), vjp(slope.astype(jnp.float32)), strict=True)]
    for ours, theirs in pairs:
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours.astype(jnp.float32), theirs, atol=tolerance * float(jnp.abs(theirs).max()))


def test_the_matrix_products_are_what_a_cpu_runs(monkeypatch):
    called = []
    product = convolution._product
    monkeypatch.setattr(convolution, "_product", lambda *arguments: called.append(1) or product(*arguments))
    jax.grad(lambda kernel: convolve(jnp.ones((1, 2, 2, 3)), kernel).sum())(jnp.ones((1, 1, 3, 4)))
    assert called
