"""A program of JAX's in the operations of another format.

JAX traces the program into a list of its own operations (a jaxpr). `translate` goes through that list and says what
each of them means in terms of fewer and simpler ones, which every format has: `Operations`, of which a format writes a
subclass. What depends on no input is computed here and becomes a constant, and factors and biases of channels go into
the convolution before them, so a file has no batch norm.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.export.operations import ALIKE, REDUCTIONS, Convolution, Operations, Shape, Tensor

IN_NUMPY: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "max": np.maximum, "min": np.minimum, "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x), "div": lambda x, y: x / y if x.dtype.kind == "f" else np.trunc(x / y),
    "gt": np.greater, "lt": np.less, "and": np.logical_and, "select_n": lambda which, no, yes: np.where(which, yes, no),
}  # fmt: skip
NOTHING = ("stop_gradient", "copy", "copy_p", "optimization_barrier")
SMALL = 1 << 14  # numbers of a constant
CALLS = ("jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call")
MAX_POOL = "_max_pool_2x2"  # of models.layers, the same by slices, which JAX has a quicker gradient of


def translate(
    function: Callable[..., tuple[Any, ...]],
    shapes: Sequence[jax.ShapeDtypeStruct],
    inputs: Sequence[Tensor],
    operations: Operations,
) -> list[Tensor]:
    """The outputs of a function of JAX's, for inputs of a format.

    Args:
        function: gives a tuple of arrays.
        shapes: of its inputs; the batch's length may be a symbol of jax.export.
        inputs: the format's tensors of these shapes.
        operations: how the format does what the function does.

    Raises:
        UserError: the function does what the format cannot.
    """
    program = jax.make_jaxpr(function)(*shapes)
    walk = _Walk(operations)
    return [walk.written(output) for output in walk.run(program, list(inputs))]


class _Walk:
    def __init__(self, operations: Operations):
        self.ops = operations
        self.made: dict[int, tuple[str, list[Tensor], Tensor]] = {}  # id of a tensor -> how, of what, and itself

    def run(self, program: Any, inputs: list[Tensor]) -> list[Tensor]:
        """The outputs of a closed jaxpr."""
        jaxpr = program.jaxpr
        values = dict(zip(jaxpr.constvars, map(np.asarray, program.consts), strict=True))
        values |= dict(zip(jaxpr.invars, inputs, strict=True))
        uses = Counter(id(each) for eqn in jaxpr.eqns for each in eqn.invars) + Counter(map(id, jaxpr.outvars))

        def read(each: Any) -> Tensor:
            return values[each] if not hasattr(each, "val") else np.asarray(each.val, each.aval.dtype)

        for eqn in jaxpr.eqns:
            operands = [read(each) for each in eqn.invars]
            found = self.merged(eqn, operands, [uses[id(each)] for each in eqn.invars])
            if found is None:
                found = self.operation(eqn, [self.written(operand) for operand in operands])
            values |= dict(zip(eqn.outvars, found, strict=True))
        return [read(each) for each in jaxpr.outvars]

    def merged(self, eqn: Any, operands: list[Tensor], uses: list[int]) -> list[Tensor] | None:
        """The convolution with an operation on its output in it, where nothing else needs it without; or None."""
        for place, operand in enumerate(operands):
            if isinstance(operand, Convolution) and uses[place] == 1 and len(operands) == 2:
                found = operand.with_operation(eqn.primitive.name, operands[1 - place], place == 1)
                return None if found is None else [found]
        return None

    def written(self, value: Tensor) -> Tensor:
        if not isinstance(value, Convolution):
            return value
        if id(value) not in self.made:
            self.made[id(value)] = "convolve", [value], self.ops.convolve(value)
        return self.made[id(value)][2]

    def operation(self, eqn: Any, operands: list[Tensor]) -> list[Tensor]:
        name, params = eqn.primitive.name, eqn.params
        shape, dtype = eqn.outvars[0].aval.shape, eqn.outvars[0].aval.dtype
        if dtype not in (np.float32, np.int32, np.bool_):
            raise UserError(f"{self.ops.format}: holds no numbers of type {dtype}, only float32 and int32")
        if name in CALLS:
            inner = params.get("jaxpr") or params["call_jaxpr"]
            if inner.jaxpr.debug_info.func_name == MAX_POOL:
                return [self.ops.max_pool(operands[0], (2, 2), (2, 2), ((0, 0), (0, 0)))]
            return self.run(inner, operands)
        if self.is_constant(shape, operands):
            return _computed(eqn, operands)
        if name in NOTHING:
            return operands
        if name in ALIKE:
            return self.noted(name, operands, self.ops.elementwise(name, *operands))
        if name in REDUCTIONS:
            return [self.ops.reduce(name, operands[0], [int(axis) for axis in params["axes"]])]
        method = getattr(self, f"of_{name}", None)
        if method is None:
            raise UserError(f"{self.ops.format}: cannot hold this network, which needs JAX's operation {name!r}")
        found = method(eqn, *operands)
        return found if isinstance(found, list) else [found]

    def is_constant(self, shape: Shape, operands: list[Tensor]) -> bool:
        """Whether a result is known already, and takes no more room in the file than what it is made of."""
        if not all(isinstance(operand, np.ndarray) for operand in operands) or -1 in _fixed(shape):
            return False
        return _product(shape) <= max([SMALL, *(operand.size for operand in operands)])

    def noted(self, name: str, operands: list[Tensor], result: Tensor) -> list[Tensor]:
        self.made[id(result)] = name, operands, result
        return [result]

    def of_select_n(self, eqn: Any, which: Tensor, no: Tensor, yes: Tensor) -> Tensor:
        slope = self.slope(which, no, yes)
        return self.where(eqn.outvars[0], which, yes, no) if slope is None else self.ops.leaky_relu(yes, slope)

    def where(self, variable: Any, which: Tensor, yes: Tensor, no: Tensor) -> Tensor:
        if variable.aval.dtype != np.bool_:
            return self.ops.where(which, yes, no)
        no = self.ops.elementwise("and", self.ops.elementwise("not", which), no)  # not every runtime has the other
        return self.ops.elementwise("or", self.ops.elementwise("and", which, yes), no)

    def slope(self, which: Tensor, no: Tensor, yes: Tensor) -> float | None:
        """Of x where x > 0 and slope * x elsewhere; None: it is something else."""
        condition, factor = (self.made.get(id(each), ("", [], None)) for each in (which, no))
        if (condition[0], factor[0]) != ("gt", "mul") or condition[1][0] is not yes:
            return None
        zero, slope, x = condition[1][1], *factor[1]
        constant = isinstance(zero, np.ndarray) and isinstance(slope, np.ndarray)
        return float(slope) if constant and x is yes and slope.size == 1 and not zero.any() else None

    def of_iota(self, eqn: Any) -> Tensor:
        axis, shape = eqn.params["dimension"], eqn.params["shape"]
        ones = [1] * len(shape)
        ones[axis] = shape[axis]
        return self.ops.expand(np.arange(shape[axis], dtype=eqn.params["dtype"]).reshape(ones), shape)

    def of_rem(self, eqn: Any, x: Tensor, y: Tensor) -> Tensor:
        whole = self.ops.elementwise("mul", self.ops.elementwise("div", x, y), y)
        return self.ops.elementwise("sub", x, whole)  # of whole numbers; `div` cuts off what is behind the point

    def of_is_finite(self, eqn: Any, x: Tensor) -> Tensor:
        return self.ops.elementwise("lt", self.ops.elementwise("abs", x), np.float32(np.inf))

    def of_rsqrt(self, eqn: Any, x: Tensor) -> Tensor:
        return self.ops.elementwise("div", np.float32(1), self.ops.elementwise("sqrt", x))

    def of_square(self, eqn: Any, x: Tensor) -> Tensor:
        return self.ops.elementwise("mul", x, x)

    def of_convert_element_type(self, eqn: Any, x: Tensor) -> Tensor:
        old, new = eqn.invars[0].aval.dtype, np.dtype(eqn.params["new_dtype"])
        return x if old == new else self.ops.cast(x, new)

    def of_reshape(self, eqn: Any, x: Tensor) -> Tensor:
        return self.ops.reshape(x, _fixed(eqn.params["new_sizes"]))

    def of_squeeze(self, eqn: Any, x: Tensor) -> Tensor:
        return self.ops.reshape(x, _fixed(eqn.outvars[0].aval.shape))

    of_expand_dims = of_squeeze

    def of_broadcast_in_dim(self, eqn: Any, x: Tensor) -> Tensor:
        ones, new = _spread(eqn), eqn.params["shape"]
        x = x if len(eqn.invars[0].aval.shape) == len(new) else self.ops.reshape(x, _fixed(ones))
        return x if tuple(ones) == tuple(new) else self.ops.expand(x, new)

    def of_transpose(self, eqn: Any, x: Tensor) -> Tensor:
        return self.ops.in_order(x, eqn.params["permutation"])

    def of_concatenate(self, eqn: Any, *parts: Tensor) -> Tensor:
        return self.ops.concatenate(parts, eqn.params["dimension"])

    def of_stack(self, eqn: Any, *parts: Tensor) -> Tensor:
        axis, shape = eqn.params["axis"], list(eqn.outvars[0].aval.shape)
        shape[axis] = 1
        return self.ops.concatenate([self.ops.reshape(part, _fixed(shape)) for part in parts], axis)

    def of_slice(self, eqn: Any, x: Tensor) -> Tensor:
        old, params = eqn.invars[0].aval.shape, eqn.params
        strides = params["strides"] or (1,) * len(old)
        each = enumerate(zip(params["start_indices"], params["limit_indices"], strides, strict=True))
        return self.ops.slice(x, {axis: span for axis, span in each if span != (0, old[axis], 1)})

    def of_split(self, eqn: Any, x: Tensor) -> list[Tensor]:
        ends = np.cumsum(eqn.params["sizes"]).tolist()
        spans = zip([0, *ends[:-1]], ends, strict=True)
        return [self.ops.slice(x, {eqn.params["axis"]: (start, end, 1)}) for start, end in spans]

    def of_pad(self, eqn: Any, x: Tensor, value: Tensor) -> Tensor:
        widths = eqn.params["padding_config"]
        if any(inside or low < 0 or high < 0 for low, high, inside in widths):
            raise UserError(f"{self.ops.format}: cannot hold this network, which cuts or spreads by padding")
        return self.ops.pad(x, [(low, high) for low, high, _ in widths], float(value))

    def of_argmax(self, eqn: Any, x: Tensor) -> Tensor:
        (axis,) = eqn.params["axes"]
        return self.ops.argmax(x, int(axis), np.dtype(eqn.params["index_dtype"]))

    def of_top_k(self, eqn: Any, x: Tensor) -> list[Tensor]:
        return list(self.ops.top_k(x, eqn.params["k"]))  # of the last axis, as lax.top_k is used here

    def of_conv_general_dilated(self, eqn: Any, x: Tensor, kernel: Tensor) -> Tensor:
        params = eqn.params
        layout, ones = params["dimension_numbers"], (1, 1)
        nhwc = (layout.lhs_spec, layout.rhs_spec, layout.out_spec) == ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
        plain = params["lhs_dilation"] == params["rhs_dilation"] == ones and params["feature_group_count"] == 1
        if not (nhwc and plain and isinstance(kernel, np.ndarray)):
            raise UserError(f"{self.ops.format}: cannot hold this network's kind of convolution")
        bias = np.zeros(kernel.shape[3], np.float32)
        return Convolution(x, kernel, bias, params["window_strides"], params["padding"])

    def of_reduce_window_max(self, eqn: Any, x: Tensor) -> Tensor:
        window, strides, padding = (eqn.params[name] for name in ("window_dimensions", "window_strides", "padding"))
        return self.ops.max_pool(x, window[1:3], strides[1:3], padding[1:3])

    def of_dot_general(self, eqn: Any, x: Tensor, y: Tensor) -> Tensor:
        (x_sums, y_sums), (x_batch, y_batch) = eqn.params["dimension_numbers"]
        x_shape, y_shape = (each.aval.shape for each in eqn.invars)
        x_free, y_free = (
            [i for i in range(len(s)) if i not in used]
            for s, used in ((x_shape, [*x_sums, *x_batch]), (y_shape, [*y_sums, *y_batch]))
        )
        batch = [x_shape[axis] for axis in x_batch]
        inner = int(np.prod([x_shape[axis] for axis in x_sums]))
        x = self.ops.in_order(x, [*x_batch, *x_free, *x_sums])
        y = self.ops.in_order(y, [*y_batch, *y_sums, *y_free])
        x = self.ops.reshape(x, _fixed([*batch, _product(x_shape[axis] for axis in x_free), inner]))
        y = self.ops.reshape(y, _fixed([*batch, inner, _product(y_shape[axis] for axis in y_free)]))
        return self.ops.reshape(self.ops.matmul(x, y), _fixed(eqn.outvars[0].aval.shape))

    def of_gather(self, eqn: Any, x: Tensor, places: Tensor) -> Tensor:
        """JAX's most general operation; here it takes one slice at a constant place, or picks along whole axes."""
        how, sizes, shape = eqn.params["dimension_numbers"], eqn.params["slice_sizes"], eqn.invars[0].aval.shape
        batch, indexed = list(map(int, how.operand_batching_dims)), list(map(int, how.start_index_map))
        if isinstance(places, np.ndarray) and places.ndim == 1:
            starts = dict(zip(indexed, places.tolist(), strict=True))
            spans = {
                axis: (start, start + sizes[axis], 1) for axis, start in starts.items() if sizes[axis] != shape[axis]
            }
            return self.ops.reshape(self.ops.slice(x, spans), _fixed(eqn.outvars[0].aval.shape))
        rest = [axis for axis in range(len(shape)) if axis not in batch + indexed]
        first = list(map(int, how.start_indices_batching_dims)) == list(range(len(batch)))
        picks = all(sizes[axis] == 1 for axis in indexed) and set(map(int, how.collapsed_slice_dims)) == set(indexed)
        if not (first and picks and all(sizes[axis] == shape[axis] for axis in rest)):
            raise UserError(f"{self.ops.format}: cannot hold this network's way of picking numbers")
        found = self.ops.gather_nd(self.ops.in_order(x, batch + indexed + rest), places, len(batch))
        rank, offsets = len(eqn.outvars[0].aval.shape), list(map(int, how.offset_dims))
        order = [axis for axis in range(rank) if axis not in offsets] + offsets  # where `found` has its axes
        return self.ops.in_order(found, np.argsort(order).tolist())

    def of_while(self, eqn: Any, *operands: Tensor) -> list[Tensor]:
        """Pictures of a batch go on until each is done; those that are done stay as they are."""
        params = eqn.params
        asks, steps = params["cond_nconsts"], params["body_nconsts"]
        for_asking, for_stepping = list(operands[:asks]), list(operands[asks : asks + steps])
        state = list(operands[asks + steps :])
        condition, body = params["cond_jaxpr"], params["body_jaxpr"]
        each = condition.jaxpr.outvars[0].aval.shape  # () or the batch's

        def going(state: list[Tensor]) -> Tensor:
            (found,) = self.run(condition, for_asking + state)
            return self.ops.reduce("reduce_or", found, [0]) if each else found

        def step(state: list[Tensor]) -> list[Tensor]:
            new = [self.written(value) for value in self.run(body, for_stepping + state)]
            if not each:
                return new
            (open_still,) = self.run(condition, for_asking + state)
            variables = body.jaxpr.outvars
            masks = [self.ops.reshape(open_still, [-1] + [1] * (len(each.aval.shape) - 1)) for each in variables]
            return [self.where(*parts) for parts in zip(variables, masks, new, state, strict=True)]

        return self.ops.loop(going, step, state)


