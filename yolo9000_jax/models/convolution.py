"""Convolution, with a gradient that is quick on a CPU too."""

import jax
import jax.numpy as jnp
from jax import lax

# On a CPU a product of matrices beats XLA's kernel gradient for 1x1 kernels and for large, not too thin 3x3 layers
# (measured with experiments/benchmarks/train_step.py); elsewhere and on accelerators XLA's own is used.
LARGE_PIXELS = 52 * 52
THICK_CHANNELS = 32


def convolve(x: jax.Array, kernel: jax.Array, stride: int = 1, padding: int = 0) -> jax.Array:
    """Cross-correlation of x [B, H, W, C] with kernel [k, k, C, F], `padding` zeros on every side (darknet.md 4.1)."""
    size = kernel.shape[0]
    same = stride == 1 and padding == size // 2
    large = x.shape[1] * x.shape[2] >= LARGE_PIXELS and x.shape[3] >= THICK_CHANNELS
    if same and (size == 1 or size == 3 and large):
        return _convolve_same(x, kernel)
    return _convolve(x, kernel, stride, padding)


def _convolve(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=[(padding, padding)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


@jax.custom_vjp
def _convolve_same(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return _convolve(x, kernel, 1, kernel.shape[0] // 2)


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _convolve_same(x, kernel), (x, kernel)


def _backward(residuals: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    padding = kernel.shape[0] // 2
    (x_gradient,) = jax.vjp(lambda x: _convolve(x, kernel, 1, padding), x)[1](gradient)

    def by_convolution(x: jax.Array, gradient: jax.Array) -> jax.Array:
        return jax.vjp(lambda kernel: _convolve(x, kernel, 1, padding), kernel)[1](gradient)[0]

    by_matrices = _kernel_gradient_1x1 if kernel.shape[0] == 1 else _kernel_gradient_3x3
    return x_gradient, lax.platform_dependent(x, gradient, cpu=by_matrices, default=by_convolution)


_convolve_same.defvjp(_forward, _backward)


def _kernel_gradient_1x1(x: jax.Array, gradient: jax.Array) -> jax.Array:
    return _product(x, gradient).astype(x.dtype)[None, None]


def _kernel_gradient_3x3(x: jax.Array, gradient: jax.Array) -> jax.Array:
    """Image by image, so that the nine shifted copies of one stay in the processor's cache."""
    height, width, channels = x.shape[1:]
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))

    def add(total: jax.Array, image: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        pixels, slope = image
        shifted = [pixels[i : i + height, j : j + width] for i in range(3) for j in range(3)]
        return total + _product(jnp.concatenate(shifted, -1), slope), None

    start = _product(jnp.zeros((1, 9 * channels), x.dtype), gradient[0, 0, :1])
    total, _ = lax.scan(add, start, (padded, gradient))
    return total.reshape(3, 3, channels, -1).astype(x.dtype)


def _product(x: jax.Array, gradient: jax.Array) -> jax.Array:
    """Sum over all pixels of the outer products [C, F], in float32 at least."""
    x, gradient = x.reshape(-1, x.shape[-1]), gradient.reshape(-1, gradient.shape[-1])
    return lax.dot_general(
        x, gradient, (((0,), (0,)), ((), ())), preferred_element_type=jnp.promote_types(x.dtype, jnp.float32)
    )
