"""The detector around a network that always answers the same: pixels, clipping, batches, JSON, pictures."""

import base64
import io
import re

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from yolo9000_jax.boxes.heads import RegionHead, YoloV1Head
from yolo9000_jax.errors import UserError
from yolo9000_jax.predict.detector import Detector
from yolo9000_jax.predict.loading import load

SIDE, CELLS, NAMES = 64, 2, ("cat", "dog")
ANCHOR = (1.5, 0.75)  # cells


class Fixed(nn.Module):
    """Gives `grid`, nested tuples [S, S, A, 5 + C], for each picture; the objectness also grows with its brightness."""

    grid: tuple
    brightness: float = 0.0

    @nn.compact
    def __call__(self, images, train=False):
        raw = jnp.tile(jnp.asarray(self.grid, jnp.float32)[None], (len(images), 1, 1, 1, 1))
        return raw.at[..., 4].add(self.brightness * images.mean((1, 2, 3))[:, None, None, None])


def logit(p):
    p = max(p, 1e-9)  # a box in the very corner of its cell
    return float(np.log(p / (1 - p)))


def grid(*boxes):
    """A grid that says these boxes, each (cx, cy, w, h, score, class), in fractions of the input; one box a cell."""
    raw = np.full((CELLS, CELLS, 1, 7), -20.0)
    for cx, cy, w, h, score, label in boxes:
        column, row = int(cx * CELLS), int(cy * CELLS)
        sizes = np.log(w * CELLS / ANCHOR[0]), np.log(h * CELLS / ANCHOR[1])
        classes = [20.0 * (c == label) for c in range(2)]
        raw[row, column, 0] = [logit(cx * CELLS - column), logit(cy * CELLS - row), *sizes, logit(score), *classes]
    return tuple(tuple(tuple(tuple(map(float, a)) for a in cell) for cell in line) for line in raw)


def detector(*boxes, resize="letterbox", brightness=0.0):
    return Detector(Fixed(grid(*boxes), brightness), {}, NAMES, RegionHead([ANCHOR]), (SIDE, SIDE), resize)


def picture(width, height, value=100):
    return np.full((height, width, 3), value, np.uint8)


