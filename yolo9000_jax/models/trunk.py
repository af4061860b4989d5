"""What the trunks of our networks have in common: stages of convolutions, a max pool between every two."""

from functools import partial
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp

from yolo9000_jax.errors import UserError
from yolo9000_jax.models.layers import BatchNormOptions, Conv, max_pool, scaled

Stages = tuple[tuple[tuple[int, int], ...], ...]


class Trunk(nn.Module):
    """The convolutions that a classifier learns and a detector takes over; a subclass says which they are.

    Class attributes: `stages` holds (filters, kernel size) of each convolution, in stages with a max pool between
    every two; `first_stride` is the stride of the first convolution.

    Attributes: `width` multiplies every layer's filters; `norm` is their batch norm, None means biases
    instead.
    """

    stages: ClassVar[Stages]
    first_stride: ClassVar[int] = 1

    width: float = 1.0
    norm: BatchNormOptions | None = BatchNormOptions()
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images, train: bool = False):
        """images [B, H, W, 3] -> (features before the last max pool, features of the last stage)."""
        conv = partial(Conv, norm=self.norm, dtype=self.dtype, param_dtype=self.param_dtype)
        x = images.astype(self.dtype)
        number = 0
        for stage, layers in enumerate(self.stages):
            if stage:
                fine = x
                x = max_pool(x)
            for filters, size in layers:
                number += 1
                stride = self.first_stride if number == 1 else 1
                x = conv(scaled(filters, self.width), size, stride, name=f"conv{number}")(x, train)
        return fine, x


def names_after(trunk: type[Trunk], count: int) -> list[str]:
    """Names of a detector's own `count` convolutions, numbered on from its trunk's: "conv19", "conv20", …"""
    last = sum(map(len, trunk.stages))
    return [f"conv{last + number}" for number in range(1, count + 1)]


def choose(options: dict, choice: str, what: str):
    """options[choice]; raises UserError with the choices there are."""
    if choice not in options:
        raise UserError(f"{what} is {choice!r}; choose {' or '.join(map(repr, options))}")
    return options[choice]
