"""From files to a Detector or a Classifier: `load` of a workdir, `load_darknet` of Darknet's files."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from yolo9000_jax.darknet.building import build_head, build_model, head_of_cfg
from yolo9000_jax.darknet.cfg import parse_cfg
from yolo9000_jax.darknet.classes import Names, read_classes
from yolo9000_jax.darknet.network import load_network
from yolo9000_jax.errors import UserError
from yolo9000_jax.logs import logger
from yolo9000_jax.models.network import Network
from yolo9000_jax.places import as_path
from yolo9000_jax.predict.classifier import Classifier
from yolo9000_jax.predict.detector import Detector
from yolo9000_jax.workdir.facts import FACTS, load_best


def make_predictor(network: Network, variables: Mapping[str, Any], model: Any = None) -> Detector | Classifier:
    """The Detector or Classifier of a network with these variables, at the size and with the resize that it names.

    Args:
        network: what it is.
        variables: {"params", "batch_stats"}.
        model: its module, where there is one already.
    """
    model = model or build_model(network)
    variables = jax.device_put(variables)  # once, and not with every batch
    size_wh = (network.image_size, network.image_size)
    options: dict[str, Any] = {"sampling": network.sampling, "synsets": network.synsets}
    if network.task == "classification":
        return Classifier(model, variables, network.classes, size_wh, network.resize, tree=network.tree, **options)
    return Detector(model, variables, network.classes, build_head(network), size_wh, network.resize, **options)


def load(workdir: str | PathLike[str]) -> Detector | Classifier:
    """The Detector, or the Classifier, that `train` or `yolo9000 convert` left in a workdir: its best checkpoint.

    Which checkpoint that is, is logged.

    Raises:
        UserError: there is none, or network.json is of another network.
    """
    folder = as_path(workdir)
    variables, step, facts = load_best(folder)
    model = build_model(facts.network)
    _check_shapes(model, facts.network, variables, folder)
    if facts.run is not None:
        logger.info(f"{folder}: the checkpoint of step {step}")
    return make_predictor(facts.network, variables, model)


def _check_shapes(model: Any, network: Network, variables: Mapping[str, Any], workdir: Path) -> None:
    """Raises UserError where the arrays of a workdir are not those of the network that it describes."""
    images = jax.ShapeDtypeStruct((1, network.image_size, network.image_size, 3), jnp.float32)
    made = jax.eval_shape(model.init, jax.random.key(0), images)
    wanted, there = (
        {path: np.shape(array) for path, array in flatten_dict({"batch_stats": {}} | dict(tree)).items()}
        for tree in (made, variables)
    )
    for path in sorted(path for path in {*wanted, *there} if wanted.get(path) != there.get(path)):
        raise UserError(
            f"{workdir / FACTS}: is not of the network in its checkpoints: {'/'.join(path)} is "
            f"{there.get(path, 'missing')} in them and {wanted.get(path, 'missing')} by it; restore it from a copy"
        )


def load_darknet(
    cfg: str | PathLike[str],
    weights: str | PathLike[str],
    names: Names = None,
    *,
    batch_norm: str = "cpu",
    dtype: Any = jnp.float32,
) -> Detector | Classifier:
    """A trained Darknet network: YOLO, YOLOv2 and YOLO9000 give a Detector, Darknet-19 and its kin a Classifier.

    A detector letterboxes its pictures and a classifier crops them, to the size that the cfg names (YOLO of version 1
    stretches them, as Darknet does, and so does a cfg with AlexeyAB's letter_box=0); anchors, class activation and tree
    also are the cfg's (darknet.classes says where the tree's file is looked for).

    Args:
        cfg: the .cfg file.
        weights: its .weights file.
        names: a file of class names (labels.read_labels), or the names; None: "class 0", "class 1", … or, with a tree,
            the synsets.
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
    options: dict[str, Any] = {"synsets": synsets, "notes": notes}
    if kind in ("softmax", "avgpool"):
        return Classifier(model, variables, classes, size_wh, tree=tree, **options)
    return Detector(model, variables, classes, head_of_cfg(plan, tree), size_wh, plan.resize, **options)
