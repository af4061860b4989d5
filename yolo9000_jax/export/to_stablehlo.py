"""Programs as StableHLO: a zip of what `jax.export` writes, which jax alone runs, and the facts."""

import io
import zipfile

import jax
from jax import export

from yolo9000_jax.export.program import FACTS, Program

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
PROGRAM = "program.stablehlo"


def to_stablehlo(program: Program) -> bytes:
    """A file for batches of any length, on a CPU, on GPUs and on TPUs."""
    (batch,) = export.symbolic_shape("b")
    exported = export.export(jax.jit(program.function), platforms=PLATFORMS)(*program.shapes(batch))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr(PROGRAM, bytes(exported.serialize()))
        file.writestr(FACTS, program.facts)
    return content.getvalue()
