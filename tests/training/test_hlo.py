"""What is read from compiled programs: against programs whose contents are known, and lines as XLA writes them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from yolo9000_jax.training.hlo import read_hlo


def contents(function, *arguments):
    return read_hlo(jax.jit(function).lower(*arguments).compile().as_text())


def convolve(x, kernel, stride=1):
    return lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


@pytest.mark.parametrize("stride", [1, 2])
def test_operations_of_a_convolution_and_of_a_product(stride):
    """2 n k² c h w, and 2 n m k; nothing else counts."""
    x, kernel, matrix = np.ones((2, 8, 8, 5)), np.ones((3, 3, 5, 7)), np.ones((7, 11))
    found = contents(lambda x, k, m: jnp.sin(convolve(x, k, stride)) @ m, x, kernel, matrix)
    pixels = 2 * (8 // stride) ** 2
    assert found.flops == 2 * pixels * 7 * (9 * 5 + 11)
    assert (found.all_reduces, found.other_collectives, found.host_transfers) == (0, 0, 0)


@pytest.mark.parametrize("stride", [1, 2])
def test_both_gradients_of_a_convolution_cost_what_it_costs(stride):
    x, kernel = np.ones((2, 16, 16, 5)), np.ones((3, 3, 5, 7))
    once = contents(lambda x, k: convolve(x, k, stride), x, kernel).flops
    back = contents(jax.grad(lambda x, k: jnp.sum(jnp.square(convolve(x, k, stride))), (0, 1)), x, kernel)
    assert back.flops == 3 * once


def test_a_loop_counts_as_often_as_it_runs():
    x, matrix = np.ones((4, 6)), np.ones((6, 6))
    once = contents(lambda x, m: x @ m, x, matrix).flops
    assert once == 2 * 4 * 6 * 6
    looped = contents(lambda x, m: lax.scan(lambda y, _: (jnp.tanh(y @ m), None), x, None, length=5)[0], x, matrix)
    assert looped.flops == 5 * once


def test_the_host_is_noticed():
    def says(x):
        jax.debug.callback(lambda value: None, x)
        return x + 1

    assert contents(says, np.ones(3)).host_transfers > 0


LINES = """HloModule step
%add (a: f32[], b: f32[]) -> f32[] {
  ROOT %add.1 = f32[] add(%a, %b)
}
ENTRY %main (x: f32[3,5], y: bf16[7]) -> f32[3,5] {
  %x = f32[3,5]{1,0:T(8,128)S(1)} parameter(0)
  %all-reduce.1 = (f32[3,5]{1,0:T(8,128)}, /*index=1*/bf16[7]{0}) all-reduce(%x, %y), GROUPS, to_apply=%add
  %ar-start = f32[4]{0} all-reduce-start(%z), replica_groups={}, to_apply=%add
  %ar-done = f32[4]{0} all-reduce-done(%ar-start)
  %gather = f32[8]{0} all-gather(%z), replica_groups={{0,1,2,3}}
  %sent = (f32[4]{0}, u32[], token[]) send(%z, %token), channel_id=2
}
"""


@pytest.mark.parametrize(
    ("groups", "count"), [("{{0,1,2,3}}", 1), ("{{0,1},{2,3}}", 2), ("[1,4]<=[4]", 1), ("[2,2]<=[4]", 2), ("{}", 1)]
)
def test_collectives_as_xla_writes_them(groups, count):
    found = read_hlo(LINES.replace("GROUPS", f"replica_groups={groups}"))
    assert (found.all_reduces, found.all_reduce_bytes, found.groups) == (2, 3 * 5 * 4 + 7 * 2 + 4 * 4, count)
    assert (found.other_collectives, found.host_transfers) == (1, 1)
