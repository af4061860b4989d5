"""From a config to the model it describes, and the detector or classifier around it."""

from dataclasses import replace

import jax.numpy as jnp

from yolo9000_jax.boxes.heads import RegionHead, YoloV1Head
from yolo9000_jax.errors import UserError
from yolo9000_jax.models.darknet19 import Darknet19
from yolo9000_jax.models.extraction import Extraction
from yolo9000_jax.models.layers import BATCH_NORMS
from yolo9000_jax.models.yolo_v1 import YoloV1
from yolo9000_jax.models.yolo_v2 import YoloV2
from yolo9000_jax.predict.classifier import Classifier
from yolo9000_jax.predict.detector import Detector
from yolo9000_jax.wordtree.tree import WordTree


def build_model(config, axis_name: str | None = None, tree: WordTree | None = None):
    """The network of a config whose classes, and priors if it detects, are settled.

    `axis_name` is the mapped axis of a training step, over which batch norm is shared if the config says so; the nodes
    of `tree`, if there is one, are the classes. Raises UserError for settings that no network has.
    """
    options = config.model
    common = {
        "num_classes": len(tree or config.model.classes),
        "width": options.width,
        "norm": _norm(options, axis_name),
        "dtype": _dtype(options.compute_dtype),
    }
    if config.task == "classification":
        if options.trunk == "extraction":
            return Extraction(logits=options.logits, **common)
        if options.trunk == "darknet19":
            return Darknet19(**common)
        raise UserError(f"model.trunk is {options.trunk!r}: a classifier can have 'darknet19' or 'extraction'")
    if options.architecture == "yolo_v1":
        _check_yolo_v1(config, tree)
        names = ("side", "boxes_per_cell", "trunk", "head", "hidden", "dropout")
        return YoloV1(**{name: options[name] for name in names}, **common)
    anchors_cells = tuple(map(tuple, options.anchors_cells))
    names = ("head_convolutions", "passthrough", "trunk")
    return YoloV2(anchors_cells=anchors_cells, **{name: options[name] for name in names}, **common)


def _norm(options, axis_name: str | None):
    if not options.use_batch_norm:
        return None
    shared = axis_name if options.sync_batch_norm else None
    return replace(BATCH_NORMS[options.batch_norm], momentum=options.batch_norm_momentum, axis_name=shared)


def _dtype(name: str):
    dtypes = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
    if name not in dtypes:
        raise UserError(f"model.compute_dtype is {name!r}; it can be float32 or bfloat16")
    return dtypes[name]


def _check_yolo_v1(config, tree: WordTree | None) -> None:
    if tree is not None:
        raise UserError("model.tree needs model.architecture='yolo_v2': the classes of YOLOv1 form no tree")
    sizes = {config.image_size, config.evaluation.image_size or config.image_size, *config.multi_scale}
    if len(sizes) > 1:
        listed = ", ".join(map(str, sorted(sizes)))
        raise UserError(
            f"YOLOv1 works at one input size, not at {listed}: leave multi_scale and evaluation.image_size empty"
        )


def build_head(config, tree: WordTree | None = None) -> RegionHead | YoloV1Head:
    """How the output of a config's detection network is read."""
    options = config.model
    if options.architecture == "yolo_v1":
        return YoloV1Head(options.side, options.boxes_per_cell, len(config.model.classes))
    rule = {"hierarchy_rule": config.evaluation.hierarchy_rule} if tree is not None else {}
    return RegionHead(options.anchors_cells, tree=tree, location=options.box_parametrisation, **rule)


def build_detector(config, variables, model=None, tree: WordTree | None = None) -> Detector:
    """The detector of a config, at its evaluation size."""
    size = config.evaluation.image_size or config.image_size
    model = model or build_model(config, tree=tree)
    names, synsets = _classes(config, tree)
    head = build_head(config, tree)
    return Detector(model, variables, names, head, (size, size), config.evaluation.resize, synsets=synsets)


def build_classifier(config, variables, model=None, tree: WordTree | None = None) -> Classifier:
    """The classifier of a config, at its evaluation size; it crops its pictures."""
    size = config.evaluation.image_size or config.image_size
    model = model or build_model(config, tree=tree)
    names, synsets = _classes(config, tree)
    return Classifier(model, variables, names, (size, size), tree=tree, synsets=synsets)


def _classes(config, tree: WordTree | None):
    """Names and synsets of the network's classes."""
    return (config.model.classes, None) if tree is None else (tree.names, tree.synsets)
