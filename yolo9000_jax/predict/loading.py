"""Trained networks from workdirs: `load`."""

from pathlib import Path
from typing import Any

from yolo9000_jax.logs import logger
from yolo9000_jax.models.build import build_head, build_model
from yolo9000_jax.models.network import Network
from yolo9000_jax.predict.classifier import Classifier
from yolo9000_jax.predict.detector import Detector
from yolo9000_jax.workdir.checkpoints import as_folder
from yolo9000_jax.workdir.facts import load_best


def make_predictor(network: Network, variables: Any, model: Any = None) -> Detector | Classifier:
    """The Detector or Classifier of a network with these variables, at the size and with the resize that it names.

    Args:
        network: what it is.
        variables: {"params", "batch_stats"}.
        model: its module, where there is one already.
    """
    model = model or build_model(network)
    size_wh = (network.image_size, network.image_size)
    options: dict[str, Any] = {"synsets": network.synsets, "sampling": network.sampling}
    if network.task == "classification":
        return Classifier(model, variables, network.classes, size_wh, network.resize, tree=network.tree, **options)
    return Detector(model, variables, network.classes, build_head(network), size_wh, network.resize, **options)


def load(workdir: str | Path) -> Detector | Classifier:
    """The Detector, or the Classifier, that `train` or `yolo9000 convert` left in a workdir: its best checkpoint.

    Which checkpoint that is, is logged.

    Raises:
        UserError: there is none.
    """
    folder = as_folder(workdir)
    variables, step, facts = load_best(folder)
    logger.info(f"{folder}: the checkpoint of step {step}")
    return make_predictor(facts.network, variables)
