"""What is trained: a task joins a model, its loss, its input and its evaluation."""

from yolo9000_jax.tasks.classification import Classification
from yolo9000_jax.tasks.detection import Detection
from yolo9000_jax.tasks.joint import Joint

TASKS = {"detection": Detection, "classification": Classification, "joint": Joint}


def make_task(config, say=print):
    """The task of a complete config. Opens and checks its data; raises UserError where something is wrong with them."""
    return TASKS[config.task](config, say)
