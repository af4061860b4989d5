"""Decoding against a plain loop, and boxes, scores and suppression against Darknet's own numbers (golden loss/rNN)."""

import json

import jax
import numpy as np
import pytest

from tests.helpers import golden_dir, golden_root
from yolo9000_jax.boxes.decode import decode, decode_boxes, detect, threshold_scores
from yolo9000_jax.boxes.geometry import iou_xyxy, xyxy_to_cxcywh
from yolo9000_jax.boxes.nms import keep_by_objectness, nms_per_class
from yolo9000_jax.errors import UserError
from yolo9000_jax.images.resizing import Resize

SLACK = 1e-4  # scores this near to the threshold may fall on either side of it
IOU_SLACK = 2e-6  # and overlaps this near to the limit on either side of that
NMS = 0.45  # Darknet's, where loss.json does not name another


def golden_cases():
    """(case, number of its detection list) of the flat-class region layers in the golden folder."""
    path = golden_root() / "loss" / "loss.json"
    cases = json.loads(path.read_text()) if path.is_file() else {}
    counts = {name: len(case.get("dets", [])) for name, case in cases.items() if name.startswith("r")}
    found = [(name, number) for name, count in counts.items() for number in range(count)]
    return found or [pytest.param("", 0, marks=pytest.mark.skip(reason="no golden files"))]


class GoldenDetections:
    """One detection list of a golden case: our raw grid and Darknet's numbers, in our order of boxes."""

    def __init__(self, name, number):
        folder = golden_dir() / "loss"
        case = json.loads((folder / "loss.json").read_text())[name]
        arrays = np.load(folder / f"{name}.npz")
        self.options, self.rows_columns, detections = case["region"], case["grid_hw"], case["dets"][number]
        rows, columns = self.rows_columns
        anchors = self.options["num"]
        self.anchors_cells = np.array(case["anchors"], np.float32).reshape(anchors, 2)
        planes = arrays["x"].reshape(-1, anchors, 5 + self.options["classes"], rows, columns)
        self.raw = planes.transpose(0, 3, 4, 1, 2)[:1]
        # Our box (row, column, anchor) is Darknet's box (anchor, row, column).
        self.theirs = np.arange(anchors * rows * columns).reshape(anchors, rows, columns).transpose(1, 2, 0).reshape(-1)
        self.ours = np.argsort(self.theirs)
        self.threshold, self.iou_threshold = detections["thresh"], detections.get("nms", NMS)
        self.image_wh, self.relative = detections["image_wh"], detections["relative"]
        prefix = f"det{number}_"
        self.arrays = {key.removeprefix(prefix): arrays[key] for key in arrays.files if key.startswith(prefix)}

    def decoded(self):
        activation = "softmax" if self.options.get("softmax") else "logistic"
        return decode(self.raw, self.anchors_cells, activation, bool(self.options.get("background")))

    def scores(self, triples):
        """Rows (index, class, score, ...) of Darknet as an array [N, C] in our order."""
        scores = np.zeros((len(self.theirs), self.options["classes"]), np.float32)
        scores[self.ours[triples[:, 0].astype(int)], triples[:, 1].astype(int)] = triples[:, 2]
        return scores

    def has_borderline_overlap(self, boxes_cxcywh, mask):
        """Whether two of the boxes overlap so nearly by the limit that rounding decides."""
        boxes = boxes_cxcywh[mask].astype(np.float64)
        corners = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], -1)
        return (np.abs(iou_xyxy(corners[:, None], corners) - self.iou_threshold) < IOU_SLACK).any()


