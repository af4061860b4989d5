"""The layers that Darknet's networks are made of. Layout is NHWC everywhere."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from yolo9000_jax.errors import UserError
from yolo9000_jax.models.convolution import convolve


def leaky_relu(x: jax.Array) -> jax.Array:
    """x where positive, else 0.1 x (darknet.md 4.1)."""
    return jnp.where(x > 0, x, 0.1 * x)


class BatchNorm(nn.Module):
    """Batch normalisation over all axes but the last, with Darknet's choices as options (darknet.md 4.2).

    The defaults normalise by the biased variance with epsilon inside the root (as cuDNN does, and as automatic
    differentiation expects) and keep Darknet's unbiased variance as the running value.

    Attributes:
      momentum: share of the running statistics kept at each step.
      epsilon: added to the variance, or to the standard deviation if `epsilon_outside_root`.
      epsilon_outside_root: divide by sqrt(var) + epsilon, as Darknet on a CPU does with epsilon 1e-6.
      unbiased: normalise by the unbiased batch variance when training, as Darknet's own kernels do.
      axis_name: mapped axis over which devices share their statistics; None keeps them per device.
      axis_group: so many neighbours on that axis, a divisor of its length, share theirs; 0: all on it.
    """

    momentum: float = 0.99
    epsilon: float = 1e-5
    epsilon_outside_root: bool = False
    unbiased: bool = False
    axis_name: str | None = None
    axis_group: int = 0
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Normalises x [..., C]; with `train` by the batch's statistics, which update `batch_stats`."""
        shape = x.shape[-1:]
        scale = self.param("scale", nn.initializers.ones, shape, self.param_dtype)
        bias = self.param("bias", nn.initializers.zeros, shape, self.param_dtype)
        mean_var = self.variable("batch_stats", "mean", jnp.zeros, shape, self.param_dtype)
        var_var = self.variable("batch_stats", "var", jnp.ones, shape, self.param_dtype)
        if train:
            mean, var = self._batch_statistics(x, mean_var, var_var)
        else:
            mean, var = mean_var.value, var_var.value
        if self.epsilon_outside_root:
            inverse = 1 / (jnp.sqrt(var) + self.epsilon)
        else:
            inverse = lax.rsqrt(var + self.epsilon)
        # Rounded to the layer's type once, at the end: mean and bias - mean * factor are large where mean / std is.
        return ((x - mean) * (inverse * scale) + bias).astype(x.dtype)

    def _batch_statistics(
        self, x: jax.Array, mean_var: nn.Variable, var_var: nn.Variable
    ) -> tuple[jax.Array, jax.Array]:
        axes = tuple(range(x.ndim - 1))
        count = x.size // x.shape[-1]
        wide = x.astype(self.param_dtype)
        moments = jnp.stack([wide.mean(axes), jnp.square(wide).mean(axes)])
        if self.axis_name is not None and not self.is_initializing():
            devices = lax.axis_size(self.axis_name)
            size = self.axis_group or devices
            groups = [list(range(first, first + size)) for first in range(0, devices, size)]
            moments = lax.pmean(moments, self.axis_name, axis_index_groups=groups if len(groups) > 1 else None)
            count *= size
        mean = moments[0]
        biased = jnp.maximum(moments[1] - jnp.square(mean), 0)
        unbiased = biased * (count / max(count - 1, 1))
        if not self.is_initializing():
            mean_var.value = self.momentum * mean_var.value + (1 - self.momentum) * mean
            var_var.value = self.momentum * var_var.value + (1 - self.momentum) * unbiased
        return mean, unbiased if self.unbiased else biased


@dataclass(frozen=True)
class BatchNormOptions:
    """Which batch norm the layers of a network have: called, it makes the module of one layer.

    The attributes are those of `BatchNorm`. Equal ones compare equal, and so do two networks that hold them: what JAX
    has compiled for one serves the other too.
    """

    momentum: float = 0.99
    epsilon: float = 1e-5
    epsilon_outside_root: bool = False
    unbiased: bool = False
    axis_name: str | None = None
    axis_group: int = 0

    def __call__(self, param_dtype: Any, name: str) -> BatchNorm:
        return BatchNorm(**asdict(self), param_dtype=param_dtype, name=name)


