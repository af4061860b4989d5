"""What a network costs: its parameters, and the operations of one picture as Darknet counts them."""

import math
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr


class Cost(NamedTuple):
    """parameters: numbers that training changes; gflop: billions of operations for one picture."""

    parameters: int
    gflop: float


def cost(module: nn.Module, size: int | tuple[int, int]) -> Cost:
    """The cost of a network on one picture; nothing is computed or allocated.

    As in Darknet and in the paper (Darknet-19 at 224: 5.58), a multiplication with its addition is two operations, and
    only convolutions and products of matrices count: 2 n k² c h w of a convolution, the padding under its windows
    included. YOLOv2 for VOC at 416 has 34.9 with the paper's passthrough (Darknet's authors, of yolo-voc.2.0.cfg) and
    29.4 with the later, narrower one (`darknet ops`, of yolov2-voc.cfg). (Darknet forgets [local]
    layers: it says 40.19 for yolov1.cfg, we 40.42.)

    Args:
        module: a network of this package, applied to images [1, height, width, 3].
        size: side of the input in pixels, or (height, width).
    """
    height, width = (size, size) if isinstance(size, int) else size
    images = jax.ShapeDtypeStruct((1, height, width, 3), jnp.float32)
    variables = jax.eval_shape(module.init, jax.random.key(0), images)
    program = jax.make_jaxpr(module.apply)(variables, images)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    return Cost(parameters, _operations(program.jaxpr) / 1e9)


def _operations(program: Jaxpr) -> int:
    total = 0
    steps: list[Any] = list(program.eqns)
    for step in steps:
        if step.primitive.name == "conv_general_dilated":
            kernel, numbers = step.invars[1].aval, step.params["dimension_numbers"]
            total += 2 * step.outvars[0].aval.size * (kernel.size // kernel.shape[numbers.rhs_spec[0]])
        elif step.primitive.name == "dot_general":
            (contracted, _), _ = step.params["dimension_numbers"]
            total += 2 * step.outvars[0].aval.size * math.prod(step.invars[0].aval.shape[axis] for axis in contracted)
        else:
            inner = (value.jaxpr if isinstance(value, ClosedJaxpr) else value for value in step.params.values())
            total += sum(_operations(value) for value in inner if isinstance(value, Jaxpr))
    return total
