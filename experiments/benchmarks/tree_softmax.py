"""The tree's softmax and loss against one dense softmax over the same numbers: [8, 17, 17, 3] boxes x 9418 nodes.

    python experiments/benchmarks/tree_softmax.py 9k.tree

Each is a forward and a backward pass, as one compiled program. The last line is the class loss as region_loss takes it:
only of the boxes that a truth trains, here 30 a picture. Memory is what XLA reserves besides arguments and results.
"""

import argparse
import os
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

from yolo9000_jax.wordtree.softmax import group_log_softmax, path_loss
from yolo9000_jax.wordtree.tree import WordTree

SHAPE, TRUTHS = (8, 17, 17, 3), 30


def programs(tree: WordTree, shape=SHAPE, truths=TRUTHS):
    """{name: function of (logits [*shape, n], labels [*shape])}, each giving a scalar, and these arguments."""
    rng = np.random.default_rng(0)
    logits = jnp.asarray(rng.normal(size=(*shape, len(tree))), jnp.float32)
    labels = jnp.asarray(rng.integers(0, len(tree), shape), jnp.int32)
    boxes = jnp.asarray(rng.integers(0, np.prod(shape[1:]), (shape[0], truths)), jnp.int32)

    def dense(logits, labels):
        return -jnp.sum(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], -1))

    def groups(logits, labels):
        return jnp.sum(jnp.take_along_axis(group_log_softmax(logits, tree), labels[..., None], -1))

    def every(logits, labels):
        return jnp.sum(path_loss(logits, labels, tree))

    def trained(logits, labels):
        rows = jnp.take_along_axis(logits.reshape(shape[0], -1, len(tree)), boxes[..., None], 1)
        return jnp.sum(path_loss(rows, labels.reshape(shape[0], -1)[:, :truths], tree))

    functions = {
        "one dense softmax": dense,
        "softmax of every group": groups,
        "path loss of every box": every,
        f"path loss of {truths} boxes a picture": trained,
    }
    return functions, (logits, labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", help="Darknet's 9k.tree, or another")
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    functions, (logits, labels) = programs(WordTree.load(options.tree))
    compiled = {name: jax.jit(jax.value_and_grad(f)).lower(logits, labels).compile() for name, f in functions.items()}
    seconds = {name: [] for name in functions}
    for _ in range(options.runs + 1):
        for name, program in compiled.items():
            started = time.perf_counter()
            jax.block_until_ready(program(logits, labels))
            seconds[name].append(time.perf_counter() - started)
    print(f"{os.cpu_count()} CPU cores, {jax.default_backend()}; logits {logits.nbytes / 2**20:.0f} MiB")
    base = statistics.median(seconds["one dense softmax"][1:])
    for name, times in seconds.items():
        median, memory = statistics.median(times[1:]), compiled[name].memory_analysis().temp_size_in_bytes
        print(f"{name:<34} {1e3 * median:7.0f} ms  ratio {median / base:.2f}  {memory / 2**20:6.0f} MiB")


if __name__ == "__main__":
    main()