def to_network(box_xyxy, width, height, resize):
    """A box in pixels of the picture as (cx, cy, w, h), fractions of the network's input."""
    scale_x, scale_y, left, top = 1 / width, 1 / height, 0, 0
    if resize == "letterbox" and width > height:
        inner = height * SIDE // width
        scale_y, top = inner / SIDE / height, (SIDE - inner) / 2 / SIDE
    elif resize == "letterbox":
        inner = width * SIDE // height
        scale_x, left = inner / SIDE / width, (SIDE - inner) / 2 / SIDE
    x0, y0, x1, y1 = box_xyxy
    x0, x1, y0, y1 = left + x0 * scale_x, left + x1 * scale_x, top + y0 * scale_y, top + y1 * scale_y
    return (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
@pytest.mark.parametrize("width, height", [(100, 50), (50, 100), (31, 77), (64, 64)])
def test_boxes_are_pixels_of_the_original(width, height, resize):
    first = np.array([0.1 * width, 0.2 * height, 0.3 * width, 0.4 * height])
    second = np.array([0.55 * width, 0.6 * height, 0.9 * width, 0.9 * height])
    detect = detector(
        (*to_network(first, width, height, resize), 0.6, 1),
        (*to_network(second, width, height, resize), 0.9, 0),
        resize=resize,
    )
    result = detect(picture(width, height))
    np.testing.assert_allclose(result.boxes_xyxy, [second, first], atol=1e-3)  # best first
    np.testing.assert_allclose(result.scores, [0.9, 0.6], atol=1e-5)
    assert result.labels.tolist() == [0, 1] and result.names == ("cat", "dog") and len(result) == 2
    assert result.image.shape == (height, width, 3)


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_boxes_are_clipped_to_the_picture(resize):
    stated = (-20, -5, 130, 70)
    result = detector((*to_network(stated, 100, 50, resize), 0.9, 0), resize=resize)(picture(100, 50))
    np.testing.assert_allclose(result.boxes_xyxy, [[0, 0, 100, 50]], atol=1e-3)


def test_threshold_and_nms():
    """The two boxes, of neighbouring cells, overlap by an IoU of 0.5 / 0.7."""
    detect = detector((0.45, 0.25, 0.6, 0.4, 0.8, 0), (0.55, 0.25, 0.6, 0.4, 0.7, 0))
    pixels = picture(64, 64)
    assert len(detect(pixels, nms=0.70)) == 1
    assert len(detect(pixels, nms=0.73)) == 2
    assert len(detect(pixels, nms=0.73, threshold=0.75)) == 1
    assert len(detect(pixels, threshold=0.85)) == 0
    other = detector((0.45, 0.25, 0.6, 0.4, 0.8, 0), (0.55, 0.25, 0.6, 0.4, 0.7, 1))
    assert len(other(pixels, nms=0.1)) == 2  # of two classes


def test_class_agnostic():
    """Two boxes of two classes at one place; and one box that is two things."""
    detect = detector((0.45, 0.25, 0.6, 0.4, 0.8, 0), (0.55, 0.25, 0.6, 0.4, 0.7, 1))
    pixels = picture(64, 64)
    assert detect(pixels).names == ("cat", "dog") and detect(pixels, class_agnostic=True).names == ("cat",)
    assert len(detect(pixels, class_agnostic=True, nms=0.73)) == 2
    raw = np.full((CELLS, CELLS, 1, 7), -20.0)
    raw[0, 0, 0] = 0, 0, 0, 0, 4, 3, 2
    raw = tuple(tuple(tuple(tuple(map(float, a)) for a in cell) for cell in line) for line in raw)
    both = Detector(Fixed(raw), {}, NAMES, RegionHead([ANCHOR], class_activation="logistic"), (SIDE, SIDE))
    assert both(pixels).names == ("cat", "dog") and both(pixels, class_agnostic=True).names == ("cat",)
    one = Detector(Fixed(both.model.grid), {}, NAMES, YoloV1Head(1, 2, 18), (SIDE, SIDE))
    assert one.head.detect(jnp.ones((1, 28)), 0.5, 0.5).valid.sum() == 18
    assert one.head.detect(jnp.ones((1, 28)), 0.5, 0.5, class_agnostic=True).valid.sum() == 1


def crowd(side, score=0.9):
    """A detector that finds a small box in each of side * side cells, of scores that fall a little."""
    raw = np.full((side, side, 1, 7), -20.0)
    raw[..., :4], raw[..., 4] = (
        [0, 0, -2, -2],
        np.linspace(logit(score), logit(score) - 0.1, side * side).reshape(side, side, 1),
    )
    raw[..., 5] = 20
    cells = tuple(tuple(tuple(tuple(map(float, a)) for a in cell) for cell in line) for line in raw)
    return Detector(Fixed(cells), {}, NAMES, RegionHead([ANCHOR]), (SIDE, SIDE), "stretch")


@pytest.mark.parametrize("side", [12, 40])
def test_as_many_as_the_network_gives(side):
    """More than there was room for at first, too: the output is read again, once for all batches that follow."""
    detect = crowd(side)
    program = detect.program(threshold=0.25)
    inputs = detect.to_inputs([picture(64, 64)] * 2)
    for _ in range(2):
        found, _ = program(inputs)
        assert found.valid.sum(1).tolist() == [side * side] * 2 and found.pairs.tolist() == [side * side] * 2
    found = program.start(inputs)[1][0]
    assert found.valid.sum(1).tolist() == [side * side] * 2, "there is room now from the start"
    results = list(detect.stream([picture(64, 64)] * 3, batch_size=2))
    assert [len(result) for result in results] == [side * side] * 3
    assert (np.diff(results[0].scores) <= 0).all()
    centres = np.sort(results[2].boxes_xyxy.reshape(-1, 2, 2).mean(1)[:, 0])
    np.testing.assert_allclose(centres, np.repeat((np.arange(side) + 0.5) * 64 / side, side), atol=1e-3)


def test_a_limit_keeps_the_best_and_counts_the_others():
    detect = crowd(12)
    everything, best = detect(picture(64, 64)), detect(picture(64, 64), max_detections=100)
    assert (len(everything), everything.left_out, len(best), best.left_out) == (144, 0, 100, 44)
    np.testing.assert_array_equal(best.scores, everything.scores[:100])
    assert detect(picture(64, 64), max_detections=144).left_out == 0
    with pytest.raises(UserError, match="max_detections 0"):
        detect(picture(64, 64), max_detections=0)


def test_a_batch_gives_what_single_pictures_give():
    """Five pictures in batches of four: the last one is padded. Their sizes differ, and their scores."""
    detect = detector((0.5, 0.3, 0.4, 0.2, 0.5, 0), brightness=3.0)
    pictures = [picture(40 + 10 * i, 60, 30 * i) for i in range(5)]
    together = list(detect.stream(iter(pictures), batch_size=4, threshold=0.2))
    alone = [detect(pixels, threshold=0.2) for pixels in pictures]
    assert len(together) == 5 and len({float(result.scores[0]) for result in alone}) == 5
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_array_equal(a.boxes_xyxy, b.boxes_xyxy)
        np.testing.assert_allclose(a.scores, b.scores, rtol=1e-6)
        assert a.image.shape == b.image.shape


def test_no_pictures():
    assert list(detector().stream([])) == []


def test_json():
    result = detector((0.5, 0.5, 0.25, 0.5, 0.9, 1))(picture(64, 32))
    found = result.to_json()
    assert list(found) == ["width", "height", "detections"]
    assert (found["width"], found["height"]) == (64, 32)
    (item,) = found["detections"]
    assert list(item) == ["box_xyxy", "score", "class", "label"]
    assert item["box_xyxy"] == [24.0, 0.0, 40.0, 32.0]
    assert item["score"] == pytest.approx(0.9, abs=1e-5) and (item["class"], item["label"]) == (1, "dog")
    assert [type(value) for value in (*item["box_xyxy"], item["class"], found["width"])] == [float] * 4 + [int] * 2
    assert detector()(picture(64, 32)).to_json()["detections"] == []


def test_a_result_shows_itself():
    result = detector((0.5, 0.5, 0.5, 0.5, 0.9, 1))(picture(80, 60))
    shown = re.search('src="data:image/png;base64,([^"]+)"', result._repr_html_())
    with Image.open(io.BytesIO(base64.b64decode(shown[1]))) as shown:
        assert shown.format == "PNG" and shown.size == (320, 240)
        np.testing.assert_array_equal(np.asarray(shown), result.draw())
    assert (result.draw(same_size=True) != result.image).any()
    assert repr(result) == "<1 detection: dog 0.90>"


def test_paths(tmp_path):
    Image.fromarray(picture(30, 20)).save(tmp_path / "a.png")
    assert detector()(tmp_path / "a.png").image.shape == (20, 30, 3)
    assert detector()(str(tmp_path / "a.png")).image.shape == (20, 30, 3)
    with pytest.raises(UserError, match="b.png"):
        detector()(tmp_path / "b.png")


def test_unknown_resize():
    with pytest.raises(UserError, match="'crop'"):
        detector(resize="crop")


class FixedVector(nn.Module):
    """Gives `vector`, numbers [N], for each picture."""

    vector: tuple

    @nn.compact
    def __call__(self, images, train=False):
        return jnp.tile(jnp.asarray(self.vector, jnp.float32), (len(images), 1))


def test_a_yolo_v1_network():
    """A grid of 2 x 2 cells of two boxes each; its cell in the second row and first column holds a dog.

    In the first cell two negative numbers make a cat, as in Darknet.
    """
    classes, objectness, boxes = np.zeros((4, 2)), np.full((4, 2), -0.5), np.zeros((4, 2, 4))
    classes[2] = -0.1, 0.8
    objectness[2] = 0.25, 0.9
    classes[0] = -0.3, 0
    boxes[0] = [(0.5, 0.5, 0.5, 0.5), (0.5, 0.5, 0.2, 0.2)]
    boxes[2] = [(0.5, 0.5, 0.5, 0.5), (0.5, 0.2, 0.5, 0.6)]  # widths 0.25, heights 0.25 and 0.36
    vector = np.concatenate([classes.ravel(), objectness.ravel(), boxes.ravel()])
    head = YoloV1Head(side=2, boxes_per_cell=2, num_classes=2)
    detect = Detector(FixedVector(tuple(vector.tolist())), {}, NAMES, head, (SIDE, SIDE), "stretch")
    result = detect(picture(100, 200), threshold=0.19)
    assert result.names == ("dog", "dog") and result.paths is None and detect.tree is None
    np.testing.assert_allclose(result.scores, [0.72, 0.2], rtol=1e-6)
    np.testing.assert_allclose(result.boxes_xyxy, [[12.5, 84, 37.5, 156], [12.5, 125, 37.5, 175]], atol=1e-4)
    assert detect(picture(100, 200), threshold=0.1).names == ("dog", "dog", "cat", "cat")
    with pytest.raises(UserError, match="2\\*2 cells of 3 classes and 2 boxes"):
        Detector(detect.model, {}, "abc", YoloV1Head(2, 2, 3), (SIDE, SIDE))(picture(9, 9))


def test_load(trained):
    """A workdir gives the detector of its evaluation: its classes, its size, its weights."""
    found = load(trained)
    assert found.classes == ("disc", "rectangle") and found.size_wh == (64, 64) and found.resize == "stretch"
    assert np.shape(found.head.anchors_cells) == (2, 2)
    result = found(trained.parent / "data/JPEGImages/0.jpg", threshold=0.0)
    assert len(result) and result.image.shape == (96, 96, 3)


def test_load_what_is_no_workdir(tmp_path):
    with pytest.raises(UserError, match="no network.json"):
        load(tmp_path)
