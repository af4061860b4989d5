"""The demo of yolo9000_jax/demo.py as an experiment of 3500 steps.

yolo9000 train --config experiments/demo.py --workdir runs/demo
"""

from yolo9000_jax.demo import get_config

__all__ = ["get_config"]
