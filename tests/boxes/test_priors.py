"""K-means against a plain loop from the same start, and what must hold for any priors."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from yolo9000_jax.boxes import priors
from yolo9000_jax.boxes.geometry import shape_iou
from yolo9000_jax.boxes.priors import average_iou, hand_picked_anchors, kmeans_priors, to_cells
from yolo9000_jax.errors import UserError

shapes = hnp.arrays(np.float64, st.tuples(st.integers(1, 40), st.just(2)), elements=st.floats(0.01, 1))


def clustered_boxes(centres, count, spread, seed=0):
    generator = np.random.default_rng(seed)
    boxes = np.repeat(np.asarray(centres, float), count, axis=0)
    return boxes * np.exp(generator.normal(0, spread, boxes.shape))


def plain_distance(box, anchor, distance):
    if distance == "sse":
        return (box[0] - anchor[0]) ** 2 + (box[1] - anchor[1]) ** 2
    intersection = min(box[0], anchor[0]) * min(box[1], anchor[1])
    return 1 - intersection / (box[0] * box[1] + anchor[0] * anchor[1] - intersection)


def plain_kmeans(boxes, anchors, distance, iterations):
    for _ in range(iterations):
        members = [[] for _ in anchors]
        for box in boxes:
            members[int(np.argmin([plain_distance(box, anchor, distance) for anchor in anchors]))].append(box)
        anchors = [np.mean(group, 0) if group else anchor for group, anchor in zip(members, anchors, strict=True)]
    return np.array(anchors)


@pytest.mark.parametrize("distance", ["iou", "sse"])
@pytest.mark.parametrize("seed", range(3))
def test_lloyd_is_the_plain_loop_from_the_same_start(distance, seed, monkeypatch):
    monkeypatch.setattr(priors, "CHUNK", 32)
    generator = np.random.default_rng(seed)
    boxes = generator.uniform(0.02, 1, (100, 2))
    start = boxes[generator.choice(100, 6, replace=False)]
    for iterations in (1, 7):
        _, anchors = priors._lloyd(boxes, start, distance, iterations)
        np.testing.assert_allclose(anchors, plain_kmeans(boxes, start, distance, iterations), rtol=1e-4)
    mean_distance, anchors = priors._lloyd(boxes, start, distance, 50)
    plain = np.mean([min(plain_distance(box, anchor, distance) for anchor in anchors) for box in boxes])
    assert mean_distance == pytest.approx(plain)


def test_sse_is_as_good_as_scipy():
    vq = pytest.importorskip("scipy.cluster.vq")
    boxes = clustered_boxes([[0.1, 0.2], [0.3, 0.1], [0.5, 0.8], [0.9, 0.9]], 50, 0.3)
    centres, _ = vq.kmeans(boxes, 4, iter=50, rng=0)
    theirs = ((boxes[:, None] - centres) ** 2).sum(-1).min(-1).mean()
    ours = ((boxes[:, None] - kmeans_priors(boxes, 4, distance="sse", restarts=20).anchors) ** 2).sum(-1).min(-1).mean()
    assert ours <= theirs * 1.001


@settings(deadline=None)
@given(shapes, shapes)
def test_average_iou_is_the_mean_of_the_best(boxes, anchors):
    expected = shape_iou(boxes[:, None], anchors).max(-1).mean()
    assert average_iou(boxes, anchors) == pytest.approx(expected, rel=1e-9)
    assert average_iou(boxes, boxes) == pytest.approx(1)


@settings(max_examples=50, deadline=None)
@given(shapes, st.integers(1, 6), st.sampled_from(["iou", "sse"]), st.randoms(use_true_random=False))
def test_priors_are_sorted_shapes_whatever_the_order_of_the_boxes(boxes, k, distance, random):
    assume(len(np.unique(boxes, axis=0)) >= k)
    anchors, score = kmeans_priors(boxes, k, distance=distance, restarts=2)
    assert anchors.shape == (k, 2) and (np.diff(anchors.prod(-1)) >= 0).all()
    assert (anchors >= boxes.min(0) * 0.999).all() and (anchors <= boxes.max(0) * 1.001).all()
    assert 0 <= score <= 1 + 1e-12 and score == pytest.approx(average_iou(boxes, anchors))
    shuffled = kmeans_priors(boxes[random.sample(range(len(boxes)), len(boxes))], k, distance=distance, restarts=2)
    np.testing.assert_array_equal(shuffled.anchors, anchors)


@pytest.mark.parametrize("distance", ["iou", "sse"])
def test_planted_clusters_are_found(distance):
    planted = np.array([[0.05, 0.1], [0.4, 0.1], [0.15, 0.5], [0.6, 0.7], [0.95, 0.95]])
    boxes = clustered_boxes(planted, 200, 0.02)
    found = kmeans_priors(boxes, 5, distance=distance)
    np.testing.assert_allclose(found.anchors, planted[np.argsort(planted.prod(-1))], rtol=0.02)
    assert found.average_iou > 0.96


def test_more_priors_fit_better_and_iou_beats_sse():
    boxes = clustered_boxes([[0.05, 0.1], [0.4, 0.1], [0.15, 0.5], [0.6, 0.7], [0.95, 0.95]], 100, 0.4)
    scores = [kmeans_priors(boxes, k, restarts=10).average_iou for k in range(1, 9)]
    assert (np.diff(scores) > 0).all()
    assert scores[4] > kmeans_priors(boxes, 5, distance="sse", restarts=10).average_iou


def test_the_seed_decides():
    boxes = np.random.default_rng(0).uniform(0.02, 1, (300, 2))
    first, again, other = (kmeans_priors(boxes, 8, seed=seed, restarts=1) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.anchors, again.anchors)
    assert not np.array_equal(first.anchors, other.anchors)


def test_as_many_priors_as_boxes_fit_exactly():
    boxes = np.random.default_rng(0).uniform(0.02, 1, (7, 2))
    found = kmeans_priors(np.repeat(boxes, 3, axis=0), 7, restarts=1)
    np.testing.assert_allclose(found.anchors, boxes[np.argsort(boxes.prod(-1))])
    assert found.average_iou == pytest.approx(1)


@pytest.mark.parametrize(
    ("boxes", "k", "options", "named"),
    [
        ([[0.1, 0.2], [0.1, 0.2], [0.3, 0.4]], 3, {}, "only 2 distinct boxes"),
        ([[0.1, 0.2], [0.1, 0]], 1, {}, "1 boxes have no area, the first is box 1"),
        ([[0.1, np.nan]], 1, {}, "no area"),
        ([[0.1, np.inf]], 1, {}, "no area"),
        ([[0.1, 0.2]], 0, {}, "k = 0"),
        (np.zeros((0, 2)), 1, {}, "no boxes"),
        ([[0.1, 0.2, 0.3, 0.4]], 1, {}, "rows of"),
        ([[0.1, 0.2]], 1, {"distance": "l1"}, "'l1'"),
        ([[0.1, 0.2]], 1, {"restarts": 0}, "0 restarts"),
    ],
)
def test_impossible_requests_are_explained(boxes, k, options, named):
    with pytest.raises(UserError, match=named) as caught:
        kmeans_priors(boxes, k, **options)
    assert "\n" not in str(caught.value)


def test_hand_picked_anchors_have_the_sizes_and_ratios_asked_for():
    anchors = hand_picked_anchors([0.4, 0.1, 0.2], [0.5, 1, 2])
    assert anchors.shape == (9, 2)
    np.testing.assert_allclose(np.sqrt(anchors.prod(-1)), np.repeat([0.1, 0.2, 0.4], 3))
    np.testing.assert_allclose(np.sort((anchors[:, 0] / anchors[:, 1]).reshape(3, 3)), [[0.5, 1, 2]] * 3)
    for sizes, ratios in (([], [1]), ([0.1], []), ([0.1], [0]), ([-1], [1])):
        with pytest.raises(UserError, match="positive"):
            hand_picked_anchors(sizes, ratios)


def test_cells_count_strides():
    np.testing.assert_allclose(to_cells([[0.5, 1.0]], 416), [[6.5, 13]])
    np.testing.assert_allclose(to_cells([[0.5, 1.0]], (320, 192)), [[5, 6]])
    np.testing.assert_allclose(to_cells([[0.5, 1.0]], 448, stride=64), [[3.5, 7]])


def test_too_few_boxes_names_the_keys():
    """Those of a config and of the command."""
    for k in (3, 0):
        with pytest.raises(UserError, match=rf"k = {k}.*--config\.model\.num_anchors.*-k"):
            kmeans_priors([(0.1, 0.2), (0.3, 0.1), (0.1, 0.2)], k)
