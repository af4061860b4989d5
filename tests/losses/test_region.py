"""The region loss against Darknet's numbers (golden r*, t*) and against properties."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.golden.cases import region_case, region_gradient
from tests.helpers import golden_dir, golden_root
from yolo9000_jax.config.ranges import CHOICES
from yolo9000_jax.errors import UserError
from yolo9000_jax.losses.class_box import CLASS_BOXES, choose_box
from yolo9000_jax.losses.region import region_loss
from yolo9000_jax.wordtree.tree import WordTree


def _cases(prefix):
    path = golden_root() / "loss/loss.json"
    names = [name for name in json.loads(path.read_text()) if name.startswith(prefix)] if path.is_file() else []
    return names or [pytest.param(None, marks=pytest.mark.skip(reason="no golden files"))]


def _assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def _slopes(output, background):
    """Derivative of the activated entries that Darknet multiplies its delta by."""
    slopes = np.ones_like(output)
    entries = [0, 1] if background else [0, 1, 4]
    slopes[..., entries] = output[..., entries] * (1 - output[..., entries])
    return slopes


@pytest.mark.parametrize("name", _cases("r") + _cases("t"))
def test_golden(name):
    """Gradient, Darknet's delta and cost, and the statistics line."""
    case, arguments, switches, tree, golden = region_case(golden_dir(), name)
    region = case["region"]
    result, neg_grad = jax.device_get(region_gradient(*arguments, switches=switches, tree=tree))
    _assert_close(neg_grad, golden["neg_grad"])
    delta = neg_grad / _slopes(golden["output"].astype(np.float64), region.get("background"))
    _assert_close(delta, golden["delta"])
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


# A detection image with three truths (two on one box), a classification image, 2 x 3 cells, 2 priors, 6 classes.
ANCHORS = np.array([[0.5, 0.5], [1.5, 1.0]], np.float32)
SCALES = {"coord_scale": 1.0, "object_scale": 5.0, "noobject_scale": 1.0, "class_scale": 1.0, "ignore_threshold": 0.6}
TREE = WordTree(tuple("abcdef"), np.array([-1, -1, 0, 0, 2, 2]))
IMAGE_LABELS = np.array([-1, 5], np.int32)


@pytest.fixture
def raw():
    return np.random.default_rng(0).normal(size=(2, 2, 3, 2, 11)).astype(np.float32)


@pytest.fixture
def truths():
    boxes = np.zeros((2, 5, 4), np.float32)
    boxes[0, :3] = [[0.2, 0.3, 0.5, 0.5], [0.2, 0.3, 0.5, 0.4], [0.8, 0.7, 0.1, 0.2]]
    labels = np.array([[3, 4, 1, 0, 0], [0, 0, 0, 0, 0]], np.int32)
    return boxes, labels, np.array([[1, 1, 1, 0, 0], [0, 0, 0, 0, 0]], bool)


def _run(raw, truths, *, seen=20000, **switches):
    tree = switches.pop("tree", TREE)
    image_labels = switches.pop("image_labels", IMAGE_LABELS if tree else None)
    switches = tuple(switches.items())
    arguments = raw, truths, ANCHORS, seen, SCALES, image_labels
    return jax.device_get(region_gradient(*arguments, switches=switches, tree=tree))


def test_float64_throughout(raw, truths):
    result, neg_grad = _run(raw, truths)
    with jax.enable_x64(True):
        result64, neg_grad64 = _run(raw.astype(np.float64), truths)
    assert neg_grad64.dtype == result64.total.dtype == np.float64
    assert neg_grad.dtype == result.total.dtype == np.float32
    np.testing.assert_allclose(neg_grad, neg_grad64, atol=1e-5)


