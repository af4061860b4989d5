"""Checks arguments against the shapes that a function's docstring states, and says in one line what does not fit."""

from typing import Any

import jax
import numpy as np

from yolo9000_jax.errors import UserError

Array = np.ndarray | jax.Array


def check_shapes(function: str, **arguments: tuple[Any, str]) -> dict[str, int]:
    """Compares the shapes of a function's arguments with what it needs.

        check_shapes("nms", boxes_cxcywh=(boxes_cxcywh, "B N 4"), scores=(scores, "B N C"))

    Args:
        function: its name, for the message.
        arguments: by name, (array, shape). A shape lists its axes: a letter or word has the same length wherever it
            stands, a number is that length, "5+C" is 5 more than C, which is 1 at least, "4+" is 4 or more, and "..."
            at the beginning stands for any axes. An array that is None is left out.

    Returns:
        The length of each letter.

    Raises:
        UserError: a shape is another one.
    """
    lengths: dict[str, int] = {}
    for name, (array, wanted) in arguments.items():
        if array is None:
            continue
        shape, axes = _shape(function, name, array), wanted.split()
        known = dict(lengths)
        tail = shape
        if axes[0] == "...":
            axes, tail = axes[1:], shape[max(0, len(shape) - len(axes) + 1) :]
        if len(tail) != len(axes) or not all(_fits(*pair, lengths) for pair in zip(tail, axes, strict=True)):
            given = [f"{axis} = {known[axis]}" for axis in map(_letter, wanted.split()) if axis in known]
            where = f" with {', '.join(dict.fromkeys(given))}" if given else ""
            raise UserError(
                f"{function}: {name} has the shape {list(shape)}; give [{', '.join(wanted.split())}]{where}"
            )
    return lengths


def check_labels(function: str, name: str, labels: Array, count: int, mask: Any = True, lowest: int = 0) -> None:
    """Raises UserError unless the labels are whole numbers from `lowest` to count - 1, at least where `mask` is True.

    While JAX traces a function (jit, grad, vmap) its arguments have no values yet: then only their type is checked.
    """
    if not np.issubdtype(labels.dtype, np.integer):
        raise UserError(f"{function}: {name} are of type {labels.dtype}; give whole numbers (int32), one a label")
    if isinstance(labels, jax.core.Tracer) or isinstance(mask, jax.core.Tracer):
        return
    values = np.asarray(labels)
    wrong = values[np.broadcast_to(np.asarray(mask, bool), values.shape) & ((values < lowest) | (values >= count))]
    if wrong.size:
        raise UserError(f"{function}: {name} hold {wrong[0]}; {count} classes go from {lowest} to {count - 1}")


def _shape(function: str, name: str, array: Any) -> tuple[int, ...]:
    """The shape of an array, or of rows of numbers, which may be ones that JAX is tracing."""
    if not isinstance(array, (list, tuple)):
        return tuple(np.shape(array))
    rows = {_shape(function, name, row) for row in array}
    if len(rows) > 1:
        raise UserError(f"{function}: the rows of {name} differ in length; give an array")
    return (len(array), *next(iter(rows), ()))


def _fits(length: int, axis: str, lengths: dict[str, int]) -> bool:
    """Whether an axis has this length; the first time a letter stands for it, it gets the length."""
    if axis.isdigit():
        return length == int(axis)
    least, plus, letter = axis.rpartition("+")
    if plus and not letter:
        return length >= int(least)
    rest = length - int(least or 0)
    return (rest > 0 or not plus) and lengths.setdefault(letter, rest) == rest


def _letter(axis: str) -> str:
    return axis.rpartition("+")[2]