# How batch norm divides (darknet.md 4.2): Darknet's GPU code by sqrt(var + 1e-5), its CPU code by sqrt(var) + 1e-6.
BATCH_NORMS = {"cpu": BatchNormOptions(epsilon=1e-6, epsilon_outside_root=True), "gpu": BatchNormOptions()}


class Conv(nn.Module):
    """Convolution, then batch norm or a bias, then an activation: Darknet's [convolutional] section (darknet.md 4.1).

    Attributes:
      filters: output channels.
      size: side of the square kernel.
      stride: step between windows.
      padding: zeros on every side; None means size // 2.
      activation: function applied at the end; None for a linear layer.
      norm: its batch norm; None means a bias instead.
      kernel_init, bias_init: start values; Darknet's own by default.
      dtype: type of the computation; parameters have `param_dtype`.
    """

    filters: int
    size: int = 3
    stride: int = 1
    padding: int | None = None
    activation: Callable | None = leaky_relu
    norm: BatchNormOptions | None = BatchNormOptions()
    kernel_init: Callable = nn.initializers.he_normal()
    bias_init: Callable = nn.initializers.zeros
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """[B, H, W, C] -> [B, H', W', filters], H' = (H + 2 padding - size) // stride + 1."""
        padding = self.size // 2 if self.padding is None else self.padding
        shape = (self.size, self.size, x.shape[-1], self.filters)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        x = convolve(x.astype(self.dtype), kernel.astype(self.dtype), self.stride, padding)
        if self.norm is None:
            bias = self.param("bias", self.bias_init, (self.filters,), self.param_dtype)
            x = x + bias.astype(self.dtype)
        else:
            x = self.norm(param_dtype=self.param_dtype, name="norm")(x, train)
        return x if self.activation is None else self.activation(x)


def flatten(x: jax.Array) -> jax.Array:
    """[B, H, W, C] -> [B, C*H*W] in Darknet's order: channel, row, column."""
    return x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)


class Connected(nn.Module):
    """Darknet's [connected] layer (darknet.md 4.6): y = activation(norm(x W) or x W + bias) of the flattened input."""

    features: int
    activation: Callable | None = leaky_relu
    norm: BatchNormOptions | None = None
    kernel_init: Callable = nn.initializers.he_normal()
    bias_init: Callable = nn.initializers.zeros
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """[B, H, W, C] -> [B, 1, 1, features]."""
        x = flatten(x).astype(self.dtype)
        kernel = self.param("kernel", self.kernel_init, (x.shape[1], self.features), self.param_dtype)
        x = x @ kernel.astype(self.dtype)
        if self.norm is None:
            x = x + self.param("bias", self.bias_init, (self.features,), self.param_dtype).astype(self.dtype)
        else:
            x = self.norm(param_dtype=self.param_dtype, name="norm")(x, train)
        x = x if self.activation is None else self.activation(x)
        return x[:, None, None]


