"""Time of detection in one picture on a CPU: ours, Debian's program `darknet`, and PyTorch where it is installed.

    python experiments/benchmarks/darknet_speed.py --cfg yolov2-voc.cfg --weights yolov2-voc.weights --picture dog.jpg

Same cfg, weights and picture, and all cores that the process may use (the program uses one; `taskset -c 0 python …`
gives the others no more). Ours is everything from pixels to boxes; the program's is the time that it prints, which is
its forward pass alone; PyTorch's is the forward pass, channels_last. They take turns, so that whatever else the machine
does hits all; medians and their ratios to ours are printed.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from darknet_program import Darknet

import yolo9000_jax as y9
from yolo9000_jax.darknet.cfg import parse_cfg
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.speed import machine
from yolo9000_jax.images.reading import read
from yolo9000_jax.predict.detector import RESIZES, Detector, to_inputs

THRESHOLD = 0.5  # the program's default


def seconds_of(function, *arguments) -> float:
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


def torch_forward(options, detector: Detector, inputs: np.ndarray):
    """A function that makes PyTorch's forward pass; None without PyTorch. Says how far its output is from ours."""
    try:
        import torch
        from torch_network import Network
    except ImportError:
        return None
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    try:
        network = Network(parse_cfg(options.cfg), options.weights)
    except UserError as error:
        print(f"without PyTorch: {error}")
        return None
    images = torch.from_numpy(inputs.transpose(0, 3, 1, 2)).to(memory_format=torch.channels_last)
    theirs = network(images).permute(0, 2, 3, 1).numpy()
    ours = np.asarray(jax.jit(detector.model.apply)(detector.variables, inputs)).reshape(theirs.shape)
    print(f"PyTorch's raw grid and ours differ by at most {np.abs(theirs - ours).max() / ours.std():.1e} of its std")
    return lambda: network(images)


def measure(options) -> dict[str, list[float]]:
    """Seconds of every run, by who made it."""
    detector = y9.load_darknet(options.cfg, options.weights)
    if not isinstance(detector, Detector):
        raise UserError(f"{options.cfg}: a classifier; give a detection network")
    noise = np.random.default_rng(0).integers(0, 256, (576, 768, 3), np.uint8)
    picture = read(options.picture) if options.picture else noise
    peer = torch_forward(options, detector, to_inputs([picture], RESIZES["letterbox"], detector.size_wh, 1))
    times = {"ours": [], "darknet": []} | ({"PyTorch": []} if peer else {})
    detector(picture, THRESHOLD)
    with tempfile.TemporaryDirectory() as folder:
        pictures = [picture] * (options.runs + 1)
        darknet = Darknet(Path(folder), options.cfg, options.weights, len(detector.classes), pictures)
        for number, (seconds, _) in enumerate(darknet.detect(THRESHOLD)):
            if not number:
                continue  # everybody's first run only warms up
            times["darknet"].append(seconds)
            times["ours"].append(seconds_of(detector, picture, THRESHOLD))
            if peer:
                times["PyTorch"].append(seconds_of(peer))
    return times


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cfg", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--picture", help="default: noise")
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    try:
        times = measure(options)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    where = machine()
    print(f"{where['cpu']}, {where['cores']} cores, jax {where['jax']}; {options.cfg}, {options.runs} runs")
    ours = np.median(times["ours"])
    for name, seconds in times.items():
        median = np.median(seconds)
        print(f"{name:<8} median {median:.3f} s, {min(seconds):.3f} to {max(seconds):.3f}: {median / ours:.2f} of ours")
    return 0


if __name__ == "__main__":
    sys.exit(main())