def assert_same_scores(ours, golden, threshold):
    clear = np.maximum(ours, golden) > threshold + SLACK
    np.testing.assert_allclose(np.where(clear, ours, 0), np.where(clear, golden, 0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("name", "number"), golden_cases())
def test_golden_boxes_and_scores(name, number):
    golden = GoldenDetections(name, number)
    decoded = golden.decoded()
    rows, columns = golden.rows_columns
    boxes_xyxy = Resize("letterbox").to_picture(
        np.asarray(decoded.boxes_cxcywh[0]), golden.image_wh, (columns, rows), clip=False
    )
    expected = golden.arrays["bbox"][golden.theirs] * (np.tile(golden.image_wh, 2) if golden.relative else 1)
    size = expected[:, 2:].max(-1, keepdims=True) + max(golden.image_wh)
    np.testing.assert_allclose(xyxy_to_cxcywh(boxes_xyxy) / size, expected / size, atol=2e-6)

    objectness, scores = threshold_scores(decoded.objectness[0], decoded.class_probabilities[0], golden.threshold)
    clear = np.abs(np.asarray(decoded.objectness[0]) - golden.threshold) > SLACK
    expected_objectness = golden.arrays["objectness"][golden.theirs]
    np.testing.assert_allclose(np.where(clear, objectness, 0), np.where(clear, expected_objectness, 0), rtol=1e-5)
    assert_same_scores(np.asarray(scores), golden.scores(golden.arrays["prob_ijv"]), golden.threshold)


@pytest.mark.parametrize(("name", "number"), golden_cases())
def test_golden_suppression(name, number):
    golden = GoldenDetections(name, number)
    decoded = golden.decoded()
    boxes = np.asarray(decoded.boxes_cxcywh)
    objectness, scores = threshold_scores(decoded.objectness, decoded.class_probabilities, golden.threshold)
    count = boxes.shape[1]
    if "nms_obj" in golden.arrays:
        kept = np.asarray(keep_by_objectness(boxes, objectness, golden.iou_threshold)[0])
        expected = np.zeros(count, bool)
        expected[golden.ours[golden.arrays["nms_obj"][:, 0].astype(int)]] = True
        if golden.has_borderline_overlap(boxes[0], np.asarray(objectness[0]) > 0):
            pytest.skip("rounding decides which of two boxes is suppressed")
        clear = np.abs(np.asarray(decoded.objectness[0]) - golden.threshold) > SLACK
        np.testing.assert_array_equal(kept & clear, expected & clear)
        return
    # Each class as a picture of its own, so that no limit of candidates cuts anything.
    classes = scores.shape[-1]
    by_class = np.asarray(scores[0]).T[..., None]
    result = nms_per_class(np.repeat(boxes, classes, 0), by_class, golden.iou_threshold)
    expected = golden.scores(golden.arrays["nms"])
    compared = 0
    for label in range(classes):
        before = by_class[label, :, 0]
        if golden.has_borderline_overlap(boxes[0], before > 0):
            continue
        detected = np.asarray(result.boxes_cxcywh[label])[np.asarray(result.valid[label])]
        kept = (boxes[0][:, None] == detected).all(-1).any(1)
        assert_same_scores(np.where(kept, before, 0), expected[:, label], golden.threshold)
        compared += 1
    assert compared > 0


@pytest.mark.parametrize(("name", "number"), golden_cases())
def test_golden_detections(name, number):
    """The whole way: the best detections and how many there are of them."""
    golden = GoldenDetections(name, number)
    if "nms" not in golden.arrays:
        pytest.skip("this list was suppressed by objectness; compared above")
    activation = "softmax" if golden.options.get("softmax") else "logistic"
    result = detect(
        golden.raw,
        golden.anchors_cells,
        golden.threshold,
        golden.iou_threshold,
        candidates=1 << 14,
        class_activation=activation,
        background=bool(golden.options.get("background")),
    )
    expected = np.sort(golden.arrays["nms"][:, 2])[::-1]
    found = np.asarray(result.scores[0])
    rows = max(len(found), len(expected))
    found, expected = (np.pad(scores, (0, rows - len(scores))) for scores in (found, expected))
    assert_same_scores(found, expected, golden.threshold)


@pytest.mark.parametrize("location", ["direct", "offset"])
def test_a_grid_with_more_columns_than_rows_against_a_plain_loop(location):
    generator = np.random.default_rng(0)
    raw = generator.normal(size=(2, 3, 5, 2, 5 + 4)).astype(np.float32)
    anchors_cells = np.array([[1.0, 2.0], [3.0, 0.5]], np.float32)
    decoded = jax.jit(decode, static_argnames="location")(raw, anchors_cells, location=location)
    for batch, row, column, anchor in np.ndindex(raw.shape[:4]):
        x, y, w, h, objectness, *classes = raw[batch, row, column, anchor].astype(np.float64)
        place = batch, (row * 5 + column) * 2 + anchor
        width, height = anchors_cells[anchor]
        if location == "direct":
            centre = (column + 1 / (1 + np.exp(-x))) / 5, (row + 1 / (1 + np.exp(-y))) / 3
        else:
            centre = (column + 0.5 + x * width) / 5, (row + 0.5 + y * height) / 3
        box = [*centre, width * np.exp(w) / 5, height * np.exp(h) / 3]
        np.testing.assert_allclose(decoded.boxes_cxcywh[place], box, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(decoded.objectness[place], 1 / (1 + np.exp(-objectness)), rtol=1e-5)
        np.testing.assert_allclose(
            decoded.class_probabilities[place], np.exp(classes) / np.exp(classes).sum(), rtol=1e-5
        )
    boxes_cxcywh = decode_boxes(raw, anchors_cells, location)
    np.testing.assert_array_equal(boxes_cxcywh, decode(raw, anchors_cells, location=location).boxes_cxcywh)
    if location == "offset":
        assert np.any(np.abs(boxes_cxcywh[..., :2] - 0.5) > 0.7), "no bounds"


def test_the_papers_example_of_an_offset():
    """t_x = 1 shifts the box to the right by its anchor's width, t_x = -1 to the left by as much (paper, section 2)."""
    anchor = np.array([[2.0, 0.5]], np.float32)
    raw = np.zeros((1, 3, 5, 1, 6), np.float32)
    still = decode_boxes(raw, anchor, "offset")
    for amount in (1.0, -1.0):
        for axis, cells in ((0, 5), (1, 3)):
            raw[...] = 0
            raw[..., axis] = amount
            shift = decode_boxes(raw, anchor, "offset") - still
            expected = np.zeros(4)
            expected[axis] = amount * anchor[0, axis] / cells
            np.testing.assert_allclose(shift, np.broadcast_to(expected, shift.shape), atol=1e-6)


def test_suppression_by_objectness_crosses_classes():
    raw = np.full((1, 1, 1, 2, 5 + 2), -9, np.float32)  # two boxes with the same centre and shape, of different classes
    raw[..., :4] = 0
    raw[0, 0, 0, :, 4] = 3, 2
    raw[0, 0, 0, 0, 5] = raw[0, 0, 0, 1, 6] = 9
    anchors_cells = np.ones((2, 2), np.float32)
    assert detect(raw, anchors_cells, 0.1, 0.5).valid.sum() == 2
    for suppression in ("objectness", "score"):
        assert detect(raw, anchors_cells, 0.1, 0.5, suppression=suppression).valid.sum() == 1


def test_low_precision_networks_decode_in_float32():
    raw = np.random.default_rng(0).normal(size=(1, 2, 2, 1, 6)).astype(jax.numpy.bfloat16)
    assert {field.dtype for field in decode(raw, np.ones((1, 2)))} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"class_activation": "tree"}, "'tree'"),
        ({"class_activation": "logistic", "background": True}, "background=True"),
        ({"suppression": "none"}, "'none'"),
        ({"location": "free"}, "'free'"),
    ],
)
def test_unknown_options_are_named(options, named):
    with pytest.raises(UserError, match=named):
        detect(np.zeros((1, 1, 1, 1, 7), np.float32), np.ones((1, 2), np.float32), 0.5, 0.5, **options)
