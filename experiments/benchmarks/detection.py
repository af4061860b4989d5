"""Time of decoding and non-maximum suppression against the network's forward pass, one picture at 416.

    python experiments/benchmarks/detection.py --width 1

845 boxes and 20 classes, thresholds as in an evaluation (.005, .45); medians and their ratio are printed.
"""

import argparse
import os
import platform

import jax
import jax.numpy as jnp
import numpy as np
from timing import median_seconds

from yolo9000_jax.boxes.decode import detect
from yolo9000_jax.models.yolo_v2 import VOC_ANCHORS_CELLS, YoloV2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    model, generator = YoloV2(width=options.width, passthrough="darknet"), np.random.default_rng(0)
    images = jnp.asarray(generator.random((1, 416, 416, 3), np.float32))
    variables = jax.jit(model.init)(jax.random.key(0), images[:, :64, :64])
    apply, anchors_cells = jax.jit(model.apply), jnp.asarray(VOC_ANCHORS_CELLS)
    forward = median_seconds(lambda: apply(variables, images), options.runs)
    raw = jnp.asarray(generator.normal(size=(1, 13, 13, 5, 25)), jnp.float32)
    rest = median_seconds(lambda: detect(raw, anchors_cells, 0.005, 0.45), options.runs)
    print(f"{platform.processor() or platform.machine()}, {len(os.sched_getaffinity(0))} cores; width {options.width}")
    print(f"forward {1e3 * forward:.1f} ms, decode + NMS {1e3 * rest:.2f} ms: {100 * rest / forward:.1f} %")


if __name__ == "__main__":
    main()
