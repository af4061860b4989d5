"""Programs as TensorFlow's: a SavedModel, or a TFLite file, in its own plain operations.

JAX's own bridge (jax2tf) puts the program into a SavedModel as StableHLO of JAX's version, not as TensorFlow's
operations; that of JAX 0.10, TensorFlow 2.21's TFLite converter does not read where it holds lax.top_k.
"""

import io
import logging
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jax import export

from yolo9000_jax.errors import UserError
from yolo9000_jax.export.operations import ALIKE, Convolution, Operations, Shape, Tensor
from yolo9000_jax.export.program import FACTS, Program
from yolo9000_jax.export.translation import translate


def write_savedmodel(program: Program, folder: Path) -> None:
    """Writes a SavedModel: signature "serving_default" with the program's inputs and outputs, batches of any length.

    Its facts lie in assets.extra, which TensorFlow leaves alone.
    """
    _save(_tensorflow("savedmodel"), program, None, folder)
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / FACTS).write_text(program.facts)


def to_tflite(program: Program, int8: bool = False) -> bytes:
    """A TFLite file of one picture a time, of TFLite's own operations alone; its facts are in a zip at its end.

    Args:
        program: what it does.
        int8: the convolutions have weights of int8, a scale for each filter, and bring their inputs to int8 as they
            come; all else stays float32 (TensorFlow calls it dynamic range quantisation).
    """
    tf = _tensorflow("tflite")
    with tempfile.TemporaryDirectory() as folder:
        _save(tf, program, 1, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT] if int8 else []
        found = converter.convert()
    content = io.BytesIO(found)
    with zipfile.ZipFile(content, "a") as file:  # behind the program, where readers of TFLite do not look
        file.writestr(FACTS, program.facts)
    return content.getvalue()


def _tensorflow(format: str) -> Any:
    try:
        import tensorflow as tf
    except ImportError:
        raise UserError(f"export to {format} needs TensorFlow: pip install yolo9000_jax[tensorflow]") from None
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return tf


def _save(tf: Any, program: Program, batch: int | None, folder: str | Path) -> None:
    """Saves the program as a tf.function of one batch length, or, with None, of any."""
    shapes = program.shapes(export.symbolic_shape("b")[0] if batch is None else batch)
    signature = [tf.TensorSpec((batch, *shape), tf.float32, name) for name, shape in program.inputs.items()]

    def run(*inputs: Any) -> dict[str, Any]:
        outputs = translate(program.function, shapes, inputs, _TensorFlow(tf, inputs[0]))
        return dict(zip(program.outputs, outputs, strict=True))

    module = tf.Module()
    module.run = tf.function(run, input_signature=signature, autograph=False)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.run})


class _TensorFlow(Operations):
    format = "TensorFlow"

    def __init__(self, tf: Any, batch: Any):
        self.tf, self.batch = tf, batch
        others = {
            **{"sub": tf.subtract, "mul": tf.multiply, "max": tf.maximum, "min": tf.minimum, "logistic": tf.sigmoid},
            **{"and": tf.logical_and, "or": tf.logical_or, "not": tf.logical_not, "gt": tf.greater, "lt": tf.less},
            **{"ge": tf.greater_equal, "le": tf.less_equal, "eq": tf.equal, "ne": tf.not_equal, "log": tf.math.log},
            **{"div": lambda x, y: tf.raw_ops.Div(x=x, y=y)},  # which cuts off what is behind the point
        }
        self.named = {name: others.get(name) or getattr(tf, name) for name in ALIKE}

    def elementwise(self, name: str, *operands: Tensor) -> Tensor:
        return self.named[name](*operands)

    def leaky_relu(self, x: Tensor, slope: float) -> Tensor:
        return self.tf.nn.leaky_relu(x, slope)

    def where(self, condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
        return self.tf.where(condition, yes, no)

    def cast(self, x: Tensor, dtype: np.dtype) -> Tensor:
        return self.tf.cast(x, dtype)

    def reshape(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        return self.tf.reshape(x, shape)

    def expand(self, x: Tensor, shape: Shape) -> Tensor:
        tf = self.tf
        lengths = [length if isinstance(length, int) else tf.shape(self.batch)[0] for length in shape]
        return tf.broadcast_to(x, lengths if all(isinstance(i, int) for i in lengths) else tf.stack(lengths))

    def transpose(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        return self.tf.transpose(x, axes)

    def concatenate(self, parts: Sequence[Tensor], axis: int) -> Tensor:
        return self.tf.concat(list(parts), axis)

    def slice(self, x: Tensor, spans: dict[int, tuple[int, int, int]]) -> Tensor:
        return x[tuple(slice(*spans.get(axis, (None,))) for axis in range(len(x.shape)))]

    def pad(self, x: Tensor, widths: Sequence[tuple[int, int]], value: float) -> Tensor:
        return self.tf.pad(x, list(widths), constant_values=value)

    def reduce(self, name: str, x: Tensor, axes: Sequence[int]) -> Tensor:
        of_truths = {"reduce_or": "reduce_any", "reduce_and": "reduce_all"}
        return getattr(self.tf, of_truths.get(name, name))(x, axes)

    def argmax(self, x: Tensor, axis: int, dtype: np.dtype) -> Tensor:
        return self.tf.argmax(x, axis, output_type=dtype)

    def top_k(self, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        return tuple(self.tf.math.top_k(x, k))

    def matmul(self, x: Tensor, y: Tensor) -> Tensor:
        return self.tf.matmul(x, y)

    def gather_nd(self, x: Tensor, places: Tensor, batch_axes: int) -> Tensor:
        if places.shape[-1] == 1:  # TFLite has this one with axes that belong together
            return self.tf.gather(x, self.tf.squeeze(places, -1), axis=batch_axes, batch_dims=batch_axes)
        return self.tf.gather_nd(x, places, batch_dims=batch_axes)

    def convolve(self, convolution: Convolution) -> Tensor:
        kernel, strides = convolution.kernel, convolution.strides
        x, padding = self._padded(convolution.x, kernel.shape[:2], strides, convolution.padding, 0.0)
        return self.tf.nn.conv2d(x, kernel, strides, padding) + convolution.bias

    def max_pool(
        self, x: Tensor, size: Sequence[int], strides: Sequence[int], padding: Sequence[tuple[int, int]]
    ) -> Tensor:
        x, way = self._padded(x, size, strides, padding, float(np.finfo(np.float32).min))
        return self.tf.nn.max_pool2d(x, size, strides, way)

    def _padded(
        self, x: Tensor, size: Sequence[int], strides: Sequence[int], padding: Sequence[tuple[int, int]], value: float
    ) -> tuple[Tensor, str]:
        """x, and "SAME" or "VALID" as TensorFlow has them; padded before where they say something else."""
        sides = [(int(low), int(high)) for low, high in padding]
        if tuple(strides) == (1, 1) and sides == [((length - 1) // 2, length // 2) for length in size]:
            return x, "SAME"
        return self.pad(x, [(0, 0), *sides, (0, 0)], value) if np.any(padding) else x, "VALID"

    def loop(
        self, going: Callable[[list[Tensor]], Tensor], step: Callable[[list[Tensor]], list[Tensor]], state: list[Tensor]
    ) -> list[Tensor]:
        return list(self.tf.while_loop(lambda *now: going(list(now)), lambda *now: tuple(step(list(now))), state))
