"""Programs as ONNX's graphs, in operations of its standard set alone.

Written here and not by jax2onnx, which asks for an older Orbax than this package can use, and for Equinox, a client of
Hugging Face and a viewer besides; here only the package onnx is needed, to write the file.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import export

from yolo9000_jax import __version__
from yolo9000_jax.errors import UserError
from yolo9000_jax.export.operations import ALIKE, Convolution, Operations, Shape, Tensor
from yolo9000_jax.export.program import Program
from yolo9000_jax.export.translation import translate

OPSET, IR_VERSION = 18, 8  # of the end of 2022: what every runtime of today reads
METADATA = "yolo9000_jax"  # the key of the facts
LARGEST = 2**31 - 1  # bytes of a protobuf

NAMES = dict(zip(ALIKE, (
    *("Add", "Sub", "Mul", "Div", "Max", "Min", "Exp", "Log", "Sigmoid", "Sqrt", "Floor", "Sign", "Abs", "And", "Or"),
    *("Not", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Equal"),
), strict=False))  # fmt: skip


def to_onnx(program: Program) -> bytes:
    """An ONNX file for batches of any length; its facts are in its metadata."""
    try:
        import onnx
    except ImportError:
        raise UserError("export to onnx needs the package onnx: pip install yolo9000_jax[onnx]") from None
    helper = onnx.helper
    shapes = program.shapes(export.symbolic_shape("b")[0])
    graph = _Onnx(onnx, next(iter(program.inputs)))
    outputs = translate(program.function, shapes, [_Name(name) for name in program.inputs], graph)
    for name, output in zip(program.outputs, outputs, strict=True):
        graph.nodes.append(helper.make_node("Identity", [graph.name(output)], [name]))
    values = [helper.make_tensor_value_info(name, 1, ["batch", *shape]) for name, shape in program.inputs.items()]
    kinds = jax.eval_shape(program.function, *program.shapes(1))
    results = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(kind.dtype), ["batch", *kind.shape[1:]])
        for name, kind in zip(program.outputs, kinds, strict=True)
    ]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "network", values, results, list(graph.constants.values())),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="yolo9000_jax",
        producer_version=__version__,
    )
    helper.set_model_props(model, {METADATA: program.facts})
    if model.ByteSize() > LARGEST:
        raise UserError(f"onnx: a file of {model.ByteSize()} bytes; {LARGEST} at most: export to stablehlo")
    onnx.checker.check_model(model)
    return model.SerializeToString()


class _Name(str):
    """A tensor of the graph: the name that it has there."""


class _Onnx(Operations):
    format = "onnx"

    def __init__(self, onnx: Any, batch: str):
        self.onnx, self.batch = onnx, batch
        self.nodes: list[Any] = []
        self.constants: dict[Any, Any] = {}  # content -> an initializer
        self.count = 0

    def add(self, kind: str, *inputs: Tensor, outputs: int = 1, **attributes: Any) -> Any:
        """A node, whose inputs may be constants; its output's name, or the list of several."""
        names = [_Name(f"{kind}{self.count + number}") for number in range(outputs)]
        self.count += outputs
        node = self.onnx.helper.make_node(kind, [self.name(each) for each in inputs], names, **attributes)
        self.nodes.append(node)
        return names[0] if outputs == 1 else names

    def name(self, value: Tensor) -> str:
        """Of a tensor, or of the initializer that holds a constant."""
        if isinstance(value, _Name):
            return value
        array = np.asarray(value)
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self.constants:
            name = f"constant{len(self.constants)}"
            self.constants[key] = self.onnx.numpy_helper.from_array(
                np.ascontiguousarray(array).reshape(array.shape), name
            )
        return self.constants[key].name

    def whole(self, numbers: Sequence[int]) -> np.ndarray:
        return np.array(numbers, np.int64)

    def elementwise(self, name: str, *operands: Tensor) -> Tensor:
        if name == "ne":
            return self.add("Not", self.add("Equal", *operands))
        return self.add(NAMES[name], *operands)

    def leaky_relu(self, x: Tensor, slope: float) -> Tensor:
        return self.add("LeakyRelu", x, alpha=slope)

    def where(self, condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
        return self.add("Where", condition, yes, no)

    def cast(self, x: Tensor, dtype: np.dtype) -> Tensor:
        return self.add("Cast", x, to=self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def reshape(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        return self.add("Reshape", x, self.whole(shape))

    def expand(self, x: Tensor, shape: Shape) -> Tensor:
        if all(isinstance(length, int) for length in shape):
            return self.add("Expand", x, self.whole(shape))
        batch = self.add("Shape", _Name(self.batch), start=0, end=1)
        parts = [self.whole([length]) if isinstance(length, int) else batch for length in shape]
        return self.add("Expand", x, self.add("Concat", *parts, axis=0) if len(parts) > 1 else batch)

    def transpose(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        return self.add("Transpose", x, perm=[int(axis) for axis in axes])

    def concatenate(self, parts: Sequence[Tensor], axis: int) -> Tensor:
        return self.add("Concat", *parts, axis=axis)

    def slice(self, x: Tensor, spans: dict[int, tuple[int, int, int]]) -> Tensor:
        if not spans:
            return x
        starts, stops, steps = (self.whole(each) for each in zip(*spans.values(), strict=True))
        return self.add("Slice", x, starts, stops, self.whole(list(spans)), steps)

    def pad(self, x: Tensor, widths: Sequence[tuple[int, int]], value: float) -> Tensor:
        return self.add(
            "Pad", x, self.whole([low for low, _ in widths] + [high for _, high in widths]), np.float32(value)
        )

    def reduce(self, name: str, x: Tensor, axes: Sequence[int]) -> Tensor:
        kind = {"reduce_or": "max", "reduce_and": "min"}.get(name)
        if kind:  # ONNX reduces numbers only
            return self.cast(self.reduce(f"reduce_{kind}", self.cast(x, np.dtype(np.int32)), axes), np.dtype(bool))
        return self.add(f"Reduce{name.removeprefix('reduce_').capitalize()}", x, self.whole(axes), keepdims=0)

    def argmax(self, x: Tensor, axis: int, dtype: np.dtype) -> Tensor:
        return self.cast(self.add("ArgMax", x, axis=axis, keepdims=0), dtype)

    def top_k(self, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        values, places = self.add("TopK", x, self.whole([k]), outputs=2)
        return values, self.cast(places, np.dtype(np.int32))

    def matmul(self, x: Tensor, y: Tensor) -> Tensor:
        return self.add("MatMul", x, y)

    def gather_nd(self, x: Tensor, places: Tensor, batch_axes: int) -> Tensor:
        return self.add("GatherND", x, self.cast(places, np.dtype(np.int64)), batch_dims=batch_axes)

    def convolve(self, convolution: Convolution) -> Tensor:
        kernel, padding = convolution.kernel, convolution.padding
        inputs = self.transpose(convolution.x, (0, 3, 1, 2)), kernel.transpose(3, 2, 0, 1), convolution.bias
        found = self.add("Conv", *inputs, strides=_ints(convolution.strides), pads=_ints(np.transpose(padding).ravel()))
        return self.transpose(found, (0, 2, 3, 1))

    def max_pool(
        self, x: Tensor, size: Sequence[int], strides: Sequence[int], padding: Sequence[tuple[int, int]]
    ) -> Tensor:
        options = {"kernel_shape": size, "strides": strides, "pads": np.transpose(padding).ravel()}
        whole: dict[str, Any] = {name: _ints(numbers) for name, numbers in options.items()}
        found = self.add("MaxPool", self.transpose(x, (0, 3, 1, 2)), **whole)
        return self.transpose(found, (0, 2, 3, 1))

    def loop(
        self, going: Callable[[list[Tensor]], Tensor], step: Callable[[list[Tensor]], list[Tensor]], state: list[Tensor]
    ) -> list[Tensor]:
        helper, kept = self.onnx.helper, self.nodes
        start, now = going(state), [_Name(f"state{self.count + number}") for number in range(len(state))]
        self.count += len(state)
        self.nodes = []  # of the loop's own graph, which sees all that is around it
        new = step(now)
        ends = [going(new), *new]
        outputs = [self.add("Identity", end) for end in ends]
        kinds = (("round", np.int64), ("going", np.bool_))
        given = [
            helper.make_tensor_value_info(f"{name}{self.count}", helper.np_dtype_to_tensor_dtype(np.dtype(kind)), [])
            for name, kind in kinds
        ]
        carried, ends_of = ([self.onnx.ValueInfoProto(name=name) for name in names] for names in (now, outputs))
        body = helper.make_graph(self.nodes, "step", given + carried, ends_of)
        self.nodes = kept
        found = self.add("Loop", _Name(""), start, *state, outputs=len(state), body=body)
        return [found] if len(state) == 1 else found


def _ints(numbers: Any) -> list[int]:
    return [int(number) for number in numbers]
