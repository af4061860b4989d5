"""Batches that mix pictures with boxes and pictures with only a label, for joint training (paper, section 4)."""

from collections.abc import Iterator
from fractions import Fraction

import tensorflow as tf
from ml_collections import ConfigDict

from yolo9000_jax.data.pipeline import (
    Batch,
    batches_of,
    boxed_reader,
    detection_example,
    labelled_reader,
    records_at,
)
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.errors import UserError

NO_LABEL = -1  # image_labels of a picture whose boxes say what is in it


def detection_share(detection: int, classification: int, ratio: float) -> Fraction:
    """The share of a run's pictures that come from the detection set.

    The paper repeats COCO until ImageNet is only four times larger: with `ratio` 4 the smaller set is repeated where
    there are more than 4 labelled pictures to one with boxes. Otherwise every picture comes equally often.

    Args:
        detection, classification: number of pictures of the two sets.
        ratio: most labelled pictures to one with boxes.

    Raises:
        UserError: a set is empty, or the ratio is not above 0.
    """
    if not detection or not classification:
        empty = "classification.source" if detection else "data.source"
        raise UserError(f"{empty} has no pictures: joint training needs some with boxes and some with only a label")
    if ratio <= 0:
        raise UserError(f"classification.ratio is {ratio}; it must be above 0")
    return 1 / (1 + min(Fraction(ratio), Fraction(classification, detection)).limit_denominator(1000))


def joint_batches(
    detection: Dataset,
    classification: Dataset,
    config: ConfigDict,
    start_step: int,
    stop_step: int,
    max_boxes: int,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[Batch]:
    """As `pipeline.detection_batches`, with pictures of both sets in every batch, evenly spread over it.

    A batch also has image_labels int32 [b]: the class of a picture without boxes, whose mask is all False; NO_LABEL of
    a picture with boxes. Its class numbers are those of the classification set.
    """
    share = detection_share(len(detection), len(classification), config.classification.ratio)
    boxed, labelled = boxed_reader(detection, config), labelled_reader(classification, config)

    def parts(counter: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Whether it is a picture with boxes; its counter among these, and among the others."""
        before, after = _detection_pictures(counter, share), _detection_pictures(counter + 1, share)
        return after > before, before, counter - before

    def fetch(counters: tf.Tensor) -> tf.Tensor:
        is_boxed, own, other = parts(counters)
        fetched = boxed.fetch(tf.boolean_mask(own, is_boxed)), labelled.fetch(tf.boolean_mask(other, ~is_boxed))
        places = tf.dynamic_partition(tf.range(tf.size(counters)), tf.cast(~is_boxed, tf.int32), 2)
        return tf.ensure_shape(tf.dynamic_stitch(places, fetched), [None, 2])

    def example(counter: tf.Tensor, fetched: tf.Tensor, size: tf.Tensor) -> dict[str, tf.Tensor]:
        is_boxed, own, other = parts(counter)

        def with_label() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
            image, label = labelled.read(other, fetched)
            return image, tf.zeros((0, 4)), tf.zeros((0,), tf.int32), label

        read = tf.cond(is_boxed, lambda: (*boxed.read(own, fetched), NO_LABEL), with_label)
        image, boxes_xyxy, labels, image_label = read
        image = tf.ensure_shape(image, [None, None, 3])
        boxes_xyxy, labels = tf.ensure_shape(boxes_xyxy, [None, 4]), tf.ensure_shape(labels, [None])
        batch = detection_example(image, boxes_xyxy, labels, counter, size, config, max_boxes)
        return batch | {"image_labels": image_label}

    return batches_of(fetch, example, config, start_step, stop_step, process_index, process_count)


def joint_records(
    detection: Dataset, classification: Dataset, config: ConfigDict, step: int
) -> list[tuple[Dataset, int]]:
    """The data set and the index in it of each picture in the batch of `step`."""
    share = detection_share(len(detection), len(classification), config.classification.ratio)
    found = []
    for counter in range(step * config.batch_size, (step + 1) * config.batch_size):
        before = _detection_pictures(counter, share)
        boxed = _detection_pictures(counter + 1, share) > before
        dataset, own = (detection, before) if boxed else (classification, counter - before)
        found += [(dataset, index) for index in records_at(dataset, config.seed, [own])]
    return found


def _detection_pictures(counter: int | tf.Tensor, share: Fraction) -> int | tf.Tensor:
    """How many of the examples before this one are from the detection set."""
    return counter * share.numerator // share.denominator
