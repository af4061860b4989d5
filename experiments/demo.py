"""The demo of yolo9000_jax/demo.py as an experiment with fixed numbers of steps.

yolo9000 train --config experiments/demo.py --workdir runs/demo
"""

from yolo9000_jax.demo import get_config

__all__ = ["get_config"]
