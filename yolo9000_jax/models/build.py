"""From a config to the model it describes, and the detector or classifier around it."""

from functools import partial

import jax.numpy as jnp

from yolo9000_jax.classifier import Classifier
from yolo9000_jax.detector import Detector
from yolo9000_jax.errors import UserError
from yolo9000_jax.models.darknet19 import Darknet19
from yolo9000_jax.models.layers import BATCH_NORMS
from yolo9000_jax.models.yolo_v2 import YoloV2


def build_model(config, axis_name: str | None = None) -> YoloV2 | Darknet19:
    """The network of a config whose classes, and priors if it detects, are settled.

    `axis_name` is the mapped axis of a training step, over which batch norm is shared if the config says so.
    """
    dtypes = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
    if config.model.compute_dtype not in dtypes:
        raise UserError(f"model.compute_dtype is {config.model.compute_dtype!r}; it can be float32 or bfloat16")
    shared = axis_name if config.model.sync_batch_norm else None
    norm = BATCH_NORMS[config.model.batch_norm]
    options = {
        "num_classes": len(config.data.classes),
        "width": config.model.width,
        "norm": partial(norm, momentum=config.model.batch_norm_momentum, axis_name=shared),
        "dtype": dtypes[config.model.compute_dtype],
    }
    if config.task == "classification":
        return Darknet19(**options)
    anchors_cells = tuple(map(tuple, config.model.anchors_cells))
    return YoloV2(anchors_cells=anchors_cells, passthrough=config.model.passthrough, **options)


def build_detector(config, variables, model=None) -> Detector:
    """The detector of a config, at its evaluation size."""
    size = config.evaluation.image_size or config.image_size
    model = model or build_model(config)
    return Detector(
        model, variables, config.data.classes, config.model.anchors_cells, (size, size), config.evaluation.resize
    )


def build_classifier(config, variables) -> Classifier:
    """The classifier of a config, at its evaluation size; it crops its pictures."""
    size = config.evaluation.image_size or config.image_size
    return Classifier(build_model(config), variables, config.data.classes, (size, size))
