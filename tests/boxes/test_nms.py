"""Suppression against a plain loop over sorted boxes."""

from functools import partial

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo9000_jax.boxes.geometry import iou_cxcywh
from yolo9000_jax.boxes.nms import BLOCK, keep_by_objectness, nms_by_objectness, nms_per_class

BOXES, CLASSES = 12, 3


def plain_greedy(boxes, scores, iou_threshold):
    """Scores [N] with those of suppressed boxes set to 0."""
    scores = scores.copy()
    order = np.argsort(-scores, kind="stable")
    for rank, best in enumerate(order):
        for other in order[rank + 1 :]:
            if scores[best] > 0 and iou_cxcywh(boxes[best], boxes[other]) > iou_threshold:
                scores[other] = 0
    return scores


def plain_per_class(boxes, scores, iou_threshold, takes_part):
    kept = scores.copy()
    for label in range(scores.shape[1]):
        kept[takes_part, label] = plain_greedy(boxes[takes_part], scores[takes_part, label], iou_threshold)
    return kept


def as_scores(detections, boxes, shape):
    """The detections of picture 0 as an array of scores [N, C], after checking what every result must fulfil."""
    detected, scores, labels, valid, places = (np.asarray(field[0]) for field in detections[:5])
    assert (np.diff(scores) <= 0).all() and (valid == (scores > 0)).all()
    assert not detected[~valid].any() and not labels[~valid].any()
    found = np.zeros(shape, np.float32)
    for box, score, label in zip(detected[valid], scores[valid], labels[valid], strict=True):
        (index,) = np.flatnonzero((boxes == box).all(-1))
        assert index in places[valid]
        assert found[index, label] == 0, "a pair is reported once"
        found[index, label] = score
    return found