def _computed(eqn: Any, operands: list[np.ndarray]) -> list[np.ndarray]:
    """What an operation gives of constants; the commonest without JAX, which compiles each shape for itself."""
    name, (result, *_) = eqn.primitive.name, eqn.outvars
    if name in IN_NUMPY:
        return [np.asarray(IN_NUMPY[name](*operands), result.aval.dtype)]
    if name in ("reshape", "squeeze", "expand_dims"):
        return [operands[0].reshape(result.aval.shape)]
    if name == "broadcast_in_dim":
        return [np.broadcast_to(operands[0].reshape(_spread(eqn)), result.aval.shape)]
    if name == "convert_element_type":
        return [operands[0].astype(result.aval.dtype)]
    found = eqn.primitive.bind(*operands, **eqn.params)
    return [np.asarray(each) for each in (found if eqn.primitive.multiple_results else [found])]


def _spread(eqn: Any) -> list[Any]:
    """The shape of a broadcast's operand with the axes that it lacks, of length 1."""
    shape: list[Any] = [1] * len(eqn.params["shape"])
    for axis, place in enumerate(eqn.params["broadcast_dimensions"]):
        shape[place] = eqn.invars[0].aval.shape[axis]
    return shape


def _fixed(shape: Sequence[Any]) -> list[int]:
    """A shape, -1 for the length that is no number."""
    return [length if isinstance(length, int) else -1 for length in map(_whole, shape)]


def _whole(length: Any) -> Any:
    return int(length) if isinstance(length, np.integer) else length


def _product(lengths: Any) -> Any:
    found: Any = 1
    for length in lengths:
        found = found * length
    return found
