"""YOLOv1's loss and decoding against Darknet's numbers (golden d*) and against properties."""

import functools
import json
import re

import jax
import numpy as np
import pytest

from tests.helpers import golden_dir, golden_root
from yolo9000_jax.boxes.decode import decode_yolo_v1
from yolo9000_jax.boxes.geometry import xyxy_to_cxcywh
from yolo9000_jax.boxes.nms import nms_per_class
from yolo9000_jax.errors import UserError
from yolo9000_jax.images.resizing import Resize
from yolo9000_jax.losses.yolo_v1 import yolo_v1_loss

SCALES = ("coord_scale", "object_scale", "noobject_scale", "class_scale")
SWITCHES = ("rescore", "sqrt", "softmax", "forced")


def _cases():
    path = golden_root() / "loss/loss.json"
    names = [name for name in json.loads(path.read_text()) if name.startswith("d")] if path.is_file() else []
    return names or [pytest.param(None, marks=pytest.mark.skip(reason="no golden files"))]


def _load(name):
    case = json.loads((golden_dir() / "loss/loss.json").read_text())[name]
    return case, np.load(golden_dir() / f"loss/{name}.npz")


def _layout(detection):
    return {"side": detection["side"], "boxes_per_cell": detection["num"], "num_classes": detection["classes"]}


def truths_of_cells(cells, layout):
    """Boxes, labels, mask of truths by cell [B, S*S, 1+C+4], whose x and y are offsets within the cell."""
    side = layout["side"]
    corner = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)
    centre = (corner + cells[..., -4:-2].astype(np.float64)) / side
    boxes = np.concatenate([centre, cells[..., -2:]], -1).astype(np.float32)
    onehot, mask = cells[..., 1:-4], cells[..., 0] > 0
    assert (onehot[mask].sum(-1) == 1).all() and onehot.max() == 1
    return boxes, onehot.argmax(-1).astype(np.int32), mask


@functools.partial(jax.jit, static_argnames="options")
def _loss_and_delta(vector, truths, options):
    def total(vector):
        result = yolo_v1_loss(vector, *truths, **dict(options))
        return result.total, result

    (_, result), gradient = jax.value_and_grad(total, has_aux=True)(vector)
    return result, -gradient * len(vector)


@pytest.mark.parametrize("name", _cases())
def test_golden_loss(name):
    """Darknet's delta and cost, and the statistics line."""
    case, arrays = _load(name)
    detection = case["detection"]
    layout = _layout(detection)
    options = layout | {scale: float(detection.get(scale, 1)) for scale in SCALES}
    options |= {switch: bool(detection.get(switch, 0)) for switch in SWITCHES}
    result, delta = jax.device_get(
        _loss_and_delta(arrays["x"], truths_of_cells(arrays["truth"], layout), options=tuple(options.items()))
    )
    np.testing.assert_allclose(delta, arrays["delta"], rtol=0, atol=1e-5 * np.abs(arrays["delta"]).max())
    np.testing.assert_allclose(np.sum(np.square(delta, dtype=np.float64)), case["cost"], rtol=5e-5)
    line = dict(re.findall(r"([A-Z][\w ]*|count): (-?[\d.]+)", case["log"]))
    printed = {
        "Detection Avg IOU": result.avg_iou,
        "Pos Cat": result.class_probability,
        "Pos Obj": result.responsible_objectness,
        "Any Obj": result.mean_objectness,
        "count": result.count,
    }
    for key, value in printed.items():
        np.testing.assert_allclose(value, float(line[key]), atol=2e-6, err_msg=key)
    np.testing.assert_allclose(result.total, result.xy + result.wh + result.objectness + result.classes, rtol=1e-6)


@pytest.mark.parametrize("name", _cases())
def test_golden_detections(name):
    case, arrays = _load(name)
    detection, layout = case["detection"], _layout(case["detection"])
    decoded = decode_yolo_v1(
        arrays["x"][:1], **layout, sqrt=bool(detection.get("sqrt")), softmax=bool(detection.get("softmax"))
    )
    output = arrays["output"][0]
    cells = layout["side"] ** 2
    classes = output[: cells * layout["num_classes"]].reshape(cells, -1).repeat(layout["boxes_per_cell"], 0)
    np.testing.assert_allclose(decoded.class_probabilities[0], classes, atol=1e-6)
    for number, listed in enumerate(case["dets"]):
        golden = {key: arrays[f"det{number}_{key}"] for key in ("bbox", "objectness", "prob_ijv", "nms")}
        found = np.asarray(decoded.boxes_cxcywh[0])
        boxes = xyxy_to_cxcywh(Resize("stretch").to_picture(found, listed["image_wh"], (1, 1), clip=False))
        scale = np.tile(listed["image_wh"], 2) if listed["relative"] else 1
        np.testing.assert_allclose(boxes, golden["bbox"] * scale, rtol=1e-5, atol=1e-3)
        np.testing.assert_allclose(decoded.objectness[0], golden["objectness"], rtol=1e-6)
        _check_scores(decoded, golden, listed["thresh"], listed["nms"])


