"""Pictures a second that the training input makes, per core.

    python experiments/benchmarks/input_pipeline.py voc:DIR:train yolo:data.yaml:train emoji:train

Each argument is SOURCE:SPLIT. Full augmentation, batches of 8 at 416; "per core" divides by the processor seconds used.
"""

import argparse
import os
import platform
import time

import numpy as np

from yolo9000_jax import config as configs
from yolo9000_jax.data.counts import fullest
from yolo9000_jax.data.pipeline import detection_batches
from yolo9000_jax.data.sources import open_source


def measure(source: str, split: str, pictures: int) -> tuple[float, float]:
    """(pictures a second, pictures a second and core) over `pictures` pictures."""
    dataset = open_source(source, split)
    config = configs.override(configs.detection(), {"batch_size": "8"})
    batches = detection_batches(dataset, config, 0, pictures // 8 + 3, fullest(dataset))
    next(batches), next(batches)
    wall, processor, count = time.perf_counter(), time.process_time(), 0
    for batch in batches:
        count += len(batch["images"])
    return count / (time.perf_counter() - wall), count / (time.process_time() - processor)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", metavar="SOURCE:SPLIT")
    parser.add_argument("--pictures", type=int, default=240)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {len(os.sched_getaffinity(0))} cores")
    for given in options.sources:
        source, _, split = given.rpartition(":")
        rates = np.median([measure(source, split, options.pictures) for _ in range(options.runs)], axis=0)
        print(f"{source} {split}: {rates[0]:.0f} images/s, {rates[1]:.0f} a core")


if __name__ == "__main__":
    main()
