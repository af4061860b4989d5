"""From what a network of ours is to the Flax module, and to the head that reads its output.

The networks that a cfg describes are joined to them in darknet/building.py.
"""

from dataclasses import replace
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from yolo9000_jax.boxes.heads import RegionHead, YoloV1Head
from yolo9000_jax.errors import UserError
from yolo9000_jax.models.darknet19 import Darknet19
from yolo9000_jax.models.extraction import Extraction
from yolo9000_jax.models.layers import BATCH_NORMS
from yolo9000_jax.models.network import Network
from yolo9000_jax.models.yolo_v1 import YoloV1
from yolo9000_jax.models.yolo_v2 import YoloV2

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def build_model(
    network: Network, axis_name: str | None = None, head_init: str = "darknet", axis_group: int = 0, remat: bool = False
) -> nn.Module:
    """The module of a network.

    Args:
        network: what it is.
        axis_name: the mapped axis of a training step over which batch statistics are shared; None: they are not.
        head_init: how the last layer of a YOLOv2 starts, where it is to be trained; see there.
        axis_group: so many neighbours on that axis share them; 0: all.
        remat: the gradient computes the inside of the trunk's stages once more, and needs no memory for it.

    Raises:
        UserError: settings that no network has.
    """
    common: dict[str, Any] = {
        "num_classes": len(network.classes),
        "width": network.width,
        "norm": batch_norm_of(network, axis_name, axis_group),
        "dtype": dtype_of(network.compute_dtype),
        "remat": remat,
    }
    if network.task == "classification":
        if network.trunk == "extraction":
            return Extraction(logits=network.logits, **common)
        if network.trunk == "darknet19":
            return Darknet19(**common)
        raise UserError(f"model.trunk is {network.trunk!r}: a classifier can have 'darknet19' or 'extraction'")
    if network.architecture == "yolo_v1":
        if network.tree is not None:
            raise UserError("model.tree needs model.architecture='yolo_v2': the classes of YOLOv1 form no tree")
        names = ["side", "boxes_per_cell", "trunk", "head", "hidden", "dropout"]
        return YoloV1(**{name: getattr(network, name) for name in names}, **common)
    names = ["anchors_cells", "head_convolutions", "passthrough", "trunk"]
    return YoloV2(**{name: getattr(network, name) for name in names}, head_init=head_init, **common)


def build_head(network: Network) -> RegionHead | YoloV1Head:
    """How the output of a detection network is read."""
    if network.architecture == "yolo_v1":
        return YoloV1Head(network.side, network.boxes_per_cell, len(network.classes))
    rule: dict[str, Any] = {} if network.tree is None else {"hierarchy_rule": network.hierarchy_rule}
    return RegionHead(network.anchors_cells, tree=network.tree, location=network.box_parametrisation, **rule)


def batch_norm_of(network: Network, axis_name: str | None, axis_group: int) -> Any:
    """The batch norm of its layers; None where they have none."""
    if not network.use_batch_norm:
        return None
    shared: dict[str, Any] = {"axis_name": axis_name, "axis_group": axis_group}
    return replace(BATCH_NORMS[network.batch_norm], momentum=network.batch_norm_momentum, **shared)


def dtype_of(name: str) -> Any:
    """The type that model.compute_dtype names."""
    if name not in DTYPES:
        raise UserError(f"model.compute_dtype is {name!r}; it can be {' or '.join(DTYPES)}")
    return DTYPES[name]
