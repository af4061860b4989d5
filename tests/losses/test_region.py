"""The region loss against Darknet's numbers (golden r*, t*) and against properties."""

import functools
import json

import jax
import numpy as np
import pytest

from tests.helpers import golden_dir, golden_root
from yolo9000_jax.losses.region import region_loss
from yolo9000_jax.wordtree.tree import WordTree, load_map


def _cases(prefix):
    path = golden_root() / "loss/loss.json"
    names = [name for name in json.loads(path.read_text()) if name.startswith(prefix)] if path.is_file() else []
    return names or [pytest.param(None, marks=pytest.mark.skip(reason="no golden files"))]


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
def _tree(path):
    return WordTree.load(path)


@functools.partial(jax.jit, static_argnames=("switches", "tree"))
def _loss_and_gradient(raw, truths, anchors, seen, scales, image_labels=None, *, switches=(), tree=None):
    def total(raw):
        options = {**dict(switches), **scales, "tree": tree, "image_labels": image_labels}
        result = region_loss(raw, *truths, anchors, seen=seen, **options)
        return result.total, result

    (_, result), gradient = jax.value_and_grad(total, has_aux=True)(raw)
    return result, -gradient * raw.shape[0]


def _assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def _slopes(output, background):
    """Derivative of the activated entries that Darknet multiplies its delta by."""
    slopes = np.ones_like(output)
    entries = [0, 1] if background else [0, 1, 4]
    slopes[..., entries] = output[..., entries] * (1 - output[..., entries])
    return slopes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", _cases("r") + _cases("t"))
def test_golden(name, dtype):
    """Gradient, Darknet's delta and cost, and the statistics line."""
    case = json.loads((golden_dir() / "loss/loss.json").read_text())[name]
    region, arrays = case["region"], np.load(golden_dir() / f"loss/{name}.npz")
    anchors = np.asarray(case["anchors"], dtype).reshape(-1, 2)
    grid = {key: _to_grid(arrays[key], len(anchors)) for key in ("x", "output", "delta", "neg_grad")}
    boxes, labels, mask = _truths(arrays["truth"])
    tree = image_labels = None
    if "tree" in region:
        tree, image_labels = _tree(golden_dir() / region["tree"]), _image_labels(arrays["truth"])
    if "map" in region:
        labels = load_map(golden_dir() / region["map"], tree)[np.where(mask & (image_labels < 0)[:, None], labels, 0)]
    arguments = grid["x"].astype(dtype), (boxes, labels, mask), anchors, case["seen"], _scales(region), image_labels
    with jax.enable_x64(dtype == np.float64):
        result, neg_grad = jax.device_get(_loss_and_gradient(*arguments, switches=_switches(region), tree=tree))
    assert neg_grad.dtype == dtype
    _assert_close(neg_grad, grid["neg_grad"])
    delta = neg_grad / _slopes(grid["output"].astype(np.float64), region.get("background"))
    _assert_close(delta, grid["delta"])
    np.testing.assert_allclose(np.sum(np.square(delta)), case["cost"], rtol=5e-5)  # summed in float32, one by one
    expected = dict(case["stats"])
    if not region["softmax"]:
        del expected["class"]  # Darknet leaves out a box's second label but counts it
    _assert_statistics(result, expected)


def _assert_statistics(result, expected):
    names = {
        "avg_iou": result.avg_iou,
        "class": result.class_probability,
        "obj": result.responsible_objectness,
        "noobj": result.mean_objectness,
        "recall": result.recall50,
        "count": result.count,
    }
    assert all(np.isfinite(value) for value in result)
    for name, value in expected.items():
        if np.isfinite(value):
            np.testing.assert_allclose(names[name], value, rtol=1e-5, atol=1e-6, err_msg=name)
    parts = result.xy + result.wh + result.objectness + result.classes
    np.testing.assert_allclose(result.total, parts, rtol=1e-6)
