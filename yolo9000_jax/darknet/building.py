"""From what a network is to its module and head: of one of ours (models.build), or of one that a cfg describes."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import flax.linen as nn

from yolo9000_jax.boxes.heads import RegionHead, YoloV1Head
from yolo9000_jax.darknet.cfg import Cfg, parse_cfg
from yolo9000_jax.darknet.layers import Detection, Region
from yolo9000_jax.darknet.network import build_network
from yolo9000_jax.errors import UserError
from yolo9000_jax.models import build, yolo_v1, yolo_v2
from yolo9000_jax.models.network import Network
from yolo9000_jax.wordtree.tree import WordTree

STRIDES = {"yolo_v1": yolo_v1.STRIDE, "yolo_v2": yolo_v2.STRIDE}


def build_model(network: Network, axis_name: str | None = None, axis_group: int = 0, **options: Any) -> nn.Module:
    """The module of a network; arguments and errors as of `models.build.build_model`, whose others a cfg decides."""
    if network.architecture != "cfg":
        return build.build_model(network, axis_name, axis_group=axis_group, **options)
    norm = build.batch_norm_of(network, axis_name, axis_group)
    return build_network(plan_of(network.cfg), build.dtype_of(network.compute_dtype), network.batch_norm, norm=norm)


def build_head(network: Network) -> RegionHead | YoloV1Head:
    """How the output of a detection network is read."""
    if network.architecture != "cfg":
        return build.build_head(network)
    return head_of_cfg(plan_of(network.cfg), network.tree, network.hierarchy_rule)


def head_of_cfg(plan: Cfg, tree: WordTree | None, hierarchy_rule: str = "darknet") -> RegionHead | YoloV1Head:
    """How the output of a detection network is read, of that which a cfg describes."""
    head = plan.head
    if isinstance(head, Detection):
        return YoloV1Head(head.side, head.num, head.classes, head.sqrt, head.softmax)
    assert isinstance(head, Region)
    if tree is not None and head.background:
        raise UserError(f"{plan.name}, line {head.line}: [region] background=1 with a tree is not supported")
    anchors = tuple(zip(head.anchors[::2], head.anchors[1::2], strict=True))
    rule: dict[str, Any] = {} if tree is None else {"hierarchy_rule": hierarchy_rule}
    return RegionHead(anchors, "softmax" if head.softmax else "logistic", head.background, tree, **rule)


def layer_rates(network: Network) -> Mapping[str, float]:
    """The factors of the learning rates of single layers, by the names that they have in the parameters."""
    if network.architecture != "cfg":
        return {}
    layers = plan_of(network.cfg).layers
    return {f"layer{layer.index}": layer.learning_rate for layer in layers if layer.learning_rate != 1}


def stride_of(architecture: str, cfg: str = "") -> int:
    """Of how many pixels the sides of a detector's input must be multiples."""
    if architecture != "cfg":
        return STRIDES[architecture]
    plan = plan_of(cfg)
    grid = plan.head.in_shape[1] if isinstance(plan.head, Region) else 1
    return -(-plan.net.width // grid)


@lru_cache(maxsize=8)
def plan_of(text: str) -> Cfg:
    """The plan of the text that model.cfg holds. Raises UserError where it is none."""
    if "\n" not in text:
        raise UserError("model.cfg is the text of a cfg, not its path: yolo9000 train --cfg FILE fills it in")
    return parse_cfg(text)