@pytest.mark.parametrize("tree", [TREE, None])
def test_padding_is_not_read(raw, truths, tree):
    boxes, labels, mask = truths
    expected = _run(raw, truths, tree=tree)
    garbage = np.where(mask[..., None], boxes, np.nan), np.where(mask, labels, 99), mask
    for actual, wanted in zip(jax.tree.leaves(_run(raw, garbage, tree=tree)), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(actual, wanted)


def test_losses_are_means_over_images(raw, truths):
    result, _ = _run(raw[:1], tuple(array[:1] for array in truths), tree=None)
    twice, _ = _run(
        np.repeat(raw[:1], 2, axis=0), tuple(np.repeat(array[:1], 2, axis=0) for array in truths), tree=None
    )
    np.testing.assert_allclose(twice[:10], result[:10], rtol=1e-6)
    assert twice.count == 2 * result.count == 6


def test_warm_up_pulls_boxes_of_detection_images_only(raw, truths):
    _, early = _run(raw, truths, seen=12799)
    _, late = _run(raw, truths, seen=12800)
    assert np.count_nonzero(np.any(late[0, ..., :4] != 0, axis=-1)) == 2
    assert np.all(early[0, ..., :4] != 0)
    assert np.all(early[1, ..., :4] == 0)


def _chosen_boxes(neg_grad):
    return np.flatnonzero(np.any(neg_grad[1, ..., 5:] != 0, axis=-1).reshape(-1)).tolist()


def test_class_box(raw, truths):
    """Darknet weighs P(label) by objectness; the paper does not; "detection" weighs P(parent) by it."""
    raw[1, ..., 5:] = 0
    raw[1, 1, 2, 0, [5, 7, 10]] = 4.0  # the path of node 5: box 10 is the surest of it, but has no objectness
    raw[1, 1, 2, 0, 4] = -9.0
    raw[1, 0, 1, 1, [5, 7, 10]] = 3.0
    assert _chosen_boxes(_run(raw, truths, class_box="paper")[1]) == [10]
    assert _chosen_boxes(_run(raw, truths, class_box="darknet")[1]) == [3]
    raw[1, ..., 4] = -5.0
    raw[1, 0, 0, 1, 4] = 2.0  # box 1 knows nothing of the label
    assert _chosen_boxes(_run(raw, truths, class_box="detection")[1]) == [1]
    raw[1, 0, 1, 0, 4] = 1.0  # box 2 has less objectness, but is sure of the parent, and of another child
    raw[1, 0, 1, 0, [5, 7, 10]] = 4.0, 4.0, -9.0
    assert _chosen_boxes(_run(raw, truths, class_box="detection")[1]) == [2]
    assert _chosen_boxes(_run(raw, truths, class_box="darknet")[1]) == [1]


def _score_of_box(class_box, row, box_cxcywh, label):
    """What `class_box` looks for in one box, in plain NumPy; -1 where it may not be chosen."""
    groups = ([0, 1], [2, 3], [4, 5])  # of siblings in TREE
    shares = np.concatenate([np.exp(row[5:][g]) / np.exp(row[5:][g]).sum() for g in groups])
    objectness, parent = _sigmoid(row[4]), int(TREE.parents[label])
    if class_box.startswith("max"):
        (cx, cy), (w, h) = box_cxcywh[:2], box_cxcywh[2:]
        sides = [min(c + s / 2, 1) - max(c - s / 2, 0) for c, s in ((cx, w), (cy, h))]
        return (objectness if class_box == "max_objectness" else np.prod(sides)) if objectness > 0.6 else -1
    nodes = [parent] if class_box == "detection" else [label]
    probability = np.prod([shares[node] for node in TREE.path(nodes[0])]) if nodes[0] >= 0 else 1
    return probability if class_box == "paper" else objectness * probability


def test_every_rule_chooses_as_a_plain_loop_does(raw, truths):
    rng = np.random.default_rng(4)
    rows, labels = rng.normal(0, 2, (40, 12, 11)), rng.integers(0, 6, 40)
    rows[0, :, 4] = -3.0  # no box has the objectness that some rules want
    boxes = np.concatenate([rng.uniform(0, 1, (40, 12, 2)), rng.uniform(0.1, 1.5, (40, 12, 2))], -1)
    chosen_by = {}
    assert CHOICES["loss.class_box"] == CLASS_BOXES
    for class_box in CLASS_BOXES:
        arrays = jnp.asarray(rows, jnp.float32), jnp.asarray(boxes, jnp.float32), jnp.asarray(labels)
        chosen, is_there = jax.jit(choose_box, static_argnums=(3, 4, 5, 6))(*arrays, 2, TREE, class_box, 0.6)
        scores = [
            [_score_of_box(class_box, *box, label) for box in zip(*image, strict=True)]
            for *image, label in zip(rows, boxes, labels, strict=True)
        ]
        there = np.max(scores, axis=1) >= 0
        np.testing.assert_array_equal(is_there, there)
        np.testing.assert_array_equal(np.asarray(chosen)[there], np.argmax(scores, axis=1)[there])
        assert there[0] == (not class_box.startswith("max")) and there[1:].sum() > 30
        chosen_by[class_box] = tuple(np.asarray(chosen).tolist())
    assert len(set(chosen_by.values())) == len(CLASS_BOXES), "the case tells nothing"


def test_a_picture_without_a_box_above_the_floor_teaches_nothing(raw, truths):
    """Nor does it push objectness down; with one such box the rule is the usual one."""
    raw[1, ..., 4] = -3.0
    options = {"class_box": "max_objectness", "class_objectness": "darknet", "class_box_floor": 0.5}
    assert not _run(raw, truths, **options)[1][1].any()
    raw[1, 1, 0, 1, 4] = 1.0
    _, neg_grad = _run(raw, truths, **options)
    assert _chosen_boxes(neg_grad) == [7] and np.count_nonzero(neg_grad[1, ..., 4]) == 11


def test_a_box_may_be_labelled_as_deep_as_is_known(raw, truths):
    """One of an inner node trains the path down to it, and leaves open what is below."""
    boxes, labels, mask = truths
    for label, trained in ((2, {0, 1, 2, 3}), (4, {0, 1, 2, 3, 4, 5}), (0, {0, 1})):
        labels[0, 2] = label
        _, neg_grad = _run(raw, (boxes, labels, mask))
        owner = neg_grad[0, 1, 2, 0, 5:]  # of the third truth
        assert set(np.flatnonzero(owner).tolist()) == trained


def test_a_label_without_a_parent_trains_the_box_of_highest_objectness(raw, truths):
    raw[1] = 0
    raw[1, 1, 2, 0, [4, 5]] = 2.0, -9.0
    raw[1, 0, 1, 0, [4, 5]] = 1.0, 9.0
    _, neg_grad = _run(raw, truths, class_box="detection", image_labels=np.array([-1, 0], np.int32))
    assert _chosen_boxes(neg_grad) == [10]


def test_equal_boxes_are_chosen_in_darknets_order(raw, truths):
    """Anchor, then row, then column."""
    raw[1] = 0
    assert _chosen_boxes(_run(raw, truths)[1]) == [0]
    raw[1, 1, 2, 0, 4] = raw[1, 0, 0, 1, 4] = 2.0
    assert _chosen_boxes(_run(raw, truths)[1]) == [10]


@pytest.mark.parametrize("logit", [-2.0, 2.0])
def test_class_objectness(raw, truths, logit):
    raw[1] = 0
    raw[1, 0, 0, 0, 4] = logit
    objectness = 1 / (1 + np.exp(-raw[1, ..., 4].reshape(-1)))
    slope = objectness * (1 - objectness)
    is_chosen = np.arange(12) == 0
    for class_objectness, expected in {
        "darknet": np.where(is_chosen, 0, -objectness * slope),
        "paper": np.where(is_chosen & (objectness < 0.3), 5 * (0.3 - objectness) * slope, 0),
        "none": 0 * slope,
    }.items():
        _, neg_grad = _run(raw, truths, class_objectness=class_objectness, class_box="paper")
        np.testing.assert_allclose(neg_grad[1, ..., 4].reshape(-1), expected, atol=1e-6)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _iou(a, b):
    overlap = np.prod(
        [
            max(min(a[i] + a[i + 2] / 2, b[i] + b[i + 2] / 2) - max(a[i] - a[i + 2] / 2, b[i] - b[i + 2] / 2), 0)
            for i in (0, 1)
        ]
    )
    return overlap / (a[2] * a[3] + b[2] * b[3] - overlap)


def _plain_loop(raw, truths, location, warming):
    """Losses xy, wh and objectness of detection images, one box after the other."""
    xy = wh = objectness = 0.0
    count, rows, columns, anchors = raw.shape[:4]
    grid = np.array([columns, rows])
    for image in range(count):
        boxes = [box for box, real in zip(truths[0][image], truths[2][image], strict=True) if real]
        owner = {}
        for box in boxes:
            column, row = (box[:2] * grid).astype(int)
            overlaps = [_iou([0, 0, *(prior / grid)], [0, 0, *box[2:]]) for prior in ANCHORS]
            owner[row, column, int(np.argmax(overlaps))] = box
        for row, column, anchor in np.ndindex(rows, columns, anchors):
            x, y, w, h, o = raw[image, row, column, anchor, :5].astype(np.float64)
            cell, prior, place = np.array([column, row]), ANCHORS[anchor], np.array([x, y])
            guess = _sigmoid(place) if location == "direct" else place
            centre = cell + guess if location == "direct" else cell + 0.5 + place * prior
            found = [*centre / grid, *prior * np.exp([w, h]) / grid]
            box = owner.get((row, column, anchor))
            if box is None:
                middle = 0.5 if location == "direct" else 0.0
                xy += warming * 0.01 * np.sum((middle - guess) ** 2)
                wh += warming * 0.01 * (w**2 + h**2)
                if max((_iou(found, other) for other in boxes), default=0) <= SCALES["ignore_threshold"]:
                    objectness += SCALES["noobject_scale"] * _sigmoid(o) ** 2
                continue
            target = box[:2] * grid - cell
            if location == "offset":
                target = (target - 0.5) / prior
            scale = SCALES["coord_scale"] * (2 - box[2] * box[3])
            xy += scale * np.sum((target - guess) ** 2)
            wh += scale * np.sum((np.log(box[2:] * grid / prior) - [w, h]) ** 2)
            objectness += SCALES["object_scale"] * (_iou(found, box) - _sigmoid(o)) ** 2
    return [value / 2 / count for value in (xy, wh, objectness)]


@pytest.mark.parametrize("seen", [100, 20000])
@pytest.mark.parametrize("location", ["direct", "offset"])
def test_both_locations_against_a_plain_loop(raw, truths, location, seen):
    result, neg_grad = _run(raw, truths, tree=None, seen=seen, location=location)
    expected = _plain_loop(raw, truths, location, warming=seen < 12800)
    np.testing.assert_allclose([result.xy, result.wh, result.objectness], expected, rtol=1e-5)
    at_prior = raw.copy()
    at_prior[..., :4] = 0
    result, neg_grad = _run(
        at_prior, (truths[0], truths[1], np.zeros_like(truths[2])), tree=None, seen=0, location=location
    )
    assert result.xy == result.wh == 0 and not neg_grad[..., :4].any(), "the prior, in the middle of its cell"


@pytest.mark.parametrize(
    "options",
    [
        {"location": "free"},
        {"class_activation": "sigmoid"},
        {"class_box": "best"},
        {"class_objectness": "half"},
        {"background": True, "tree": TREE},
        {"image_labels": IMAGE_LABELS},
    ],
)
def test_wrong_options_are_refused(raw, truths, options):
    with pytest.raises(UserError, match=next(iter(options))):
        region_loss(raw, *truths, ANCHORS, seen=0, **options)