@st.composite
def problems(draw):
    """Crowded boxes (all different), scores with zeros and many ties, and boxes that take no part."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([3, 10, 1000]))
    boxes = np.concatenate([generator.uniform(0.3, 0.7, (BOXES, 2)), generator.uniform(0.1, 0.6, (BOXES, 2))], -1)
    scores = generator.integers(0, levels, (BOXES, CLASSES)) / levels
    takes_part = generator.random(BOXES) < draw(st.sampled_from([0.5, 1.0]))
    return boxes.astype(np.float32), scores.astype(np.float32), takes_part, draw(st.floats(0.05, 0.95))


@settings(max_examples=200, deadline=None)
@given(problems())
def test_per_class_is_the_plain_loop(problem):
    boxes, scores, takes_part, iou_threshold = problem
    result = nms_per_class(boxes[None], scores[None], iou_threshold, takes_part=takes_part[None])
    expected = plain_per_class(boxes, scores, iou_threshold, takes_part)
    np.testing.assert_array_equal(as_scores(result, boxes, scores.shape), expected)


@settings(max_examples=50, deadline=None)
@given(problems())
def test_candidate_limit_gives_the_plain_result_of_the_best_pairs(problem):
    boxes, scores, takes_part, iou_threshold = problem
    limit = 7
    result = nms_per_class(boxes[None], scores[None], iou_threshold, takes_part=takes_part[None], candidates=limit)
    best_pairs = np.argsort(-scores.reshape(-1), kind="stable")[:limit]
    expected = np.zeros(scores.size, np.float32)
    expected[best_pairs] = plain_per_class(boxes, scores, iou_threshold, takes_part).reshape(-1)[best_pairs]
    np.testing.assert_array_equal(as_scores(result, boxes, scores.shape).reshape(-1), expected)
    assert result.scores.shape == (1, limit) and int(result.pairs[0]) == (scores > 0).sum()


@settings(max_examples=100, deadline=None)
@given(problems())
def test_by_objectness_is_the_plain_loop(problem):
    boxes, scores, _, iou_threshold = problem
    objectness = scores[:, 0]
    kept = plain_greedy(boxes, objectness, iou_threshold) > 0
    np.testing.assert_array_equal(keep_by_objectness(boxes[None], objectness[None], iou_threshold)[0], kept)
    result = nms_by_objectness(boxes[None], objectness[None], scores[None], iou_threshold)
    expected = np.where(kept[:, None], scores, 0)
    np.testing.assert_array_equal(as_scores(result, boxes, scores.shape), expected)


@settings(max_examples=100, deadline=None)
@given(problems())
def test_across_classes_is_the_plain_loop_over_all_pairs(problem):
    boxes, scores, _, iou_threshold = problem
    result = nms_per_class(boxes[None], scores[None], iou_threshold, class_agnostic=True)
    expected = plain_greedy(np.repeat(boxes, CLASSES, 0), scores.reshape(-1), iou_threshold).reshape(scores.shape)
    np.testing.assert_array_equal(as_scores(result, boxes, scores.shape), expected)


@pytest.mark.parametrize("present", [1, 0.6, 0.1])
def test_more_pairs_than_a_block(present):
    """Blocks, the last not full, against a loop over the rows of one matrix of overlaps; two pictures in a batch."""
    generator, count = np.random.default_rng(3), 1500
    boxes = np.concatenate([generator.random((2, count, 2)), generator.uniform(0.02, 0.2, (2, count, 2))], -1)
    boxes, scores = boxes.astype(np.float32), generator.random((2, count, 2)).astype(np.float32)
    scores *= generator.random(scores.shape) < present
    found = nms_per_class(boxes, scores, 0.3, candidates=4 * BLOCK)
    for picture in range(2):
        overlaps = np.asarray(iou_cxcywh(boxes[picture][:, None], boxes[picture])) > 0.3
        expected = []
        for label in range(2):
            alive = scores[picture, :, label] > 0
            for best in np.argsort(-scores[picture, :, label], kind="stable"):
                if alive[best]:
                    expected.append((best, label))
                    alive &= ~overlaps[best]
        valid = np.asarray(found.valid[picture])
        pairs = zip(found.places[picture][valid].tolist(), found.labels[picture][valid].tolist(), strict=True)
        assert set(pairs) == set(expected) and valid.sum() == len(expected)
        assert found.pairs[picture] == (scores[picture] > 0).sum()


def test_a_chain_of_suppressions_is_resolved_in_order():
    centres = np.arange(40) * 0.1  # each box overlaps its neighbours only, by IoU .43
    boxes = np.stack([centres, centres * 0, centres * 0 + 0.25, centres * 0 + 1], -1).astype(np.float32)
    scores = np.linspace(1, 0.1, 40, dtype=np.float32)[:, None]
    result = nms_per_class(boxes[None], scores[None], 0.4)
    np.testing.assert_array_equal(np.asarray(result.scores[0])[np.asarray(result.valid[0])], scores[::2, 0])


def test_one_label_a_box():
    boxes = np.tile(np.array([0.5, 0.5, 0.2, 0.2], np.float32), (1, 3, 1))
    scores = np.array([[[0.9], [0.8], [0.7]]], np.float32)
    labels = np.array([[[4], [7], [4]]], np.int32)
    result = nms_per_class(boxes, scores, 0.5, labels=labels)
    np.testing.assert_array_equal(result.labels, [[4, 7, 0]])
    np.testing.assert_array_equal(result.valid, [[True, True, False]])
    assert nms_per_class(boxes, scores, 0.5, labels=labels, class_agnostic=True).valid.tolist() == [
        [True, False, False]
    ]


def test_pictures_of_a_batch_do_not_mix():
    generator = np.random.default_rng(0)
    boxes = np.concatenate([generator.random((4, 30, 2)), generator.uniform(0.1, 0.5, (4, 30, 2))], -1).astype(
        np.float32
    )
    scores = generator.random((4, 30, CLASSES)).astype(np.float32)
    together = nms_per_class(boxes, scores, 0.3)
    for index in range(4):
        alone = nms_per_class(boxes[index : index + 1], scores[index : index + 1], 0.3)
        jax.tree.map(partial(_assert_row_equal, index), together, alone)


def _assert_row_equal(index, batch, alone):
    np.testing.assert_array_equal(batch[index], alone[0])


@pytest.mark.parametrize("bad", [np.nan, -1.0])
def test_scores_that_are_no_numbers_or_negative_are_no_detections(bad):
    boxes = np.random.default_rng(0).random((1, 4, 4), np.float32)
    scores = np.array([[[bad], [0.5], [bad], [0.0]]], np.float32)
    result = nms_per_class(boxes, scores, 0.5, candidates=3)
    np.testing.assert_array_equal(result.scores, [[0.5, 0, 0]])
    assert result.pairs.tolist() == [1]


def test_labels_on_one_path_suppress_each_other():
    """animal > (cat, dog > poodle): a poodle is a dog and an animal, but no cat."""
    paths = np.array([[0, -1, -1], [0, 1, -1], [0, 2, -1], [0, 2, 3]])
    boxes = np.float32([[0.5, 0.5, 0.2, 0.2]] * 4)[None]
    scores = np.float32([[[0.9], [0.8], [0.7], [0.6]]])

    def kept(labels):
        labels = np.int32(labels)[None, :, None]
        found = nms_per_class(boxes, scores, 0.5, labels=labels, paths=paths)
        return found.places[0][np.asarray(found.valid[0])].tolist()

    assert kept([3, 2, 1, 0]) == [0, 2]  # the cat stays beside the poodle; dog and animal go
    assert kept([0, 1, 2, 3]) == [0]
    assert kept([1, 3, 1, 2]) == [0, 1]
