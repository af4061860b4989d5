"""Cases of this folder as arguments of our functions, and Darknet's numbers: for tests and benchmarks."""

import functools
import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from yolo9000_jax.darknet.cfg import Cfg, parse_cfg
from yolo9000_jax.darknet.network import to_variables
from yolo9000_jax.losses.region import region_loss
from yolo9000_jax.wordtree.tree import WordTree, load_map


def network_input(path: Path) -> np.ndarray:
    """The picture `u8` of a file as a network's input: float32 [1, H, W, 3] in 0..1."""
    with np.load(path) as stored:
        return (stored["u8"].astype(np.float32) / 255).transpose(1, 2, 0)[None]


def network_output(folder: Path, name: str, net: dict[str, Any]) -> np.ndarray:
    """What Darknet has before the activations of a network's last layer, flat, in its order; empty if not stored."""
    activates = net["layers"][net["output_layer"]][0] != "convolutional"  # where it does not, that is the raw output
    with np.load(folder / f"net_{name}.npz") as stored:
        return stored.get("final_raw" if activates else "final", np.empty(0))


def as_darknet(result: Any) -> np.ndarray:
    """What a network of ours gives, [1, H, W, A, 5 + C] or [1, N], in Darknet's order, flat."""
    result = np.asarray(result, np.float64)
    if result.ndim == 5:
        result = result.reshape(*result.shape[1:3], -1).transpose(2, 0, 1)
    return result.ravel()


class LayerCase(NamedTuple):
    """A single layer of unit/. golden: all arrays that are stored. train: whether batch norm takes the batch's own
    statistics. variables: ours. x [B, H, W, C]."""

    cfg: Cfg
    golden: dict[str, np.ndarray]
    train: bool
    variables: dict[str, Any]
    x: np.ndarray

    def y(self, suffix: str = "_cudnn") -> np.ndarray:
        """Its output as Darknet has it, [B, C, H, W] or flat; `suffix` where that differs with batch norm."""
        return self.golden["y"] if "y" in self.golden else self.golden["y" + suffix]


def layer_case(path: Path) -> LayerCase:
    """The case of a cfg file in unit/."""
    cfg = parse_cfg(path)
    with np.load(path.with_suffix(".npz")) as stored:
        golden = dict(stored)
    train = "dw_cudnn" in golden and not path.stem.endswith("_eval")
    named = {"rmean": "rolling_mean", "rvar": "rolling_variance"}
    golden |= {new: golden[old] for old, new in named.items() if old in golden}
    arrays = {name: golden[name].reshape(shape) for name, shape in cfg.layers[0].parameters().items()}
    variables = to_variables(cfg, {0: arrays} if arrays else {})
    return LayerCase(cfg, golden, train, variables, golden["x"].transpose(0, 2, 3, 1))


class RegionCase(NamedTuple):
    """A case of loss/, r* or t*. case: its entry in loss.json. arguments, switches, tree: of `region_gradient`.
    golden: x, output, delta and neg_grad [B, H, W, A, 5 + C]."""

    case: dict[str, Any]
    arguments: tuple[Any, ...]
    switches: tuple[tuple[str, Any], ...]
    tree: WordTree | None
    golden: dict[str, np.ndarray]


def region_case(folder: Path, name: str) -> RegionCase:
    case = json.loads((folder / "loss/loss.json").read_text())[name]
    region, anchors = case["region"], np.asarray(case["anchors"], np.float32).reshape(-1, 2)
    with np.load(folder / f"loss/{name}.npz") as arrays:
        golden = {key: _to_grid(arrays[key], len(anchors)) for key in ("x", "output", "delta", "neg_grad")}
        rows = arrays["truth"]
    boxes, labels, mask = _truths(rows)
    tree = image_labels = None
    if "tree" in region:
        tree, image_labels = _load_tree(folder / region["tree"]), _image_labels(rows)
    if "map" in region:
        labels = load_map(folder / region["map"], tree)[np.where(mask & (image_labels < 0)[:, None], labels, 0)]
    arguments = golden["x"], (boxes, labels, mask), anchors, case["seen"], _scales(region), image_labels
    return RegionCase(case, arguments, _switches(region), tree, golden)


@functools.partial(jax.jit, static_argnames=("switches", "tree"))
def region_gradient(raw, truths, anchors, seen, scales, image_labels=None, *, switches=(), tree=None):
    """The RegionLoss, and what Darknet adds to `raw`: minus the gradient, of the sum over the pictures."""

    def total(raw):
        options = {**dict(switches), **scales, "tree": tree, "image_labels": image_labels}
        result = region_loss(raw, *truths, anchors, seen=seen, **options)
        return result.total, result

    (_, result), gradient = jax.value_and_grad(total, has_aux=True)(raw)
    return result, -gradient * raw.shape[0]


def _to_grid(array, anchors):
    """(B,A*(5+C),h,w) -> [B,h,w,A,5+C]."""
    batch, channels, height, width = array.shape
    return array.reshape(batch, anchors, channels // anchors, height, width).transpose(0, 3, 4, 1, 2)


def _truths(rows):
    """Boxes, labels, mask of truth rows (B,T,5); the list ends at the first x == 0."""
    mask = np.cumsum(rows[..., 0] == 0, axis=1) == 0
    return rows[..., :4], rows[..., 4].astype(np.int32), mask


def _image_labels(rows):
    """[B] node of the first class-only row (999999) of each image, -1 where there is none."""
    marked = (rows[..., 0] > 100000) & (rows[..., 1] > 100000) & (np.cumsum(rows[..., 0] == 0, axis=1) == 0)
    first = np.argmax(marked, axis=1)
    return np.where(marked.any(axis=1), rows[np.arange(len(rows)), first, 4], -1).astype(np.int32)


def _scales(region):
    names = ("coord_scale", "object_scale", "noobject_scale", "class_scale")
    return {**{name: float(region[name]) for name in names}, "ignore_threshold": float(region["thresh"])}


def _switches(region):
    flags = {name: bool(region.get(name, 0)) for name in ("rescore", "bias_match", "background")}
    return tuple({**flags, "class_activation": "softmax" if region["softmax"] else "logistic"}.items())


@functools.cache
def _load_tree(path):
    return WordTree.load(path)
