"""Joint batches: the share of pictures with boxes, which pictures come, what a picture without boxes says."""

from dataclasses import replace
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.test_pipeline import PLAIN, rendered
from yolo9000_jax import config as configs
from yolo9000_jax.data import mixture, pipeline
from yolo9000_jax.data.records import Dataset, Record
from yolo9000_jax.data.table import Table
from yolo9000_jax.errors import UserError
from yolo9000_jax.tasks.classification import Classification
from yolo9000_jax.tasks.joint import Joint
from yolo9000_jax.training.loop import next_batch

LEVEL = 130  # grey of the first labelled picture; those with boxes are darker


def labelled(count=5):
    """Record i is a picture of level 130 + 20 i with the label i % 2."""

    def record(index):
        picture = np.full((24, 24, 3), LEVEL + 20 * index, np.uint8)
        label = np.int32([index % 2])
        return Record(
            f"label {index}", None, 24, 24, np.zeros((0, 4), np.float32), label, np.zeros(1, bool), picture.copy
        )

    return Dataset("labels", "train", ("x", "y"), [record(index) for index in range(count)], rendered=True)


def configuration(**values):
    top = {"seed": 7, "steps": 30, "batch_size": 4, "image_size": 32, "augment": PLAIN} | values
    return configs.complete(top)


def batches(config, start=0, count=None, detection=3, classification=5, **processes):
    both = rendered(detection), labelled(classification)
    return list(islice(mixture.joint_batches(*both, config, start, config.steps, 3, **processes), count))


@given(st.integers(1, 10**7), st.integers(1, 10**7), st.floats(0.01, 100))
def test_labelled_pictures_outnumber_the_others_by_the_ratio_at_most(detection, classification, ratio):
    share = float(mixture.detection_share(detection, classification, ratio))
    expected = 1 / (1 + min(ratio, classification / detection))
    assert share == pytest.approx(expected, rel=0.02, abs=1e-3)


def test_the_papers_mixture():
    """ImageNet has about eleven times as many pictures as COCO, which is repeated until it is four."""
    assert mixture.detection_share(118_287, 1_281_167, 4.0) == Fraction(1, 5)
    assert mixture.detection_share(100, 100, 4.0) == Fraction(1, 2)


@pytest.mark.parametrize(
    "sizes, ratio, words", [((0, 5), 4, "data.source"), ((5, 0), 4, "classification.source"), ((5, 5), 0, "ratio is 0")]
)
def test_an_empty_side_is_refused(sizes, ratio, words):
    with pytest.raises(UserError, match=words):
        mixture.detection_share(*sizes, ratio)


def test_both_sets_come_evenly_and_in_their_own_order():
    """3 pictures with boxes, 5 with labels: 3 of 8, so that one epoch of each is as long as that of the other."""
    config = configuration(batch_size=8)
    found = batches(config, count=4)
    boxed, others = [], []
    for step, batch in enumerate(found):
        is_labelled = batch["image_labels"] >= 0
        assert is_labelled.sum() == 5
        assert not batch["mask"][is_labelled].any() and not batch["labels"][is_labelled].any()
        levels = batch["images"][:, 16, 16, 0]
        assert (levels[is_labelled] >= LEVEL).all() and (levels[~is_labelled] < LEVEL).all()
        indexes = (levels[is_labelled].astype(int) - LEVEL) // 20
        np.testing.assert_array_equal(batch["image_labels"][is_labelled], indexes % 2)
        boxed += [int(round(level / 20)) for level in batch["images"][~is_labelled].mean((1, 2, 3))]
        others += indexes.tolist()
        records = mixture.joint_records(rendered(3), labelled(5), config, step)
        assert [d.spec == "labels" for d, _ in records] == is_labelled.tolist()
        assert [i for d, i in records if d.spec == "labels"] == indexes.tolist()
    assert boxed == pipeline.records_at(rendered(3), config.seed, range(12))
    assert others == pipeline.records_at(labelled(5), config.seed, range(20))
    assert all(sorted(others[start : start + 5]) == [0, 1, 2, 3, 4] for start in range(0, 20, 5))


def test_pictures_with_boxes_are_those_of_detection_batches():
    config = configuration(batch_size=8, augment={"jitter": 0.3})
    for batch in batches(config, count=3):
        boxed = batch["image_labels"] < 0
        counts = batch["mask"][boxed].sum(1)
        assert counts.max() <= 2  # of up to three boxes the last is difficult
        assert (batch["boxes_cxcywh"][~boxed] == 0).all()


def test_a_run_carries_on_and_is_shared_by_processes():
    config = configuration(augment={"jitter": 0.3}, multi_scale=(32, 64), multi_scale_every=2)
    whole = batches(config, count=8)
    for ours, expected in zip(batches(config, start=5, count=3), whole[5:], strict=True):
        for key, value in expected.items():
            np.testing.assert_array_equal(ours[key], value, err_msg=key)
    halves = [batches(config, count=8, process_index=i, process_count=2) for i in (0, 1)]
    for first, second, expected in zip(*halves, whole, strict=True):
        for key, value in expected.items():
            np.testing.assert_array_equal(np.concatenate([first[key], second[key]]), value, err_msg=key)


def test_a_picture_with_several_labels_is_refused():
    with pytest.raises(UserError, match="2 labels"):
        pipeline.labelled_reader(Dataset("d", "train", ("a", "b", "c"), Table.of([rendered()[2]])), configuration())


@pytest.mark.parametrize("kind", [Classification, Joint])
def test_one_of_several_labels_that_is_read_later_is_named(kind):
    """Of a lazy set only the first record is looked at when the run begins."""
    task = object.__new__(kind)
    task.config = configuration(augment={"geometry": "rotate_crop"} if kind is Classification else {})
    records = [replace(rendered()[place], name=f"labelled {place}") for place in (1, 1, 2)]
    labelled = Dataset("d", "train", ("a", "b", "c"), records, lazy=True)
    if kind is Classification:
        task.dataset, found = labelled, pipeline.classification_batches(labelled, task.config, 0, 9)
    else:
        task.dataset, task.labelled_set = rendered(), labelled
        found = mixture.joint_batches(task.dataset, labelled, task.config, 0, 9, 3)
    with pytest.raises(UserError, match=r"step \d: labelled 2: has 2 labels"):
        for number in range(9):
            next_batch(found, task, number)
