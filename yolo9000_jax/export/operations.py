"""What a format must be able to do, that a program may be translated into it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Tensor = Any  # a NumPy array, or what a format has in its place
Shape = tuple[Any, ...]  # of numbers, and of the symbol that stands for the batch's length

# Operations that are one of a format's by another name, or none at all.
ALIKE = (
    *("add", "sub", "mul", "div", "max", "min", "exp", "log", "logistic", "sqrt", "floor", "sign", "abs", "and", "or"),
    *("not", "gt", "lt", "ge", "le", "eq", "ne"),
)
REDUCTIONS = ("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_or", "reduce_and")


@dataclass(frozen=True)
class Convolution:
    """A convolution of x [B, H, W, C] that is not written yet: a factor or bias of its channels may be yet to come.

    kernel float32 [k, k', C, F], bias float32 [F]; padding ((top, bottom), (left, right)).
    """

    x: Tensor
    kernel: np.ndarray
    bias: np.ndarray
    strides: Sequence[int]
    padding: Sequence[tuple[int, int]]

    def with_operation(self, name: str, number: Tensor, first: bool) -> "Convolution | None":
        """With an addition, subtraction or product of each channel within it; None: it can't be.

        number: the other operand, a constant. first: it is the first operand.
        """
        if not isinstance(number, np.ndarray) or number.size not in (1, len(self.bias)):
            return None
        if number.size > 1 and number.shape[-1] != number.size:
            return None
        each = number.reshape(-1)
        if name == "add":
            return replace(self, bias=self.bias + each)
        if name == "mul":
            return replace(self, kernel=self.kernel * each, bias=self.bias * each)
        return replace(self, bias=self.bias - each) if name == "sub" and not first else None


class Operations(ABC):
    """What JAX's operations are in a format; a subclass writes the simple ones, all on NumPy arrays or its tensors.

    Axes, shapes and permutations are as NumPy has them; where a shape holds the batch's symbol, `reshape` gets -1.
    """

    format: str  # for messages

    @abstractmethod
    def elementwise(self, name: str, *operands: Tensor) -> Tensor:
        """One of ALIKE, of operands that broadcast."""

    @abstractmethod
    def leaky_relu(self, x: Tensor, slope: float) -> Tensor: ...

    @abstractmethod
    def where(self, condition: Tensor, yes: Tensor, no: Tensor) -> Tensor: ...

    @abstractmethod
    def cast(self, x: Tensor, dtype: np.dtype) -> Tensor: ...

    @abstractmethod
    def reshape(self, x: Tensor, shape: Sequence[int]) -> Tensor: ...

    @abstractmethod
    def expand(self, x: Tensor, shape: Shape) -> Tensor:
        """Broadcast, to a shape that may hold the batch's symbol."""

    def in_order(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        """Transposed, where that is anything to do."""
        return x if list(axes) == sorted(axes) else self.transpose(x, axes)

    @abstractmethod
    def transpose(self, x: Tensor, axes: Sequence[int]) -> Tensor: ...

    @abstractmethod
    def concatenate(self, parts: Sequence[Tensor], axis: int) -> Tensor: ...

    @abstractmethod
    def slice(self, x: Tensor, spans: dict[int, tuple[int, int, int]]) -> Tensor:
        """Of some axes only start, stop, step."""

    @abstractmethod
    def pad(self, x: Tensor, widths: Sequence[tuple[int, int]], value: float) -> Tensor: ...

    @abstractmethod
    def reduce(self, name: str, x: Tensor, axes: Sequence[int]) -> Tensor:
        """One of REDUCTIONS."""

    @abstractmethod
    def argmax(self, x: Tensor, axis: int, dtype: np.dtype) -> Tensor: ...

    @abstractmethod
    def top_k(self, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The k largest of the last axis, and their int32 places; of equal ones the first."""

    @abstractmethod
    def matmul(self, x: Tensor, y: Tensor) -> Tensor: ...

    @abstractmethod
    def gather_nd(self, x: Tensor, places: Tensor, batch_axes: int) -> Tensor:
        """x[places[..., 0], places[..., 1], …], the first axes of both belonging together."""

    @abstractmethod
    def convolve(self, convolution: Convolution) -> Tensor: ...

    @abstractmethod
    def max_pool(
        self, x: Tensor, size: Sequence[int], strides: Sequence[int], padding: Sequence[tuple[int, int]]
    ) -> Tensor:
        """Of [B, H, W, C]; what is outside never wins."""

    @abstractmethod
    def loop(
        self, going: Callable[[list[Tensor]], Tensor], step: Callable[[list[Tensor]], list[Tensor]], state: list[Tensor]
    ) -> list[Tensor]:
        """While going(state) is True: state = step(state)."""
