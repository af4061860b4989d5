"""Numbers that say how good a network is. It writes no files and draws nothing: `report` does, from these numbers."""

from yolo9000_jax.evaluation.evaluate import evaluate
from yolo9000_jax.evaluation.result import Evaluation, Example

__all__ = ["Evaluation", "Example", "evaluate"]
