"""What is trained: a task joins a network, its loss, its input and the data that it is evaluated on."""

from collections.abc import Callable
from typing import Any

from yolo9000_jax.tasks.classification import Classification
from yolo9000_jax.tasks.detection import Detection
from yolo9000_jax.tasks.joint import Joint
from yolo9000_jax.tasks.task import Task
from yolo9000_jax.workdir.facts import Facts

TASKS: dict[str, Callable[..., Task]] = {"detection": Detection, "classification": Classification, "joint": Joint}


def make_task(config: Any, facts: Facts | None = None) -> Task:
    """The task of a complete config; with `facts`, that of a run which has settled them.

    Opens and checks its data; raises UserError where something is wrong with them.
    """
    return TASKS[config.task](config, facts)
