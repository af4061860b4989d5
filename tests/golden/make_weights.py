"""Write a .weights file of random numbers for a cfg: the same bytes for the same cfg and seed, everywhere.

    python tests/golden/make_weights.py NET.cfg NET.weights --seed 1

So the golden files hold a seed and a sha256 in place of weights. Only uniform numbers, sums, products and square roots
are used, which IEEE 754 fixes to the last bit.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from yolo9000_jax.darknet.cfg import parse_cfg  # noqa: E402
from yolo9000_jax.darknet.layers import Layer  # noqa: E402
from yolo9000_jax.darknet.weights import write_weights  # noqa: E402

RANGES = {"biases": (-0.2, 0.2), "scales": (0.8, 1.2), "rolling_mean": (-0.1, 0.1), "rolling_variance": (0.5, 1.5)}


def random_arrays(layer: Layer, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Parameters of a layer that keep the size of what passes through it: weights of variance 2 / fan-in."""
    arrays = {}
    for name, shape in layer.parameters().items():
        limit = np.sqrt(6 / np.prod(shape[2 if layer.type == "local" else 1 :]))
        low, high = RANGES.get(name, (-limit, limit))
        arrays[name] = (low + (high - low) * random.random(shape)).astype(np.float32)
    return arrays


def make_weights(cfg_path: str | Path, weights_path: str | Path, seed: int) -> None:
    """Writes the file; its header says that the network has seen nothing."""
    cfg, random = parse_cfg(cfg_path), np.random.Generator(np.random.PCG64(seed))
    arrays = {layer.index: random_arrays(layer, random) for layer in cfg.layers if layer.parameters()}
    write_weights(weights_path, cfg, arrays)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cfg")
    parser.add_argument("weights")
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    make_weights(arguments.cfg, arguments.weights, arguments.seed)