def _check_scores(decoded, golden, threshold, iou_threshold):
    """Scores before and after suppression, against rows (index, class, score, ...)."""

    def table(rows):
        scores = np.zeros(decoded.class_probabilities.shape[1:], np.float32)
        scores[rows[:, 0].astype(int), rows[:, 1].astype(int)] = rows[:, 2]
        return scores

    scores = np.asarray(decoded.objectness[0, :, None] * decoded.class_probabilities[0])
    scores = np.where(scores > threshold, scores, 0)
    before, after = table(golden["prob_ijv"]), table(golden["nms"])
    clear = np.maximum(scores, before) > threshold + 1e-4
    np.testing.assert_allclose(np.where(clear, scores, 0), np.where(clear, before, 0), rtol=1e-5)
    classes = scores.shape[1]
    by_class = scores.T[..., None]
    boxes = np.repeat(np.asarray(decoded.boxes_cxcywh), classes, 0)
    result = jax.device_get(nms_per_class(boxes, by_class, iou_threshold))
    for label in range(classes):
        expected = np.sort(after[:, label][after[:, label] > threshold + 1e-4])[::-1]
        found = result.scores[label][result.scores[label] > threshold + 1e-4]
        np.testing.assert_allclose(found, expected, rtol=1e-5, err_msg=f"class {label}")


LAYOUT = {"side": 3, "boxes_per_cell": 2, "num_classes": 4}


@pytest.fixture
def vector():
    return np.random.default_rng(0).uniform(0.1, 0.9, (2, 9 * (4 + 5 * 2))).astype(np.float32)


@pytest.fixture
def truths():
    """Three truths in image 0, the last in the cell of the first; none in image 1."""
    boxes = np.zeros((2, 4, 4), np.float32)
    boxes[0, :3] = [[0.2, 0.3, 0.5, 0.5], [0.8, 0.7, 0.1, 0.2], [0.1, 0.1, 0.2, 0.2]]
    labels = np.array([[3, 1, 2, 0], [0, 0, 0, 0]], np.int32)
    return boxes, labels, np.array([[1, 1, 1, 0], [0, 0, 0, 0]], bool)


def _run(vector, truths, **switches):
    return jax.device_get(_loss_and_delta(vector, truths, options=tuple((LAYOUT | switches).items())))


def test_first_truth_of_a_cell_wins_and_padding_is_not_read(vector, truths):
    boxes, labels, mask = truths
    expected = _run(vector, truths)
    assert expected[0].count == 2
    without_third = mask & (np.arange(4) != 2)
    garbage = np.where(without_third[..., None], boxes, np.nan), np.where(without_third, labels, 99), without_third
    outside = boxes.copy()
    outside[0, 2, :2] = 1.0, 0.5
    for changed in (garbage, (outside, labels, mask)):
        jax.tree.map(np.testing.assert_array_equal, _run(vector, changed), expected)


def test_a_perfect_output_costs_nothing(truths):
    """Zero loss at the truths themselves, and every detection found again."""
    boxes, labels, mask = truths
    mask = mask & (np.arange(4) < 2)
    vector = np.zeros((2, 9 * (4 + 5 * 2)), np.float32)
    for box, label in zip(boxes[0, :2].astype(np.float64), labels[0, :2], strict=True):
        column, row = np.floor(box[:2] * 3).astype(int)
        cell = row * 3 + column
        vector[0, cell * 4 + label] = 1
        vector[0, 36 + cell * 2 + 1] = 1
        vector[0, 36 + 18 + (cell * 2 + 1) * 4 :][:4] = [*(box[:2] * 3 - [column, row]), *np.sqrt(box[2:])]
    result, delta = _run(vector, (boxes, labels, mask))
    np.testing.assert_allclose(delta, 0, atol=1e-5)
    assert result.total < 1e-10 and result.recall50 == 1
    decoded = decode_yolo_v1(vector, **LAYOUT)
    found = np.flatnonzero(decoded.objectness[0])
    np.testing.assert_allclose(decoded.boxes_cxcywh[0][found], boxes[0, :2], atol=1e-6)
    np.testing.assert_array_equal(np.argmax(decoded.class_probabilities[0][found], -1), labels[0, :2])


def test_boxes_that_do_not_overlap_are_chosen_by_distance(vector, truths):
    boxes, labels, mask = (array[:1, :1] for array in truths)  # centre in cell 0
    vector = vector[:1].copy()
    vector[0, 54:58] = [-9, -9, 0.1, 0.1]  # box 0 of cell 0
    vector[0, 58:62] = [-5, -5, 0.1, 0.1]  # box 1: nearer
    result, delta = _run(vector, (boxes, labels, mask))
    assert result.avg_iou == 0
    assert np.flatnonzero(delta[0, 54:]).tolist() == [4, 5, 6, 7]
    _, forced = _run(vector, (boxes, labels, mask), forced=True)
    assert np.flatnonzero(forced[0, 54:]).tolist() == [0, 1, 2, 3], "large truths belong to box 0"


def test_wrong_options_are_refused(vector, truths):
    with pytest.raises(UserError, match="126 numbers is not 3\\*3 cells .* that takes 135"):
        yolo_v1_loss(vector, *truths, side=3, boxes_per_cell=2, num_classes=5)
    with pytest.raises(UserError, match="forced"):
        yolo_v1_loss(vector[:, :81], *truths, side=3, boxes_per_cell=1, num_classes=4, forced=True)
