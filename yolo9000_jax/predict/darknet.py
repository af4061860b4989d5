"""From Darknet's files to a Detector or a Classifier: `load_darknet`."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from yolo9000_jax.boxes.heads import RegionHead, YoloV1Head
from yolo9000_jax.darknet.cfg import Cfg, parse_cfg
from yolo9000_jax.darknet.network import load_network
from yolo9000_jax.errors import UserError
from yolo9000_jax.labels import Labels, read_labels
from yolo9000_jax.predict.classifier import Classifier
from yolo9000_jax.predict.detector import Detector
from yolo9000_jax.wordtree.tree import WordTree


def load_darknet(
    cfg: str | PathLike,
    weights: str | PathLike,
    names: str | PathLike | Sequence[str] | None = None,
    *,
    batch_norm: str = "cpu",
    dtype: Any = jnp.float32,
) -> Detector | Classifier:
    """A trained Darknet network: YOLO, YOLOv2 and YOLO9000 give a Detector, Darknet-19 and its kin a Classifier.

    A detector letterboxes its pictures (YOLO of version 1 stretches them, as Darknet does) and a classifier crops them,
    to the size that the cfg names; anchors, class activation and tree also are the cfg's. A tree's file is looked for
    as the cfg names it from the working directory, as Darknet does, then from the cfg's folder and from the folder
    above it, and last beside the cfg.

    Args:
        cfg: the .cfg file.
        weights: its .weights file.
        names: a file of class names (see labels.read_labels), or the names; None: "class 0", "class 1", … or, with a
            tree, the synsets.
        batch_norm, dtype: as in darknet.network.build_network.

    Raises:
        UserError: a file is missing or damaged, or they do not belong together.
    """
    plan = parse_cfg(cfg)
    kind = plan.head.type
    if kind not in ("region", "detection", "softmax", "avgpool"):
        wanted = "to detect it must end in [region] or [detection], to classify in [softmax]"
        raise UserError(f"{plan.name}: ends in [{kind}]: {wanted}")
    model, variables = load_network(plan, weights, dtype, batch_norm)
    labels, tree = read_classes(plan, names)
    classes, synsets = labels.names, labels.synsets if tree is None else tree.synsets
    notes = plan.warnings + ((labels.note,) if labels.note else ())
    size_wh = (plan.net.width, plan.net.height)
    options = {"synsets": synsets, "notes": notes}
    if kind in ("softmax", "avgpool"):
        return Classifier(model, variables, classes, size_wh, tree=tree, **options)
    resize = "letterbox" if kind == "region" else "stretch"
    return Detector(model, variables, classes, _head(plan, tree), size_wh, resize, **options)


def _head(plan: Cfg, tree: WordTree | None) -> RegionHead | YoloV1Head:
    """How the output of a detection network is read."""
    head = plan.head
    if head.type == "detection":
        return YoloV1Head(head.side, head.num, head.classes, head.sqrt, head.softmax)
    if tree is not None and head.background:
        raise UserError(f"{plan.name}, line {head.line}: [region] background=1 with a tree is not supported")
    return RegionHead(head.anchors, "softmax" if head.softmax else "logistic", head.background, tree)


def count_classes(plan: Cfg) -> int:
    """How many classes a detection network or classifier tells apart."""
    return plan.head.classes if plan.head.type in ("region", "detection") else plan.head.out_shape[2]


def read_classes(plan: Cfg, names: str | PathLike | Sequence[str] | None) -> tuple[Labels, WordTree | None]:
    """The classes of a network and, where its cfg names one, their tree; `names` and errors as of `load_darknet`."""
    tree = _load_tree(plan)
    labels = _labels(names, plan, tree)
    return labels, tree and WordTree(tree.synsets, tree.parents, labels.names, tree.source)


def _labels(names, plan: Cfg, tree: WordTree | None) -> Labels:
    count = count_classes(plan)
    if isinstance(names, (str, PathLike)):
        return read_labels(names, count)
    if names is None:
        names = tree.synsets if tree is not None else [f"class {number}" for number in range(count)]
    if len(names) != count:
        raise UserError(f"{len(names)} names, but {plan.name} has {count} classes; give one name a class")
    return Labels(tuple(names), (None,) * count)


def _load_tree(plan: Cfg) -> WordTree | None:
    """The WordTree that the cfg's last layer names, if it names one."""
    written = getattr(plan.head, "tree", "")
    if not written:
        return None
    folder = Path(plan.name).parent
    places = [Path(written), folder / written, folder.parent / written, folder / Path(written).name]
    path = next((place for place in places if place.is_file()), None)
    where = f"{plan.name}, line {plan.head.line}: [{plan.head.type}]"
    if path is None:
        raise UserError(f"{where} there is no tree {written} in the working directory, in {folder} or in the one above")
    tree = WordTree.load(path)
    if len(tree) != count_classes(plan):
        raise UserError(f"{where} has {count_classes(plan)} classes, but its tree {path} has {len(tree)} nodes")
    return tree
