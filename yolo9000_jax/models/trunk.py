"""What the trunks of our networks have in common: stages of convolutions, a max pool between every two."""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from yolo9000_jax.errors import UserError
from yolo9000_jax.models.layers import BatchNormOptions, Conv, max_pool, scaled
from yolo9000_jax.shapes import check_shapes

Stages = tuple[tuple[tuple[int, int], ...], ...]
Choice = TypeVar("Choice")


class Trunk(nn.Module):
    """The convolutions that a classifier learns and a detector takes over; a subclass says which they are.

    Class attributes: `stages` holds (filters, kernel size) of each convolution, in stages with a max pool between
    every two; `first_stride` is the stride of the first convolution.

    Attributes: `width` multiplies every layer's filters; `norm` is their batch norm, None means biases
    instead. With `remat` the gradient computes what is inside a stage once more, and needs no memory for it.
    """

    stages: ClassVar[Stages]
    first_stride: ClassVar[int] = 1

    width: float = 1.0
    norm: BatchNormOptions | None = BatchNormOptions()
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32
    remat: bool = False

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """images [B, H, W, 3] -> (features before the last max pool, features of the last stage)."""
        check_images(type(self).__name__, images)
        conv = partial(Conv, norm=self.norm, dtype=self.dtype, param_dtype=self.param_dtype)
        x = images.astype(self.dtype)
        number = 0
        for stage, layers in enumerate(self.stages):
            if stage:
                fine = x
                x = max_pool(x)

            def convolve(_: "Trunk", x: jax.Array, layers: Any = layers, before: int = number) -> jax.Array:
                for place, (filters, size) in enumerate(layers, before + 1):
                    stride = self.first_stride if place == 1 else 1
                    x = conv(scaled(filters, self.width), size, stride, name=f"conv{place}")(x, train)
                return x

            x = (nn.remat(convolve) if self.remat else convolve)(self, x)
            number += len(layers)
        return fine, x


def names_after(trunk: type[Trunk], count: int) -> list[str]:
    """Names of a detector's own `count` convolutions, numbered on from its trunk's: "conv19", "conv20", …"""
    last = sum(map(len, trunk.stages))
    return [f"conv{last + number}" for number in range(1, count + 1)]


def check_images(network: str, images: jax.Array) -> None:
    """Raises UserError unless these are pictures for a network: [B, H, W, 3], floats of 0 to 1."""
    check_shapes(network, images=(images, "B H W 3"))
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise UserError(f"{network}: images are of type {images.dtype}; give floats from 0 to 1 (divide by 255)")


def choose(options: Mapping[str, Choice], choice: str, what: str) -> Choice:
    """options[choice]; raises UserError with the choices there are."""
    if choice not in options:
        raise UserError(f"{what} is {choice!r}; choose {' or '.join(map(repr, options))}")
    return options[choice]
