"""Memory of YOLO9000, and the time of its forward pass against that of decoding 9418 classes along the tree.

    python experiments/benchmarks/yolo9000.py --cfg yolo9000.cfg --weights yolo9000.weights --picture dog.jpg

Decoding, suppression included, is timed in both modes: the descent from the top, which gives each box one label, and
the scores of the 200 classes of ImageNet's detection task (`--map inet9k.map`; without it 200 nodes spread evenly).
Medians are printed, and the most memory that this process has held, its compilations and Python included.
"""

import argparse
import resource
import sys

import jax
import numpy as np
from timing import median_seconds

import yolo9000_jax as y9
from yolo9000_jax.boxes.tree import detect_tree
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.speed import machine
from yolo9000_jax.images.reading import read
from yolo9000_jax.wordtree.tree import load_map


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(options) -> None:
    detector = y9.load_darknet(options.cfg, options.weights, options.names)
    tree = getattr(detector, "tree", None)
    if tree is None or not isinstance(detector, y9.Detector):
        raise UserError(f"{options.cfg}: no detection network with a tree")
    size = detector.size_wh
    noise = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)
    picture = read(options.picture) if options.picture else noise
    nodes = load_map(options.map, tree) if options.map else np.linspace(0, len(tree) - 1, 200).astype(np.int32)
    print(f"{options.cfg} at {size[0]}x{size[1]}: {len(tree)} classes, {len(detector(picture))} detections")
    print(f"peak memory with one picture detected {peak_gib():.2f} GiB")

    inputs = jax.device_put(detector.to_inputs([picture]))
    apply = jax.jit(detector.model.apply)
    raw = apply(detector.variables, inputs)
    anchors_cells = np.array(detector.head.anchors_cells)
    forward = median_seconds(lambda: apply(detector.variables, inputs), options.runs)
    print(f"forward pass {1e3 * forward:.0f} ms")
    for name, threshold, chosen in (("top-down descent", 0.25, None), (f"{len(nodes)} nodes", 0.005, nodes)):
        seconds = median_seconds(
            lambda score=threshold, nodes=chosen: detect_tree(raw, anchors_cells, tree, score, 0.45, nodes=nodes),
            options.runs,
        )
        print(f"decoding, {name}: {1e3 * seconds:.0f} ms, {100 * seconds / forward:.0f} % of the forward pass")
    print(f"peak memory of the whole run {peak_gib():.2f} GiB")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cfg", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--names", help="the names of the classes, one a line")
    parser.add_argument("--map", help="the nodes to look for, one a line")
    parser.add_argument("--picture", help="default: noise")
    parser.add_argument("--runs", type=int, default=7)
    try:
        where = machine()
        print(f"{where['cpu']}, {where['cores']} cores, jax {where['jax']}")
        measure(parser.parse_args())
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