class Local(nn.Module):
    """Darknet's [local] layer (darknet.md 4.7): a convolution whose filters and bias differ from position to position.

    `padding` zeros stand above and left of the input, and as many as the last window needs below and right of it.
    """

    filters: int
    size: int
    stride: int
    padding: int
    out_size: tuple[int, int]
    activation: Callable | None = leaky_relu
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, H, W, C] -> [B, *out_size, filters]."""
        bank = (*self.out_size, self.size, self.size, x.shape[3], self.filters)
        initializer = nn.initializers.variance_scaling(
            2.0, "fan_in", "truncated_normal", in_axis=(2, 3, 4), out_axis=5, batch_axis=(0, 1)
        )
        kernel = self.param("kernel", initializer, bank, self.param_dtype)
        bias = self.param("bias", nn.initializers.zeros, (*self.out_size, self.filters), self.param_dtype)
        spans = [(count - 1) * self.stride + 1 for count in self.out_size]
        ends = [
            max(span + self.size - 1 - self.padding - side, 0) for span, side in zip(spans, x.shape[1:3], strict=True)
        ]
        x = jnp.pad(x.astype(self.dtype), ((0, 0), *((self.padding, end) for end in ends), (0, 0)))
        patches = [
            x[:, row : row + spans[0] : self.stride, column : column + spans[1] : self.stride]
            for row in range(self.size)
            for column in range(self.size)
        ]
        kernel = kernel.reshape(*self.out_size, self.size**2, *bank[4:]).astype(self.dtype)
        x = jnp.einsum("bhwkc,hwkcn->bhwn", jnp.stack(patches, 3), kernel) + bias.astype(self.dtype)
        return x if self.activation is None else self.activation(x)


@jax.custom_vjp
def _max_pool_2x2(x: jax.Array) -> jax.Array:
    return jnp.maximum(jnp.maximum(x[:, ::2, ::2], x[:, ::2, 1::2]), jnp.maximum(x[:, 1::2, ::2], x[:, 1::2, 1::2]))


def _max_pool_2x2_forward(x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    y = _max_pool_2x2(x)
    return y, (x, y)


def _max_pool_2x2_backward(residuals: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple[jax.Array]:
    x, y = residuals
    height, width = y.shape[1:3]
    hit = x.reshape(x.shape[0], height, 2, width, 2, x.shape[3]) == y[:, :, None, :, None]
    a, b, c = hit[:, :, 0, :, 0], hit[:, :, 0, :, 1], hit[:, :, 1, :, 0]
    first = jnp.stack([jnp.stack([a, b & ~a], 3), jnp.stack([c & ~a & ~b, ~(a | b | c)], 3)], 2)
    return (jnp.where(first, gradient[:, :, None, :, None], 0).reshape(x.shape),)


_max_pool_2x2.defvjp(_max_pool_2x2_forward, _max_pool_2x2_backward)


def max_pool(x: jax.Array, size: int = 2, stride: int = 2, padding: int | None = None) -> jax.Array:
    """Darknet's max pooling (darknet.md 4.3): [B, H, W, C] -> [B, H', W', C], H' = (H + padding - size) // stride + 1.

    `padding` is the total over both sides (None: size - 1); positions outside never win. The usual 2x2 case has its own
    gradient, several times faster on a CPU than that of `nn.max_pool`; both give it to the first maximum of a window.
    """
    height, width = x.shape[1:3]
    if (size, stride) == (2, 2) and padding in (None, 0, 1) and height % 2 == 0 and width % 2 == 0:
        return _max_pool_2x2(x)
    total = size - 1 if padding is None else padding
    before = total // 2
    sides = []
    for length in (height, width):
        outputs = (length + total - size) // stride + 1
        sides.append((before, max((outputs - 1) * stride + size - before - length, 0)))
    return nn.max_pool(x, window_shape=(size, size), strides=(stride, stride), padding=sides)


def reorg(x: jax.Array, stride: int = 2) -> jax.Array:
    """Darknet's reorg (darknet.md 4.5): [B, H, W, C] -> [B, H/stride, W/stride, C stride²].

    Published weights need this permutation, which is not the space-to-depth that the paper describes.
    """
    batch, height, width, channels = x.shape
    if channels % stride**2 or height % stride or width % stride:
        raise UserError(f"reorg with stride {stride} cannot divide a {height}x{width}x{channels} input evenly")
    flat = x.transpose(0, 3, 1, 2).reshape(batch, channels // stride**2, height, stride, width, stride)
    planes = flat.transpose(0, 3, 5, 1, 2, 4).reshape(batch, channels * stride**2, height // stride, width // stride)
    return planes.transpose(0, 2, 3, 1)


def space_to_depth(x: jax.Array, stride: int = 2) -> jax.Array:
    """The paper's stacking of neighbours: [B, H, W, C] -> [B, H/stride, W/stride, stride² C], row, column, channel."""
    batch, height, width, channels = x.shape
    if height % stride or width % stride:
        raise UserError(f"space_to_depth with stride {stride} cannot divide a {height}x{width} input evenly")
    blocks = x.reshape(batch, height // stride, stride, width // stride, stride, channels)
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // stride, width // stride, -1)


def scaled(filters: int, width: float) -> int:
    """Filters of a layer at the given width multiplier: a multiple of 4, at least 4."""
    return max(4, round(filters * width / 4) * 4)


def is_kernel(params: Any) -> Any:
    """Tree of flags: which parameters are kernels, the only ones that weights decay on (darknet.md 8)."""
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", params)
